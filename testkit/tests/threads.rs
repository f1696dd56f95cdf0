//! Gates, tasks and the clock.
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handwound_reactor::{Gate, Threads, Time, Unparked};
use handwound_testkit::{Choices, Sim, TaskState};

const MS: Duration = Duration::from_millis(1);

#[test]
fn an_early_unpark_is_kept_and_several_coalesce() {
    let sim = Sim::new(Choices::calm());
    let gate = sim.threads().gate("g");
    gate.unpark();
    gate.unpark();
    let passed = Arc::new(AtomicU32::new(0));
    let (count, waits) = (Arc::clone(&passed), gate.clone());
    sim.spawn("waiter", move || {
        for _ in 0..2 {
            waits.park();
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    sim.settle();
    assert_eq!(passed.load(Ordering::Relaxed), 1);
    assert_eq!(sim.tasks()[0].state, TaskState::Parked { gate: "g".into(), until: None });
    assert_eq!(sim.gates()[0].parked.as_deref(), Some("waiter"));
    assert!(sim.report_deadlock().unwrap().contains("waiter is parked at gate `g` without end"));
    gate.unpark();
    sim.settle();
    assert_eq!(passed.load(Ordering::Relaxed), 2);
    sim.assert_clean();
    assert_eq!(sim.report_deadlock(), None);
}

#[test]
fn a_wait_with_a_deadline_ends_by_time_or_by_token() {
    let sim = Sim::new(Choices::calm());
    let gate = sim.threads().gate("g");
    let ends = Arc::new(Mutex::new(Vec::new()));
    let (seen, waits, threads) = (Arc::clone(&ends), gate.clone(), sim.threads());
    sim.spawn("waiter", move || {
        for _ in 0..2 {
            let why = waits.park_until(threads.now() + 10 * MS);
            seen.lock().unwrap().push((threads.now(), why));
        }
    });
    sim.advance(10 * MS);
    sim.advance(3 * MS);
    gate.unpark();
    sim.settle();
    let at = |ms| Time::new(ms * MS);
    assert_eq!(*ends.lock().unwrap(), [(at(10), Unparked::ByTime), (at(13), Unparked::ByToken)]);
}

#[test]
fn a_tasks_panic_fails_the_driver_with_its_own_payload() {
    let sim = Sim::new(Choices::calm());
    sim.threads().spawn("bad", Box::new(|| panic!("what went wrong"))).unwrap();
    let payload = catch_unwind(AssertUnwindSafe(|| sim.settle())).unwrap_err();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "what went wrong");
    sim.settle();
    assert!(sim.trace().contains("bad        panics"));
}

#[test]
fn a_task_may_catch_its_own_panics() {
    let sim = Sim::new(Choices::calm());
    let gate = sim.threads().gate("g");
    sim.spawn("careful", move || {
        assert!(catch_unwind(|| panic!("caught")).is_err());
        gate.unpark();
        assert!(catch_unwind(AssertUnwindSafe(|| gate.park())).is_ok());
    });
    sim.settle();
    sim.assert_clean();
}

struct TellWhenDropped(Arc<AtomicU32>, Gate);

impl Drop for TellWhenDropped {
    fn drop(&mut self) {
        self.1.unpark();
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What each kind of task owns is dropped when the world is.
fn dropped_mid_run(run: impl FnOnce(&Sim)) -> u32 {
    let drops = Arc::new(AtomicU32::new(0));
    let sim = Sim::new(Choices::calm());
    let gate = sim.threads().gate("never");
    let own = || TellWhenDropped(Arc::clone(&drops), gate.clone());
    let (a, b, c, d) = (own(), own(), own(), own());
    let waits = gate.clone();
    sim.spawn("parked", move || {
        let _own = a;
        waits.park();
    });
    let (waits, threads) = (sim.threads().gate("never either"), sim.threads());
    sim.spawn("catching", move || {
        let _own = b;
        loop {
            let _ = catch_unwind(AssertUnwindSafe(|| waits.park()));
            let _ = catch_unwind(AssertUnwindSafe(|| waits.park()));
            threads.sleep(MS);
        }
    });
    run(&sim);
    sim.spawn("unstarted", move || drop(c));
    sim.threads().spawn("unstarted too", Box::new(move || drop(d))).unwrap();
    drop(sim);
    gate.unpark();
    drops.load(Ordering::Relaxed)
}

#[test]
fn a_world_dropped_mid_run_unwinds_its_tasks() {
    assert_eq!(dropped_mid_run(|_| {}), 4);
    assert_eq!(dropped_mid_run(Sim::settle), 4);
    assert_eq!(dropped_mid_run(|sim| assert!(sim.step())), 4);
}

#[test]
fn a_world_may_be_dropped_by_a_panicking_test() {
    let drops = Arc::new(AtomicU32::new(0));
    let sim = Sim::new(Choices::calm());
    let gate = sim.threads().gate("never");
    let (own, waits) = (TellWhenDropped(Arc::clone(&drops), gate.clone()), gate.clone());
    sim.spawn("parked", move || {
        let _own = own;
        waits.park();
    });
    let failed = catch_unwind(AssertUnwindSafe(move || {
        sim.settle();
        panic!("the test fails");
    }));
    assert_eq!(*failed.unwrap_err().downcast::<&str>().unwrap(), "the test fails");
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

#[test]
fn a_wait_in_the_test_itself_drives_the_world() {
    let sim = Sim::new(Choices::calm());
    let gate = sim.threads().gate("done");
    let (opens, threads) = (gate.clone(), sim.threads());
    sim.spawn("worker", move || {
        threads.sleep(5 * MS);
        opens.unpark();
    });
    gate.park();
    assert_eq!(sim.now(), Time::new(5 * MS));
    let stuck = catch_unwind(AssertUnwindSafe(|| gate.park())).unwrap_err();
    assert!(stuck.downcast::<String>().unwrap().contains("the test waits for what will never come"));
}

#[test]
fn run_task_runs_that_one_until_it_waits() {
    let sim = Sim::new(Choices::calm());
    let order = Arc::new(Mutex::new(Vec::new()));
    for name in ["a", "b"] {
        let (order, gate) = (Arc::clone(&order), sim.threads().gate(name));
        sim.spawn(name, move || {
            order.lock().unwrap().push(name);
            gate.unpark();
            gate.park();
            order.lock().unwrap().push(name);
            gate.park();
        });
    }
    sim.run_task("b");
    assert_eq!(*order.lock().unwrap(), ["b", "b"]);
    assert_eq!(sim.tasks()[0].state, TaskState::Ready);
    let unknown = catch_unwind(AssertUnwindSafe(|| sim.run_task("c"))).unwrap_err();
    assert!(unknown.downcast::<String>().unwrap().contains("no live thread is named `c`"));
}

#[test]
fn a_thread_may_be_refused() {
    let sim = Sim::new(Choices::calm());
    sim.spawn_fails_once();
    let threads = sim.threads();
    assert!(threads.spawn("one", Box::new(|| {})).is_err());
    assert!(threads.spawn("two", Box::new(|| {})).is_ok());
    sim.settle();
    sim.assert_clean();
}

#[test]
fn a_livelock_is_reported_with_names() {
    let sim = Sim::new(Choices::calm());
    sim.set_steps_max(10_000);
    let (threads, flag) = (sim.threads(), sim.threads().shared("flag"));
    sim.spawn("spinner", move || {
        loop {
            threads.visit(flag);
        }
    });
    let report = catch_unwind(AssertUnwindSafe(|| sim.settle())).unwrap_err().downcast::<String>().unwrap();
    assert!(report.contains("10000  spinner"), "{report}");
}

#[test]
fn the_plain_schedule_lets_others_go_past_one_that_spins() {
    let sim = Sim::new(Choices::calm());
    let set = Arc::new(AtomicU32::new(0));
    let (threads, flag, seen) = (sim.threads(), sim.threads().shared("flag"), Arc::clone(&set));
    sim.spawn("spinner", move || {
        while seen.load(Ordering::Relaxed) == 0 {
            threads.visit(flag);
        }
    });
    sim.spawn("setter", move || set.store(1, Ordering::Relaxed));
    sim.settle();
    sim.assert_clean();
}

#[test]
fn two_threads_at_one_gate_are_refused() {
    let sim = Sim::new(Choices::calm());
    let gate = sim.threads().gate("shared");
    for name in ["first", "second"] {
        let gate = gate.clone();
        sim.spawn(name, move || gate.park());
    }
    let refused = catch_unwind(AssertUnwindSafe(|| sim.settle())).unwrap_err().downcast::<String>().unwrap();
    assert_eq!(*refused, "`second` parks at gate `shared`, where `first` is parked already; a gate is for one thread");
}

/// Waits in its destructor, as a pool that joins its threads.
struct Joins(Gate);

impl Drop for Joins {
    fn drop(&mut self) {
        self.0.park();
    }
}

#[test]
fn a_destructor_may_wait_for_another_thread_while_the_world_ends() {
    let drops = Arc::new(AtomicU32::new(0));
    let sim = Sim::new(Choices::calm());
    let (joined, never) = (sim.threads().gate("joined"), sim.threads().gate("never"));
    let (first, last) = (TellWhenDropped(Arc::clone(&drops), never.clone()), Joins(joined.clone()));
    sim.spawn("joins", move || {
        let _owns = (last, first);
        never.park();
    });
    let (own, waits) = (TellWhenDropped(Arc::clone(&drops), joined), sim.threads().gate("never either"));
    sim.spawn("joined", move || {
        let _own = own;
        waits.park();
    });
    sim.settle();
    drop(sim);
    assert_eq!(drops.load(Ordering::Relaxed), 2);
}

#[test]
fn what_does_not_end_when_unwound_is_left_behind() {
    let sim = Sim::new(Choices::calm());
    let (waits, never) = (sim.threads().gate("joined"), sim.threads().gate("never"));
    sim.spawn("waits in its destructor", move || {
        let _joins = Joins(waits);
        never.park();
    });
    let (threads, flag) = (sim.threads(), sim.threads().shared("flag"));
    sim.spawn("catches everything", move || {
        threads.gate("never").park_until(threads.now());
        loop {
            let _ = catch_unwind(AssertUnwindSafe(|| threads.visit(flag)));
        }
    });
    sim.run_task("waits in its destructor");
    assert!(sim.step());
    drop(sim);
}

#[test]
fn a_wait_after_the_end_of_the_world_says_so() {
    let sim = Sim::new(Choices::calm());
    let gate = sim.threads().gate("g");
    drop(sim);
    gate.unpark();
    gate.park();
    let refused = catch_unwind(AssertUnwindSafe(|| gate.park())).unwrap_err().downcast::<String>().unwrap();
    assert!(refused.contains("the simulation is over"), "{refused}");
}
