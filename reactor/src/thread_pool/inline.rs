//! Pools without threads: their jobs run on the thread of the event loop that submits them. It never has an interpreter's
//! lock while it polls: the hook is around each turn's jobs.

use std::sync::Arc;
use std::time::Duration;

use super::job::JobRefused;
use super::worker::{Worker, run};
use super::{Pool, ThreadPool};
use crate::Threads;

/// What a turn may do at the most, before connections have theirs again; what is left has the next.
const TURN_JOBS_MAX: usize = 64;
/// The clock is read after every so many.
const CLOCK_JOBS: usize = 8;
const TURN_MAX: Duration = Duration::from_millis(1);

impl Pool {
    /// Nobody would do it.
    pub(super) fn refuse_if_inline(&self) -> Result<(), JobRefused> {
        if self.inline.is_some() { Err(JobRefused::NoThreads) } else { Ok(()) }
    }
}

impl ThreadPool {
    /// Whether its jobs run on the thread of the event loop that submits them, for want of threads of its own.
    pub fn is_inline(&self) -> bool {
        self.0.inline.is_some()
    }

    /// Does some of the queued jobs of an inline pool: whether some are left. Runs on the loop's thread.
    pub(crate) fn run_inline(&self) -> bool {
        let pool = &self.0;
        let Some(slot) = &pool.inline else { return false };
        let hook = pool.hook.lock().expect("nothing panics under the hook's lock").clone();
        let mut worker = Worker { pool, name: &slot.name, owed: Vec::new(), hook: hook.as_deref() };
        if let Some(hook) = &hook {
            hook.before_work();
        }
        let end = pool.threads.now() + TURN_MAX;
        for done in 1..=TURN_JOBS_MAX {
            pool.watched_queue.visit();
            let Some((task, _)) = pool.take(slot, false) else { break };
            run(slot, task, &mut worker);
            if done % CLOCK_JOBS == 0 && pool.threads.now() >= end {
                break;
            }
        }
        worker.pay();
        if let Some(hook) = &hook {
            hook.before_park();
        }
        pool.report_if_stopped();
        pool.queued() > 0
    }

    /// The loop ends: the hook's last call comes from its thread too.
    pub(crate) fn end_inline(&self) {
        let hook: Option<Arc<_>> = self.0.hook.lock().expect("nothing panics under the hook's lock").clone();
        if let Some(hook) = hook.filter(|_| self.is_inline()) {
            hook.stopped();
        }
    }
}
