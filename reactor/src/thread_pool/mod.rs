//! Workers for code that blocks. The same code on real and on simulated threads.
//!
//! ```text
//!   submit ──► queue ──► worker: pop one, run it, pop the next …, nothing left: park
//!                 │         ▲
//!                 └─ no standby? wake or start one
//! ```
//!
//! At most one worker at a time is a *standby*: woken or started, and not yet at its first job. Whoever adds work
//! while there is a standby leaves it at that. A standby that takes a job and sees more behind it calls the next
//! one. So a burst costs one wake where one worker can do it all, and spreads over all workers where jobs block. Where
//! workers exclude each other, the second is called only once jobs are seen to block (`mood.rs`).
//!
//! The queue is under the roster's lock, which whoever queues a job needs in any case: a job that comes must not slip
//! in behind the last worker's last look. It is held for a few instructions; whether there is work at all, everybody
//! may ask without it.

mod attendant;
mod config;
mod inline;
mod job;
mod mood;
mod roster;
mod standby;
mod worker;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(crate) use self::attendant::Attendant;
pub use self::config::PoolConfig;
pub use self::job::{Job, JobRefused, WorkerHook};
pub use self::worker::Worker;

use self::config::checked;
use self::job::{Running, Task};
use self::mood::Mood;
use self::roster::{Phase, Roster, Slot};
use super::primitives::{self, AtomicBool, AtomicUsize, Mutex};
use crate::mailbox::panic_text;
use crate::threads::{AnyThreads, Watched};
use crate::{Outstanding, Pending, Place, Threads, Unparked};

/// How many of what a pool has at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Threads alive.
    pub threads: usize,
    /// Threads that run a job.
    pub busy: usize,
    /// Threads that do not.
    pub idle: usize,
    /// Jobs that wait for a thread.
    pub queued: usize,
}

/// A worker that runs a job, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The thread's name.
    pub worker: String,
    /// [`Job::describe`] of what it runs.
    pub job: String,
}

/// A pool of worker threads; clones are handles on the same pool. Usable from any thread.
#[derive(Clone)]
pub struct ThreadPool(Arc<Pool>);

struct Pool {
    threads: AnyThreads,
    queued_jobs_max: usize,
    idle_max: Duration,
    name: String,
    /// Where it was made: its workers and their gates are made on behalf of that.
    made: Place,
    /// How many jobs the roster's queue has, for looks without its lock; written under it.
    queued: AtomicUsize,
    watched_queue: Watched,
    /// A worker has been woken or started and has not reached its first job.
    standby: AtomicBool,
    roster: Mutex<Roster>,
    watched_roster: Watched,
    hook: Mutex<Option<Arc<dyn WorkerHook>>>,
    /// Its workers exclude each other.
    may_be_calm: AtomicBool,
    /// What it has in place of workers, if it has none: see `inline.rs`.
    inline: Option<Slot>,
}

impl ThreadPool {
    /// A pool that starts no thread before [`start`](ThreadPool::start). Work submitted earlier runs then.
    ///
    /// # Panics
    /// If the maximum is below the minimum.
    #[track_caller]
    pub fn new(threads: impl Threads, config: impl Into<PoolConfig>) -> ThreadPool {
        ThreadPool::with_threads(AnyThreads::new(threads), config.into(), Location::caller())
    }

    pub(crate) fn with_threads(threads: AnyThreads, config: PoolConfig, made: Place) -> ThreadPool {
        let (min, max) = checked(&config.threads);
        let inline = (max == 0).then(|| Slot {
            number: 0,
            name: config.name.clone(),
            gate: threads.gate_from(&config.name, made),
            running: Mutex::new(Running::Nothing),
        });
        let pool = Arc::new(Pool {
            queued_jobs_max: config.queued_jobs_max,
            idle_max: config.idle_max,
            name: config.name,
            made,
            queued: AtomicUsize::new(0),
            watched_queue: threads.watched("pool queue"),
            standby: AtomicBool::new(false),
            roster: Mutex::new(Roster {
                phase: Phase::New,
                queue: VecDeque::new(),
                mood: Mood::default(),
                min,
                max,
                workers_ever: 0,
                workers: Vec::new(),
                leaving: 0,
                idle: Vec::new(),
                on_stopped: Vec::new(),
            }),
            watched_roster: threads.watched("pool roster"),
            hook: Mutex::new(None),
            may_be_calm: AtomicBool::new(false),
            inline,
            threads,
        });
        let weak = Arc::downgrade(&pool);
        pool.threads.enlist(weak);
        ThreadPool(pool)
    }

    /// Installs what is done around each worker's turns; for workers that start from here on.
    pub fn set_hook(&self, hook: Arc<dyn WorkerHook>) {
        self.0.may_be_calm.store(hook.one_at_a_time(), Ordering::Relaxed);
        if !hook.one_at_a_time() {
            self.leave();
        }
        *self.0.hook.lock().expect("nothing panics under the hook's lock") = Some(hook);
    }

    /// Starts the minimum of threads, and more if work waits. Does nothing when started already.
    ///
    /// # Errors
    /// The system's, if not even one thread can be had while at least one is wanted.
    pub fn start(&self) -> io::Result<()> {
        let pool = &self.0;
        let wanted = {
            let mut roster = pool.roster();
            if roster.phase != Phase::New {
                return Ok(());
            }
            roster.phase = Phase::Running;
            roster.min
        };
        for started in 0..wanted {
            match pool.clone().start_worker() {
                Err(error) if started == 0 => {
                    pool.roster().phase = Phase::New;
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(%error, started, wanted, "fewer worker threads than wanted");
                    break;
                }
                Ok(_) => {}
            }
        }
        self.0.call_standby();
        Ok(())
    }

    /// Has a worker run `call`. Jobs start in the order of their submission.
    ///
    /// # Errors
    /// [`JobRefused`]: the pool has stopped, or its queue is full.
    #[track_caller]
    pub fn submit(&self, call: impl FnOnce() + Send + 'static) -> Result<(), JobRefused> {
        self.0.refuse_if_inline()?;
        self.0.enqueue(Task::Call(Box::new(call), Location::caller()))?;
        self.wake_for_backlog();
        Ok(())
    }

    /// Has a worker run `call` and hand the outcome to `report`, on the same worker: the value, or what the panic
    /// said.
    ///
    /// # Errors
    /// [`JobRefused`]: the pool has stopped, or its queue is full.
    #[track_caller]
    pub fn submit_with_result<V: 'static>(
        &self,
        call: impl FnOnce() -> V + Send + 'static,
        report: impl FnOnce(Result<V, String>) + Send + 'static,
    ) -> Result<(), JobRefused> {
        self.submit(move || {
            let outcome = catch_unwind(AssertUnwindSafe(call));
            report(outcome.map_err(|payload| panic_text(&*payload).to_owned()));
        })
    }

    /// Queues a job and wakes nobody: whoever queues several calls
    /// [`wake_for_backlog`](ThreadPool::wake_for_backlog) once behind the last.
    ///
    /// # Errors
    /// [`JobRefused`]: the pool has stopped, or its queue is full.
    pub fn queue_job(&self, job: Arc<dyn Job>) -> Result<(), JobRefused> {
        self.0.refuse_if_inline()?;
        self.0.enqueue(Task::Job(job))
    }

    /// Sees to it that a worker takes up what is queued.
    pub fn wake_for_backlog(&self) {
        self.0.be_unattended();
        self.0.call_standby();
    }

    /// [`queue_job`](ThreadPool::queue_job) for a loop that sees to it that it is done.
    pub(crate) fn queue_job_of_loop(&self, job: Arc<dyn Job>) -> Result<(), JobRefused> {
        self.0.enqueue(Task::Job(job))
    }

    /// [`wake_for_backlog`](ThreadPool::wake_for_backlog) for a loop that looks after this pool.
    fn call_standby(&self) {
        self.0.call_standby();
    }

    /// Other bounds: surplus threads end when they are next idle, missing ones start.
    ///
    /// # Panics
    /// If the maximum is below the minimum, or an inline pool would have threads, or another none.
    pub fn resize(&self, threads: RangeInclusive<usize>) {
        let (min, max) = checked(&threads);
        assert!((max == 0) == self.is_inline(), "a thread pool cannot get its first thread, or lose its last");
        let (missing, idle) = {
            self.0.watched_roster.visit();
            let mut roster = self.0.roster();
            (roster.min, roster.max) = (min, max);
            let running = roster.phase == Phase::Running;
            let missing = if running { min.saturating_sub(roster.staying()) } else { 0 };
            let surplus = roster.staying() > max;
            (missing, if surplus { std::mem::take(&mut roster.idle) } else { Vec::new() })
        };
        for worker in idle {
            worker.gate.unpark();
        }
        for _ in 0..missing {
            if let Err(error) = self.0.clone().start_worker() {
                tracing::warn!(%error, "cannot start a worker thread");
                break;
            }
        }
        self.0.call_standby();
    }

    /// Whether `other` is a handle on this very pool.
    pub fn is(&self, other: &ThreadPool) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// How many threads it has at least and at the most.
    pub fn bounds(&self) -> RangeInclusive<usize> {
        let roster = self.0.roster();
        roster.min..=roster.max
    }

    /// How many of what there are.
    pub fn counts(&self) -> Counts {
        let workers = self.0.roster().workers.clone();
        let (threads, busy) = (workers.len(), workers.iter().filter(|worker| worker.is_busy()).count());
        Counts { threads, busy, idle: threads - busy, queued: self.0.queued() }
    }

    /// Who runs what, now.
    pub fn busy(&self) -> Vec<Busy> {
        self.0.busy_workers()
    }

    /// Jobs that run and jobs that wait, in this order. Any thread.
    pub fn outstanding(&self) -> Vec<Pending> {
        self.0.outstanding()
    }

    /// Takes no work from here on; workers finish what is queued, then end. `on_stopped` runs on the last of them,
    /// or here if there are none. Work queued in a pool that was never started is dropped. Never blocks.
    pub fn begin_stop(&self, on_stopped: impl FnOnce() + Send + 'static) {
        let (idle, never_started) = {
            self.0.watched_roster.visit();
            let mut roster = self.0.roster();
            roster.on_stopped.push(Box::new(on_stopped));
            let never_started = roster.phase == Phase::New;
            roster.phase = Phase::Stopped;
            self.0.become_eager(&mut roster);
            (std::mem::take(&mut roster.idle), never_started)
        };
        if never_started {
            self.0.drop_queue();
        }
        for worker in idle {
            worker.gate.unpark();
        }
        // A job may have been queued whose worker has not been called yet.
        self.0.call_standby();
        self.0.report_if_stopped();
    }

    /// [`begin_stop`](ThreadPool::begin_stop), then waits for the workers' end, at most `wait_max`. Not for a
    /// worker, and not for the thread of an event loop that workers may be waiting for.
    ///
    /// # Errors
    /// The workers that still run something by then.
    #[track_caller]
    pub fn stop(&self, wait_max: Duration) -> Result<(), Vec<Busy>> {
        let deadline = self.0.threads.now() + wait_max;
        let gate = self.0.threads.gate("pool stop");
        let last = gate.clone();
        self.begin_stop(move || last.unpark());
        while self.counts().threads > 0 {
            if gate.park_until(deadline) == Unparked::ByTime {
                return if self.counts().threads == 0 { Ok(()) } else { Err(self.busy()) };
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPool").field("name", &self.0.name).field("counts", &self.counts()).finish()
    }
}
