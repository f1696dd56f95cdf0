//! Chance that does not come from the choices is found: clocks, hash maps, the system's randomness, OS threads.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use handwound_reactor::{Threads, Time};
use handwound_testkit::{Choices, Exploration, NetworkOptions, Sim, check_deterministic, seeds};
use handwound_wsgi::testing::serve;
use handwound_wsgi::{Call, Failure};

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

/// What is said about a test that leaves something to chance: by the check alone, by an exploration of each kind that
/// makes each run twice, and by one as users write it, when the run fails.
fn found(test: impl Fn(&Sim)) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| check_deterministic(seeds(4), &test))).unwrap_err();
    let text = *panic.downcast::<String>().unwrap();
    assert!(text.contains("does not make the same run twice: event "), "{text}");
    for exploration in [Exploration::random(seeds(4)), Exploration::pct(2, seeds(4)), Exploration::answers()] {
        let twice = exploration.twice().check(&test).unwrap_err();
        assert!(twice.message.contains("does not make the same run twice: event "), "{twice}");
        assert!(twice.message.contains("is the first to differ\n  first   "), "{twice}");
    }
    let failing = Exploration::random(seeds(4)).check(|sim| {
        test(sim);
        panic!("for another reason");
    });
    let notes = failing.unwrap_err().notes.join("\n");
    assert!(notes.contains("run again with the same choices, event "), "{notes}");
    assert!(notes.contains("is the first to differ"), "{notes}");
    text
}

#[test]
fn a_foreign_thread_is_found_by_an_exploration() {
    let test = |sim: &Sim| {
        let gate = sim.threads().gate("g");
        // Joined, so that it has called before the world is driven; its own panic is not shown.
        let foreign = thread::Builder::new().name("foreign".into()).spawn(move || gate.unpark()).unwrap();
        assert!(foreign.join().is_err());
        sim.settle();
    };
    for exploration in [Exploration::random(seeds(4)), Exploration::all(), Exploration::bounded(1).twice()] {
        let failure = exploration.check(test).unwrap_err();
        assert_eq!(failure.run, 1);
        assert!(failure.message.starts_with("the OS thread `foreign` calls into a simulated world"), "{failure}");
    }
}

#[test]
fn runs_that_leave_nothing_to_chance_pass_twice() {
    let runs = std::cell::Cell::new(0);
    let test = |sim: &Sim| {
        runs.set(runs.get() + 1);
        let (threads, shared) = (sim.threads(), sim.threads().shared("s"));
        for name in ["a", "b"] {
            let threads = threads.clone();
            sim.spawn(name, move || (0..3).for_each(|_| threads.visit(shared)));
        }
        sim.choose("answer", 2);
        sim.settle();
    };
    for exploration in [
        Exploration::random(seeds(20)),
        Exploration::pct(2, seeds(20)),
        Exploration::all(),
        Exploration::all().plainly(),
        Exploration::bounded(2),
        Exploration::answers(),
        Exploration::replay(&{
            let sim = Sim::new(Choices::seed(1));
            test(&sim);
            sim.recorded()
        }),
    ] {
        runs.set(0);
        let report = exploration.twice().check(test).unwrap();
        assert_eq!(report.runs, runs.get());
        assert!(report.runs >= 2 && report.runs.is_multiple_of(2), "{report:?}");
    }
}

#[test]
fn a_real_clock_is_found() {
    let started = Instant::now();
    let text = found(|sim| {
        let threads = sim.threads();
        threads.gate("before").unpark();
        sim.spawn("sleeper", move || threads.sleep(Duration::from_secs(1) + started.elapsed()));
        sim.settle();
    });
    // The start of the thread and the gate are the same, how long it sleeps is not.
    assert!(text.contains("event 2 is the first to differ\n  first   +1."), "{text}");
    assert!(text.contains("sleeper    waits no longer at gate sleep"), "{text}");
}

#[test]
fn the_order_of_a_hash_map_is_found() {
    let text = found(|sim| {
        let threads = sim.threads();
        let things: HashMap<u32, _> = (0..20).map(|n| (n, threads.shared(&format!("thing {n}")))).collect();
        for thing in things.into_values() {
            let visitor = threads.clone();
            threads.spawn("visitor", Box::new(move || visitor.visit(thing))).unwrap();
        }
        sim.settle();
    });
    assert!(text.contains("visits thing "), "{text}");
}

#[test]
fn randomness_of_the_system_is_found() {
    let text = found(|sim| {
        let threads = sim.threads();
        for _ in 0..64 {
            if RandomState::new().hash_one(0).is_multiple_of(2) {
                threads.gate("even").unpark();
            } else {
                threads.gate("odd").unpark();
            }
        }
    });
    assert!(text.contains("unparks even") && text.contains("unparks odd"), "{text}");
}

#[test]
fn bytes_that_differ_are_found_though_all_else_is_the_same() {
    let text = found(|sim| {
        sim.set_network(NetworkOptions::calm());
        let server = serve(sim, 1, |call: &Call| -> Result<String, Failure> {
            call.start_response("200 OK", &[])?;
            Ok(format!("{:016x}", RandomState::new().hash_one(0)))
        });
        server.get(sim, "/");
        sim.settle();
    });
    assert!(text.contains("the same but for the bytes that are moved"), "{text}");
}

#[test]
fn a_run_that_only_goes_on_longer_is_found() {
    let count = std::cell::Cell::new(1);
    let text = found(|sim| {
        for _ in 0..count.replace(count.get() + 1) {
            sim.threads().gate("g").unpark();
        }
    });
    assert!(text.contains("first   has ended"), "{text}");
}

#[test]
fn a_whole_server_leaves_nothing_to_chance() {
    check_deterministic(seeds(20), |sim| {
        let server = serve(sim, 3, |call: &Call| -> Result<Vec<u8>, Failure> {
            call.start_response("200 OK", &[])?;
            Ok(call.request().path_info().to_vec())
        });
        let clients: Vec<_> = (0..6).map(|index| server.get(sim, &format!("/{index}"))).collect();
        sim.settle();
        assert!(clients.iter().all(|client| client.response().status() == 200));
    });
}
