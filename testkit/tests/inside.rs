//! Which runs look inside of event loops and pools, and that failures found there are made small and replayed.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use handwound_reactor::{AnyThreads, Threads, Watched};
use handwound_testkit::{Choices, Exploration, Sim, seeds};

/// A part of a pool, say, whose workers count; planted: they read and write in two touches.
fn count(sim: &Sim, touch: impl Fn() + Clone + Send + 'static) -> u32 {
    let sum = Arc::new(AtomicU32::new(0));
    for worker in ["one", "other"] {
        let (sum, touch) = (Arc::clone(&sum), touch.clone());
        sim.spawn(worker, move || {
            touch();
            let seen = sum.load(Relaxed);
            touch();
            sum.store(seen + 1, Relaxed);
        });
    }
    sim.settle();
    sum.load(Relaxed)
}

fn inside(sim: &Sim) -> impl Fn() + Clone + Send + 'static {
    let watched: Watched = AnyThreads::new(sim.threads()).watched("a pool's count");
    move || watched.visit()
}

fn how_many(seeds: u64, happens: impl Fn(&Sim) -> bool) -> u32 {
    // Recorded: others have no visits in their traces.
    (0..seeds).map(|seed| u32::from(happens(&Sim::new(Choices::seed(seed))))).sum()
}

#[test]
fn one_run_in_four_looks_inside_all_do_where_they_are_told_to_and_all_see_what_tests_share() {
    let drawn = how_many(2000, |sim| {
        count(sim, inside(sim));
        sim.trace().contains("visits a pool's count")
    });
    assert!((400..600).contains(&drawn), "{drawn}");
    let told = how_many(50, |sim| {
        sim.look_inside();
        count(sim, inside(sim));
        sim.trace().contains("visits a pool's count")
    });
    assert_eq!(told, 50);
    let own = how_many(50, |sim| {
        let (threads, shared) = (sim.threads(), sim.threads().shared("the test's count"));
        count(sim, move || threads.visit(shared));
        sim.trace().contains("visits the test's count")
    });
    assert_eq!(own, 50);
}

#[test]
fn what_goes_wrong_inside_is_found_made_small_and_replayed() {
    let test = |sim: &Sim| assert_eq!(count(sim, inside(sim)), 2, "none is lost");
    for search in [Exploration::random(seeds(200)), Exploration::pct(2, seeds(200)), Exploration::bounded(1)] {
        let failure = search.check(test).unwrap_err();
        assert!(failure.shrunk_choices <= 2, "{failure}");
        let again = Exploration::replay(&failure.replay).check(test).unwrap_err();
        assert_eq!((&again.message, &again.place), (&failure.message, &failure.place));
    }
}
