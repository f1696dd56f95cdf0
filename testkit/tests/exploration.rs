//! Each way of searching finds planted defects; what is found is made small, told, repeated and kept.
#![allow(clippy::unwrap_used)]

mod closes;
#[path = "../benches/planted/mod.rs"]
mod planted;

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex};

use handwound_reactor::{Address, EventLoop, ListenOptions, Protocol, Threads, Transport};
use handwound_testkit::{Choices, Client, Exploration, Failure, NetworkOptions, Sim, for_every_cut, seeds};

/// Two threads end the same thing. Planted: they look first and then act.
fn double_close(sim: &Sim) {
    closes::double_close(sim, false);
}

/// Planted: `user` takes for granted that `maker` has come first, and `maker` is the third to start.
fn order(sim: &Sim) {
    let made = Arc::new(Mutex::new(None));
    let place = sim.threads().shared("place");
    for name in ["other", "maker", "user"] {
        let (threads, made) = (sim.threads(), Arc::clone(&made));
        sim.spawn(name, move || {
            threads.visit(place);
            match name {
                "maker" => *made.lock().unwrap() = Some(7),
                "user" => assert_eq!(*made.lock().unwrap(), Some(7), "made before it is used"),
                _ => {}
            }
        });
    }
    sim.settle();
}

fn lost_wakeup(sim: &Sim) {
    planted::lost_wakeup(sim, 2);
}

/// How many runs it takes, and what came of it.
#[track_caller]
fn found(exploration: Exploration<'_>, test: fn(&Sim), runs_max: u64) -> Box<Failure> {
    let failure = exploration.check(test).unwrap_err();
    assert!(failure.run <= runs_max, "found in run {} only", failure.run);
    assert!(failure.notes.is_empty(), "{failure}");
    Exploration::replay(&failure.replay).check(test).unwrap_err();
    failure
}

#[test]
fn every_strategy_finds_every_planted_defect_within_so_many_runs() {
    for (test, random, pct, all, bounded) in
        [(lost_wakeup as fn(&Sim), 60, 60, 40, 20), (double_close, 12, 20, 10, 10), (order, 12, 12, 12, 10)]
    {
        found(Exploration::random(seeds(200)), test, random);
        found(Exploration::pct(2, seeds(200)), test, pct);
        found(Exploration::all(), test, all);
        found(Exploration::bounded(2), test, bounded);
    }
}

#[test]
fn a_hand_off_defect_among_forty_requests_shrinks_to_a_few_choices() {
    let failure = planted::shrink(&|sim| planted::lost_wakeup(sim, planted::REQUESTS));
    assert!(failure.choices > 20, "there was something to shrink: {}", failure.choices);
    assert!(failure.shrunk_choices <= 6, "{failure}");
    assert!(failure.shrink_runs <= 150, "{}", failure.shrink_runs);

    // Where the test says how many requests there are, two are enough: the first finds the worker asleep.
    let requests = Cell::new(0);
    let chosen = planted::shrink(&|sim| {
        requests.set(1 + sim.choose("requests", planted::REQUESTS));
        planted::lost_wakeup(sim, requests.get());
    });
    assert_eq!(requests.get(), 2, "{chosen}");
    assert!(chosen.shrunk_choices <= 4, "{chosen}");
}

/// The chance, per seed, of defects of depth 1 and 2, against the bound that was proved.
#[test]
fn pct_keeps_its_guarantee() {
    const SEEDS: u64 = 2_000;
    let check = |test: fn(&Sim), depth: u32, threads: u64, steps: u64| {
        let hit = |seed: &u64| {
            let sim = Sim::new(Choices::pct(*seed, depth, steps));
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&sim))).is_err()
        };
        let hits = (0..SEEDS).filter(hit).count() as u64;
        let one_in = threads * steps.pow(depth - 1);
        // Nine tenths of what is expected at the least: chance itself scatters by less than that here.
        assert!(hits * one_in * 10 >= SEEDS * 9, "{hits} of {SEEDS}, where one in {one_in} was promised");
    };
    check(order, 1, 3, 6);
    check(double_close, 2, 2, 6);
}

#[test]
fn a_bounded_search_ends_as_soon_as_nothing_is_left_out() {
    let once = |sim: &Sim| {
        for name in ["a", "b"] {
            let (threads, shared) = (sim.threads(), sim.threads().shared("s"));
            sim.spawn(name, move || threads.visit(shared));
        }
        sim.settle();
    };
    let (two, many) = (Exploration::bounded(2).check(once).unwrap(), Exploration::bounded(1000).check(once).unwrap());
    assert_eq!(two, many);
}

#[test]
fn faults_go_first_when_a_run_is_shrunk() {
    let rough = |sim: &Sim| {
        sim.set_network(NetworkOptions::rough());
        let client = echo(sim);
        client.send([b'x'; 200]);
        sim.settle();
        assert_eq!(client.received().len(), 199, "bytes come back");
    };
    let failure = Exploration::random(seeds(1)).check(rough).unwrap_err();
    assert!(failure.choices > 5, "{failure}");
    assert_eq!((failure.shrunk_choices, failure.shrink_runs), (0, 1), "the network is not to blame: {failure}");
}

/// Sends back what comes.
struct Echo;

impl Protocol for Echo {
    fn received(&mut self, transport: &mut Transport, bytes: &[u8]) {
        transport.write(bytes);
    }
}

/// A client of a server that does so.
fn echo(sim: &Sim) -> Client {
    let address = Address::Tcp(([127, 0, 0, 1], 7).into());
    let event_loop = EventLoop::new(sim.reactor("echo"), sim.threads());
    event_loop.listen(&address, &ListenOptions::default(), |_peer| Echo).unwrap();
    let running = event_loop.clone();
    sim.spawn("loop", move || {
        running.run().unwrap();
    });
    sim.connect(&address)
}

#[test]
fn only_the_same_failure_counts_as_smaller() {
    // Taking 5 away leads to another failure, which is easier to have; it must not be shrunk to that.
    let failure = Exploration::answers()
        .runs_max(10_000)
        .check(|sim| {
            let (a, b) = (sim.choose("a", 50), sim.choose("b", 50));
            if a >= 5 {
                assert!(b < 10, "the failure: {a} {b}");
            }
        })
        .unwrap_err();
    assert_eq!(failure.message, "the failure: 5 10");
    let seen = RefCell::new(Vec::new());
    let other = Exploration::random(seeds(100))
        .check(|sim| {
            let (a, b) = (sim.choose("a", 50), sim.choose("b", 50));
            seen.borrow_mut().push((a, b));
            assert!(a < 30 || b < 30, "deep");
            assert!(a > 2, "shallow");
        })
        .unwrap_err();
    let first = seen.borrow().iter().copied().find(|&(a, b)| a >= 30 && b >= 30 || a <= 2).unwrap();
    assert_eq!(other.message, if first.0 <= 2 { "shallow" } else { "deep" });
}

#[test]
fn a_test_that_is_left_to_chance_is_told_so() {
    let runs = Cell::new(0);
    let failure = Exploration::random(seeds(5))
        .check(|_| {
            runs.set(runs.get() + 1);
            assert_ne!(runs.get(), 3);
        })
        .unwrap_err();
    assert_eq!(failure.run, 3);
    assert!(failure.notes[0].contains("it passed; something in the test is left to chance"), "{failure}");
}

#[test]
fn a_report_says_all_that_is_needed() {
    let failure = found(Exploration::random(seeds(200)), double_close, 200);
    let text = failure.to_string();
    let place = failure.place.clone().unwrap();
    assert!(place.contains("closes/mod.rs"), "{place}");
    for part in [
        "(HANDWOUND_SEED=",
        "assertion `left == right` failed: closed once",
        "visits closed",
        &format!("shrunk from {} choices to {} in", failure.choices, failure.shrunk_choices),
        &format!("HANDWOUND_REPLAY={} cargo test", failure.replay),
    ] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

#[test]
fn a_run_of_more_than_a_hundred_thousand_steps_is_repeated_exactly() {
    let busy = |sim: &Sim| {
        let threads = sim.threads();
        let shared = ["one", "two", "three"].map(|name| threads.shared(name));
        for name in ["a", "b", "c", "d"] {
            let threads = threads.clone();
            sim.spawn(name, move || (0..30_000).for_each(|n| threads.visit(shared[n % 3])));
        }
        sim.settle();
        (sim.trace_hash(), sim.recorded())
    };
    let (hash, line) = busy(&Sim::new(Choices::seed(1)));
    assert!(line.len() < 48_000, "{}", line.len());
    let (again, line_again) = busy(&Sim::new(Choices::replay(&line).unwrap()));
    assert_eq!((hash, line.len()), (again, line_again.len()));

    // A failure at its end is told by a file.
    let failure = Exploration::random([1]).shrink_runs_max(0).check(|sim| {
        busy(sim);
        panic!("at the end");
    });
    let text = failure.unwrap_err().to_string();
    let path = text.split("HANDWOUND_REPLAY=@").nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), line);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_replay_that_does_not_fit_never_passes() {
    let with = |visits: [usize; 2]| {
        move |sim: &Sim| {
            for (name, visits) in ["a", "b"].into_iter().zip(visits) {
                let (threads, shared) = (sim.threads(), sim.threads().shared("s"));
                sim.spawn(name, move || (0..visits).for_each(|_| threads.visit(shared)));
            }
            sim.settle();
        }
    };
    let sim = Sim::new(Choices::seed(5));
    with([4, 4])(&sim);
    let line = sim.recorded();
    Exploration::replay(&line).check(with([4, 4])).unwrap();
    let problem = |test: &dyn Fn(&Sim)| {
        let failure = Exploration::replay(&line).check(test).unwrap_err();
        assert!(failure.message.contains("the replay no longer fits"), "{failure}");
        failure.message
    };
    problem(&with([4, 3]));
    problem(&with([3, 4]));
    problem(&with([5, 5]));
    let less = problem(&|_| {});
    assert!(less.contains("where `next` (Schedule, 2 options"), "{less}");
    // Code that catches the panic does not help.
    let swallowed = problem(&|sim| {
        sim.choose("new", 2);
    });
    assert!(swallowed.contains("`new` (Test, 2 options"), "{swallowed}");
    problem(&|sim| {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| sim.choose("new", 2)));
        assert!(caught.is_err());
    });
}

#[test]
fn regressions_are_kept_replayed_first_and_reported_when_unfit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kept.txt");
    let failure = found(Exploration::random(seeds(200)), double_close, 200);
    std::fs::write(&file, format!("# kept\nother v1:x\nclose {} # what it was\n", failure.replay)).unwrap();

    let again = Exploration::random(seeds(200)).regressions(&file, "close").check(double_close).unwrap_err();
    assert_eq!(again.run, 1, "before all seeds");
    assert!(again.origin.contains("kept as `close` of") && again.origin.ends_with("kept.txt:3"), "{again}");

    let runs = Cell::new(0);
    let unfit = Exploration::random(seeds(10)).regressions(&file, "close").check(|_| runs.set(runs.get() + 1));
    let unfit = unfit.unwrap_err().message;
    assert!(unfit.contains("kept.txt:3 does not fit the code any more: the replay no longer fits"), "{unfit}");
    assert_eq!(runs.get(), 11, "the others have run all the same");
    // Another test's runs, and none at all.
    Exploration::random(seeds(1)).regressions(&file, "nobody").check(|_| {}).unwrap();
    Exploration::random(seeds(1)).regressions(folder.path().join("none"), "close").check(|_| {}).unwrap();
}

#[test]
fn a_conversation_is_cut_at_every_byte() {
    let seen = RefCell::new(Vec::new());
    let report = for_every_cut("abc", |sim, cut| {
        seen.borrow_mut().push((cut.at(), cut.resets()));
        let client = echo(sim);
        cut.send(sim, &client);
        assert_eq!(
            client.received_text(),
            "abc"[..cut.at()].to_owned() + if cut.resets() { "" } else { &"abc"[cut.at()..] }
        );
    });
    assert_eq!(report.runs, 7);
    let splits = [(3, false), (1, false), (2, false)];
    assert_eq!(seen.into_inner(), [&splits[..], &[(0, true), (1, true), (2, true), (3, true)]].concat());
}

#[test]
fn a_thread_that_waits_by_looking_does_not_keep_others_away() {
    let spin = |sim: &Sim| {
        let (threads, shared) = (sim.threads(), sim.threads().shared("flag"));
        let flag = Arc::new(Mutex::new(false));
        let (t, f) = (threads.clone(), Arc::clone(&flag));
        sim.spawn("waits", move || {
            while !*f.lock().unwrap() {
                t.visit(shared);
            }
        });
        sim.spawn("tells", move || {
            threads.visit(shared);
            *flag.lock().unwrap() = true;
        });
        sim.set_steps_max(10_000);
        sim.settle();
    };
    Exploration::random(seeds(300)).check(spin).unwrap();
    Exploration::pct(3, seeds(300)).check(spin).unwrap();
    Exploration::bounded(0).check(spin).unwrap();
    for length in 0..40 {
        // Bytes that have run out: plain from there on.
        spin(&Sim::new(Choices::bytes(vec![1; length])));
    }
}
