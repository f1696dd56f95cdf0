//! A lock that threads get in the order in which they came.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{PoisonError, TryLockError};
use std::time::Duration;

use super::monitor::{Line, Monitor, Patience, wake};
use crate::{Threads, Time};

/// A value for one thread at a time. A thread that has it may wait for other things meanwhile.
///
/// It is handed to the thread that has waited longest. A panic while it is locked unlocks it: there is no poisoning.
/// Locking it twice in one thread is a deadlock, which a simulation reports.
pub struct Mutex<T> {
    monitor: Monitor<State>,
    value: std::sync::Mutex<T>,
}

#[derive(Default)]
struct State {
    locked: bool,
    line: Line,
}

impl State {
    fn free(&self) -> usize {
        usize::from(!self.locked)
    }

    fn line(&mut self) -> &mut Line {
        &mut self.line
    }
}

impl<T> Mutex<T> {
    /// An unlocked one; `name` appears in diagnoses.
    #[track_caller]
    pub fn new(threads: &impl Threads, name: &str, value: T) -> Mutex<T> {
        let monitor = Monitor::new(threads, name, State::default());
        Mutex { monitor, value: std::sync::Mutex::new(value) }
    }

    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.acquire(Patience::Endless).expect("endless patience does not end")
    }

    /// The lock, if nobody has it, nor has been promised it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.acquire(Patience::None)
    }

    /// Waits for the lock until `time` at the latest.
    pub fn lock_until(&self, time: Time) -> Option<MutexGuard<'_, T>> {
        self.acquire(Patience::Until(time))
    }

    /// Waits for the lock for `timeout` at the most.
    pub fn lock_timeout(&self, timeout: Duration) -> Option<MutexGuard<'_, T>> {
        self.lock_until(self.monitor.threads.now() + timeout)
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn acquire(&self, patience: Patience) -> Option<MutexGuard<'_, T>> {
        self.monitor.take(State::line, patience, State::free, |state| {
            state.locked = true;
            ((), None)
        })?;
        self.monitor.hold(true);
        let value = match self.value.try_lock() {
            Ok(value) => value,
            Err(TryLockError::Poisoned(value)) => value.into_inner(),
            Err(TryLockError::WouldBlock) => unreachable!("the value is given back before the lock is"),
        };
        Some(MutexGuard { mutex: self, value: Some(value) })
    }

    fn release(&self) {
        let mut state = self.monitor.enter();
        self.monitor.hold(false);
        state.locked = false;
        let next = state.line.choose(1);
        drop(state);
        wake(next);
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mutex({})", self.monitor.name)
    }
}

/// A locked [`Mutex`]; dropping it unlocks.
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// Given back first of all.
    value: Option<std::sync::MutexGuard<'a, T>>,
}

impl<'a, T> MutexGuard<'a, T> {
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("there until it is dropped")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("there until it is dropped")
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        self.mutex.release();
    }
}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}
