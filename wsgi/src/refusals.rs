//! When the log is told of requests that a pool refuses: an overload must not become a flood of lines as well.

use std::cell::Cell;
use std::time::Duration;

use handwound_reactor::Time;

/// From one line to the next, at least.
const PAUSE: Duration = Duration::from_secs(1);

/// The refused requests of one site.
#[derive(Default)]
pub(crate) struct Refusals {
    /// Since the last line.
    untold: Cell<u64>,
    /// When the next line may be.
    next_line: Cell<Time>,
}

impl Refusals {
    /// One more, at `now` on the loop's clock. If there is to be a line, how many there have been since the last one.
    ///
    /// Those of the end of an overload are told with the first of the next: no timer is kept for them.
    pub(crate) fn one_more(&self, now: Time) -> Option<u64> {
        self.untold.update(|untold| untold + 1);
        if now < self.next_line.get() {
            return None;
        }
        self.next_line.set(now + PAUSE);
        Some(self.untold.take())
    }
}
