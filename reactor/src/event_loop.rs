//! The event loop: one thread, no globals, any number in a process.
//!
//! One turn: poll, then the mailbox as it stood, then timers that are due, then events, then output. Between the
//! events and the output, workers are woken for what the events brought.

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::{Rc, Weak};
use std::time::{Duration, SystemTime};

use crate::calls::DelayedCall;
use crate::config::LoopConfig;
use crate::mailbox::{CallRefused, ConnectionId, Entry, Remote, Sleep, panic_text};
use crate::shutdown::Lifecycle;
use crate::table::{Table, reuse_buffer};
use crate::thread_pool::{Attendant, JobRefused, PoolConfig, ThreadPool};
use crate::threads::AnyThreads;
use crate::timers::Timers;
use crate::{Event, Job, Outstanding, Pending, Place, Reactor, Sock, Threads, Time};

/// What is done when a timer's time has come.
pub(crate) enum Timer {
    Call(LoopCall, Place),
    Connection(ConnectionId),
    /// Accepting goes on.
    Listener(Sock),
    /// The stop under way has run out of patience.
    Stop,
    /// Nothing but a turn.
    Turn,
}

pub(crate) type LoopCall = Box<dyn FnOnce(&EventLoop)>;

/// An event loop; clones are handles on the same one. It stays on the thread it was made on; other threads hold a
/// [`Remote`].
#[derive(Clone)]
pub struct EventLoop(pub(crate) Rc<Core>);

#[derive(Clone)]
pub(crate) struct WeakLoop(Weak<Core>);

impl WeakLoop {
    pub(crate) fn upgrade(&self) -> Option<EventLoop> {
        self.0.upgrade().map(EventLoop)
    }
}

/// News from a worker is expected, as long as this lives; see [`EventLoop::expect_notification`].
#[derive(Debug)]
pub struct Expectation(Rc<Cell<usize>>);

impl Drop for Expectation {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

pub(crate) struct Core {
    pub(crate) config: LoopConfig,
    pub(crate) reactor: RefCell<Box<dyn Reactor>>,
    pub(crate) table: Table,
    pub(crate) lifecycle: Lifecycle,
    threads: AnyThreads,
    remote: Remote,
    now: Cell<Time>,
    timers: RefCell<Timers<Timer>>,
    events: RefCell<Vec<Event>>,
    pool: RefCell<Option<ThreadPool>>,
    pool_config: RefCell<PoolConfig>,
    pools_to_wake: RefCell<Vec<ThreadPool>>,
    pub(crate) attendant: RefCell<Attendant>,
    expected: Rc<Cell<usize>>,
    /// A doze went by without news: the next sleep is deep.
    dozed: Cell<bool>,
}

impl EventLoop {
    /// A loop on this ground, with the default bounds.
    pub fn new(reactor: impl Reactor + 'static, threads: impl Threads) -> EventLoop {
        EventLoop::with_config(reactor, threads, LoopConfig::default())
    }

    /// A loop on this ground.
    pub fn with_config(reactor: impl Reactor + 'static, threads: impl Threads, config: LoopConfig) -> EventLoop {
        let threads = AnyThreads::new(threads);
        let remote = Remote::new(reactor.waker(), &threads, config.mailbox_calls_max);
        let core = Rc::new(Core {
            now: Cell::new(reactor.now()),
            reactor: RefCell::new(Box::new(reactor)),
            table: Table::new(),
            lifecycle: Lifecycle::new(),
            threads,
            remote,
            timers: RefCell::new(Timers::new()),
            events: RefCell::new(Vec::new()),
            pool: RefCell::new(None),
            pool_config: RefCell::new(PoolConfig::default()),
            pools_to_wake: RefCell::new(Vec::new()),
            attendant: RefCell::default(),
            expected: Rc::new(Cell::new(0)),
            dozed: Cell::new(false),
            config,
        });
        let weak = Rc::downgrade(&core);
        core.reactor.borrow_mut().enlist(weak);
        EventLoop(core)
    }

    /// The time of this turn: it stands still until the next poll.
    pub fn now(&self) -> Time {
        self.0.now.get()
    }

    /// The date for people; see [`Reactor::wall_clock`].
    pub fn wall_clock(&self) -> SystemTime {
        self.0.reactor.borrow().wall_clock()
    }

    /// The bounds.
    pub fn config(&self) -> &LoopConfig {
        &self.0.config
    }

    /// The threads of this loop's ground: for gates, sleeping, and pools of one's own.
    pub fn threads(&self) -> AnyThreads {
        self.0.threads.clone()
    }

    /// A handle for other threads.
    pub fn remote(&self) -> &Remote {
        &self.0.remote
    }

    /// Runs `call` in one of the next turns; see [`Remote::call_from_thread`].
    ///
    /// # Errors
    /// As there.
    pub fn call_from_thread(&self, call: impl FnOnce(&EventLoop) + Send + 'static) -> Result<(), CallRefused> {
        self.0.remote.call_from_thread(call)
    }

    /// Runs `call` on this thread once `after` has passed, in order of (deadline, insertion); never in this turn.
    #[track_caller]
    pub fn call_later(&self, after: Duration, call: impl FnOnce(&EventLoop) + 'static) -> DelayedCall {
        let id = self.timers().insert(self.now() + after, Timer::Call(Box::new(call), Location::caller()));
        DelayedCall { event_loop: self.downgrade(), id }
    }

    /// Delayed calls and other timers that wait, those of connections included.
    pub fn pending_timers(&self) -> usize {
        self.timers().len()
    }

    /// This loop's own pool: made at the first call, started when the loop runs, stopped when it stops.
    #[track_caller]
    pub fn thread_pool(&self) -> ThreadPool {
        let place = Location::caller();
        let mut pool = self.0.pool.borrow_mut();
        let made = pool.get_or_insert_with(|| {
            ThreadPool::with_threads(self.0.threads.clone(), self.0.pool_config.borrow().clone(), place)
        });
        let made = made.clone();
        drop(pool);
        if self.is_running()
            && let Err(error) = made.start()
        {
            tracing::error!(%error, "cannot start the event loop's thread pool");
        }
        made
    }

    /// The bounds of this loop's own pool, also when it is there already.
    ///
    /// # Panics
    /// If the maximum is zero or below the minimum.
    pub fn suggest_thread_pool(&self, config: impl Into<PoolConfig>) {
        let config = config.into();
        if let Some(pool) = &*self.0.pool.borrow() {
            pool.resize(config.threads.clone());
        }
        *self.0.pool_config.borrow_mut() = config;
    }

    pub(crate) fn made_pool(&self) -> Option<ThreadPool> {
        self.0.pool.borrow().clone()
    }

    /// Queues `job` now; wakes a worker for it, and for all others of this turn, once the turn's events are done.
    ///
    /// # Errors
    /// As [`ThreadPool::queue_job`].
    pub fn submit(&self, pool: &ThreadPool, job: std::sync::Arc<dyn Job>) -> Result<(), JobRefused> {
        pool.queue_job_of_loop(job)?;
        self.wake_later(pool);
        Ok(())
    }

    /// A worker will [`notify`](crate::Notifier::notify) this loop before long: until the result is dropped, the loop
    /// dozes before it sleeps.
    pub fn expect_notification(&self) -> Expectation {
        self.0.expected.set(self.0.expected.get() + 1);
        Expectation(self.0.expected.clone())
    }

    /// One turn. Waits for something to do, but not if there is something already.
    ///
    /// # Errors
    /// The reactor's, if it is of no use any more.
    pub fn turn(&self) -> io::Result<()> {
        self.poll(true)?;
        self.react();
        Ok(())
    }

    /// One turn that never waits.
    ///
    /// # Errors
    /// The reactor's, if it is of no use any more.
    pub fn turn_without_waiting(&self) -> io::Result<()> {
        self.poll(false)?;
        self.react();
        Ok(())
    }

    fn poll(&self, may_wait: bool) -> io::Result<()> {
        let core = &self.0;
        let mut events = core.events.take();
        let due = if may_wait { self.next_due() } else { Some(self.now()) };
        let result = if due.is_some_and(|due| due <= self.now()) {
            core.reactor.borrow_mut().poll(&mut events, due)
        } else {
            self.sleep(&mut events, due)
        };
        core.now.set(core.reactor.borrow().now());
        core.attendant.borrow_mut().look(self.now());
        *core.events.borrow_mut() = events;
        result
    }

    fn sleep(&self, events: &mut Vec<Event>, due: Option<Time>) -> io::Result<()> {
        let core = &self.0;
        let look = core.attendant.borrow().next_look();
        let due = [due, look].into_iter().flatten().min();
        let doze = core.expected.get() > 0 && !core.dozed.get();
        let sleep = if doze { Sleep::Doze } else { Sleep::Deep };
        let until = if !core.remote.fall_asleep(sleep) {
            Some(self.now())
        } else if doze {
            let end = self.now() + core.config.doze_max;
            Some(due.map_or(end, |due| due.min(end)))
        } else {
            due
        };
        if look.is_none() && !doze {
            core.attendant.borrow_mut().rest();
        }
        let result = core.reactor.borrow_mut().poll(events, until);
        core.remote.wake_up();
        core.dozed.set(doze && events.is_empty() && core.remote.is_empty());
        result
    }

    /// When the loop has something to do by itself; a time that has passed: at once.
    fn next_due(&self) -> Option<Time> {
        // A job may have been submitted while output was written, or outside any turn.
        let has_jobs = !self.0.pools_to_wake.borrow().is_empty();
        if self.0.table.has_ready() || self.0.lifecycle.is_due() || has_jobs {
            return Some(self.now());
        }
        self.timers().next_deadline()
    }

    fn react(&self) {
        self.run_mailbox();
        self.run_timers();
        // What workers have finished goes out before new work comes in.
        self.flush();
        let events = self.0.events.take();
        for event in &events {
            self.note_event(*event);
        }
        *self.0.events.borrow_mut() = events;
        self.serve_ready();
        self.wake_pools();
        self.flush();
        self.advance_stop();
    }

    fn run_mailbox(&self) {
        let remote = &self.0.remote;
        remote.visit();
        // What these calls post runs in the next turn.
        for _ in 0..remote.len() {
            match remote.take() {
                Some(Entry::Call(call)) => self.guarded("a call from a thread", call),
                Some(Entry::Notify(connection)) => self.notify(connection),
                None => break,
            }
        }
    }

    fn run_timers(&self) {
        let mark = self.timers().mark();
        loop {
            let due = self.timers().pop_due(self.now(), mark);
            match due {
                Some(Timer::Call(call, _)) => self.guarded("a delayed call", call),
                Some(Timer::Connection(connection)) => self.connection_timer(connection),
                Some(Timer::Listener(listener)) => self.resume_accepting(listener),
                Some(Timer::Stop) => self.stop_is_late(),
                Some(Timer::Turn) => {}
                None => return,
            }
        }
    }

    fn wake_pools(&self) {
        let pools = self.0.pools_to_wake.take();
        for pool in &pools {
            if pool.is_inline() {
                self.run_inline(pool);
            } else {
                self.0.attendant.borrow_mut().wake(pool, self.now());
            }
        }
        reuse_buffer(&self.0.pools_to_wake, pools);
    }

    /// Jobs of a pool without threads. What they have said is heard in this very turn.
    fn run_inline(&self, pool: &ThreadPool) {
        let is_left = pool.run_inline();
        self.run_mailbox();
        if is_left {
            self.wake_later(pool);
        }
    }

    fn wake_later(&self, pool: &ThreadPool) {
        let mut to_wake = self.0.pools_to_wake.borrow_mut();
        if !to_wake.iter().any(|other| other.is(pool)) {
            to_wake.push(pool.clone());
        }
    }

    /// Runs user code: a panic is logged and goes no further.
    pub(crate) fn guarded(&self, what: &str, call: impl FnOnce(&EventLoop)) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| call(self))) {
            tracing::error!(panic = panic_text(&*payload), "{what} panicked; the event loop goes on");
        }
    }

    pub(crate) fn timers(&self) -> RefMut<'_, Timers<Timer>> {
        self.0.timers.borrow_mut()
    }

    pub(crate) fn downgrade(&self) -> WeakLoop {
        WeakLoop(Rc::downgrade(&self.0))
    }
}

impl EventLoop {
    /// Calls from threads and timers that wait, first what is due first. Timers of connections are among them only if
    /// their protocol has set a deadline, or if they have outlived their connection.
    pub fn outstanding(&self) -> Vec<Pending> {
        self.0.outstanding()
    }
}

impl Outstanding for Core {
    fn outstanding(&self) -> Vec<Pending> {
        let mut all = Vec::new();
        match self.remote.len() {
            0 => {}
            1 => all.push(Pending::new("call", "1 call from a thread")),
            calls => all.push(Pending::new("call", format!("{calls} calls from threads"))),
        }
        // Somebody may ask in the middle of a turn.
        let Ok(timers) = self.timers.try_borrow() else { return all };
        let timers = timers.in_order().into_iter();
        all.extend(timers.filter_map(|(due, timer)| Some(Pending { due: Some(due), ..self.pending(timer)? })));
        all
    }
}

impl Core {
    fn pending(&self, timer: &Timer) -> Option<Pending> {
        Some(match timer {
            Timer::Call(_, place) => Pending::new("timer", "a delayed call").made_at(place),
            Timer::Connection(id) => Pending::new("timer", self.table.deadline_of(*id)?),
            Timer::Listener(_) => Pending::new("timer", "a listener rests, for want of descriptors"),
            Timer::Stop => Pending::new("timer", "the end of a stop's patience"),
            Timer::Turn => return None,
        })
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("now", &self.now()).finish_non_exhaustive()
    }
}
