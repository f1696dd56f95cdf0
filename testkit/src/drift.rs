//! Clocks that do not agree.

use std::time::Duration;

use handwound_reactor::Time;

/// The clock of one reactor, as a function of the world's: it may be ahead from the start, and go too fast or too
/// slow. It never goes back, and it never stands still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// What it shows when the world begins.
    pub ahead: Duration,
    /// How much faster it goes than the world's, in millionths; slower where negative. Quartz is some 50 off.
    pub parts_per_million: i32,
}

impl Drift {
    fn rate(self) -> u128 {
        // A clock that stands still, or goes back, would break the eighth clause of the seam.
        (1_000_000 + i64::from(self.parts_per_million)).max(1) as u128
    }

    /// What this clock shows when the world's shows `world`.
    pub(crate) fn local(self, world: Time) -> Time {
        if self.parts_per_million == 0 {
            return world + self.ahead;
        }
        Time::new(nanos(world.since_start().as_nanos() * self.rate() / 1_000_000)) + self.ahead
    }

    /// The first moment of the world at which this clock shows `local`, or more.
    pub(crate) fn world(self, local: Time) -> Time {
        let since = local.saturating_since(Time::new(self.ahead));
        if self.parts_per_million == 0 || local.since_start() == Duration::MAX {
            return if local.since_start() == Duration::MAX { local } else { Time::new(since) };
        }
        Time::new(nanos((since.as_nanos() * 1_000_000).div_ceil(self.rate())))
    }
}

fn nanos(nanos: u128) -> Duration {
    match u64::try_from(nanos / 1_000_000_000) {
        Ok(seconds) => Duration::new(seconds, (nanos % 1_000_000_000) as u32),
        Err(_) => Duration::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drifting_clock_reaches_each_of_its_deadlines_and_none_early() {
        for parts_per_million in [-999_999, -300_000, -50, 0, 50, 1_000_000] {
            let drift = Drift { ahead: Duration::from_millis(3), parts_per_million };
            let mut last = Time::ZERO;
            for nanos in [0, 1, 2, 3_000_000, 3_000_001, 1_000_000_007, 86_400_000_000_000] {
                let local = Time::new(Duration::from_nanos(nanos));
                let world = drift.world(local);
                assert!(drift.local(world) >= local, "{drift:?} {local}");
                assert!(drift.local(world) >= last, "it went back");
                last = drift.local(world);
                let early = world.since_start().checked_sub(Duration::from_nanos(1));
                assert!(early.is_none_or(|early| drift.local(Time::new(early)) < local), "{drift:?} {local}");
            }
        }
    }
}
