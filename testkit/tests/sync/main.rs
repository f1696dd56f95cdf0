//! Channels, locks, condition variables and joins: in every order, on virtual time, and on real threads.
#![allow(clippy::unwrap_used)]

mod channels;
mod deadlocks;
mod grounds;
mod locks;

use std::panic::resume_unwind;
use std::time::Duration;

use handwound_reactor::sync::{self, JoinHandle};
use handwound_testkit::Sim;

const MS: Duration = Duration::from_millis(1);

/// Has `program` run as a thread of the simulation, to its end.
fn run<T: Send + 'static>(sim: &Sim, program: impl FnOnce() -> T + Send + 'static) -> T {
    let handle = sync::spawn(&sim.threads(), "main", program).unwrap();
    sim.settle();
    sim.assert_no_deadlock();
    sim.assert_clean();
    join(handle)
}

fn join<T>(handle: JoinHandle<T>) -> T {
    handle.join().unwrap_or_else(|payload| resume_unwind(payload))
}
