//! The thread pool at its edges: workers that retire, jobs that come just then.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use handwound_reactor::{Job, JobRefused, PoolConfig, ThreadPool, Threads, Worker, WorkerHook};
use handwound_testkit::{All, Choices, Sim, explore_all};

const IDLE: Duration = Duration::from_secs(1);

/// A pool whose surplus workers retire after [`IDLE`].
fn pool(sim: &Sim, min: usize, max: usize) -> ThreadPool {
    let mut config = PoolConfig::from(min..=max);
    config.idle_max = IDLE;
    let pool = ThreadPool::new(sim.threads(), config);
    pool.start().unwrap();
    pool
}

#[test]
fn a_job_that_comes_as_the_last_worker_retires_is_done() {
    explore_all(All::default(), |sim| {
        let pool = pool(sim, 0, 1);
        let done = Arc::new(AtomicUsize::new(0));
        let job = |done: Arc<AtomicUsize>| move || assert!(done.fetch_add(1, Ordering::SeqCst) < 2);
        pool.submit(job(done.clone())).unwrap();
        let (submitter, threads, second) = (pool.clone(), sim.threads(), job(done.clone()));
        sim.spawn("submitter", move || {
            threads.sleep(IDLE);
            submitter.submit(second).unwrap();
        });
        sim.advance(IDLE + IDLE / 2);
        assert_eq!((done.load(Ordering::SeqCst), pool.counts().queued), (2, 0));
    });
}

/// Takes its time when a worker ends, as an interpreter may that others are using.
struct SlowEnd<T>(T);

impl<T: Threads> WorkerHook for SlowEnd<T> {
    fn stopped(&self) {
        self.0.sleep(IDLE);
    }
}

#[test]
fn workers_that_retire_together_leave_the_minimum() {
    let sim = Sim::new(Choices::seed(1));
    let pool = pool(&sim, 0, 4);
    pool.set_hook(Arc::new(SlowEnd(sim.threads())));
    for _ in 0..4 {
        let threads = sim.threads();
        pool.submit(move || threads.sleep(IDLE)).unwrap();
    }
    sim.advance(IDLE / 2);
    assert_eq!(pool.counts().threads, 4);
    pool.resize(2..=4);
    sim.advance(10 * IDLE);
    assert_eq!(pool.counts().threads, 2);
}

#[test]
fn a_smaller_maximum_leaves_as_many() {
    let sim = Sim::new(Choices::seed(1));
    let pool = pool(&sim, 0, 1);
    pool.set_hook(Arc::new(SlowEnd(sim.threads())));
    pool.resize(4..=4);
    sim.settle();
    pool.resize(1..=2);
    sim.advance(IDLE / 2);
    sim.advance(10 * IDLE);
    assert_eq!(pool.counts().threads, 1, "two at first, of which one has nothing to do for long");
}

/// Looks at its pool when it runs, when it is asked what it is, and when it is dropped.
struct Curious(ThreadPool);

impl Job for Curious {
    fn run(self: Arc<Self>, _worker: &mut Worker<'_>) {
        let _me = self.0.busy();
    }

    fn describe(&self) -> String {
        format!("one of {} queued", self.0.counts().queued)
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        let _ = (self.0.busy(), self.0.counts());
    }
}

#[test]
fn jobs_are_described_and_dropped_under_no_lock() {
    let sim = Sim::new(Choices::seed(1));
    let started = pool(&sim, 1, 1);
    started.queue_job(Arc::new(Curious(started.clone()))).unwrap();
    assert_eq!(started.outstanding()[0].what, "one of 1 queued waits for a worker of the pool `worker`");
    started.wake_for_backlog();
    let never_started = ThreadPool::new(sim.threads(), 1..=1);
    never_started.queue_job(Arc::new(Curious(never_started.clone()))).unwrap();
    never_started.begin_stop(|| {});
    sim.settle();
    assert_eq!(started.counts().busy, 0);
}

#[test]
fn a_job_beyond_the_bound_is_refused_and_the_next_after_one_has_begun_is_not() {
    let sim = Sim::new(Choices::calm());
    let mut config = PoolConfig::from(1..=1);
    config.queued_jobs_max = 2;
    let pool = ThreadPool::new(sim.threads(), config);
    let done = Arc::new(AtomicUsize::new(0));
    let submit = || {
        let (threads, done) = (sim.threads(), done.clone());
        pool.submit(move || {
            threads.sleep(IDLE);
            done.fetch_add(1, Ordering::SeqCst);
        })
    };
    assert_eq!([submit(), submit(), submit()], [Ok(()), Ok(()), Err(JobRefused::Full)]);
    pool.start().unwrap();
    sim.advance(IDLE / 2);
    assert_eq!([submit(), submit()], [Ok(()), Err(JobRefused::Full)], "one runs, one waits");
    sim.advance(10 * IDLE);
    assert_eq!(done.load(Ordering::SeqCst), 3, "none that was taken is lost");
}
