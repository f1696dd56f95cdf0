//! The date that jumps, and clocks that drift.

use std::time::{Duration, SystemTime};

use handwound_reactor::{Reactor, Threads, Time};
use handwound_testkit::{Choices, Drift, Sim};

use super::ground;

#[test]
fn the_date_jumps_both_ways_and_the_clock_does_not() {
    let (sim, reactor, _) = ground();
    let start = reactor.wall_clock();
    sim.date_jumps_ahead(Duration::from_secs(86_400));
    assert_eq!(reactor.wall_clock().duration_since(start).unwrap(), Duration::from_secs(86_400));
    sim.date_jumps_back(Duration::from_secs(86_460));
    assert_eq!(start.duration_since(reactor.wall_clock()).unwrap(), Duration::from_secs(60));
    sim.date_jumps_back(Duration::MAX);
    assert_eq!(reactor.wall_clock(), SystemTime::UNIX_EPOCH);
    assert_eq!(reactor.now(), Time::ZERO);
}

#[test]
fn clocks_of_two_reactors_drift_apart_and_keep_their_deadlines() {
    let sim = Sim::new(Choices::calm());
    let fast = Drift { ahead: Duration::from_secs(5), parts_per_million: 100_000 };
    let slow = Drift { ahead: Duration::ZERO, parts_per_million: -500_000 };
    let (mut one, mut two) = (sim.reactor_with("fast", fast), sim.reactor_with("slow", slow));
    assert_eq!((one.now(), two.now()), (Time::new(Duration::from_secs(5)), Time::ZERO));
    for reactor in [&mut one, &mut two] {
        let mut events = Vec::new();
        let until = reactor.now() + Duration::from_secs(1);
        reactor.poll(&mut events, Some(until)).unwrap();
        assert!(reactor.now() >= until && reactor.now() < until + Duration::from_nanos(3));
    }
    assert_eq!(
        sim.now().since_start().as_millis(),
        2909,
        "a second is 909 ms by the fast clock, and two s by the slow"
    );
    let threads = sim.threads_beside(&one);
    assert_eq!(threads.now(), one.now());
    threads.sleep(Duration::from_secs(11));
    assert_eq!(sim.now().since_start().as_millis(), 12_909, "eleven seconds of the fast clock take ten");
}
