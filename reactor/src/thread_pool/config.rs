//! The bounds of a pool.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The bounds of a pool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolConfig {
    /// Workers kept even when there is nothing to do, and at most.
    ///
    /// `0..=0` is an *inline* pool: its jobs run on the thread of the event loop that submits them, in the same turn. For
    /// jobs that are short and never wait for anything: while one runs, nothing else of the loop does. Nobody but an
    /// event loop may submit to it ([`JobRefused::NoThreads`](crate::JobRefused::NoThreads)).
    pub threads: RangeInclusive<usize>,
    /// Jobs that may wait; more are refused ([`JobRefused::Full`](crate::JobRefused::Full)), and over HTTP answered with 503.
    ///
    /// 16,384 by default: with 20 threads and 50 ms a job, the last of so many is begun after 41 s, when few clients
    /// still wait for their answer; a 503 at once serves them better. Fewer than the connections that a loop takes
    /// ([`LoopConfig::connections_max`](crate::LoopConfig::connections_max)), since a job keeps its place, and some KiB,
    /// when its client has left and connects again. All clients of a usual burst fit in.
    pub queued_jobs_max: usize,
    /// How long a worker beyond the minimum stays without work.
    pub idle_max: Duration,
    /// First part of the workers' names: `worker` makes `worker-1`.
    pub name: String,
}

impl Default for PoolConfig {
    fn default() -> PoolConfig {
        PoolConfig {
            threads: 5..=20,
            queued_jobs_max: 16 << 10,
            idle_max: Duration::from_secs(60),
            name: "worker".to_owned(),
        }
    }
}

impl From<RangeInclusive<usize>> for PoolConfig {
    fn from(threads: RangeInclusive<usize>) -> PoolConfig {
        PoolConfig { threads, ..PoolConfig::default() }
    }
}

pub(super) fn checked(threads: &RangeInclusive<usize>) -> (usize, usize) {
    let (min, max) = (*threads.start(), *threads.end());
    assert!((max >= 1 || min == 0) && min <= max, "a thread pool of {min} to {max} threads can do no work");
    (min, max)
}
