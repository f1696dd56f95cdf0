//! Who comes when work comes: the standby. It is called, or started where nobody is idle.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Pool;
use super::job::Running;
use super::primitives::Mutex;
use super::roster::{Phase, Slot};
use crate::Threads;

impl Pool {
    pub(super) fn call_standby(self: &Arc<Self>) {
        self.watched_queue.visit();
        if self.queued() == 0 || self.standby.swap(true, Ordering::SeqCst) {
            return;
        }
        self.watched_roster.visit();
        let mut roster = self.roster();
        if let Some(worker) = roster.idle.pop() {
            drop(roster);
            worker.gate.unpark();
        } else if roster.phase != Phase::New && roster.staying() < roster.max {
            drop(roster);
            if let Err(error) = self.clone().start_worker() {
                tracing::warn!(%error, "cannot start another worker thread; work waits for those there are");
                self.do_without_standby();
                self.give_up_if_stopped();
            }
        } else {
            // Nobody will come. Said under the lock: a worker that is about to wait looks at the queue under it too,
            // so a job that relied on this standby is seen there, and a later one calls for itself.
            self.standby.store(false, Ordering::SeqCst);
        }
    }

    /// The standby could not be started. Workers may have begun to wait since it was called, and jobs come that
    /// relied on it.
    fn do_without_standby(&self) {
        let mut roster = self.roster();
        self.standby.store(false, Ordering::SeqCst);
        let idle = if roster.queue.is_empty() { None } else { roster.idle.pop() };
        drop(roster);
        if let Some(worker) = idle {
            worker.gate.unpark();
        }
    }

    pub(super) fn start_worker(self: Arc<Self>) -> io::Result<()> {
        let slot = {
            let mut roster = self.roster();
            roster.workers_ever += 1;
            let name = format!("{}-{}", self.name, roster.workers_ever);
            let slot = Arc::new(Slot {
                number: roster.workers_ever,
                gate: self.threads.gate_from(&name, self.made),
                name,
                running: Mutex::new(Running::Nothing),
            });
            roster.workers.push(slot.clone());
            slot
        };
        let (pool, worker) = (self.clone(), slot.clone());
        let started = self.threads.spawn_from(&slot.name, Box::new(move || pool.work(&worker)), self.made);
        if started.is_err() {
            self.roster().forget(&slot);
        }
        started
    }

    /// A pool that stops and can have no thread at all would wait for ever for its last jobs.
    fn give_up_if_stopped(&self) {
        let stopped = {
            let roster = self.roster();
            roster.phase == Phase::Stopped && roster.workers.is_empty()
        };
        if stopped {
            self.drop_queue();
            self.report_if_stopped();
        }
    }
}
