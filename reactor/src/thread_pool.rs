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
//! one. So a burst costs one wake where one worker can do it all, and spreads over all workers where jobs block.
//!
//! The queue is under the roster's lock, which whoever queues a job needs in any case: a job that comes must not slip
//! in behind the last worker's last look. It is held for a few instructions; whether there is work at all, everybody
//! may ask without it.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::mailbox::panic_text;
use crate::threads::{AnyThreads, Watched};
use crate::{Gate, Outstanding, Pending, Place, Remote, Threads, Unparked};

/// The bounds of a pool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolConfig {
    /// Workers kept even when there is nothing to do, and at most.
    pub threads: RangeInclusive<usize>,
    /// Jobs that may wait; more are refused ([`JobRefused::Full`]), and over HTTP answered with 503.
    ///
    /// 16,384 by default: with 20 threads and 50 ms a job, the last of so many is begun after 41 s, when few clients
    /// still wait for their answer; a 503 at once serves them better. Fewer than the connections that a loop takes
    /// ([`LoopConfig::connections_max`](crate::LoopConfig::connections_max)), since a job keeps its place, and some KiB,
    /// when its client has left and connects again. All clients of a usual burst fit in.
    pub queued_jobs_max: usize,
    /// How long a worker beyond the minimum stays without work.
    pub idle_max: Duration,
    /// First part of the workers' names: `worker` makes `worker-1`.
    pub name: String,
}

impl Default for PoolConfig {
    fn default() -> PoolConfig {
        PoolConfig {
            threads: 5..=20,
            queued_jobs_max: 16 << 10,
            idle_max: Duration::from_secs(60),
            name: "worker".to_owned(),
        }
    }
}

impl From<RangeInclusive<usize>> for PoolConfig {
    fn from(threads: RangeInclusive<usize>) -> PoolConfig {
        PoolConfig { threads, ..PoolConfig::default() }
    }
}

/// Work that is shared, not boxed: whoever submits it often reuses it.
pub trait Job: Send + Sync {
    /// Does the work. Runs on a worker; may block. A panic is logged, and the worker goes on.
    fn run(self: Arc<Self>, worker: &mut Worker<'_>);

    /// What it is, for people: named when it is stuck. Any thread.
    fn describe(&self) -> String;
}

/// What is to be done around a worker's turns: an interpreter's lock is taken for a whole run of jobs, and never
/// held while the worker waits. All calls come from the worker's own thread.
pub trait WorkerHook: Send + Sync {
    /// Before the worker looks for work, at its start and after each wait. May block.
    fn before_work(&self) {}
    /// Before the worker waits, or ends.
    fn before_park(&self) {}
    /// The worker ends; nothing of it runs after this.
    fn stopped(&self) {}
}

/// Why a job was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobRefused {
    /// The pool has been stopped.
    Stopped,
    /// [`PoolConfig::queued_jobs_max`] jobs are waiting.
    Full,
}

impl fmt::Display for JobRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JobRefused::Stopped => "the thread pool has been stopped and takes no work any more",
            JobRefused::Full => "the thread pool's queue is full; wait, or raise queued_jobs_max",
        })
    }
}

impl std::error::Error for JobRefused {}

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
    busy: AtomicUsize,
    roster: Mutex<Roster>,
    watched_roster: Watched,
    hook: Mutex<Option<Arc<dyn WorkerHook>>>,
}

enum Task {
    Call(Box<dyn FnOnce() + Send>, Place),
    Job(Arc<dyn Job>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    Running,
    Stopped,
}

struct Roster {
    phase: Phase,
    /// Jobs that wait, the next first.
    queue: VecDeque<Task>,
    min: usize,
    max: usize,
    workers_ever: usize,
    workers: Vec<Arc<Slot>>,
    /// How many of them have decided to end, and count for nothing but the pool's own end.
    leaving: usize,
    /// Workers that wait, the latest last: it is woken first, its stack is warm.
    idle: Vec<Arc<Slot>>,
    on_stopped: Vec<Box<dyn FnOnce() + Send>>,
}

/// A worker as the others see it.
struct Slot {
    name: String,
    gate: Gate,
    running: Mutex<Running>,
}

enum Running {
    Nothing,
    Call(Place),
    Job(Arc<dyn Job>),
}

impl Running {
    fn of(task: &Task) -> Running {
        match task {
            Task::Call(_, place) => Running::Call(place),
            Task::Job(job) => Running::Job(job.clone()),
        }
    }

    fn describe(&self) -> Option<String> {
        match self {
            Running::Nothing => None,
            Running::Call(place) => Some(format!("a call submitted at {place}")),
            Running::Job(job) => Some(job.describe()),
        }
    }
}

impl Slot {
    fn set(&self, running: Running) {
        let before = std::mem::replace(&mut *self.running.lock().expect("nothing panics under a slot's lock"), running);
        // Perhaps the job's last handle: what that drops is not ours, and may look at the pool.
        drop(before);
    }

    fn busy(&self) -> Option<Busy> {
        let running = self.running.lock().expect("nothing panics under a slot's lock");
        let job = running.describe()?;
        Some(Busy { worker: self.name.clone(), job })
    }
}

impl ThreadPool {
    /// A pool that starts no thread before [`start`](ThreadPool::start). Work submitted earlier runs then.
    ///
    /// # Panics
    /// If the maximum is zero or below the minimum.
    #[track_caller]
    pub fn new(threads: impl Threads, config: impl Into<PoolConfig>) -> ThreadPool {
        ThreadPool::with_threads(AnyThreads::new(threads), config.into(), Location::caller())
    }

    pub(crate) fn with_threads(threads: AnyThreads, config: PoolConfig, made: Place) -> ThreadPool {
        let (min, max) = checked(&config.threads);
        let pool = Arc::new(Pool {
            queued_jobs_max: config.queued_jobs_max,
            idle_max: config.idle_max,
            name: config.name,
            made,
            queued: AtomicUsize::new(0),
            watched_queue: threads.watched("pool queue"),
            standby: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
            roster: Mutex::new(Roster {
                phase: Phase::New,
                queue: VecDeque::new(),
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
            threads,
        });
        let weak = Arc::downgrade(&pool);
        pool.threads.enlist(weak);
        ThreadPool(pool)
    }

    /// Installs what is done around each worker's turns; for workers that start from here on.
    pub fn set_hook(&self, hook: Arc<dyn WorkerHook>) {
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
        self.wake_for_backlog();
        Ok(())
    }

    /// Has a worker run `call`. Jobs start in the order of their submission.
    ///
    /// # Errors
    /// [`JobRefused`]: the pool has stopped, or its queue is full.
    #[track_caller]
    pub fn submit(&self, call: impl FnOnce() + Send + 'static) -> Result<(), JobRefused> {
        self.enqueue(Task::Call(Box::new(call), Location::caller()))?;
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
        self.enqueue(Task::Job(job))
    }

    /// Sees to it that a worker takes up what is queued.
    pub fn wake_for_backlog(&self) {
        self.0.call_standby();
    }

    /// Other bounds: surplus threads end when they are next idle, missing ones start.
    ///
    /// # Panics
    /// If the maximum is zero or below the minimum.
    pub fn resize(&self, threads: RangeInclusive<usize>) {
        let (min, max) = checked(&threads);
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
        self.wake_for_backlog();
    }

    pub(crate) fn is(&self, other: &ThreadPool) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// How many of what there are.
    pub fn counts(&self) -> Counts {
        let threads = self.0.roster().workers.len();
        let busy = self.0.busy.load(Ordering::SeqCst).min(threads);
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
            (std::mem::take(&mut roster.idle), never_started)
        };
        if never_started {
            self.0.drop_queue();
        }
        for worker in idle {
            worker.gate.unpark();
        }
        // A job may have been queued whose worker has not been called yet.
        self.wake_for_backlog();
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

    fn enqueue(&self, task: Task) -> Result<(), JobRefused> {
        let pool = &self.0;
        pool.watched_roster.visit();
        // Under the lock, so that no job slips in behind the last worker's last look.
        let mut roster = pool.roster();
        if roster.phase == Phase::Stopped {
            return Err(JobRefused::Stopped);
        }
        if roster.queue.len() >= pool.queued_jobs_max {
            return Err(JobRefused::Full);
        }
        roster.queue.push_back(task);
        pool.queued.store(roster.queue.len(), Ordering::SeqCst);
        Ok(())
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPool").field("name", &self.0.name).field("counts", &self.counts()).finish()
    }
}

fn checked(threads: &RangeInclusive<usize>) -> (usize, usize) {
    let (min, max) = (*threads.start(), *threads.end());
    assert!(max >= 1 && min <= max, "a thread pool of {min} to {max} threads can do no work");
    (min, max)
}

/// The worker's side of a job.
pub struct Worker<'a> {
    pool: &'a Pool,
    name: &'a str,
    owed: Vec<Remote>,
}

impl Worker<'_> {
    /// The thread's name.
    pub fn name(&self) -> &str {
        self.name
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

    fn pay(&mut self) {
        for remote in self.owed.drain(..) {
            remote.flush();
        }
    }
}

impl Pool {
    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().expect("nothing panics under the roster's lock")
    }

    fn queued(&self) -> usize {
        self.queued.load(Ordering::SeqCst)
    }

    fn pop(&self) -> Option<Task> {
        if self.queued() == 0 {
            return None;
        }
        let mut roster = self.roster();
        let task = roster.queue.pop_front();
        self.queued.store(roster.queue.len(), Ordering::SeqCst);
        task
    }

    fn drop_queue(&self) {
        let mut roster = self.roster();
        let dropped = std::mem::take(&mut roster.queue);
        self.queued.store(0, Ordering::SeqCst);
        drop(roster);
        // Not under the lock: what that drops is not ours, and may look at the pool.
        drop(dropped);
    }

    fn busy_workers(&self) -> Vec<Busy> {
        self.roster().workers.iter().filter_map(|worker| worker.busy()).collect()
    }

    fn call_standby(self: &Arc<Self>) {
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

    fn start_worker(self: Arc<Self>) -> io::Result<()> {
        let slot = {
            let mut roster = self.roster();
            roster.workers_ever += 1;
            let name = format!("{}-{}", self.name, roster.workers_ever);
            let slot = Arc::new(Slot {
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

    /// A worker's life.
    fn work(self: Arc<Self>, slot: &Arc<Slot>) {
        let hook = self.hook.lock().expect("nothing panics under the hook's lock").clone();
        let mut worker = Worker { pool: &self, name: &slot.name, owed: Vec::new() };
        let hooked = Hooked(hook.as_deref());
        // A new worker is the standby, as one that was woken.
        let mut standby = true;
        loop {
            if let Some(hook) = &hook {
                hook.before_work();
            }
            while let Some(task) = self.next_task(&mut standby) {
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

    fn next_task(self: &Arc<Self>, standby: &mut bool) -> Option<Task> {
        loop {
            self.watched_queue.visit();
            let task = self.pop();
            let was_standby = std::mem::take(standby);
            if was_standby {
                // Said before the next look at the queue: a submitter either sees that nobody is coming, or its
                // job is seen here.
                self.standby.store(false, Ordering::SeqCst);
            }
            if task.is_some() {
                self.call_standby();
                return task;
            }
            if !was_standby || self.queued() == 0 {
                return None;
            }
        }
    }

    fn wait(&self, slot: &Arc<Slot>) -> Wait {
        self.watched_roster.visit();
        let retire_at = {
            let mut roster = self.roster();
            // Work that came before this worker was on the list of idle ones found nobody to wake.
            if !roster.queue.is_empty() {
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

    fn report_if_stopped(&self) {
        let reports = {
            let mut roster = self.roster();
            if roster.phase != Phase::Stopped || !roster.workers.is_empty() {
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

impl Roster {
    /// Workers there are and will be.
    fn staying(&self) -> usize {
        self.workers.len() - self.leaving
    }

    fn forget(&mut self, slot: &Arc<Slot>) {
        self.workers.retain(|worker| !Arc::ptr_eq(worker, slot));
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

fn run(slot: &Slot, task: Task, worker: &mut Worker<'_>) {
    let pool = worker.pool;
    pool.busy.fetch_add(1, Ordering::SeqCst);
    slot.set(Running::of(&task));
    let outcome = catch_unwind(AssertUnwindSafe(|| match task {
        Task::Call(call, _) => call(),
        Task::Job(job) => job.run(worker),
    }));
    slot.set(Running::Nothing);
    pool.busy.fetch_sub(1, Ordering::SeqCst);
    if let Err(payload) = outcome {
        tracing::error!(worker = slot.name, panic = panic_text(&*payload), "a job panicked; its worker goes on");
    }
}
