//! Callbacks in simulations: in every order of threads where that matters, on a clock that is wound by hand.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use handwound_reactor::{Threads, Time};
use handwound_testkit::{All, Choices, Sim, explore, explore_all, seeds};

use super::{Callbacks, Name, Next, Refused};

const MS: Duration = Duration::from_millis(1);

/// What a call may do itself.
type Call = Box<dyn FnOnce(&Made) + Send>;

/// Calls that note when they were made.
#[derive(Clone)]
struct Made {
    calls: Arc<Callbacks<Call>>,
    log: Arc<Mutex<Vec<(u128, String)>>>,
}

impl Made {
    /// With a thread that makes them until the end.
    fn new(sim: &Sim) -> Made {
        let made = Made { calls: Arc::new(Callbacks::new(sim.threads())), log: Arc::default() };
        let thread = made.clone();
        sim.spawn("callbacks", move || thread.run());
        made
    }

    fn run(&self) {
        loop {
            match self.calls.next() {
                Next::Call(call) => call(self),
                Next::Nothing(until) => self.calls.wait(until),
                Next::Ended => return,
            }
        }
    }

    fn note(&self, what: &str) {
        let now = self.calls.now().since_start().as_millis();
        self.log.lock().unwrap().push((now, what.to_owned()));
    }

    fn post(&self, what: &'static str) {
        self.act(move |made| made.note(what));
    }

    fn act(&self, act: impl FnOnce(&Made) + Send + 'static) {
        assert!(self.calls.post(Box::new(act)).is_ok());
    }

    fn later(&self, ms: u32, what: &'static str) -> Name {
        self.act_later(ms, move |made| made.note(what))
    }

    fn act_later(&self, ms: u32, act: impl FnOnce(&Made) + Send + 'static) -> Name {
        let name = self.calls.post_at(self.calls.now() + ms * MS, Box::new(act));
        name.unwrap_or_else(|(refused, _)| panic!("{refused:?}"))
    }

    fn end(&self) {
        drop(self.calls.end());
    }

    /// What was called up to here, without times.
    fn order(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().map(|(_, what)| what.clone()).collect()
    }

    #[track_caller]
    fn expect(&self, log: &[(u128, &str)]) {
        let expected: Vec<_> = log.iter().map(|(ms, what)| (*ms, (*what).to_owned())).collect();
        assert_eq!(*self.log.lock().unwrap(), expected);
    }
}

#[test]
fn posted_calls_come_first_then_those_that_are_due_by_deadline_and_age() {
    let sim = Sim::new(Choices::calm());
    let made = Made { calls: Arc::new(Callbacks::new(sim.threads())), log: Arc::default() };
    made.later(2, "third");
    made.later(1, "first");
    made.later(1, "second");
    made.later(0, "at once");
    made.post("posted");
    made.post("posted too");
    let thread = made.clone();
    sim.spawn("callbacks", move || thread.run());
    sim.advance(9 * MS);
    made.expect(&[(0, "posted"), (0, "posted too"), (0, "at once"), (1, "first"), (1, "second"), (2, "third")]);
}

#[test]
fn what_a_call_asks_for_now_is_of_the_next_round() {
    let sim = Sim::new(Choices::calm());
    let made = Made::new(&sim);
    made.act(|made| {
        made.note("a");
        made.later(0, "late a");
        made.post("next a");
    });
    made.act(|made| {
        made.note("b");
        made.act_later(0, |made| {
            made.note("late b");
            made.later(0, "later b");
            made.post("posted b");
        });
    });
    sim.settle();
    assert_eq!(made.order(), ["a", "b", "next a", "late a", "late b", "posted b", "later b"]);
}

/// Two calls that ask for themselves again and again, each of its kind, have the same number of turns.
#[test]
fn neither_kind_starves_the_other() {
    fn again(left: usize, timed: bool, made: &Made) {
        made.note(if timed { "timed" } else { "posted" });
        match (left, timed) {
            (0, _) => made.end(),
            (_, true) => {
                made.act_later(0, move |made| again(left - 1, true, made));
            }
            (_, false) => made.act(move |made| again(left - 1, false, made)),
        }
    }
    let sim = Sim::new(Choices::calm());
    let made = Made::new(&sim);
    made.act_later(0, |made| again(50, true, made));
    made.act(|made| again(50, false, made));
    sim.settle();
    let order = made.order();
    let count = |kind: &str| order.iter().filter(|what| *what == kind).count();
    assert!(count("timed").abs_diff(count("posted")) <= 1, "{order:?}");
}

#[test]
fn a_timed_call_can_be_moved_and_taken_back() {
    let sim = Sim::new(Choices::calm());
    let made = Made::new(&sim);
    let (moved, dropped) = (made.later(5, "moved"), made.later(6, "dropped"));
    made.later(7, "seven");
    let at = |ms: u32| Time::new(ms * MS);
    assert_eq!(made.calls.move_to(moved, |old| old + 2 * MS), Some(at(7)));
    assert_eq!((made.calls.deadline(moved), made.calls.deadline(dropped)), (Some(at(7)), Some(at(6))));
    assert!(made.calls.cancel(dropped).is_some() && made.calls.cancel(dropped).is_none());
    sim.advance(6 * MS);
    made.expect(&[]);
    sim.advance(MS);
    made.expect(&[(7, "seven"), (7, "moved")]);
    assert_eq!((made.calls.deadline(moved), made.calls.move_to(moved, |old| old)), (None, None));
    assert!(made.calls.cancel(moved).is_none());
}

#[test]
fn a_call_may_take_back_the_one_that_would_come_next() {
    let sim = Sim::new(Choices::calm());
    let made = Made::new(&sim);
    let victim = Arc::new(Mutex::new(None));
    let found = victim.clone();
    made.act_later(1, move |made| {
        made.note("first");
        assert!(made.calls.cancel(found.lock().unwrap().unwrap()).is_some());
    });
    *victim.lock().unwrap() = Some(made.later(1, "never"));
    sim.advance(9 * MS);
    made.expect(&[(1, "first")]);
}

#[test]
fn a_stretch_of_time_may_be_wound_in_pieces() {
    let run = |pieces: &[u32]| {
        let sim = Sim::new(Choices::calm());
        let made = Made::new(&sim);
        fn tick(made: &Made) {
            made.note("tick");
            made.act_later(3, tick);
        }
        made.act_later(3, tick);
        made.later(7, "seven");
        pieces.iter().for_each(|ms| sim.advance(*ms * MS));
        made.order()
    };
    assert_eq!(run(&[10]), ["tick", "tick", "seven", "tick"]);
    assert_eq!(run(&[10]), run(&[1, 5, 4]));
}

/// Each sender's calls keep their order, and none is lost or forgotten by a thread that sleeps.
#[test]
fn calls_from_many_threads_all_come_in_every_order() {
    explore_all(All::default(), |sim| {
        let made = Made::new(sim);
        for (name, calls) in [("one", ["1a", "1b"]), ("two", ["2a", "2b"])] {
            let made = made.clone();
            sim.spawn(name, move || calls.into_iter().for_each(|what| made.post(what)));
        }
        sim.settle();
        let order = made.order();
        let of = |sender: &str| order.iter().filter(|what| what.starts_with(sender)).cloned().collect::<Vec<_>>();
        assert_eq!((of("1"), of("2")), (vec!["1a".into(), "1b".into()], vec!["2a".into(), "2b".into()]));
    });
}

/// A call is set, moved ahead and taken back by others, while the thread goes to sleep for a later one.
#[test]
fn a_sleeping_thread_hears_of_an_earlier_deadline_in_every_order() {
    explore_all(All::default(), |sim| {
        let made = Made::new(sim);
        let name = made.later(100, "moved");
        let (other, third) = (made.clone(), made.clone());
        sim.spawn("mover", move || {
            assert!(other.calls.move_to(name, |old| Time::new(old.since_start() / 2)).is_some());
        });
        sim.spawn("setter", move || {
            third.later(10, "set");
        });
        sim.advance(10 * MS);
        sim.advance(40 * MS);
        made.expect(&[(10, "set"), (50, "moved")]);
    });
}

/// Who takes a call back just as it is due has it, or it has been made; never both, never neither.
#[test]
fn a_call_is_made_or_taken_back_in_every_order() {
    let outcomes = Mutex::new(std::collections::BTreeSet::new());
    explore_all(All::default(), |sim| {
        let made = Made::new(sim);
        let name = made.later(5, "made");
        let (other, threads, taken) = (made.clone(), sim.threads(), Arc::new(Mutex::new(false)));
        let note = taken.clone();
        sim.spawn("canceller", move || {
            threads.sleep(5 * MS);
            *note.lock().unwrap() = other.calls.cancel(name).is_some();
        });
        sim.advance(9 * MS);
        let (taken, calls) = (*taken.lock().unwrap(), made.order().len());
        assert_eq!(calls, usize::from(!taken));
        outcomes.lock().unwrap().insert(taken);
    });
    assert_eq!(outcomes.into_inner().unwrap().len(), 2, "both can happen");
}

#[test]
fn an_end_from_within_a_call_is_the_end() {
    let sim = Sim::new(Choices::calm());
    let made = Made::new(&sim);
    made.later(1, "never");
    made.act(|made| {
        made.note("last");
        assert_eq!(made.calls.end().len(), 2);
    });
    made.post("never either");
    sim.advance(9 * MS);
    made.expect(&[(0, "last")]);
    let refused = |outcome: Result<(), (Refused, Call)>| outcome.err().map(|(refused, _)| refused);
    assert_eq!(refused(made.calls.post(Box::new(|_| ()))), Some(Refused::Ended));
    let late = made.calls.post_at(Time::ZERO, Box::new(|_| ()));
    assert_eq!(late.err().map(|(refused, _)| refused), Some(Refused::Ended));
    sim.assert_clean();
}

#[test]
fn an_end_from_elsewhere_is_heard_in_every_order() {
    explore_all(All::default(), |sim| {
        let made = Made::new(sim);
        made.later(60_000, "never");
        let other = made.clone();
        sim.spawn("ender", move || other.end());
        sim.settle();
        made.expect(&[]);
        sim.assert_clean();
    });
}

#[test]
fn a_call_beyond_the_bound_is_refused_until_there_is_room() {
    let sim = Sim::new(Choices::calm());
    let calls: Callbacks<&str> = Callbacks::with_bound(sim.threads(), 2);
    let timed = calls.post_at(Time::ZERO, "timed").unwrap();
    assert_eq!((calls.post("posted"), calls.post("more")), (Ok(()), Err((Refused::Full, "more"))));
    assert_eq!(calls.post_at(Time::ZERO, "more"), Err((Refused::Full, "more")));
    assert_eq!(calls.cancel(timed), Some("timed"));
    assert_eq!(calls.post("more"), Ok(()));
    assert_eq!((calls.next(), calls.next()), (Next::Call("posted"), Next::Call("more")));
    assert_eq!(calls.next(), Next::Nothing(None));
}

/// Whatever is asked for, by whom and when: nothing comes before its time or later than it has to, each once, timed
/// calls in the order of their deadlines.
#[test]
fn nothing_is_early_late_or_made_twice() {
    explore(seeds(300), |sim| {
        let made = Made::new(sim);
        let expected: Arc<Mutex<Vec<(u128, String)>>> = Arc::default();
        for thread in 0..3 {
            let (made, threads, expected) = (made.clone(), sim.threads(), expected.clone());
            let plan: Vec<(u32, u32)> = (0..4).map(|_| (sim.choose("pause", 4), sim.choose("delay", 6))).collect();
            sim.spawn("asker", move || {
                for (number, (pause, delay)) in plan.into_iter().enumerate() {
                    threads.sleep(pause * MS);
                    let (due, what) = (made.calls.now() + delay * MS, format!("{thread}.{number}"));
                    expected.lock().unwrap().push((due.since_start().as_millis(), what.clone()));
                    made.act_later(delay, move |made| made.note(&what));
                }
            });
        }
        sim.advance(100 * MS);
        let (mut log, mut expected) = (made.log.lock().unwrap().clone(), expected.lock().unwrap().clone());
        assert!(log.is_sorted_by_key(|(at, _)| *at), "{log:?}");
        log.sort();
        expected.sort();
        assert_eq!(log, expected);
    });
}
