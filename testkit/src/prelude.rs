//! What most simulated tests need: `use handwound_testkit::prelude::*`.

use std::time::Duration;

pub use crate::{
    All, Choices, EMFILE, Exploration, Latency, NetworkOptions, Sim, Trouble, explore, explore_all, seeds, sleep,
};

/// Numbers with their unit, as tests write them: `10.ms()`, `1.secs()`, `1.bytes()`.
///
/// ```
/// use handwound_testkit::prelude::*;
///
/// assert_eq!(1.secs(), 1_000.ms());
/// ```
pub trait Units {
    /// So many milliseconds.
    fn ms(self) -> Duration;
    /// So many seconds.
    fn secs(self) -> Duration;
    /// So many bytes: the number itself.
    fn bytes(self) -> usize;
}

/// For this type only, so that a bare number is one of it.
impl Units for u32 {
    fn ms(self) -> Duration {
        Duration::from_millis(self.into())
    }

    fn secs(self) -> Duration {
        Duration::from_secs(self.into())
    }

    fn bytes(self) -> usize {
        self as usize
    }
}
