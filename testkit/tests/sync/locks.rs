//! Locks, condition variables and semaphores.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use handwound_reactor::sync::{self, Condvar, Mutex, Semaphore};
use handwound_reactor::{Threads, Time, Unparked};
use handwound_testkit::{All, Choices, Exploration, Sim, explore, explore_all, seeds};

use super::{MS, join, run};

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
