//! Runs a test many times: with many seeds, or in every order there is.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::choices::Choices;
use crate::search::Search;
use crate::sim::Sim;

/// What an exploration has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many times the test ran.
    pub runs: u64,
    /// Those of them that turned out to repeat another, up to the order of moves that do not matter to each other.
    pub redundant: u64,
}

/// The seeds `0..count`.
pub fn seeds(count: u64) -> Range<u64> {
    0..count
}

/// Runs `test` in a world of its own for each seed.
///
/// `HANDWOUND_SEED=7` in the environment runs seed 7 only, and `HANDWOUND_REPLAY=v1:…` the very run that printed
/// that line.
///
/// # Panics
/// With the test's panic, after printing how to repeat the run.
pub fn explore(seeds: impl IntoIterator<Item = u64>, test: impl Fn(&Sim)) -> Report {
    if replay_asked(&test) {
        return Report { runs: 1, redundant: 0 };
    }
    let only = std::env::var("HANDWOUND_SEED").ok().map(|text| {
        text.trim().parse::<u64>().unwrap_or_else(|_| panic!("HANDWOUND_SEED is {text:?}; it should be a number"))
    });
    let mut report = Report::default();
    let mut run = |seed| {
        report.runs += 1;
        let sim = Sim::new(Choices::seed(seed));
        attempt(&sim, &test, &format!("with seed {seed}; repeat it with HANDWOUND_SEED={seed}"));
    };
    match only {
        Some(seed) => run(seed),
        None => seeds.into_iter().for_each(run),
    }
    report
}

/// How to search in [`explore_all`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct All {
    /// More runs than this are a failure: the test is too large to be searched through.
    pub runs_max: u64,
    /// Leave out orders that differ only in how moves on different objects are arranged. Plain search is there to
    /// check this.
    pub sleep_sets: bool,
}

impl Default for All {
    fn default() -> All {
        All { runs_max: 200_000, sleep_sets: true }
    }
}

/// Runs `test` in every order of its threads, each in a world of its own with a calm network; also with every
/// answer to [`Sim::choose`].
///
/// Threads can change places at visible operations: visits of shared things, gates, wakes, polls, starts of
/// threads. What the test itself does between drives is not reordered, so event loops should be threads
/// ([`Sim::spawn`]) here.
///
/// `HANDWOUND_REPLAY=v1:…` in the environment runs the one order that printed that line.
///
/// # Panics
/// With the test's panic, after printing how to repeat the run. When there are more than `runs_max` runs. When the
/// test does not do the same in the same order.
pub fn explore_all(how: All, test: impl Fn(&Sim)) -> Report {
    if replay_asked(&test) {
        return Report { runs: 1, redundant: 0 };
    }
    let mut search = Box::new(Search::new(how.sleep_sets));
    let mut report = Report::default();
    loop {
        report.runs += 1;
        let sim = Sim::new(Choices::search(search));
        attempt(&sim, &test, &format!("in order {} of a search through all", report.runs));
        let (back, footprint) = sim.end_search().expect("the world was made with a search");
        search = back;
        report.redundant += u64::from(search.redundant());
        if !search.next_run(footprint) {
            return report;
        }
        assert!(
            report.runs < how.runs_max,
            "not all orders seen after {} runs; make the test smaller, or raise `runs_max`",
            how.runs_max
        );
    }
}

fn replay_asked(test: &impl Fn(&Sim)) -> bool {
    let Ok(line) = std::env::var("HANDWOUND_REPLAY") else { return false };
    let choices = Choices::replay(&line).unwrap_or_else(|error| panic!("HANDWOUND_REPLAY: {error}"));
    test(&Sim::new(choices));
    true
}

fn attempt(sim: &Sim, test: &impl Fn(&Sim), which: &str) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| test(sim))) {
        tell(sim, which);
        resume_unwind(payload as Box<dyn Any + Send>);
    }
}

fn tell(sim: &Sim, which: &str) {
    eprintln!("the test failed {which}");
    let line = sim.recorded();
    if line.len() < 4096 {
        eprintln!("the very run: HANDWOUND_REPLAY={line} cargo test …");
    }
}
