//! The search through all orders: it finds planted defects, and leaving out equivalent orders loses nothing.
#![allow(clippy::unwrap_used)]

mod closes;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handwound_reactor::{Gate, Reactor, SharedId, Threads, Waker};
use handwound_testkit::{All, Choices, Exploration, MockReactor, Sim, SimThreads, explore, explore_all, seeds};
use proptest::prelude::*;

use self::closes::double_close;

/// A queue with a consumer that sleeps when it is empty. Planted: it does not look again after it has said so.
fn hand_off(sim: &Sim, looks_again: bool) {
    let threads = sim.threads();
    let gate = threads.gate("consumer");
    let (queue, asleep) = (threads.shared("queue"), threads.shared("asleep"));
    let state = Arc::new(Mutex::new((0, false)));

    let (t, g, s) = (threads.clone(), gate.clone(), Arc::clone(&state));
    sim.spawn("consumer", move || {
        let mut taken = 0;
        while taken < 2 {
            t.visit(queue);
            let found = std::mem::take(&mut s.lock().unwrap().0);
            taken += found;
            if found > 0 {
                continue;
            }
            t.visit(asleep);
            s.lock().unwrap().1 = true;
            t.visit(queue);
            if looks_again && s.lock().unwrap().0 > 0 {
                continue;
            }
            g.park();
        }
    });
    sim.spawn("producer", move || {
        for _ in 0..2 {
            threads.visit(queue);
            state.lock().unwrap().0 += 1;
            threads.visit(asleep);
            if std::mem::take(&mut state.lock().unwrap().1) {
                gate.unpark();
            }
        }
    });
    sim.settle();
    assert_eq!(sim.report_deadlock(), None);
}

fn fails(test: impl FnOnce() -> handwound_testkit::Report) -> bool {
    catch_unwind(AssertUnwindSafe(test)).is_err()
}

#[test]
fn a_planted_lost_wakeup_is_found_and_the_correct_code_passes() {
    assert!(fails(|| explore_all(All::default(), |sim| hand_off(sim, false))));
    assert!(fails(|| explore(seeds(500), |sim| hand_off(sim, false))));
    let report = explore_all(All::default(), |sim| hand_off(sim, true));
    assert!(report.runs > 10);
    assert_eq!(explore(seeds(500), |sim| hand_off(sim, true)).runs, 500);
}

#[test]
fn a_planted_double_close_is_found() {
    assert!(fails(|| explore_all(All::default(), |sim| double_close(sim, false))));
    assert_eq!(explore_all(All::default(), |sim| double_close(sim, true)).runs, 2);
    assert_eq!(explore_all(All { sleep_sets: false, ..All::default() }, |sim| double_close(sim, true)).runs, 6);
}

#[test]
fn a_failed_order_is_replayed_from_its_record() {
    let record = RefCell::new(String::new());
    let failing = |sim: &Sim| {
        let failed = catch_unwind(AssertUnwindSafe(|| hand_off(sim, false)));
        if failed.is_err() {
            *record.borrow_mut() = sim.recorded();
        }
        failed.unwrap_or_else(|payload| std::panic::resume_unwind(payload));
    };
    assert!(fails(|| explore_all(All::default(), failing)));
    let again = Sim::new(Choices::replay(&record.borrow()).unwrap());
    assert!(catch_unwind(AssertUnwindSafe(|| hand_off(&again, false))).is_err());
}

#[test]
fn every_answer_to_the_tests_own_choices_is_tried() {
    let seen = RefCell::new(BTreeSet::new());
    let report = explore_all(All::default(), |sim| {
        let first = sim.choose("first", 3);
        seen.borrow_mut().insert((first, sim.choose("second", 1 + first)));
    });
    assert_eq!(report.runs, 6);
    assert_eq!(seen.into_inner(), BTreeSet::from([(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]));
}

#[test]
fn a_search_that_is_too_large_says_so() {
    let how = All { runs_max: 5, ..All::default() };
    let payload = catch_unwind(|| explore_all(how, |sim| hand_off(sim, true))).unwrap_err();
    assert!(payload.downcast::<String>().unwrap().contains("not all orders seen after 5 runs"));
}

#[test]
fn threads_that_share_nothing_have_one_order() {
    let report = explore_all(All::default(), |sim| {
        for name in ["a", "b", "c"] {
            let (threads, mine) = (sim.threads(), sim.threads().shared(name));
            sim.spawn(name, move || (0..5).for_each(|_| threads.visit(mine)));
        }
        sim.settle();
    });
    assert_eq!(report.runs - report.redundant, 1, "{report:?}");
}

/// One operation of a generated program, on objects by number.
#[derive(Clone, Debug)]
enum Step {
    /// Changes a shared number, by a function that does not commute.
    Mix(usize, u32),
    /// Notes a shared number in the thread's own log.
    Look(usize),
    Unpark(usize),
    /// At the thread's own gate: only one thread parks at each.
    Park,
    ParkFor(u64),
    Wake,
    /// Polls, for some milliseconds; only the last thread does.
    Poll(u64),
    /// Starts a thread that mixes once.
    Spawn(usize, u32),
}

const OBJECTS: usize = 2;
const THREADS: usize = 3;

fn step(polls: bool) -> impl Strategy<Value = Step> {
    let mix = (0..OBJECTS, 1..5_u32).prop_map(|(object, by)| Step::Mix(object, by)).boxed();
    prop_oneof![
        3 => mix,
        3 => (0..OBJECTS).prop_map(Step::Look),
        2 => (0..THREADS).prop_map(Step::Unpark),
        1 => Just(Step::Park),
        1 => (0..3_u64).prop_map(Step::ParkFor),
        1 => Just(if polls { Step::Poll(1) } else { Step::Wake }),
        1 => (0..OBJECTS, 1..5_u32).prop_map(|(object, by)| Step::Spawn(object, by)),
    ]
}

/// A bound on the orders that plain search goes through: the multinomial of the threads' moves.
fn orders(program: &[Vec<Step>]) -> f64 {
    let children = program.iter().flatten().filter(|step| matches!(step, Step::Spawn(..))).map(|_| 2);
    let (mut total, mut orders) = (0, 1.0);
    for moves in program.iter().map(|steps| steps.len() + 1).chain(children) {
        for of_this in 1..=moves {
            total += 1;
            orders *= f64::from(total) / of_this as f64;
        }
    }
    orders
}

fn program() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let thread = |max, polls| prop::collection::vec(step(polls), 1..=max);
    let any = prop_oneof![
        (thread(4, false), thread(4, true)).prop_map(|(a, b)| vec![a, b]),
        (thread(2, false), thread(2, false), thread(2, true)).prop_map(|(a, b, c)| vec![a, b, c]),
    ];
    any.prop_filter("small enough for plain search", |program| orders(program) < 8_000.0)
}

/// What is the same for all: numbers, logs of the threads.
#[derive(Clone, Default)]
struct Machine {
    numbers: Arc<Mutex<[u32; OBJECTS]>>,
    log: Arc<Mutex<BTreeSet<String>>>,
}

struct Runner {
    threads: SimThreads,
    machine: Machine,
    shared: Vec<SharedId>,
    gates: Vec<Gate>,
    /// Polled by one thread only.
    reactor: Rc<RefCell<MockReactor>>,
    waker: Waker,
    me: usize,
}

impl Runner {
    fn run(&self, at: usize, step: &Step) {
        let told = match *step {
            Step::Mix(object, by) => return mix(&self.threads, &self.machine, self.shared[object], object, by),
            Step::Look(object) => {
                self.threads.visit(self.shared[object]);
                format!("{}", self.machine.numbers.lock().unwrap()[object])
            }
            Step::Unpark(whose) => return self.gates[whose].unpark(),
            Step::Park => {
                self.gates[self.me].park();
                "passed".into()
            }
            Step::ParkFor(ms) => {
                format!("{:?}", self.gates[self.me].park_until(self.threads.now() + Duration::from_millis(ms)))
            }
            Step::Wake => return self.waker.wake(),
            Step::Poll(ms) => {
                let until = self.threads.now() + Duration::from_millis(ms);
                self.reactor.borrow_mut().poll(&mut Vec::new(), Some(until)).unwrap();
                String::new()
            }
            Step::Spawn(object, by) => {
                let (threads, machine, shared) = (self.threads.clone(), self.machine.clone(), self.shared[object]);
                let child = move || mix(&threads, &machine, shared, object, by);
                return self.threads.spawn("child", Box::new(child)).unwrap();
            }
        };
        let line = format!("{}.{at} {told} {}", self.me, self.threads.now());
        self.machine.log.lock().unwrap().insert(line);
    }
}

fn mix(threads: &SimThreads, machine: &Machine, shared: SharedId, object: usize, by: u32) {
    threads.visit(shared);
    let number = &mut machine.numbers.lock().unwrap()[object];
    *number = (*number * 3 + by) % 1009;
}

fn outcome(sim: &Sim, program: &[Vec<Step>]) -> String {
    let (machine, threads) = (Machine::default(), sim.threads());
    let shared: Vec<_> = (0..OBJECTS).map(|n| threads.shared(&format!("s{n}"))).collect();
    let gates: Vec<_> = (0..THREADS).map(|n| threads.gate(&format!("g{n}"))).collect();
    let reactor = Rc::new(RefCell::new(sim.reactor("r")));
    let waker = reactor.borrow().waker();
    for (me, steps) in program.iter().enumerate() {
        let (shared, gates) = (shared.clone(), gates.clone());
        let (reactor, waker) = (Rc::clone(&reactor), waker.clone());
        let (threads, machine) = (threads.clone(), machine.clone());
        let runner = Runner { threads, machine, shared, gates, reactor, waker, me };
        let steps = steps.clone();
        sim.spawn(&format!("t{me}"), move || {
            for (at, step) in steps.iter().enumerate() {
                runner.run(at, step);
            }
        });
    }
    sim.settle();
    let (numbers, log) = (machine.numbers.lock().unwrap(), machine.log.lock().unwrap());
    format!("{numbers:?} {log:?} {} {:?}", sim.now(), sim.gates())
}

fn outcomes(how: Exploration<'_>, program: &[Vec<Step>]) -> (BTreeSet<String>, u64) {
    let seen = RefCell::new(BTreeSet::new());
    let report = how.runs_max(1_000_000).run(|sim| {
        seen.borrow_mut().insert(outcome(sim, program));
    });
    (seen.into_inner(), report.runs)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sleep_sets_reach_every_outcome_of_plain_search(program in program()) {
        let plain = outcomes(Exploration::all().plainly(), &program);
        let pruned = outcomes(Exploration::all(), &program);
        prop_assert_eq!(plain.0, pruned.0);
        prop_assert!(pruned.1 <= plain.1);
    }

    #[test]
    fn comparing_states_loses_no_outcome_at_any_bound(program in program(), bound in 0..4_u32) {
        let plain = outcomes(Exploration::bounded(bound).plainly(), &program);
        let compared = outcomes(Exploration::bounded(bound), &program);
        prop_assert_eq!(plain.0, compared.0);
        prop_assert!(compared.1 <= plain.1);
    }

    #[test]
    fn with_preemptions_enough_every_outcome_is_reached(program in program()) {
        let plain = outcomes(Exploration::all().plainly(), &program);
        let bounded = outcomes(Exploration::bounded(100), &program);
        prop_assert_eq!(plain.0, bounded.0);
    }
}
