//! Permits to be had and given back.

use std::fmt;
use std::time::Duration;

use super::monitor::{Line, Monitor, Patience, wake};
use crate::{Threads, Time};

/// So many threads at a time: each takes a permit, in the order in which they came.
pub struct Semaphore(Monitor<State>);

struct State {
    permits: usize,
    line: Line,
}

impl State {
    fn permits(&self) -> usize {
        self.permits
    }

    fn line(&mut self) -> &mut Line {
        &mut self.line
    }
}

impl Semaphore {
    /// One with this many permits; `name` appears in diagnoses.
    #[track_caller]
    pub fn new(threads: &impl Threads, name: &str, permits: usize) -> Semaphore {
        Semaphore(Monitor::new(threads, name, State { permits, line: Line::default() }))
    }

    /// Waits for a permit. It is given back when the value is dropped.
    pub fn acquire(&self) -> Permit<'_> {
        self.take(Patience::Endless).expect("endless patience does not end")
    }

    /// A permit, if there is one that nobody has been promised.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.take(Patience::None)
    }

    /// Waits for a permit until `time` at the latest.
    pub fn acquire_until(&self, time: Time) -> Option<Permit<'_>> {
        self.take(Patience::Until(time))
    }

    /// Waits for a permit for `timeout` at the most.
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<Permit<'_>> {
        self.acquire_until(self.0.threads.now() + timeout)
    }

    /// How many permits there are now.
    pub fn available(&self) -> usize {
        self.0.enter().permits
    }

    fn take(&self, patience: Patience) -> Option<Permit<'_>> {
        self.0.take(State::line, patience, State::permits, |state| {
            state.permits -= 1;
            ((), None)
        })?;
        Some(Permit(self))
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Semaphore({})", self.0.name)
    }
}

/// What a [`Semaphore`] gave, until it is dropped.
#[derive(Debug)]
pub struct Permit<'a>(&'a Semaphore);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.0.0.enter();
        state.permits += 1;
        let permits = state.permits;
        let next = state.line.choose(permits);
        drop(state);
        wake(next);
    }
}
