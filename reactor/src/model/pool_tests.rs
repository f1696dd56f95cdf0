//! No job that a pool has taken is left lying, however its submission falls together with workers that wait, start or
//! end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::threads::LoomThreads;
use super::{check, defect};
use crate::{Gate, Threads};

/// A pool over whichever primitives. Where nobody comes for a job, whoever waits for it waits for ever, which loom calls
/// a deadlock.
macro_rules! pool_with {
    ($ground:ident) => {
        mod $ground {
            use super::*;
            pub(super) use crate::model::$ground::thread_pool::{PoolConfig, ThreadPool};

            pub(super) fn pool(threads: std::ops::RangeInclusive<usize>) -> ThreadPool {
                let pool = ThreadPool::new(LoomThreads, PoolConfig::from(threads));
                pool.start().unwrap();
                pool
            }

            /// Two threads submit a job each, and then one of them another: one worker does all three.
            pub(super) fn jobs_from_two_threads() {
                let pool = pool(1..=1);
                let jobs = Jobs::new(2);
                let (submitter, job) = (pool.clone(), jobs.job());
                loom::thread::spawn(move || submitter.submit(job).unwrap());
                pool.submit(jobs.job()).unwrap();
                jobs.wait();
                let last = Jobs::new(1);
                pool.submit(last.job()).unwrap();
                last.wait();
                pool.begin_stop(|| {});
            }
        }
    };
}

pool_with!(sound);
pool_with!(torn);

/// Some jobs, and who waits for the last of them.
pub(super) struct Jobs(Arc<(AtomicUsize, Gate)>);

impl Jobs {
    pub(super) fn new(count: usize) -> Jobs {
        Jobs(Arc::new((AtomicUsize::new(count), LoomThreads.gate("jobs"))))
    }

    pub(super) fn job(&self) -> impl FnOnce() + Send + 'static {
        let shared = self.0.clone();
        move || {
            if shared.0.fetch_sub(1, Ordering::SeqCst) == 1 {
                shared.1.unpark();
            }
        }
    }

    pub(super) fn wait(&self) {
        self.0.1.park();
    }
}

#[test]
fn one_worker_does_the_jobs_of_two_threads() {
    check(2, sound::jobs_from_two_threads);
}

#[test]
fn a_job_that_waits_for_the_next_gets_a_second_worker() {
    check(2, || {
        let pool = sound::pool(1..=2);
        let (first, second) = (Jobs::new(1), Jobs::new(1));
        let (end, let_it_end, job) = (first.job(), second.job(), second);
        pool.submit(move || {
            job.wait();
            end();
        })
        .unwrap();
        pool.submit(let_it_end).unwrap();
        first.wait();
        pool.begin_stop(|| {});
    });
}

#[test]
fn a_job_that_is_taken_as_the_pool_stops_is_done_before_it_has_stopped() {
    check(2, || {
        let pool = sound::pool(1..=1);
        let (taken, stopped, submitter) = (Arc::new(AtomicUsize::new(0)), Jobs::new(1), pool.clone());
        let done = taken.clone();
        let submitting = loom::thread::spawn(move || {
            let done = taken.clone();
            let job = move || done.store(1, Ordering::SeqCst);
            usize::from(submitter.submit(job).is_ok())
        });
        pool.begin_stop(stopped.job());
        stopped.wait();
        let done = done.load(Ordering::SeqCst);
        assert_eq!(submitting.join().unwrap(), done);
    });
}

#[test]
fn a_look_at_what_waits_keeps_no_job_from_its_worker() {
    check(2, || {
        let pool = sound::pool(1..=1);
        let (first, second, curious) = (Jobs::new(1), Jobs::new(1), pool.clone());
        pool.submit(first.job()).unwrap();
        first.wait();
        loom::thread::spawn(move || drop(curious.outstanding()));
        pool.submit(second.job()).unwrap();
        second.wait();
        pool.begin_stop(|| {});
    });
}

#[test]
fn a_claim_to_call_the_standby_that_is_not_one_step_is_found() {
    let said = defect(2, torn::jobs_from_two_threads);
    assert!(said.contains("deadlock"), "{said}");
}
