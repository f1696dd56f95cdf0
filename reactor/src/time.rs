//! Points in time on a reactor's own clock. Never the wall clock, never a global one.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A point in time: how long after its reactor started.
///
/// Times of different reactors do not compare. It prints as `+1.500s`, in whole milliseconds, or with as many
/// digits as it takes to show a finer time exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The moment the reactor started.
    pub const ZERO: Time = Time(Duration::ZERO);

    /// The point `after_start` later than the start.
    pub const fn new(after_start: Duration) -> Time {
        Time(after_start)
    }

    /// How long after the start this is.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// How long from `earlier` to here; zero where `earlier` is in fact later.
    pub fn saturating_since(self, earlier: Time) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Saturates at the largest duration there is: a deadline too far to name is never reached.
impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, later: Duration) -> Time {
        Time(self.0.saturating_add(later))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, later: Duration) {
        *self = *self + later;
    }
}

/// Zero where `earlier` is in fact later.
impl Sub<Time> for Time {
    type Output = Duration;

    fn sub(self, earlier: Time) -> Duration {
        self.saturating_since(earlier)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.as_secs(), self.0.subsec_nanos());
        if nanos % 1_000_000 == 0 {
            write!(f, "+{seconds}.{:03}s", nanos / 1_000_000)
        } else if nanos % 1_000 == 0 {
            write!(f, "+{seconds}.{:06}s", nanos / 1_000)
        } else {
            write!(f, "+{seconds}.{nanos:09}s")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_many_digits_as_it_needs() {
        let check = |nanos, text: &str| assert_eq!(Time::new(Duration::from_nanos(nanos)).to_string(), text);
        check(0, "+0.000s");
        check(1_500_000_000, "+1.500s");
        check(1_500_010_000, "+1.500010s");
        check(1, "+0.000000001s");
    }

    #[test]
    fn a_deadline_beyond_the_end_saturates() {
        assert_eq!(Time::new(Duration::MAX) + Duration::from_secs(1), Time::new(Duration::MAX));
        assert_eq!(Time::ZERO - Time::new(Duration::from_secs(1)), Duration::ZERO);
    }
}
