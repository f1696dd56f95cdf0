//! A pool without threads: an event loop does its jobs itself.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use handwound_reactor::{EventLoop, Job, JobRefused, ThreadPool, Worker, WorkerHook};
use handwound_testkit::{Choices, Sim};

/// Counts what is called, and that nothing runs outside of the hook.
#[derive(Default)]
struct Counted {
    before: AtomicUsize,
    after: AtomicUsize,
    stopped: AtomicUsize,
    done: AtomicUsize,
}

impl WorkerHook for Counted {
    fn before_work(&self) {
        self.before.fetch_add(1, Ordering::SeqCst);
    }

    fn before_park(&self) {
        self.after.fetch_add(1, Ordering::SeqCst);
    }

    fn stopped(&self) {
        self.stopped.fetch_add(1, Ordering::SeqCst);
    }
}

struct Counts(Arc<Counted>, bool);

impl Job for Counts {
    fn run(self: Arc<Self>, worker: &mut Worker<'_>) {
        assert!(worker.is_inline());
        assert_eq!(self.0.before.load(Ordering::SeqCst), self.0.after.load(Ordering::SeqCst) + 1);
        self.0.done.fetch_add(1, Ordering::SeqCst);
        assert!(!self.1, "asked to");
    }

    fn describe(&self) -> String {
        "counts".to_owned()
    }
}

fn inline(sim: &Sim) -> (EventLoop, ThreadPool, Arc<Counted>) {
    let event_loop = EventLoop::new(sim.reactor("loop"), sim.threads());
    event_loop.suggest_thread_pool(0..=0);
    let (pool, counted) = (event_loop.thread_pool(), Arc::new(Counted::default()));
    pool.set_hook(counted.clone());
    (event_loop, pool, counted)
}

#[test]
fn jobs_run_in_the_turn_that_submits_them_and_no_turn_does_too_many() {
    let sim = Sim::new(Choices::calm());
    let (event_loop, pool, counted) = inline(&sim);
    for _ in 0..100 {
        event_loop.submit(&pool, Arc::new(Counts(counted.clone(), false))).unwrap();
    }
    event_loop.turn().unwrap();
    assert_eq!((counted.done.load(Ordering::SeqCst), pool.counts().queued), (64, 36));
    event_loop.turn().unwrap();
    assert_eq!((counted.done.load(Ordering::SeqCst), pool.counts().queued), (100, 0));
    assert_eq!((counted.before.load(Ordering::SeqCst), counted.after.load(Ordering::SeqCst)), (2, 2));
}

#[test]
fn a_panic_costs_one_job() {
    let sim = Sim::new(Choices::calm());
    let (event_loop, pool, counted) = inline(&sim);
    for panics in [false, true, false] {
        event_loop.submit(&pool, Arc::new(Counts(counted.clone(), panics))).unwrap();
    }
    event_loop.turn().unwrap();
    assert_eq!((counted.done.load(Ordering::SeqCst), pool.busy().len()), (3, 0));
}

#[test]
fn nobody_else_submits_to_it() {
    let sim = Sim::new(Choices::calm());
    let (event_loop, pool, counted) = inline(&sim);
    assert_eq!(pool.submit(|| {}), Err(JobRefused::NoThreads));
    assert_eq!(pool.queue_job(Arc::new(Counts(counted, false))), Err(JobRefused::NoThreads));
    assert!(pool.is_inline() && event_loop.thread_pool().is(&pool));
}

#[test]
fn a_stop_does_what_is_queued() {
    let sim = Sim::new(Choices::calm());
    let (event_loop, pool, counted) = inline(&sim);
    let (runs, submitted) = (event_loop.clone(), counted.clone());
    sim.spawn("loop", move || drop(runs.run().unwrap()));
    event_loop
        .call_from_thread(move |event_loop| {
            for _ in 0..200 {
                event_loop.submit(&pool, Arc::new(Counts(submitted.clone(), false))).unwrap();
            }
            event_loop.stop().unwrap();
        })
        .unwrap();
    sim.settle();
    assert!(!event_loop.is_running());
    assert_eq!((counted.done.load(Ordering::SeqCst), counted.stopped.load(Ordering::SeqCst)), (200, 1));
    sim.assert_clean();
}
