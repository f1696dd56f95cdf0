//! A guard against hidden chance: the same run twice, compared event by event.

use crate::choices::Choices;
use crate::sim::Sim;

/// Runs `test` twice with each seed and compares all that happens: every event, and the bytes that are moved.
///
/// What differs between two runs with the same seed was left to chance: a real clock, the order of a `HashMap`,
/// randomness of the system, an address that is printed, what an earlier run has left behind. Failures of such a
/// test cannot be repeated.
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
            let prints = sim.with(|w| w.trace.take_prints());
            Run { hash: sim.trace_hash(), text: sim.trace(), prints }
        });
        if let Some(difference) = difference(&runs) {
            panic!(
                "seed {seed} does not make the same run twice: {difference}\nsomething in the test is left to chance \
                 (a real clock, a HashMap's order, randomness of the system, an address, state kept from one run to \
                 the next)"
            );
        }
    }
}

struct Run {
    hash: u64,
    text: String,
    /// Of each event, one number that stands for all of it.
    prints: Vec<u64>,
}

impl Run {
    /// What happened at event `index`, counted from zero.
    fn event(&self, index: usize) -> String {
        if index >= self.prints.len() {
            return "has ended".to_owned();
        }
        let kept = self.text.lines().filter(|line| !line.starts_with('…')).collect::<Vec<_>>();
        let dropped = self.prints.len().saturating_sub(kept.len());
        match index.checked_sub(dropped).and_then(|at| kept.get(at)) {
            Some(line) => (*line).to_owned(),
            None => "(too long ago: events as old as this are no longer kept)".to_owned(),
        }
    }
}

fn difference([first, second]: &[Run; 2]) -> Option<String> {
    let same = first.prints.iter().zip(&second.prints).take_while(|(one, other)| one == other).count();
    if same == first.prints.len() && same == second.prints.len() && first.hash == second.hash {
        return None;
    }
    let (one, other) = (first.event(same), second.event(same));
    let bytes = if one == other { "\nthe same but for the bytes that are moved, or names that are new" } else { "" };
    Some(format!("event {same} is the first to differ\n  first   {one}\n  second  {other}{bytes}"))
}
