//! Schedules by priority with few changes: probabilistic concurrency testing.
//!
//! Each thread gets a priority by chance, and the highest that can go goes. At `depth - 1` steps drawn from the
//! first `steps`, the thread that would go falls below all others. A defect that needs `depth` ordering constraints
//! shows in a run of `n` threads and `steps` steps with a probability of at least `1 / (n * steps^(depth - 1))`
//! (Burckhardt, Kothari, Musuvathi, Nagarakatte: A Randomized Scheduler with Probabilistic Guarantees of Finding
//! Bugs, 2010).

use std::collections::BTreeMap;

use crate::chance::split_mix;

/// After so many moves in a row a thread falls below the others: one that waits by looking again and again must not
/// keep them from what it waits for.
const BURST_MAX: u32 = 256;

#[derive(Debug)]
pub(crate) struct Pct {
    stream: u64,
    priorities: BTreeMap<u32, u64>,
    /// The steps at which a priority falls, ascending, and how far.
    falls: Vec<(u64, u64)>,
    step: u64,
    last: u32,
    burst: u32,
    /// Below all that were given so far.
    lowest: u64,
}

impl Pct {
    pub(crate) fn new(seed: u64, depth: u32, steps: u64) -> Pct {
        let mut stream = seed ^ 0x5043_5400;
        let mut at = |_| 1 + split_mix(&mut stream) % steps.max(1);
        let mut steps: Vec<u64> = (1..depth).map(&mut at).collect();
        steps.sort_unstable();
        // Falls take the values `depth - 1` to 1 of the paper, moved up so that there is room below.
        let falls = steps.into_iter().enumerate().map(|(nth, step)| (step, (1 << 62) - nth as u64)).collect();
        Pct { stream, priorities: BTreeMap::new(), falls, step: 0, last: u32::MAX, burst: 0, lowest: 1 << 61 }
    }

    /// Which of `actors` goes next. Called at each step, also where only one can go.
    pub(crate) fn schedule(&mut self, actors: &[u32]) -> usize {
        self.step += 1;
        for &actor in actors {
            let stream = &mut self.stream;
            self.priorities.entry(actor).or_insert_with(|| split_mix(stream) >> 1 | 1 << 63);
        }
        let mut top = self.top(actors);
        while let Some(&(step, low)) = self.falls.first()
            && step <= self.step
        {
            self.falls.remove(0);
            self.priorities.insert(actors[top], low);
            top = self.top(actors);
        }
        self.burst = if actors[top] == self.last { self.burst + 1 } else { 0 };
        if self.burst >= BURST_MAX {
            self.lowest -= 1;
            self.priorities.insert(actors[top], self.lowest);
            top = self.top(actors);
            self.burst = 0;
        }
        self.last = actors[top];
        top
    }

    fn top(&self, actors: &[u32]) -> usize {
        let priority = |&(at, actor): &(usize, &u32)| (self.priorities.get(actor).copied(), std::cmp::Reverse(at));
        actors.iter().enumerate().max_by_key(priority).map_or(0, |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_falls_at_each_change_point_and_at_no_other() {
        for seed in 0..200 {
            let mut pct = Pct::new(seed, 3, 40);
            let order: Vec<usize> = (0..60).map(|_| pct.schedule(&[0, 1, 2])).collect();
            let changes = order.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert!(changes <= 2, "{order:?}");
        }
    }

    #[test]
    fn a_thread_that_never_ends_lets_others_go() {
        let mut pct = Pct::new(1, 2, 10);
        let order: Vec<usize> = (0..4 * BURST_MAX).map(|_| pct.schedule(&[0, 1])).collect();
        assert!(order.contains(&0) && order.contains(&1));
    }
}
