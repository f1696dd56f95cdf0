//! A worker's life: take a job, do it, take the next; wait where there is none; end where it is not needed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::job::{Running, Task, WorkerHook};
use super::roster::{Phase, Slot};
use super::{Pool, ThreadPool};
use crate::mailbox::panic_text;
use crate::{Remote, Threads, Unparked};

/// The worker's side of a job.
pub struct Worker<'a> {
    pub(super) pool: &'a Arc<Pool>,
    pub(super) name: &'a str,
    pub(super) owed: Vec<Remote>,
    pub(super) hook: Option<&'a dyn WorkerHook>,
}

impl Worker<'_> {
    /// The thread's name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The pool that it is one of.
    pub fn pool(&self) -> ThreadPool {
        ThreadPool(self.pool.clone())
    }

    /// Does `work` as if this worker waited: what its [`WorkerHook`] takes for a run of jobs is given back meanwhile.
    pub fn unhooked<V>(&self, work: impl FnOnce() -> V) -> V {
        /// Also where `work` panics: whatever the worker does next counts on the hook.
        struct Again<'a>(&'a dyn WorkerHook);
        impl Drop for Again<'_> {
            fn drop(&mut self) {
                self.0.before_work();
            }
        }
        let _again = self.hook.map(|hook| {
            hook.before_park();
            Again(hook)
        });
        work()
    }

    /// Whether it is one of this pool's.
    pub fn is_of(&self, pool: &ThreadPool) -> bool {
        Arc::ptr_eq(self.pool, &pool.0)
    }

    /// Whether this is the thread of the event loop, which must never wait: see
    /// [`PoolConfig::threads`](crate::PoolConfig::threads).
    pub fn is_inline(&self) -> bool {
        self.pool.inline.is_some()
    }

    /// Whether more work waits, so that this worker will likely go on at once.
    pub fn has_backlog(&self) -> bool {
        self.pool.watched_queue.visit();
        self.pool.queued() > 0
    }

    /// Flushes `remote` before this worker waits; see [`Notifier::notify_lazily`](crate::Notifier::notify_lazily).
    pub fn flush_before_park(&mut self, remote: &Remote) {
        // A pool may serve several loops; each is owed one wake for a whole batch.
        if !self.owed.iter().any(|owed| owed.is(remote)) {
            self.owed.push(remote.clone());
        }
    }

    pub(super) fn pay(&mut self) {
        for remote in self.owed.drain(..) {
            remote.flush();
        }
    }
}

impl Pool {
    /// A worker's life.
    pub(super) fn work(self: Arc<Self>, slot: &Arc<Slot>) {
        let hook = self.hook.lock().expect("nothing panics under the hook's lock").clone();
        let mut worker = Worker { pool: &self, name: &slot.name, owed: Vec::new(), hook: hook.as_deref() };
        let hooked = Hooked(hook.as_deref());
        // A new worker is the standby, as one that was woken.
        let mut standby = true;
        loop {
            if let Some(hook) = &hook {
                hook.before_work();
            }
            while let Some(task) = self.next_task(slot, &mut standby) {
                run(slot, task, &mut worker);
            }
            // First the news, then the interpreter's lock: giving that up can mean a change of threads.
            worker.pay();
            if let Some(hook) = &hook {
                hook.before_park();
            }
            match self.wait(slot) {
                Wait::Woken => standby = true,
                Wait::MoreWork => {}
                Wait::End => break,
            }
        }
        drop(hooked);
        self.watched_roster.visit();
        {
            let mut roster = self.roster();
            roster.forget(slot);
            roster.leaving -= 1;
        }
        self.report_if_stopped();
    }

    fn next_task(self: &Arc<Self>, slot: &Slot, standby: &mut bool) -> Option<Task> {
        self.watched_queue.visit();
        let (task, call_another) = self.take(slot, std::mem::take(standby))?;
        if call_another {
            self.call_standby();
        }
        Some(task)
    }

    fn wait(&self, slot: &Arc<Slot>) -> Wait {
        self.watched_roster.visit();
        let retire_at = {
            let mut roster = self.roster();
            // Work that came before this worker was on the list of idle ones found nobody to wake.
            if !roster.queue.is_empty() && !roster.mood.is_left_to_another(slot) {
                return Wait::MoreWork;
            }
            if roster.phase == Phase::Stopped || roster.staying() > roster.max {
                roster.leaving += 1;
                return Wait::End;
            }
            roster.idle.push(slot.clone());
            (roster.staying() > roster.min).then(|| self.threads.now() + self.idle_max)
        };
        loop {
            let unparked = match retire_at {
                Some(deadline) => slot.gate.park_until(deadline),
                None => {
                    slot.gate.park();
                    Unparked::ByToken
                }
            };
            self.watched_roster.visit();
            let mut roster = self.roster();
            let Some(place) = roster.idle.iter().position(|idle| Arc::ptr_eq(idle, slot)) else {
                return Wait::Woken;
            };
            // Still on the list: the token was an old one, or the time has come.
            if unparked == Unparked::ByTime {
                roster.idle.remove(place);
                if roster.staying() <= roster.min {
                    return Wait::MoreWork;
                }
                roster.leaving += 1;
                return Wait::End;
            }
        }
    }
}

/// Tells the hook of its worker's end, also where a simulation that is over unwinds the worker.
struct Hooked<'a>(Option<&'a dyn WorkerHook>);

impl Drop for Hooked<'_> {
    fn drop(&mut self) {
        if let Some(hook) = self.0 {
            hook.stopped();
        }
    }
}

enum Wait {
    Woken,
    MoreWork,
    End,
}

pub(super) fn run(slot: &Slot, task: Task, worker: &mut Worker<'_>) {
    slot.set(Running::of(&task));
    let outcome = catch_unwind(AssertUnwindSafe(|| match task {
        Task::Call(call, _) => call(),
        Task::Job(job) => job.run(worker),
    }));
    slot.set(Running::Nothing);
    if let Err(payload) = outcome {
        tracing::error!(worker = slot.name, panic = panic_text(&*payload), "a job panicked; its worker goes on");
    }
}
