//! Seeded defects: small doubles of servers, pools and timers, each with one thing wrong that people do get wrong,
//! and its right twin. Each defect has to be found within a stated number of schedules, for the stated reason; the
//! right twin must raise no alarm over the same search. `testkit/DEFECTS.md` has the table.
//!
//! The soak ([`soak`]) runs all right twins, and a whole server, over many more.
#![allow(clippy::unwrap_used)]

mod common;
mod exchange;
mod handoff;
mod lines;
mod pools;
mod slots;
mod soak;
mod timers;

use handwound_testkit::{Exploration, Sim, seeds};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twin {
    Right,
    Wrong,
}

impl Twin {
    pub(crate) fn is_wrong(self) -> bool {
        self == Twin::Wrong
    }
}

/// What finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FoundBy {
    /// [`Exploration::all`]: every order of the threads, and every answer to the test's own choices.
    Orders,
    /// [`Exploration::random`] with the seeds from zero, with the network that each draws.
    Seeds,
}

/// One defect: a test of a thing that comes in two variants.
pub(crate) struct Defect {
    /// In a few words.
    pub(crate) name: &'static str,
    /// What becomes of it.
    pub(crate) goes_wrong: &'static str,
    pub(crate) found_by: FoundBy,
    /// The number of schedules within which the wrong twin must have failed.
    pub(crate) within: u64,
    /// A part of the message with which the test fails: found for this reason and no other.
    pub(crate) says: &'static str,
    /// The test.
    pub(crate) run: fn(&Sim, Twin),
}

impl Defect {
    fn line(&self) -> String {
        let found_by = match self.found_by {
            FoundBy::Orders => "all orders",
            FoundBy::Seeds => "seeds",
        };
        format!("| {} | {} | {found_by} | {} |", self.name, self.goes_wrong, self.within)
    }

    fn search(&self) -> Exploration<'static> {
        match self.found_by {
            FoundBy::Orders => Exploration::all(),
            FoundBy::Seeds => Exploration::random(seeds(self.within)),
        }
    }

    /// The wrong twin fails in time, as it should, and its replay fails again; the right twin passes everything.
    fn check(&self) {
        let found = self.search().shrink_runs_max(100).check(|sim| (self.run)(sim, Twin::Wrong));
        let failure = found.expect_err(self.name);
        let message = failure.message.lines().take(2).collect::<Vec<_>>().join(" ");
        println!("{:<50} run {:>2} of {:>2}: {message:.90}", self.name, failure.run, self.within);
        assert!(failure.message.contains(self.says), "{}: found for another reason: {failure}", self.name);
        assert!(failure.run <= self.within, "{}: found in run {} only", self.name, failure.run);
        let again = Exploration::replay(&failure.replay).check(|sim| (self.run)(sim, Twin::Wrong));
        assert_eq!(again.expect_err(self.name).message, failure.message, "{}: the replay", self.name);
        if let Err(alarm) = self.search().check(|sim| (self.run)(sim, Twin::Right)) {
            panic!("{}: the right twin raises an alarm: {alarm}", self.name);
        }
    }
}

/// All there are, by topic.
pub(crate) fn all() -> impl Iterator<Item = &'static Defect> {
    [handoff::DEFECTS, pools::DEFECTS, slots::DEFECTS, timers::DEFECTS, lines::DEFECTS, exchange::DEFECTS]
        .into_iter()
        .flatten()
}

fn check(defects: &[Defect]) {
    defects.iter().for_each(Defect::check);
}

#[test]
fn defects_of_handing_over_are_found() {
    check(handoff::DEFECTS);
}

#[test]
fn defects_of_pools_and_of_stopping_are_found() {
    check(pools::DEFECTS);
}

#[test]
fn defects_of_tables_and_tokens_are_found() {
    check(slots::DEFECTS);
}

#[test]
fn defects_of_timers_are_found() {
    check(timers::DEFECTS);
}

#[test]
fn defects_of_reading_writing_and_accepting_are_found() {
    check(lines::DEFECTS);
}

#[test]
fn defects_of_requests_and_responses_are_found() {
    check(exchange::DEFECTS);
}

/// The table in the docs is this one.
#[test]
fn the_table_is_up_to_date() {
    let table: Vec<String> = all().map(Defect::line).collect();
    assert!(table.len() >= 20);
    let written: Vec<&str> = include_str!("../../DEFECTS.md").lines().filter(|line| line.starts_with("| ")).collect();
    assert!(written[1..] == table, "the table in DEFECTS.md should be:\n{}", table.join("\n"));
}
