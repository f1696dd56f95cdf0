//! What the code of a simulated thread can ask for without a handle: that time passes.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use handwound_reactor::Threads;

use crate::drift::Drift;
use crate::driver;
use crate::shared::Shared;
use crate::threads::SimThreads;

thread_local! {
    /// On an OS thread of a simulation: its world.
    static HERE: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

/// Blocks the simulated thread that calls this for `duration` of the world's clock; other threads go on meanwhile, and
/// no real time passes. For the code of tests, which has no handle to [`Sim::threads`](crate::Sim::threads); code that
/// also runs in earnest takes a [`Threads`] and calls [`Threads::sleep`].
///
/// ```
/// use handwound_testkit::{explore, seeds, sleep};
/// use std::time::Duration;
///
/// explore(seeds(10), |sim| {
///     sim.spawn("sleeper", || sleep(Duration::from_secs(3600)));
///     sim.settle();
///     assert_eq!(sim.now().since_start(), Duration::from_secs(3600));
/// });
/// ```
///
/// # Panics
/// Outside of a simulated thread. The test itself moves the clock, by [`Sim::advance`](crate::Sim::advance).
#[track_caller]
pub fn sleep(duration: Duration) {
    let here = HERE.try_with(|here| here.borrow().clone()).ok().flatten();
    let Some(world) = here.or_else(driver::world_of_task) else {
        panic!(
            "`handwound_testkit::sleep` is for simulated threads: applications under `serve`, jobs of a pool, what \
             `Sim::spawn` and `Sim::threads` start. The test itself moves the clock: `sim.advance(duration)`. Code \
             that also runs outside of a simulation takes a `handwound_reactor::Threads` and calls its `sleep`"
        );
    };
    SimThreads::new(world, Drift::default()).sleep(duration);
}

/// Says which world this OS thread belongs to, until the result is dropped.
pub(crate) fn belongs(world: Arc<Shared>) -> impl Drop {
    struct Belongs;
    impl Drop for Belongs {
        fn drop(&mut self) {
            let world = HERE.try_with(|here| here.borrow_mut().take());
            drop(world);
        }
    }
    HERE.with(|here| *here.borrow_mut() = Some(world));
    Belongs
}
