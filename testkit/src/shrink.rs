//! From a run that fails to a small one that fails in the same way.
//!
//! First the smallest scenarios are searched anew: the test's own choices at their least, a calm network, threads in
//! the plain order but for a few switches near the end, or in a few orders by chance. Then deviations from the plain run are taken away, whole families first and then halves
//! and quarters: faults, then cut and late bytes, then switches of threads, then the test's choices. What is left
//! is made smaller in value. Runs and moves are counted, time is not.

use crate::chance::Random;
use crate::choices::Choices;
use crate::edits::{Change, Edits, Few, Order};
use crate::failure::{Panicked, caught};
use crate::family::{FAMILIES, Family};
use crate::sim::Sim;
use crate::trace::TEST;

/// What is given up first.
const ORDER: [Family; FAMILIES] = [
    Family::Profile,
    Family::Watch,
    Family::Fault,
    Family::Signals,
    Family::Errors,
    Family::Transfers,
    Family::Connects,
    Family::Accepts,
    Family::Sockets,
    Family::Breaks,
    Family::Starts,
    Family::Date,
    Family::Peers,
    Family::Readiness,
    Family::Latency,
    Family::Line,
    Family::Split,
    Family::Preempt,
    Family::Schedule,
    Family::Test,
];

/// Orders by chance that are tried for each smaller scenario.
const ORDERS: u64 = 16;
/// Orders that are plain but for some switches, tried before: how many switches, among how many of the last decisions,
/// how many times. Later traffic heals much of what goes wrong early.
const FEW: [(u32, u64, u64); 4] = [(1, 12, 12), (2, 8, 24), (2, 20, 24), (3, 20, 16)];

/// A candidate may take so many times the moves of the original; those that livelock are cut off.
const LONGER_MAX: u64 = 4;
/// Moves that all candidates together may take, at least.
const MOVES_MAX: u64 = 20_000_000;

pub(crate) struct Shrinker<'a> {
    test: &'a dyn Fn(&Sim),
    wanted: &'a Panicked,
    prunes: bool,
    runs_left: u64,
    moves_left: u64,
    moves_max: u64,
    best: Vec<Change>,
    /// Schedules are known by time rather than by count.
    timed: bool,
    /// Decisions about threads in the last run.
    switches: u64,
}

impl<'a> Shrinker<'a> {
    /// For the failure `wanted` of a run that took `moves` moves, with at most `runs_max` candidates.
    pub(crate) fn new(test: &'a dyn Fn(&Sim), wanted: &'a Panicked, prunes: bool, moves: u64, runs_max: u64) -> Self {
        let moves_max = moves.saturating_mul(LONGER_MAX) + 1000;
        let moves_left = MOVES_MAX.max(4 * moves_max);
        Shrinker {
            test,
            wanted,
            prunes,
            runs_left: runs_max,
            moves_left,
            moves_max,
            best: Vec::new(),
            timed: false,
            switches: 0,
        }
    }

    /// The smallest set of deviations found, whether it is by time, and how many runs were left over.
    pub(crate) fn shrink(mut self, original: Vec<Change>) -> (Vec<Change>, bool, u64) {
        self.best = original;
        if !self.accept(&[]) {
            self.smaller_scenarios();
            let mut idle = 0;
            while idle < 2 && !self.spent() {
                let before = self.best.clone();
                for family in ORDER {
                    self.thin_out(family);
                }
                self.lower_values();
                self.lower_subjects();
                self.look_from_outside();
                idle = if self.best == before { idle + 1 } else { 0 };
                // What does not go by count may go by time. Only if the run is the same by both.
                self.timed = !self.timed;
                let best = self.best.clone();
                if !self.accept(&best) {
                    self.timed = !self.timed;
                    break;
                }
            }
        }
        (self.best, self.timed, self.runs_left)
    }

    fn spent(&self) -> bool {
        self.runs_left == 0 || self.moves_left == 0
    }

    /// Runs a candidate; the deviations that took effect, if it fails as wanted.
    fn attempt(&mut self, changes: &[Change], order: Option<Order>) -> Option<Vec<Change>> {
        if self.spent() {
            return None;
        }
        let moves_max = self.moves_max.min(self.moves_left);
        let choices =
            Choices::edits(Edits::new(changes, self.timed), order, self.prunes).unrecorded().at_most(moves_max);
        let (result, choices) = quietly(choices, self.test);
        self.runs_left -= 1;
        self.moves_left = self.moves_left.saturating_sub(choices.moves());
        self.switches = choices.switches();
        result.filter(|panicked| panicked.is_like(self.wanted)).map(|_| choices.into_changes())
    }

    fn accept(&mut self, changes: &[Change]) -> bool {
        let Some(better) = self.attempt(changes, None) else { return false };
        self.best = better;
        true
    }

    fn smaller_scenarios(&mut self) {
        let of = |family: Family| self.best.iter().copied().filter(move |change| change.key.is(family));
        let (answers, watch): (Vec<Change>, Vec<Change>) = (of(Family::Test).collect(), of(Family::Watch).collect());
        let most = answers.iter().map(|answer| answer.value).max().unwrap_or(0);
        let mut cap = 0;
        // Half of the runs are left for what comes after.
        let reserve = self.runs_left / 2;
        while self.runs_left > reserve {
            let scenario: Vec<Change> = answers
                .iter()
                .map(|answer| Change { value: answer.value.min(cap), ..*answer })
                .filter(|answer| answer.value > 0)
                .chain(watch.iter().copied())
                .collect();
            if self.search_again(&scenario) {
                return;
            }
            if cap >= most {
                return;
            }
            cap = (cap * 2).max(1);
        }
    }

    /// Looks for the failure in a scenario that is given: first with few switches of threads, then with many.
    fn search_again(&mut self, scenario: &[Change]) -> bool {
        if self.accept_fewer(scenario, None) {
            return true;
        }
        let end = self.switches;
        if end == 0 {
            return false;
        }
        let few = FEW.iter().flat_map(|&(count, span, times)| {
            let first = end.saturating_sub(span);
            (0..times).map(move |seed| Order::Few(Few::new(seed, count, first, span + 2)))
        });
        for order in few.chain((0..ORDERS).map(|seed| Order::Chance(Random::new(seed)))) {
            if self.accept_fewer(scenario, Some(order)) {
                return true;
            }
        }
        false
    }

    fn accept_fewer(&mut self, changes: &[Change], order: Option<Order>) -> bool {
        let found = self.attempt(changes, order).filter(|found| found.len() < self.best.len());
        if let Some(found) = found {
            self.best = found;
            return true;
        }
        false
    }

    /// Takes away deviations of a family: all, then runs of half as many, and so on down to single ones.
    fn thin_out(&mut self, family: Family) {
        let mut chunk = self.places(family).len();
        while chunk > 0 && !self.spent() {
            let mut end = self.places(family).len();
            // From the end: what comes after the failure's cause goes in a few steps.
            while end > 0 {
                let places = self.places(family);
                let start = end.saturating_sub(chunk);
                let gone = &places[start..end];
                let rest = self.best.iter().enumerate().filter(|(at, _)| !gone.contains(at));
                let rest: Vec<Change> = rest.map(|(_, change)| *change).collect();
                end = if self.accept(&rest) { start.min(self.places(family).len()) } else { start };
            }
            chunk = (chunk / 2).min(self.places(family).len());
        }
    }

    /// Where in the best run the decisions of a family are.
    fn places(&self, family: Family) -> Vec<usize> {
        let all = self.best.iter().enumerate();
        all.filter(|(_, change)| change.key.is(family)).map(|(at, _)| at).collect()
    }

    fn lower_values(&mut self) {
        let mut at = 0;
        while at < self.best.len() && !self.spent() {
            let change = self.best[at];
            let smaller = [1, change.value / 2, change.value.saturating_sub(1)];
            let mut lower = smaller.into_iter().filter(|&value| value > 0 && value < change.value);
            let lowered = !change.key.is(Family::Schedule)
                && lower.any(|value| {
                    let mut candidate = self.best.clone();
                    candidate[at].value = value;
                    self.accept(&candidate)
                });
            if !lowered {
                at += 1;
            }
        }
    }

    /// Looks for the failure without a look inside of reactor, pool and server. Threads have fewer moves then, and their
    /// decisions other numbers: these are searched anew.
    fn look_from_outside(&mut self) {
        if self.places(Family::Watch).is_empty() {
            return;
        }
        let given = |change: &&Change| !change.key.is(Family::Watch) && !change.key.is(Family::Schedule);
        let scenario: Vec<Change> = self.best.iter().filter(given).copied().collect();
        self.search_again(&scenario);
    }

    /// Has what goes wrong with a later connection go wrong with an earlier one: then the later need not be made.
    fn lower_subjects(&mut self) {
        let network = |change: &Change| {
            // Those that are counted for each connection; others are, for each thread.
            let families = [Family::Split, Family::Latency, Family::Readiness, Family::Line];
            change.subject() < TEST && families.into_iter().any(|family| change.key.is(family))
        };
        let Some(first) = self.best.iter().filter(|change| network(change)).map(Change::subject).min() else { return };
        // Two numbers for each connection: those of its sides.
        for fewer in [first & !1, (first / 2) & !1, 2].into_iter().filter(|&fewer| fewer > 0 && fewer <= first) {
            let moved = |change: &Change| {
                if network(change) { change.about(change.subject() - fewer) } else { *change }
            };
            let candidate: Vec<Change> = self.best.iter().map(moved).collect();
            if self.accept(&candidate) {
                return;
            }
        }
    }
}

/// One run whose panics are not shown: how it failed, if it did, and its choices.
pub(crate) fn quietly(choices: Choices, test: &dyn Fn(&Sim)) -> (Option<Panicked>, Choices) {
    let sim = Sim::new(choices);
    let result = caught(true, || test(&sim));
    let choices = sim.take_choices().0;
    // What is left is unwound, which may panic too.
    drop(caught(true, || drop(sim)));
    (result.err().map(|(panicked, _)| panicked), choices)
}
