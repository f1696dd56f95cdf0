//! A calm pool leaves no job lying either: one that comes as the only worker looks its last, or one behind a job that
//! waits.

use std::sync::Arc;
use std::time::Duration;

use loom::sync::Mutex;

use super::pool_tests::Jobs;
use super::sound::thread_pool::{Attendant, Job, PoolConfig, ThreadPool, Worker, WorkerHook};
use super::threads::LoomThreads;
use super::{check, defect};
use crate::Time;

struct OneAtATime;

impl WorkerHook for OneAtATime {
    fn one_at_a_time(&self) -> bool {
        true
    }
}

/// A call that is a job.
struct Act(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Job for Act {
    fn run(self: Arc<Self>, _worker: &mut Worker<'_>) {
        let act = self.0.lock().unwrap().take();
        act.unwrap()();
    }

    fn describe(&self) -> String {
        String::new()
    }
}

/// What a loop does that submits.
struct Loop {
    pool: ThreadPool,
    attendant: Attendant,
    now: Time,
}

impl Loop {
    fn with_workers(threads: std::ops::RangeInclusive<usize>) -> Loop {
        let pool = ThreadPool::new(LoomThreads, PoolConfig::from(threads));
        pool.set_hook(Arc::new(OneAtATime));
        pool.start().unwrap();
        Loop { pool, attendant: Attendant::default(), now: Time::ZERO }
    }

    fn submit(&mut self, act: impl FnOnce() + Send + 'static) {
        self.pool.queue_job(Arc::new(Act(Mutex::new(Some(Box::new(act)))))).unwrap();
        self.attendant.wake(&self.pool, self.now);
    }

    /// Looks as often as it should, and then sleeps.
    fn look_after_it(&mut self) {
        while let Some(at) = self.attendant.next_look() {
            self.now = at;
            self.attendant.look(at);
            loom::thread::yield_now();
        }
        self.attendant.rest();
    }
}

/// The first of two jobs waits for the second.
fn a_job_that_waits(looks: bool) {
    let mut event_loop = Loop::with_workers(1..=2);
    let (first, second) = (Jobs::new(1), Jobs::new(1));
    let (end, let_it_end, job) = (first.job(), second.job(), second);
    event_loop.submit(move || {
        job.wait();
        end();
    });
    event_loop.submit(let_it_end);
    if looks {
        event_loop.look_after_it();
    }
    first.wait();
    event_loop.pool.begin_stop(|| {});
}

#[test]
fn a_job_that_comes_as_the_only_worker_looks_its_last_is_done() {
    check(2, || {
        let mut event_loop = Loop::with_workers(1..=1);
        for _ in 0..2 {
            let jobs = Jobs::new(1);
            event_loop.submit(jobs.job());
            jobs.wait();
        }
        let jobs = Jobs::new(2);
        event_loop.submit(jobs.job());
        event_loop.submit(jobs.job());
        jobs.wait();
        event_loop.pool.begin_stop(|| {});
    });
}

#[test]
fn a_job_that_waits_for_the_next_is_relieved() {
    check(2, || a_job_that_waits(true));
}

#[test]
fn a_loop_that_does_not_look_after_a_calm_pool_is_found() {
    let said = defect(2, || a_job_that_waits(false));
    assert!(said.contains("deadlock"), "{said}");
}

#[test]
fn a_job_from_elsewhere_is_done_while_the_loop_sleeps() {
    check(2, || {
        let mut event_loop = Loop::with_workers(1..=2);
        let (first, second) = (Jobs::new(1), Jobs::new(1));
        let (end, let_it_end, job, elsewhere) = (first.job(), second.job(), second, event_loop.pool.clone());
        event_loop.submit(move || {
            job.wait();
            end();
        });
        event_loop.look_after_it();
        loom::thread::spawn(move || elsewhere.submit(let_it_end).unwrap());
        first.wait();
        event_loop.pool.begin_stop(|| {});
    });
}

#[test]
fn a_stop_finds_workers_for_what_is_behind_a_job_that_waits() {
    check(2, || {
        let mut event_loop = Loop::with_workers(1..=2);
        let (stopped, second) = (Jobs::new(1), Jobs::new(1));
        let (let_it_end, job) = (second.job(), second);
        event_loop.submit(move || job.wait());
        event_loop.submit(let_it_end);
        event_loop.pool.begin_stop(stopped.job());
        stopped.wait();
    });
}
