//! A pool whose workers exclude each other, as an event loop looks after it: one worker does what is short, and jobs that
//! wait for something are relieved within about a millisecond.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handwound_reactor::{EventLoop, Gate, Job, ThreadPool, Threads, Worker, WorkerHook};
use handwound_testkit::{All, Choices, Sim, SimThreads, explore, explore_all, seeds};

const MS: Duration = Duration::from_millis(1);

/// Counts how often workers come to work; perhaps with a lock that they keep until they wait.
struct OneAtATime {
    came: AtomicUsize,
    lock: Option<Lock>,
}

impl WorkerHook for OneAtATime {
    fn before_work(&self) {
        self.came.fetch_add(1, Ordering::SeqCst);
        if let Some(lock) = &self.lock {
            lock.acquire();
        }
    }

    fn before_park(&self) {
        if let Some(lock) = &self.lock {
            lock.release();
        }
    }

    fn one_at_a_time(&self) -> bool {
        true
    }
}

/// Goes to who has waited for it longest.
struct Lock {
    threads: SimThreads,
    state: Mutex<(bool, VecDeque<Gate>)>,
}

impl Lock {
    fn acquire(&self) {
        let gate = self.threads.gate("lock");
        {
            let mut state = self.state.lock().unwrap();
            if !std::mem::replace(&mut state.0, true) {
                return;
            }
            state.1.push_back(gate.clone());
        }
        gate.park();
    }

    fn release(&self) {
        let next = {
            let mut state = self.state.lock().unwrap();
            let next = state.1.pop_front();
            state.0 = next.is_some();
            next
        };
        if let Some(next) = next {
            next.unpark();
        }
    }
}

/// Takes its time and is counted.
struct Takes {
    time: Duration,
    /// Lets others have the lock first.
    yields: bool,
    threads: SimThreads,
    done: Arc<AtomicUsize>,
    /// Who has done one that is shorter than a millisecond.
    short_by: Arc<Mutex<BTreeSet<String>>>,
}

impl Job for Takes {
    fn run(self: Arc<Self>, worker: &mut Worker<'_>) {
        if self.yields {
            worker.unhooked(|| ());
        }
        if !self.time.is_zero() {
            self.threads.sleep(self.time);
        }
        self.done.fetch_add(1, Ordering::SeqCst);
        if self.time < MS {
            self.short_by.lock().unwrap().insert(worker.name().to_owned());
        }
    }

    fn describe(&self) -> String {
        format!("takes {:?}", self.time)
    }
}

/// A loop that runs as a thread of the simulation, with a pool of this many workers.
struct Served {
    event_loop: EventLoop,
    pool: ThreadPool,
    hook: Arc<OneAtATime>,
    threads: SimThreads,
    done: Arc<AtomicUsize>,
    short_by: Arc<Mutex<BTreeSet<String>>>,
}

impl Served {
    fn new(sim: &Sim, workers: usize) -> Served {
        Served::with_lock(sim, workers, None)
    }

    fn with_lock(sim: &Sim, workers: usize, lock: Option<Lock>) -> Served {
        let event_loop = EventLoop::new(sim.reactor("loop"), sim.threads());
        event_loop.suggest_thread_pool(workers..=workers);
        let pool = event_loop.thread_pool();
        Served::with_pool(sim, event_loop, pool, lock)
    }

    fn with_pool(sim: &Sim, event_loop: EventLoop, pool: ThreadPool, lock: Option<Lock>) -> Served {
        let hook = Arc::new(OneAtATime { came: AtomicUsize::new(0), lock });
        pool.set_hook(hook.clone());
        let runs = event_loop.clone();
        sim.spawn("loop", move || drop(runs.run().unwrap()));
        sim.settle();
        Served { event_loop, pool, hook, threads: sim.threads(), done: Arc::default(), short_by: Arc::default() }
    }

    /// Has the loop submit these jobs in one turn.
    fn submit(&self, times: &[Duration]) {
        self.submit_yielding(times, usize::MAX);
    }

    /// The job at this place lets others have the lock.
    fn submit_yielding(&self, times: &[Duration], yields_at: usize) {
        let job = |(place, time): (usize, &Duration)| {
            let (threads, done, short_by) = (self.threads.clone(), self.done.clone(), self.short_by.clone());
            Arc::new(Takes { time: *time, yields: place == yields_at, threads, done, short_by })
        };
        let (jobs, pool): (Vec<_>, _) = (times.iter().enumerate().map(job).collect(), self.pool.clone());
        let submit =
            move |event_loop: &EventLoop| jobs.into_iter().for_each(|job| event_loop.submit(&pool, job).unwrap());
        self.event_loop.call_from_thread(submit).unwrap();
    }

    fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }

    /// How often workers came to work since it was last asked.
    fn came(&self) -> usize {
        self.hook.came.swap(0, Ordering::SeqCst)
    }

    fn stop(&self, sim: &Sim) {
        self.event_loop.call_from_thread(|event_loop| event_loop.stop().unwrap()).unwrap();
        sim.settle();
        sim.assert_clean();
    }
}

#[test]
fn one_worker_does_what_is_short() {
    explore(seeds(50), |sim| {
        let served = Served::new(sim, 4);
        assert_eq!(served.came(), 4);
        for _ in 0..3 {
            served.submit(&[Duration::ZERO; 30]);
            sim.settle();
        }
        assert_eq!((served.done(), served.came()), (90, 3));
        served.stop(sim);
    });
}

#[test]
fn what_waits_behind_a_job_that_blocks_is_done_within_two_milliseconds() {
    explore(seeds(200), |sim| {
        let served = Served::new(sim, 3);
        // Whatever the pool was used to.
        served.submit(&[Duration::ZERO; 5]);
        sim.settle();
        served.submit(&[Duration::from_secs(10), Duration::ZERO, Duration::from_secs(10), Duration::ZERO]);
        sim.advance(2 * MS);
        assert_eq!(served.done(), 5 + 2, "{:?}", served.pool);
        sim.settle();
        served.stop(sim);
    });
}

#[test]
fn jobs_that_block_have_a_worker_each() {
    explore(seeds(50), |sim| {
        let served = Served::new(sim, 8);
        served.submit(&[10 * MS; 24]);
        sim.advance(3 * 10 * MS + 5 * MS);
        assert_eq!(served.done(), 24);
        sim.settle();
        served.stop(sim);
    });
}

/// They keep the lock, so a standby cannot help; it comes when the lock is let go at last, and goes again.
#[test]
fn long_jobs_that_wait_for_nothing_have_one_worker() {
    for yields_at in [5, usize::MAX] {
        let sim = Sim::new(Choices::calm());
        let lock = Lock { threads: sim.threads(), state: Mutex::default() };
        let served = Served::with_lock(&sim, 4, Some(lock));
        served.came();
        served.submit_yielding(&[MS / 2; 20], yields_at);
        sim.advance(MS * 4);
        let again = usize::from(yields_at == 5);
        assert_eq!(served.came(), 2 + again, "the runner, the standby, and the runner after that");
        sim.advance(MS * 7);
        assert_eq!((served.done(), served.came()), (20, 0));
        served.submit(&[Duration::ZERO; 30]);
        sim.settle();
        assert_eq!((served.done(), served.came()), (50, 1), "it is calm");
        served.stop(&sim);
    }
}

#[test]
fn workers_that_are_awake_when_a_pool_calms_down_leave_the_queue_to_one() {
    explore(seeds(50), |sim| {
        let served = Served::new(sim, 4);
        served.submit(&[MS * 300; 4]);
        sim.advance(MS * 295 + MS / 2);
        served.submit(&[MS / 100; 200]);
        sim.advance(MS * 10);
        assert_eq!(served.done(), 204);
        let by = served.short_by.lock().unwrap().clone();
        assert_eq!(by.len(), 1, "{by:?}");
        served.stop(sim);
    });
}

#[test]
fn a_loop_that_ends_leaves_jobs_to_as_many_workers_as_they_need() {
    explore(seeds(50), |sim| {
        let event_loop = EventLoop::new(sim.reactor("loop"), sim.threads());
        let pool = ThreadPool::new(sim.threads(), 2..=2);
        let served = Served::with_pool(sim, event_loop, pool, None);
        served.pool.start().unwrap();
        sim.settle();
        served.submit(&[Duration::from_secs(10), Duration::ZERO]);
        served.event_loop.call_from_thread(|event_loop| event_loop.stop().unwrap()).unwrap();
        sim.advance(Duration::from_secs(1));
        assert!(!served.event_loop.is_running());
        assert_eq!(served.done(), 1);
        served.pool.begin_stop(|| {});
        sim.settle();
        sim.assert_clean();
    });
}

#[test]
fn a_pool_is_calm_again_when_nothing_has_waited_for_long() {
    let sim = Sim::new(Choices::calm());
    let served = Served::new(&sim, 4);
    served.submit(&[10 * MS, Duration::ZERO, Duration::ZERO]);
    sim.settle();
    served.came();
    served.submit(&[Duration::ZERO; 30]);
    sim.settle();
    assert!(served.came() > 1, "a standby is kept, for the next job that may wait");
    sim.advance(250 * MS);
    served.submit(&[Duration::ZERO; 30]);
    sim.settle();
    assert_eq!(served.came(), 1);
    served.stop(&sim);
}

#[test]
fn a_call_from_elsewhere_is_done_while_the_only_worker_that_is_awake_waits() {
    explore(seeds(50), |sim| {
        let served = Served::new(sim, 2);
        served.submit(&[Duration::from_secs(10)]);
        sim.advance(Duration::from_secs(1));
        let done = served.done.clone();
        let call = move || {
            done.fetch_add(1, Ordering::SeqCst);
        };
        served.pool.submit(call).unwrap();
        sim.advance(MS);
        assert_eq!(served.done(), 1);
        sim.settle();
        served.stop(sim);
    });
}

#[test]
fn a_stop_does_what_waits_behind_a_job_that_blocks() {
    explore(seeds(50), |sim| {
        let served = Served::new(sim, 2);
        served.submit(&[Duration::from_millis(500), Duration::ZERO, Duration::ZERO]);
        served.stop(sim);
        assert_eq!(served.done(), 3);
    });
}

#[test]
fn a_worker_that_blocks_for_long_costs_few_ticks() {
    let sim = Sim::new(Choices::calm());
    let served = Served::new(&sim, 1);
    served.submit(&[Duration::from_secs(3600), Duration::ZERO]);
    sim.advance(Duration::from_secs(1));
    let before = sim.steps();
    sim.advance(Duration::from_secs(3000));
    assert_eq!(sim.steps(), before, "nothing moves");
    sim.settle();
    assert_eq!(served.done(), 2);
    served.stop(&sim);
}

/// Three jobs of which the first waits, a worker that is about to park, and the loop: in every order.
#[test]
fn no_job_is_left_in_any_order_of_loop_and_workers() {
    explore_all(All::default(), |sim| {
        let served = Served::new(sim, 2);
        served.submit(&[Duration::ZERO]);
        served.submit(&[MS * 5, Duration::ZERO]);
        sim.advance(20 * MS);
        assert_eq!((served.done(), served.pool.counts().queued), (3, 0));
    });
}
