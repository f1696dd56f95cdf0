//! Waiting for a change of what a [`Mutex`] guards.

use std::fmt;
use std::time::Duration;

use super::monitor::{Line, Monitor, Patience, wake};
use super::mutex::MutexGuard;
use crate::{Threads, Time, Unparked};

/// Where threads wait until another says that something has changed. Belongs to one [`Mutex`](super::Mutex) at a time.
///
/// Notified are those that have waited longest. There are no wakeups without a notification but by time; the state may
/// have changed again all the same before the lock is had.
pub struct Condvar(Monitor<Line>);

impl Condvar {
    /// One at which nobody waits; `name` appears in diagnoses.
    #[track_caller]
    pub fn new(threads: &impl Threads, name: &str) -> Condvar {
        Condvar(Monitor::new(threads, name, Line::default()))
    }

    /// Unlocks, waits for a notification, locks again. A notification that comes after the unlocking is not missed.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.wait_with(guard, Patience::Endless).0
    }

    /// As [`wait`](Condvar::wait), until `time` at the latest: says whether a notification or the time came first.
    /// Waits for the lock as long as it takes.
    pub fn wait_until<'a, T>(&self, guard: MutexGuard<'a, T>, time: Time) -> (MutexGuard<'a, T>, Unparked) {
        self.wait_with(guard, Patience::Until(time))
    }

    /// As [`wait_until`](Condvar::wait_until), for `timeout` at the most.
    pub fn wait_timeout<'a, T>(&self, guard: MutexGuard<'a, T>, timeout: Duration) -> (MutexGuard<'a, T>, Unparked) {
        self.wait_until(guard, self.0.threads.now() + timeout)
    }

    /// Waits as long as `holds` is true of the value.
    pub fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut holds: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while holds(&mut guard) {
            guard = self.wait(guard);
        }
        guard
    }

    /// Lets one go on, the one that has waited longest.
    pub fn notify_one(&self) {
        let next = self.0.enter().choose(usize::MAX);
        wake(next);
    }

    /// Lets all go on that wait now.
    pub fn notify_all(&self) {
        let all = self.0.enter().choose_all();
        wake(all);
    }

    fn wait_with<'a, T>(&self, guard: MutexGuard<'a, T>, patience: Patience) -> (MutexGuard<'a, T>, Unparked) {
        let mutex = guard.mutex();
        // In the line before the lock is given back: whoever changes the value after that finds this thread here.
        let mut place = self.0.join(whole, |_| usize::MAX);
        drop(guard);
        place.park(patience);
        let unparked = if place.come_back() { Unparked::ByToken } else { Unparked::ByTime };
        (mutex.lock(), unparked)
    }
}

fn whole(line: &mut Line) -> &mut Line {
    line
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condvar({})", self.0.name)
    }
}
