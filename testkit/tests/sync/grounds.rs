//! All of it together: on both backends, on real threads, broken off anywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use handwound_reactor::sync::{self, Condvar, Mutex, RecvTimeoutError, Semaphore, TrySendError};
use handwound_reactor::{OsThreads, Threads};
use handwound_testkit::{Backend, Choices, Sim};

use super::{MS, join, run};

/// Producers, consumers, a lock, a condition variable, permits and joins: what came out, in order of arrival.
fn everything(threads: impl Threads, pace: Duration) -> Vec<u32> {
    let (sender, receiver) = sync::bounded(&threads, "raw", 2);
    let (results, done) = sync::unbounded(&threads, "done");
    let counted = Arc::new((Mutex::new(&threads, "count", 0), Condvar::new(&threads, "counted")));
    let permits = Arc::new(Semaphore::new(&threads, "permits", 2));
    let producers: Vec<_> = (0..3)
        .map(|producer| {
            let (sender, own) = (sender.clone(), threads.clone());
            let body = move || {
                for item in 0..6 {
                    own.sleep(pace * (producer + item % 3));
                    let number = producer * 10 + item;
                    match sender.send_timeout(number, pace) {
                        Ok(()) => {}
                        Err(TrySendError::Full(number)) => sender.send(number).unwrap(),
                        Err(TrySendError::Disconnected(_)) => panic!("there are receivers"),
                    }
                }
            };
            sync::spawn(&threads, &format!("producer {producer}"), body).unwrap()
        })
        .collect();
    drop(sender);
    for consumer in 0..3 {
        let (receiver, results, counted) = (receiver.clone(), results.clone(), Arc::clone(&counted));
        let (permits, own) = (Arc::clone(&permits), threads.clone());
        let body = move || {
            loop {
                let number = match receiver.recv_timeout(pace) {
                    Ok(number) => number,
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return,
                };
                {
                    let _permit = permits.acquire();
                    own.sleep(pace);
                }
                results.send(number).unwrap();
                *counted.0.lock() += 1;
                counted.1.notify_all();
            }
        };
        sync::spawn(&threads, &format!("consumer {consumer}"), body).unwrap();
    }
    drop((receiver, results));
    let (lock, changed) = &*counted;
    assert_eq!(*changed.wait_while(lock.lock(), |count| *count < 18), 18);
    producers.into_iter().for_each(join);
    done.iter().collect()
}

fn check_everything(mut numbers: Vec<u32>) {
    numbers.sort_unstable();
    assert_eq!(numbers, (0..3).flat_map(|ten| (0..6).map(move |one| ten * 10 + one)).collect::<Vec<_>>());
}

#[test]
fn the_same_seed_is_the_same_run_on_coroutines_and_on_os_threads() {
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 0..300 {
        let runs = [Backend::Coroutines, Backend::OsThreads].map(|backend| {
            let sim = Sim::new(Choices::seed(seed));
            sim.set_backend(backend);
            let threads = sim.threads();
            let numbers = run(&sim, move || everything(threads, 2 * MS));
            (sim.trace_hash(), sim.steps(), numbers)
        });
        assert_eq!(runs[0], runs[1], "seed {seed}");
        hashes.insert(runs[0].0);
        check_everything(runs[0].2.clone());
    }
    assert!(hashes.len() > 290, "the seeds make {} runs only", hashes.len());
}

#[test]
fn real_threads_do_the_same() {
    for _ in 0..20 {
        check_everything(everything(OsThreads::new(), Duration::from_micros(50)));
    }
}

#[test]
fn real_threads_get_every_item_however_they_are_pressed() {
    const ITEMS: u64 = 20_000;
    let threads = OsThreads::new();
    let (sender, receiver) = sync::bounded(&threads, "pressed", 3);
    let receivers: Vec<_> = (0..4)
        .map(|_| {
            let receiver = receiver.clone();
            let body = move || {
                let (mut sum, mut late) = (0, 0);
                loop {
                    // Short enough that time and items come together.
                    match receiver.recv_timeout(Duration::from_micros(late % 40)) {
                        Ok(number) => sum += number,
                        Err(RecvTimeoutError::Timeout) => late += 1,
                        Err(RecvTimeoutError::Disconnected) => return sum,
                    }
                }
            };
            sync::spawn(&threads, "receiver", body).unwrap()
        })
        .collect();
    drop(receiver);
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let sender = sender.clone();
            sync::spawn(&threads, "sender", move || (0..ITEMS / 4).for_each(|item| sender.send(item).unwrap())).unwrap()
        })
        .collect();
    drop(sender);
    senders.into_iter().for_each(join);
    let sum: u64 = receivers.into_iter().map(join).sum();
    let one: u64 = (0..ITEMS / 4).sum();
    assert_eq!(sum, 4 * one);
}

#[test]
fn real_time_is_waited_for_and_never_less() {
    let threads = OsThreads::new();
    let lock = Mutex::new(&threads, "lock", ());
    let (sender, receiver) = sync::bounded::<()>(&threads, "never", 1);
    let guard = lock.lock();
    for micros in [0, 50, 999, 2_500] {
        let until = threads.now() + Duration::from_micros(micros);
        assert!(lock.lock_until(until).is_none() && threads.now() >= until);
        let until = threads.now() + Duration::from_micros(micros);
        assert_eq!(receiver.recv_until(until), Err(RecvTimeoutError::Timeout));
        assert!(threads.now() >= until);
    }
    drop((sender, guard));
    assert!(lock.try_lock().is_some());
}

struct Counts(Arc<AtomicU32>);

impl Drop for Counts {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Wherever a simulation is broken off, all its threads are unwound, and what they hold is dropped.
#[test]
fn a_simulation_may_be_broken_off_in_the_middle_of_any_wait() {
    for backend in [Backend::Coroutines, Backend::OsThreads] {
        for steps in (0..300).step_by(11) {
            let drops = Arc::new(AtomicU32::new(0));
            let sim = Sim::new(Choices::seed(steps));
            sim.set_backend(backend);
            let (threads, own) = (sim.threads(), Counts(Arc::clone(&drops)));
            let body = move || {
                let _own = own;
                everything(threads, 2 * MS)
            };
            let handle = sync::spawn(&sim.threads(), "main", body).unwrap();
            for _ in 0..steps {
                sim.step();
            }
            drop(handle);
            drop(sim);
            assert_eq!(drops.load(Ordering::Relaxed), 1, "{steps} steps");
        }
    }
}
