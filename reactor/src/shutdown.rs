//! Starting and stopping. A stop is a few steps that the loop takes between turns; it never joins a thread, so no
//! worker that waits for the loop can hold it up.
//!
//! ```text
//!   running ─stop─► draining: no listeners; connections end what they do ──all gone, or time is up──►
//!   closing: the rest is reset, so that writers wake with an error; the pool ends ──ended, or time is up──► stopped
//! ```

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::time::Duration;

use crate::event_loop::{LoopCall, Timer};
use crate::timers::TimerId;
use crate::{Busy, EventLoop, Time};

/// When a trigger fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before the loop's first turn, before its pool starts.
    BeforeStartup,
    /// Right before its first turn.
    AfterStartup,
    /// A stop has begun; everything is still open.
    BeforeShutdown,
    /// Connections are gone, or will be reset next.
    DuringShutdown,
    /// Everything is closed.
    AfterShutdown,
}

/// Why the loop does not do that now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleError {
    /// `stop` without a `run`.
    NotRunning,
    /// `run` within a `run`.
    AlreadyRunning,
    /// `run` after the end.
    NotRestartable,
}

impl fmt::Display for LifecycleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LifecycleError::NotRunning => "the event loop is not running, so there is nothing to stop",
            LifecycleError::AlreadyRunning => "the event loop is running already",
            LifecycleError::NotRestartable => "the event loop has run and stopped; make a new one",
        })
    }
}

impl std::error::Error for LifecycleError {}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stopped {
    /// Connections that did not end in time and were reset.
    pub connections_cut: usize,
    /// What ran on the workers when time was up, before connections were reset.
    pub late: Vec<Busy>,
    /// Workers that still run something. Their threads cannot be ended; the process's end will.
    pub stuck: Vec<Busy>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Running,
    /// Connections may end what they do until then.
    Draining(Time),
    /// Workers may end until then.
    Closing(Time),
    Stopped,
}

pub(crate) struct Lifecycle {
    state: Cell<State>,
    triggers: RefCell<Vec<(Phase, LoopCall)>>,
    timer: Cell<Option<TimerId>>,
    late: Cell<bool>,
    pool_ended: Cell<bool>,
    report: RefCell<Stopped>,
}

impl Lifecycle {
    pub(crate) fn new() -> Lifecycle {
        Lifecycle {
            state: Cell::new(State::New),
            triggers: RefCell::new(Vec::new()),
            timer: Cell::new(None),
            late: Cell::new(false),
            pool_ended: Cell::new(false),
            report: RefCell::new(Stopped::default()),
        }
    }

    /// The next step of a stop may be taken now.
    pub(crate) fn is_due(&self) -> bool {
        self.late.get() || self.pool_ended.get()
    }
}

impl EventLoop {
    /// Whether the loop runs, a stop under way included.
    pub fn is_running(&self) -> bool {
        !matches!(self.0.lifecycle.state.get(), State::New | State::Stopped)
    }

    /// Whether a stop is under way.
    pub fn is_stopping(&self) -> bool {
        matches!(self.0.lifecycle.state.get(), State::Draining(_) | State::Closing(_))
    }

    /// Runs `call` once the loop runs: in its first turn, or the next.
    #[track_caller]
    pub fn call_when_running(&self, call: impl FnOnce(&EventLoop) + 'static) {
        self.call_later(Duration::ZERO, call);
    }

    /// Runs `trigger` in `phase`; those of one phase in the order they were added.
    pub fn add_trigger(&self, phase: Phase, trigger: impl FnOnce(&EventLoop) + 'static) {
        self.0.lifecycle.triggers.borrow_mut().push((phase, Box::new(trigger)));
    }

    /// Runs until stopped, on this thread.
    ///
    /// # Errors
    /// [`LifecycleError`] as an error of kind `Other`, or the reactor's, if it is of no use any more.
    pub fn run(&self) -> io::Result<Stopped> {
        let lifecycle = &self.0.lifecycle;
        match lifecycle.state.get() {
            State::New => {}
            State::Stopped => return Err(io::Error::other(LifecycleError::NotRestartable)),
            _ => return Err(io::Error::other(LifecycleError::AlreadyRunning)),
        }
        lifecycle.state.set(State::Running);
        let outcome = self.run_to_the_end();
        if outcome.is_err() {
            self.give_up();
        }
        outcome.map(|()| lifecycle.report.take())
    }

    fn run_to_the_end(&self) -> io::Result<()> {
        self.fire(Phase::BeforeStartup);
        if let Some(pool) = self.made_pool() {
            pool.start()?;
        }
        self.fire(Phase::AfterStartup);
        while self.0.lifecycle.state.get() != State::Stopped {
            self.turn()?;
        }
        Ok(())
    }

    /// The run has failed, and nobody will take another turn: everything ends here, so that no worker waits for it.
    fn give_up(&self) {
        if let Some(pool) = self.made_pool() {
            pool.begin_stop(|| {});
        }
        self.finish_stop();
    }

    /// Begins an orderly stop, with [`LoopConfig::stop_max`](crate::LoopConfig::stop_max) for it.
    ///
    /// # Errors
    /// [`LifecycleError::NotRunning`]
    pub fn stop(&self) -> Result<(), LifecycleError> {
        self.stop_within(self.0.config.stop_max)
    }

    /// Begins an orderly stop: no new connections; those there are may end what they do within `patience`, then are
    /// reset; workers then have [`LoopConfig::pool_stop_max`](crate::LoopConfig::pool_stop_max) to end, or what is left
    /// of `patience`. A second call can only shorten the time.
    ///
    /// # Errors
    /// [`LifecycleError::NotRunning`]
    pub fn stop_within(&self, patience: Duration) -> Result<(), LifecycleError> {
        let lifecycle = &self.0.lifecycle;
        let deadline = self.now() + patience;
        match lifecycle.state.get() {
            State::New | State::Stopped => return Err(LifecycleError::NotRunning),
            State::Closing(old) => {
                // Workers may have been given what was left of a longer patience.
                let deadline = deadline + self.0.config.pool_stop_max;
                if deadline < old {
                    lifecycle.state.set(State::Closing(deadline));
                    self.set_stop_timer(deadline);
                }
            }
            State::Draining(old) if old <= deadline => {}
            State::Draining(_) => {
                lifecycle.state.set(State::Draining(deadline));
                self.set_stop_timer(deadline);
            }
            State::Running => {
                lifecycle.state.set(State::Draining(deadline));
                self.set_stop_timer(deadline);
                self.fire(Phase::BeforeShutdown);
                self.close_listeners();
                self.tell_stopping();
                // Should nothing be open, the end comes with this very turn or the next.
                self.timers().insert(self.now(), Timer::Turn);
            }
        }
        Ok(())
    }

    pub(crate) fn stop_is_late(&self) {
        self.0.lifecycle.timer.set(None);
        self.0.lifecycle.late.set(true);
    }

    /// Takes the next step of a stop, if it is time.
    pub(crate) fn advance_stop(&self) {
        let lifecycle = &self.0.lifecycle;
        let late = lifecycle.late.take();
        match lifecycle.state.get() {
            State::Draining(patience) if late || self.connections() == 0 => self.close_down(late, patience),
            State::Closing(_) if late || lifecycle.pool_ended.get() => self.finish_stop(),
            _ => {}
        }
    }

    fn close_down(&self, late: bool, patience: Time) {
        let lifecycle = &self.0.lifecycle;
        // Jobs whose clients have left have what was promised to all.
        let deadline = patience.max(self.now() + self.0.config.pool_stop_max);
        lifecycle.state.set(State::Closing(deadline));
        self.set_stop_timer(deadline);
        self.fire(Phase::DuringShutdown);
        {
            let mut report = lifecycle.report.borrow_mut();
            report.connections_cut = self.connections();
            if late {
                report.late = self.made_pool().map(|pool| pool.busy()).unwrap_or_default();
            }
        }
        self.abort_connections();
        match self.made_pool() {
            Some(pool) => {
                let remote = self.remote().clone();
                pool.begin_stop(move || {
                    // The loop may have gone on without this worker.
                    let _ = remote.call_from_thread(|event_loop| event_loop.0.lifecycle.pool_ended.set(true));
                });
            }
            None => lifecycle.pool_ended.set(true),
        }
        if lifecycle.pool_ended.get() {
            self.finish_stop();
        }
    }

    fn finish_stop(&self) {
        let lifecycle = &self.0.lifecycle;
        if let Some(timer) = lifecycle.timer.take() {
            self.timers().cancel(timer);
        }
        // Pools that end only now are told so no more: see to it that no step is due again.
        lifecycle.pool_ended.set(false);
        lifecycle.report.borrow_mut().stuck = self.made_pool().map(|pool| pool.busy()).unwrap_or_default();
        self.fire(Phase::AfterShutdown);
        self.close_listeners();
        self.abort_connections();
        self.0.attendant.borrow_mut().end();
        if let Some(pool) = self.made_pool() {
            pool.end_inline();
        }
        self.remote().close();
        lifecycle.state.set(State::Stopped);
    }

    fn set_stop_timer(&self, deadline: Time) {
        let lifecycle = &self.0.lifecycle;
        let mut timers = self.timers();
        match lifecycle.timer.get() {
            Some(timer) => {
                timers.reset(timer, deadline);
            }
            None => lifecycle.timer.set(Some(timers.insert(deadline, Timer::Stop))),
        }
    }

    fn fire(&self, phase: Phase) {
        loop {
            let trigger = {
                let mut triggers = self.0.lifecycle.triggers.borrow_mut();
                let next = triggers.iter().position(|(when, _)| *when == phase);
                next.map(|place| triggers.remove(place).1)
            };
            match trigger {
                Some(trigger) => self.guarded("a trigger", trigger),
                None => return,
            }
        }
    }
}
