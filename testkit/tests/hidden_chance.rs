//! OS threads that are no part of a world.
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use handwound_reactor::{Threads, Time};
use handwound_testkit::{Choices, Sim};

/// What the test says after a foreign OS thread has called, and what that thread says.
fn trespass(calls: impl FnOnce(handwound_testkit::SimThreads) + Send + 'static) -> [String; 2] {
    let sim = Sim::new(Choices::calm());
    let threads = sim.threads();
    let foreign = thread::Builder::new().name("left to chance".into());
    let panic = foreign.spawn(move || calls(threads)).unwrap().join().unwrap_err();
    let failed = catch_unwind(AssertUnwindSafe(|| sim.settle())).unwrap_err();
    [*panic.downcast::<String>().unwrap(), *failed.downcast::<String>().unwrap()]
}

#[test]
fn a_foreign_thread_is_named_by_its_own_panic_and_by_the_tests() {
    let gates: [fn(handwound_testkit::SimThreads); 3] = [
        |threads| threads.gate("g").unpark(),
        |threads| assert!(threads.now() > Time::ZERO),
        |threads| threads.sleep(Default::default()),
    ];
    for calls in gates {
        for text in trespass(calls) {
            assert!(text.starts_with("the OS thread `left to chance` calls into a simulated world"), "{text}");
        }
    }
}

#[test]
fn a_foreign_thread_may_drop_what_it_was_given() {
    let sim = Sim::new(Choices::calm());
    let gate = sim.threads().gate("g");
    thread::spawn(move || drop(gate)).join().unwrap();
    sim.settle();
    sim.assert_clean();
}
