//! Joins, and threads that wait for each other.

use std::panic::resume_unwind;
use std::sync::Arc;

use handwound_reactor::sync::{self, Mutex};
use handwound_reactor::{Threads, Time};
use handwound_testkit::{All, Backend, Choices, Exploration, Sim, explore_all};

use super::{MS, join, run};

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

#[test]
fn what_a_thread_waits_for_was_made_where_its_user_made_it() {
    let sim = Sim::new(Choices::calm());
    let threads = sim.threads();
    let (_sender, receiver) = sync::bounded::<u32>(&threads, "numbers", 1);
    let channel = format!("({}:{}:", file!(), line!() - 1);
    sync::spawn(&threads, "receiver", move || _ = receiver.recv()).unwrap();
    let thread = format!("({}:{}:", file!(), line!() - 1);
    sim.settle_now();
    let left = sim.leftovers();
    assert!(left.contains(&format!("started by the test at +0.000s {thread}")), "{left}");
    assert!(left.contains(&format!("parked at `numbers`, made by receiver at +0.000s {channel}")), "{left}");
}
