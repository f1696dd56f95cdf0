//! A guard against hidden chance: the same run twice, compared event by event.

use std::any::Any;

use crate::choices::Choices;
use crate::failure::{Failure, Panicked, caught};
use crate::runner::Runner;
use crate::sim::Sim;

/// What is said about a run that cannot be had again.
pub(crate) const ADVICE: &str = "something in the test is left to chance (a real clock, a HashMap's order, randomness \
                                 of the system, an address, state kept from one run to the next)";

/// Runs `test` twice with each seed and compares all that happens: every event, and the bytes that are moved.
///
/// What differs between two runs with the same seed was left to chance: a real clock, the order of a `HashMap`,
/// randomness of the system, an address that is printed, what an earlier run has left behind. Failures of such a
/// test cannot be repeated. [`Exploration::twice`](crate::Exploration::twice) does the same for any exploration.
///
/// ```should_panic
/// use handwound_reactor::Threads;
/// use handwound_testkit::{check_deterministic, seeds};
/// use std::time::Instant;
///
/// let started = Instant::now();
/// check_deterministic(seeds(3), |sim| {
///     let threads = sim.threads();
///     // Sleeps for simulated time, but as long as real time says.
///     sim.spawn("sleeper", move || threads.sleep(started.elapsed()));
///     sim.settle();
/// });
/// ```
///
/// # Panics
/// When two runs differ: with the first event that does, as each of them had it. With the test's own panic.
#[track_caller]
pub fn check_deterministic(seeds: impl IntoIterator<Item = u64>, test: impl Fn(&Sim)) {
    for seed in seeds {
        let runs = [(); 2].map(|()| {
            let sim = Sim::new(Choices::seed(seed));
            sim.with(|w| w.trace.keep_prints());
            test(&sim);
            Evidence::of(&sim)
        });
        if let Some(difference) = difference(&runs) {
            panic!("seed {seed} does not make the same run twice: {difference}\n{ADVICE}");
        }
    }
}

/// What a run has left to be compared with another.
pub(crate) struct Evidence {
    hash: u64,
    text: String,
    /// Of each event, one number that stands for all of it; empty where they were not kept.
    prints: Vec<u64>,
}

impl Evidence {
    pub(crate) fn of(sim: &Sim) -> Evidence {
        let prints = sim.with(|w| w.trace.take_prints());
        Evidence { hash: sim.trace_hash(), text: sim.trace(), prints }
    }

    /// How many events there were, and the text of those that are kept.
    fn kept(&self) -> (usize, Vec<&str>) {
        let kept: Vec<&str> = self.text.lines().filter(|line| !line.starts_with('…')).collect();
        let dropped = self.text.strip_prefix("… ").and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0);
        (dropped + kept.len(), kept)
    }

    /// What happened at event `index`, counted from zero.
    fn event(&self, index: usize) -> String {
        let (count, kept) = self.kept();
        if index >= count {
            return "has ended".to_owned();
        }
        match index.checked_sub(count - kept.len()) {
            Some(at) => kept[at].to_owned(),
            None => "(too long ago: events as old as this are no longer kept)".to_owned(),
        }
    }

    /// The first event that is not as `other` has it; by their texts.
    fn parts_from(&self, other: &Evidence) -> usize {
        let ((count, kept), (others, of_other)) = (self.kept(), other.kept());
        let oldest = (count - kept.len()).max(others - of_other.len());
        (oldest..count.min(others)).find(|&at| self.event(at) != other.event(at)).unwrap_or(count.min(others))
    }
}

/// What differs first between two runs that should be the same.
pub(crate) fn difference([first, second]: &[Evidence; 2]) -> Option<String> {
    let with_prints = !first.prints.is_empty() && !second.prints.is_empty();
    if first.hash == second.hash && (!with_prints || first.prints == second.prints) {
        return None;
    }
    let same = if with_prints {
        first.prints.iter().zip(&second.prints).take_while(|(one, other)| one == other).count()
    } else {
        first.parts_from(second)
    };
    let (one, other) = (first.event(same), second.event(same));
    let bytes = if one == other { "\nthe same but for the bytes that are moved, or names that are new" } else { "" };
    Some(format!("event {same} is the first to differ\n  first   {one}\n  second  {other}{bytes}"))
}

/// One more run, with all that it leaves to compare. Its panics are not shown.
pub(crate) fn witness(choices: Choices, test: &dyn Fn(&Sim)) -> (Option<Panicked>, Choices, Evidence) {
    let sim = Sim::new(choices);
    sim.with(|w| w.trace.keep_prints());
    let result = caught(true, || test(&sim));
    let evidence = Evidence::of(&sim);
    let choices = sim.take_choices().0;
    // What is left is unwound, which may panic too.
    drop(caught(true, || drop(sim)));
    (result.err().map(|(panicked, _): (Panicked, Box<dyn Any + Send>)| panicked), choices, evidence)
}

impl Runner<'_> {
    /// After a run that has failed, and once more with the same choices: what differs. Where all steps are the same, it
    /// is made a third time from its record, as the first was not watched for the bytes it moves.
    pub(crate) fn parts(&self, first: Option<Evidence>, second: Evidence, line: &str) -> Option<String> {
        let mut runs = [first?, second];
        if let Some(difference) = difference(&runs) {
            return Some(difference);
        }
        runs[0] = witness(Choices::replay(line).ok()?, self.test).2;
        runs.swap(0, 1);
        difference(&runs)
    }

    /// After a run that has passed: whether it passes again, by the same steps.
    pub(crate) fn passes_again(
        &mut self,
        origin: &str,
        first: Option<Evidence>,
        choices: impl FnOnce() -> Choices,
    ) -> Result<(), Box<Failure>> {
        let Some(first) = first.filter(|_| self.twice) else { return Ok(()) };
        self.report.runs += 1;
        let (panicked, choices, second) = witness(choices(), self.test);
        let also = match (&panicked, choices.verdict()) {
            (_, Some(void)) => format!("\nthe second time {void}"),
            (Some(panicked), None) => format!("\nthe second time it failed: {}", panicked.message),
            (None, None) => String::new(),
        };
        let difference = difference(&[first, second]);
        if difference.is_none() && also.is_empty() {
            return Ok(());
        }
        let difference = difference.unwrap_or_else(|| "the same steps, but not the same end".to_owned());
        Err(self.failed_without_run(format!("{origin} does not make the same run twice: {difference}{also}\n{ADVICE}")))
    }
}
