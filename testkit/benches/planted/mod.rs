//! A hand-off with a planted defect, for the benchmark and the tests of shrinking.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use handwound_reactor::Threads;
use handwound_testkit::{Exploration, Failure, Sim, seeds};

/// Requests of the run that is shrunk.
pub const REQUESTS: u32 = 40;

/// A reactor hands jobs to a worker, which sleeps when there are none. Planted: the worker looks, then says that it
/// sleeps, and does not look again; a job that comes in between wakes nobody.
pub fn lost_wakeup(sim: &Sim, requests: u32) {
    let threads = sim.threads();
    let idle = threads.gate("idle");
    let (queue, asleep) = (threads.shared("queue"), threads.shared("asleep"));
    // Jobs that wait, whether the worker sleeps, jobs that are done.
    let state = Arc::new(Mutex::new((0_u32, false, 0_u32)));
    let (t, gate, shared) = (threads.clone(), idle.clone(), Arc::clone(&state));
    sim.spawn("worker", move || {
        loop {
            t.visit(queue);
            let found = {
                let mut state = shared.lock().expect("nobody panics with it");
                let found = std::mem::take(&mut state.0);
                state.2 += found;
                found
            };
            if found > 0 {
                continue;
            }
            t.visit(asleep);
            shared.lock().expect("nobody panics with it").1 = true;
            gate.park();
        }
    });
    let shared = Arc::clone(&state);
    sim.spawn("reactor", move || {
        for request in 0..requests {
            // Requests come in groups of four.
            if request % 4 == 0 {
                threads.sleep(Duration::from_millis(1));
            }
            threads.visit(queue);
            shared.lock().expect("nobody panics with it").0 += 1;
            threads.visit(asleep);
            if std::mem::take(&mut shared.lock().expect("nobody panics with it").1) {
                idle.unpark();
            }
        }
    });
    sim.settle();
    assert_eq!(state.lock().expect("nobody panics with it").2, requests, "jobs are done");
}

/// Finds the defect by chance, and makes the run small.
pub fn shrink(test: &dyn Fn(&Sim)) -> Box<Failure> {
    Exploration::random(seeds(5_000)).check(test).expect_err("the defect shows in one of these seeds")
}
