//! Clauses 2, 3 and 8: wakes, deadlines, the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use handwound_reactor::{Reactor, Threads, Time};

use super::Ground;
use super::bench::Bench;

/// Clause 2: a wake that nobody waits for yet is kept for the next poll.
pub fn a_wake_before_a_poll_ends_it<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let waker = bench.reactor.waker();
    for _ in 0..3 {
        waker.wake();
        let end = bench.patience();
        bench.poll_until(Some(end));
        assert!(bench.reactor.now() < end, "the wake was lost");
    }
}

/// Clause 2: another thread ends a poll that has no deadline.
pub fn a_wake_during_a_poll_ends_it<G: Ground>(ground: &mut G) {
    const ROUNDS: u32 = 50;
    let mut bench = Bench::on(ground);
    let threads = ground.threads(&bench.reactor);
    let (waker, gate) = (bench.reactor.waker(), threads.gate("begin"));
    let begin = gate.clone();
    let body = move || {
        for _ in 0..ROUNDS {
            begin.park();
            waker.wake();
        }
    };
    threads.spawn("waker", Box::new(body)).expect("the system has a thread left");
    for _ in 0..ROUNDS {
        gate.unpark();
        bench.poll_until(None);
    }
}

/// Clause 2: many wakes are not as many ended polls.
pub fn wakes_coalesce<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let waker = bench.reactor.waker();
    (0..1000).for_each(|_| waker.wake());
    let end = bench.reactor.now() + Duration::from_millis(20);
    let mut polls = 0;
    while bench.reactor.now() < end {
        bench.poll_until(Some(end));
        polls += 1;
        assert!(polls < 100, "{polls} polls ended by wakes of long ago");
    }
}

/// Clause 2: whatever a thread has said before its wake is seen after the poll that it has ended. With two
/// threads and a poll that may be entered or left at that very moment, each wake counts.
pub fn no_wake_of_two_threads_is_lost<G: Ground>(ground: &mut G) {
    const ROUNDS: u64 = 100;
    let mut bench = Bench::on(ground);
    let threads = ground.threads(&bench.reactor);
    let said = threads.shared("said");
    let sides: Vec<_> = ["one", "other"]
        .into_iter()
        .map(|name| {
            let (gate, count) = (threads.gate(name), Arc::new(AtomicU64::new(0)));
            let (waker, mine, told, go) = (bench.reactor.waker(), threads.clone(), count.clone(), gate.clone());
            let body = move || {
                for round in 1..=ROUNDS {
                    go.park();
                    mine.visit(said);
                    told.store(round, Ordering::SeqCst);
                    waker.wake();
                }
            };
            threads.spawn(name, Box::new(body)).expect("the system has a thread left");
            (gate, count)
        })
        .collect();
    sides.iter().for_each(|(gate, _)| gate.unpark());
    let mut heard = vec![0; sides.len()];
    while heard.iter().any(|&heard| heard < ROUNDS) {
        let end = bench.patience();
        bench.poll_until(Some(end));
        assert!(bench.reactor.now() < end, "a wake was lost after {heard:?} of {ROUNDS}");
        threads.visit(said);
        for ((gate, count), heard) in sides.iter().zip(&mut heard) {
            // Each says its next word only when the last was heard: a lost wake would be the last.
            if count.load(Ordering::SeqCst) > *heard {
                *heard += 1;
                gate.unpark();
            }
        }
    }
}

/// Clause 2: a waker may be used when its reactor is gone, and does nothing.
pub fn a_waker_outlives_its_reactor<G: Ground>(ground: &mut G) {
    let reactor = ground.reactor();
    let waker = reactor.waker();
    drop(reactor);
    waker.wake();
    // It has not reached another.
    poll_returns_at_its_time_and_not_before(ground);
}

/// Clause 3: a poll with nothing to tell returns when its time has come. Not early at all: what is due then must
/// be due when it returns, or a loop would spin.
pub fn poll_returns_at_its_time_and_not_before<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    for micros in [0, 1, 300, 999, 1000, 1001, 7500] {
        let until = bench.reactor.now() + Duration::from_micros(micros);
        assert_eq!(bench.poll_until(Some(until)), 0, "events of nothing");
        assert!(bench.reactor.now() >= until, "back {:?} early", until - bench.reactor.now());
    }
}

/// Clause 3: a deadline in the past is none to wait for.
pub fn a_poll_until_long_ago_returns_at_once<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    bench.poll(Duration::from_millis(3));
    for _ in 0..3 {
        assert_eq!(bench.poll_until(Some(Time::ZERO)), 0, "events of nothing");
    }
}

/// Clause 3: no deadline is too far; it does not turn into one in the past.
pub fn a_poll_until_the_end_of_time_can_be_woken<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let threads = ground.threads(&bench.reactor);
    let never = Time::new(Duration::MAX);
    for until in [never, Time::new(Duration::MAX / 2), Time::new(Duration::from_secs(u64::from(u32::MAX)))] {
        let (waker, woken) = (bench.reactor.waker(), Arc::new(AtomicU64::new(0)));
        let told = woken.clone();
        let body = move || {
            told.store(1, Ordering::SeqCst);
            waker.wake();
        };
        threads.spawn("waker", Box::new(body)).expect("the system has a thread left");
        bench.poll_until(Some(until));
        assert_eq!(woken.load(Ordering::SeqCst), 1, "back before the wake, at {}", bench.reactor.now());
    }
}

/// Clause 8: each look at the clock is at least as late as the one before, between and across polls.
pub fn now_never_goes_back<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let mut last = bench.reactor.now();
    for round in 0..1000 {
        if round % 100 == 0 {
            bench.poll(Duration::from_micros(round));
        }
        let now = bench.reactor.now();
        assert!(now >= last, "{now} after {last}");
        last = now;
    }
}
