//! Who works in a pool and what waits for them: all that is under the pool's one lock. It is held for a few
//! instructions, and nothing that is not ours is called or dropped under it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::job::{JobRefused, Running, Task};
use super::mood::Mood;
use super::primitives::{Mutex, MutexGuard};
use super::{Busy, Pool};
use crate::{Gate, Outstanding, Pending};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    New,
    Running,
    Stopped,
}

pub(super) struct Roster {
    pub(super) phase: Phase,
    /// Jobs that wait, the next first.
    pub(super) queue: VecDeque<Task>,
    pub(super) mood: Mood,
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) workers_ever: usize,
    pub(super) workers: Vec<Arc<Slot>>,
    /// How many of them have decided to end, and count for nothing but the pool's own end.
    pub(super) leaving: usize,
    /// Workers that wait, the latest last: it is woken first, its stack is warm.
    pub(super) idle: Vec<Arc<Slot>>,
    pub(super) on_stopped: Vec<Box<dyn FnOnce() + Send>>,
}

/// A worker as the others see it.
pub(super) struct Slot {
    /// Counted from one, over all that the pool has ever had.
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) gate: Gate,
    pub(super) running: Mutex<Running>,
}

impl Slot {
    pub(super) fn set(&self, running: Running) {
        let before = std::mem::replace(&mut *self.running.lock().expect("nothing panics under a slot's lock"), running);
        // Perhaps the job's last handle: what that drops is not ours, and may look at the pool.
        drop(before);
    }

    pub(super) fn is_busy(&self) -> bool {
        !matches!(*self.running.lock().expect("nothing panics under a slot's lock"), Running::Nothing)
    }

    pub(super) fn busy(&self) -> Option<Busy> {
        let running = self.running.lock().expect("nothing panics under a slot's lock").clone();
        let job = running.describe()?;
        Some(Busy { worker: self.name.clone(), job })
    }
}

impl Roster {
    /// Workers there are and will be.
    pub(super) fn staying(&self) -> usize {
        self.workers.len() - self.leaving
    }

    pub(super) fn forget(&mut self, slot: &Arc<Slot>) {
        self.workers.retain(|worker| !Arc::ptr_eq(worker, slot));
    }
}

impl Pool {
    pub(super) fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().expect("nothing panics under the roster's lock")
    }

    pub(super) fn queued(&self) -> usize {
        self.queued.load(Ordering::SeqCst)
    }

    pub(super) fn enqueue(&self, task: Task) -> Result<(), JobRefused> {
        self.watched_roster.visit();
        // Under the lock, so that no job slips in behind the last worker's last look.
        let mut roster = self.roster();
        if roster.phase == Phase::Stopped {
            return Err(JobRefused::Stopped);
        }
        if roster.queue.len() >= self.queued_jobs_max {
            return Err(JobRefused::Full);
        }
        roster.queue.push_back(task);
        self.queued.store(roster.queue.len(), Ordering::SeqCst);
        Ok(())
    }

    /// The next job for this worker, and whether another is to be called for what is behind it. `comes`: as a standby,
    /// which it is no more from here on.
    pub(super) fn take(&self, slot: &Slot, comes: bool) -> Option<(Task, bool)> {
        let mut roster = self.roster();
        let Roster { mood, queue, .. } = &mut *roster;
        if comes {
            mood.end_trial();
        }
        if mood.is_left_to_another(slot) {
            mood.note_left();
            return None;
        }
        let answers = comes || mood.is_runner(slot);
        let Some(task) = queue.pop_front() else {
            mood.note_idle(slot);
            if answers {
                // Under the lock: whoever queues a job now sees that nobody is coming.
                self.standby.store(false, Ordering::SeqCst);
            }
            return None;
        };
        self.queued.store(queue.len(), Ordering::SeqCst);
        mood.note_taken(queue.len());
        if !mood.is_calm() {
            if comes {
                self.standby.store(false, Ordering::SeqCst);
            }
            return Some((task, true));
        }
        // The runner answers for what is behind it, unless a standby does.
        if answers || !self.standby.swap(true, Ordering::SeqCst) {
            mood.run_by(slot);
        }
        Some((task, false))
    }

    pub(super) fn drop_queue(&self) {
        let mut roster = self.roster();
        let dropped = std::mem::take(&mut roster.queue);
        self.queued.store(0, Ordering::SeqCst);
        drop(roster);
        // Not under the lock: what that drops is not ours, and may look at the pool.
        drop(dropped);
    }

    pub(super) fn busy_workers(&self) -> Vec<Busy> {
        let workers = self.roster().workers.clone();
        let inline = self.inline.iter().filter_map(Slot::busy);
        workers.iter().filter_map(|worker| worker.busy()).chain(inline).collect()
    }

    pub(super) fn report_if_stopped(&self) {
        let reports = {
            let mut roster = self.roster();
            let is_done = roster.workers.is_empty() && (self.inline.is_none() || roster.queue.is_empty());
            if roster.phase != Phase::Stopped || !is_done {
                return;
            }
            std::mem::take(&mut roster.on_stopped)
        };
        for report in reports {
            report();
        }
    }
}

impl Outstanding for Pool {
    fn outstanding(&self) -> Vec<Pending> {
        let queued: Vec<Running> = self.roster().queue.iter().map(Running::of).collect();
        let busy = self.busy_workers().into_iter();
        let mut all: Vec<Pending> =
            busy.map(|busy| Pending::new("job", format!("{} runs {}", busy.worker, busy.job))).collect();
        let waits = |job| Pending::new("job", format!("{job} waits for a worker of the pool `{}`", self.name));
        all.extend(queued.iter().filter_map(Running::describe).map(waits));
        all
    }
}
