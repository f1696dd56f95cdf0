//! Channels, locks, condition variables and joins: in every order, on virtual time, and on real threads.
#![allow(clippy::unwrap_used)]

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use handwound_reactor::sync::{
    self, Condvar, JoinHandle, Mutex, RecvTimeoutError, Semaphore, SendError, TryRecvError, TrySendError,
};
use handwound_reactor::{OsThreads, Threads, Time, Unparked};
use handwound_testkit::{All, Backend, Choices, Exploration, Sim, explore, explore_all, seeds};

const MS: Duration = Duration::from_millis(1);

/// Has `program` run as a thread of the simulation, to its end.
fn run<T: Send + 'static>(sim: &Sim, program: impl FnOnce() -> T + Send + 'static) -> T {
    let handle = sync::spawn(&sim.threads(), "main", program).unwrap();
    sim.settle();
    sim.assert_no_deadlock();
    sim.assert_clean();
    join(handle)
}

fn join<T>(handle: JoinHandle<T>) -> T {
    handle.join().unwrap_or_else(|payload| resume_unwind(payload))
}

#[test]
fn a_full_channel_loses_nothing_in_any_order() {
    explore_all(All::default(), |sim| {
        let threads = sim.threads();
        let (sender, receiver) = sync::bounded(&threads, "numbers", 1);
        let senders = [1, 2].map(|number| {
            let sender = sender.clone();
            sync::spawn(&threads, "sender", move || sender.send(number).unwrap()).unwrap()
        });
        drop(sender);
        let mut received = run(sim, move || [receiver.recv().unwrap(), receiver.recv().unwrap()]);
        received.sort_unstable();
        assert_eq!(received, [1, 2]);
        senders.into_iter().for_each(join);
    });
}

#[test]
fn a_bounded_channel_keeps_the_order_and_tells_the_end_in_every_order() {
    explore_all(All::default(), |sim| {
        let threads = sim.threads();
        let (sender, receiver) = sync::bounded(&threads, "numbers", 1);
        sync::spawn(&threads, "sender", move || (0..3).for_each(|number| sender.send(number).unwrap())).unwrap();
        assert_eq!(run(sim, move || receiver.iter().collect::<Vec<_>>()), [0, 1, 2]);
    });
}

#[test]
fn each_item_is_received_once_and_the_end_by_all() {
    let test = |sim: &Sim| {
        let threads = sim.threads();
        let (sender, receiver) = sync::unbounded(&threads, "numbers");
        let spawn = |receiver: sync::Receiver<u32>| {
            sync::spawn(&threads, "receiver", move || receiver.iter().sum::<u32>()).unwrap()
        };
        let receivers = [spawn(receiver.clone()), spawn(receiver)];
        run(sim, move || [1, 2].map(|number| sender.send(number).unwrap()));
        assert_eq!(receivers.map(join).iter().sum::<u32>(), 3);
    };
    Exploration::bounded(2).run(test);
    explore(seeds(1_000), test);
}

#[test]
fn an_item_that_comes_as_time_runs_out_is_received_or_stays_in_every_order() {
    let outcomes = std::cell::RefCell::new(std::collections::BTreeSet::new());
    explore_all(All::default(), |sim| {
        let threads = sim.threads();
        let outcome = run(sim, move || {
            let (sender, receiver) = sync::bounded(&threads, "item", 1);
            let sleeper = threads.clone();
            let body = move || {
                sleeper.sleep(5 * MS);
                sender.send(7).unwrap();
                sleeper.sleep(5 * MS);
            };
            let thread = sync::spawn(&threads, "sender", body).unwrap();
            let first = receiver.recv_timeout(5 * MS);
            assert_eq!(threads.now(), Time::new(5 * MS));
            let second = receiver.recv();
            join(thread);
            (first, second.ok())
        });
        outcomes.borrow_mut().insert(format!("{outcome:?}"));
    });
    let both = ["(Err(Timeout), Some(7))", "(Ok(7), None)"].map(str::to_owned);
    assert_eq!(outcomes.into_inner(), both.into());
}

#[test]
fn channels_say_why_nothing_was_sent_or_received() {
    let sim = Sim::new(Choices::calm());
    let threads = sim.threads();
    run(&sim, move || {
        let (sender, receiver) = sync::bounded(&threads, "channel", 2);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(receiver.recv_timeout(3 * MS), Err(RecvTimeoutError::Timeout));
        assert_eq!(threads.now(), Time::new(3 * MS));
        assert_eq!((sender.try_send(1), sender.try_send(2)), (Ok(()), Ok(())));
        assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
        assert_eq!(sender.send_until(3, Time::new(9 * MS)), Err(TrySendError::Full(3)));
        assert_eq!((threads.now(), receiver.len()), (Time::new(9 * MS), 2));
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);
        sender.send(4).unwrap();
        drop(sender);
        assert_eq!((receiver.recv(), receiver.try_recv()), (Ok(4), Err(TryRecvError::Disconnected)));
        assert!(receiver.recv().is_err());

        let (sender, receiver) = sync::bounded(&threads, "channel", 1);
        let item = Arc::new(());
        sender.send(Arc::clone(&item)).unwrap();
        let waits = sender.clone();
        let blocked = sync::spawn(&threads, "blocked", move || waits.send(Arc::new(()))).unwrap();
        threads.sleep(MS);
        drop(receiver);
        assert!(matches!(join(blocked), Err(SendError(_))));
        assert_eq!(Arc::strong_count(&item), 1, "what nobody can receive is dropped");
        assert!(matches!(sender.try_send(item), Err(TrySendError::Disconnected(_))));
    });
}

/// Two threads add one each, and look and add in two steps.
fn counted(sim: &Sim, locked: bool) -> u32 {
    let threads = sim.threads();
    run(sim, move || {
        let (shared, count) = (threads.shared("count"), Arc::new(AtomicU32::new(0)));
        let lock = Arc::new(Mutex::new(&threads, "lock", ()));
        let adders = ["one", "two"].map(|name| {
            let (count, lock, visits) = (Arc::clone(&count), Arc::clone(&lock), threads.clone());
            let body = move || {
                let _guard = locked.then(|| lock.lock());
                visits.visit(shared);
                let seen = count.load(Ordering::Relaxed);
                visits.visit(shared);
                count.store(seen + 1, Ordering::Relaxed);
            };
            sync::spawn(&threads, name, body).unwrap()
        });
        adders.into_iter().for_each(join);
        count.load(Ordering::Relaxed)
    })
}

#[test]
fn a_lock_keeps_others_out_in_every_order() {
    explore_all(All::default(), |sim| assert_eq!(counted(sim, true), 2));
}

#[test]
fn without_the_lock_a_count_is_lost_and_found() {
    let failure = Exploration::all().check(|sim| assert_eq!(counted(sim, false), 2)).unwrap_err();
    assert!(failure.to_string().contains("left: 1"), "{failure}");
}

#[test]
fn a_lock_is_had_in_the_order_of_asking_and_given_up_in_time() {
    explore(seeds(200), |sim| {
        let threads = sim.threads();
        let order = run(sim, move || {
            let lock = Arc::new(Mutex::new(&threads, "lock", Vec::new()));
            let guard = lock.lock();
            let spawn = |number: u32, patience: Option<Duration>| {
                let (lock, own) = (Arc::clone(&lock), threads.clone());
                let body = move || {
                    own.sleep(number * MS);
                    let guard = match patience {
                        Some(patience) => lock.lock_timeout(patience),
                        None => Some(lock.lock()),
                    };
                    let given_up = guard.is_none();
                    if let Some(mut guard) = guard {
                        guard.push(number);
                        own.sleep(10 * MS);
                    }
                    (given_up, own.now())
                };
                sync::spawn(&threads, "asks", body).unwrap()
            };
            let patient = [1, 3, 4].map(|number| spawn(number, None));
            let impatient = spawn(2, Some(5 * MS));
            threads.sleep(20 * MS);
            assert!(lock.try_lock().is_none());
            assert_eq!(join(impatient), (true, Time::new(7 * MS)));
            drop(guard);
            // It has been promised to the first of them.
            assert!(lock.try_lock().is_none());
            let _had_it = patient.map(join);
            std::mem::take(&mut *lock.lock())
        });
        assert_eq!(order, [1, 3, 4]);
        assert_eq!(sim.now(), Time::new(50 * MS));
    });
}

#[test]
fn a_lock_is_free_again_after_a_panic() {
    let sim = Sim::new(Choices::calm());
    let threads = sim.threads();
    run(&sim, move || {
        let lock = Arc::new(Mutex::new(&threads, "lock", 1));
        let theirs = Arc::clone(&lock);
        let body = move || {
            let mut guard = theirs.lock();
            *guard = 2;
            resume_unwind(Box::new("out of it"));
        };
        let payload = sync::spawn(&threads, "panics", body).unwrap().join().unwrap_err();
        assert_eq!(*payload.downcast::<&str>().unwrap(), "out of it");
        assert_eq!(*lock.lock(), 2);
        assert_eq!(Arc::try_unwrap(lock).unwrap().into_inner(), 2);
    });
}

/// One thread waits for a flag that the other sets. A careless one looks at it before it takes its place in the line.
fn flagged(sim: &Sim, careless: bool) {
    let threads = sim.threads();
    let pair = Arc::new((Mutex::new(&threads, "flag", false), Condvar::new(&threads, "flag is set")));
    let theirs = Arc::clone(&pair);
    sync::spawn(&threads, "waiter", move || {
        let (flag, changed) = &*theirs;
        if careless {
            let seen = *flag.lock();
            if !seen {
                drop(changed.wait(flag.lock()));
            }
            return;
        }
        drop(changed.wait_while(flag.lock(), |flag| !*flag));
    })
    .unwrap();
    sync::spawn(&threads, "setter", move || {
        let (flag, changed) = &*pair;
        *flag.lock() = true;
        changed.notify_one();
    })
    .unwrap();
    sim.settle();
    assert_eq!(sim.report_deadlock(), None);
    sim.assert_clean();
}

#[test]
fn no_notification_is_missed_in_any_order() {
    explore_all(All::default(), |sim| flagged(sim, false));
}

#[test]
fn a_careless_wait_misses_one_and_is_found() {
    let failure = Exploration::all().check(|sim| flagged(sim, true)).unwrap_err();
    assert!(failure.to_string().contains("waiter is parked at gate `flag is set` without end"), "{failure}");
}

#[test]
fn a_condition_variable_wakes_one_or_all_or_none_in_time() {
    explore(seeds(200), |sim| {
        let threads = sim.threads();
        run(sim, move || {
            let pair = Arc::new((Mutex::new(&threads, "lock", Vec::new()), Condvar::new(&threads, "news")));
            let waiters = [1, 2, 3].map(|number| {
                let (pair, own) = (Arc::clone(&pair), threads.clone());
                let body = move || {
                    own.sleep(number * MS);
                    let (mut guard, _) = pair.1.wait_timeout(pair.0.lock(), Duration::from_secs(1));
                    guard.push(number);
                };
                sync::spawn(&threads, "waiter", body).unwrap()
            });
            let (lock, news) = &*pair;
            threads.sleep(10 * MS);
            news.notify_one();
            threads.sleep(10 * MS);
            assert_eq!(*lock.lock(), [1]);
            news.notify_all();
            waiters.into_iter().for_each(join);
            lock.lock().sort_unstable();
            assert_eq!(*lock.lock(), [1, 2, 3]);
            let (guard, why) = news.wait_until(lock.lock(), Time::new(30 * MS));
            assert_eq!((why, threads.now(), guard.len()), (Unparked::ByTime, Time::new(30 * MS), 3));
        });
    });
}

#[test]
fn a_semaphore_lets_in_as_many_as_it_has_permits() {
    explore(seeds(100), |sim| {
        let threads = sim.threads();
        let most = run(sim, move || {
            let inside = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
            let permits = Arc::new(Semaphore::new(&threads, "permits", 2));
            let users = [(); 5].map(|()| {
                let (inside, permits, own) = (Arc::clone(&inside), Arc::clone(&permits), threads.clone());
                let body = move || {
                    let _permit = permits.acquire();
                    let now = inside.0.fetch_add(1, Ordering::Relaxed) + 1;
                    inside.1.fetch_max(now, Ordering::Relaxed);
                    own.sleep(10 * MS);
                    inside.0.fetch_sub(1, Ordering::Relaxed);
                };
                sync::spawn(&threads, "user", body).unwrap()
            });
            threads.sleep(5 * MS);
            assert!(permits.try_acquire().is_none());
            assert!(permits.acquire_timeout(2 * MS).is_none());
            users.into_iter().for_each(join);
            assert_eq!(permits.available(), 2);
            inside.1.load(Ordering::Relaxed)
        });
        assert_eq!((most, sim.now()), (2, Time::new(30 * MS)));
    });
}

#[test]
fn a_thread_is_joined_with_what_it_returned_or_panicked_with() {
    explore_all(All::default(), |sim| {
        let threads = sim.threads();
        run(sim, move || {
            let five = sync::spawn(&threads, "five", || 5).unwrap();
            let fails = sync::spawn(&threads, "fails", || -> u32 { resume_unwind(Box::new("why")) }).unwrap();
            assert_eq!(fails.name(), "fails");
            assert_eq!(*fails.join().unwrap_err().downcast::<&str>().unwrap(), "why");
            assert_eq!(five.join().unwrap(), 5);
        });
    });
    let sim = Sim::new(Choices::calm());
    let threads = sim.threads();
    run(&sim, move || {
        let own = threads.clone();
        let slow = sync::spawn(&threads, "slow", move || own.sleep(10 * MS)).unwrap();
        let slow = slow.join_timeout(4 * MS).unwrap_err();
        assert!(!slow.is_finished());
        assert_eq!(threads.now(), Time::new(4 * MS));
        slow.join_until(Time::new(20 * MS)).unwrap().unwrap();
        assert_eq!(threads.now(), Time::new(10 * MS));
    });
    sim.spawn_fails_once();
    assert!(sync::spawn(&sim.threads(), "refused", || ()).is_err());
}

/// The philosophers' mistake.
fn crossed_locks(sim: &Sim) {
    let threads = sim.threads();
    let forks = Arc::new([Mutex::new(&threads, "left fork", ()), Mutex::new(&threads, "right fork", ())]);
    for (name, first, second) in [("Plato", 0, 1), ("Socrates", 1, 0)] {
        let forks = Arc::clone(&forks);
        let body = move || {
            let _one = forks[first].lock();
            let _other = forks[second].lock();
        };
        sync::spawn(&threads, name, body).unwrap();
    }
    sim.settle();
}

#[test]
fn locks_taken_crosswise_are_reported_with_their_names() {
    for backend in [Backend::Coroutines, Backend::OsThreads] {
        let failure = Exploration::all()
            .check(|sim| {
                sim.set_backend(backend);
                crossed_locks(sim);
                sim.assert_no_deadlock();
            })
            .unwrap_err();
        let text = failure.to_string();
        for part in [
            "deadlock at +0.000s: Plato -> Socrates -> Plato",
            "Plato is parked at gate `right fork` without end; Socrates has it",
            "Socrates is parked at gate `left fork` without end; Plato has it",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}

#[test]
fn a_lock_taken_twice_and_a_join_in_a_ring_are_deadlocks_too() {
    let sim = Sim::new(Choices::calm());
    let threads = sim.threads();
    let lock = Arc::new(Mutex::new(&threads, "diary", ()));
    sync::spawn(&threads, "forgetful", move || drop((lock.lock(), lock.lock()))).unwrap();
    sim.settle();
    assert!(sim.deadlock().unwrap().to_string().contains("forgetful -> forgetful"));

    let sim = Sim::new(Choices::calm());
    let threads = sim.threads();
    let lock = Arc::new(Mutex::new(&threads, "diary", ()));
    let theirs = Arc::clone(&lock);
    let own = threads.clone();
    let reader = sync::spawn(&threads, "reader", move || {
        own.sleep(MS);
        drop(theirs.lock());
    });
    sync::spawn(&threads, "writer", move || {
        let _guard = lock.lock();
        join(reader.unwrap());
    })
    .unwrap();
    sim.settle();
    let text = sim.deadlock().unwrap().to_string();
    assert!(text.contains("writer is parked at gate `join reader` without end; reader has it"), "{text}");
    assert!(text.contains("reader is parked at gate `diary` without end; writer has it"), "{text}");
}

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
