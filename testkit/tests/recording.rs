//! Whether decisions are written down changes nothing about a run.
#![allow(clippy::unwrap_used)]

use handwound_reactor::{Address, ListenOptions, Reactor, Threads};
use handwound_testkit::{Choices, NetworkOptions, Sim, Trouble};
use std::time::Duration;

/// Threads that hand a token round, a server that echoes, slow clients and trouble: something of each family.
fn run(choices: Choices) -> (u64, u64) {
    let sim = Sim::new(choices);
    sim.allow_trouble(Trouble::all());
    sim.set_network(NetworkOptions::rough());
    let gates: Vec<_> = ["a", "b", "c"].map(|name| sim.threads().gate(name)).into_iter().collect();
    for index in 0..gates.len() {
        let (mine, next) = (gates[index].clone(), gates[(index + 1) % gates.len()].clone());
        let (threads, shared) = (sim.threads(), sim.threads().shared("count"));
        sim.spawn(&format!("thread {index}"), move || {
            for round in 0..20 {
                if index > 0 || round > 0 {
                    mine.park_until(threads.now() + Duration::from_millis(round));
                }
                threads.visit(shared);
                next.unpark();
            }
        });
    }
    let mut reactor = sim.reactor("server");
    let at = Address::Tcp("127.0.0.1:80".parse().unwrap());
    let Ok(listener) = reactor.listen(&at, &ListenOptions::default()) else { return (0, sim.trace_hash()) };
    sim.spawn("server", move || {
        let (mut events, mut open) = (Vec::new(), Vec::new());
        for _ in 0..60 {
            let until = reactor.now() + Duration::from_millis(50);
            let _ = reactor.poll(&mut events, Some(until));
            open.extend(reactor.accept(listener).map(|(sock, _)| sock));
            let mut bytes = [0; 7];
            for sock in &open {
                if let Ok(received) = reactor.read(*sock, &mut bytes) {
                    let _ = reactor.write(*sock, &[std::io::IoSlice::new(&bytes[..received.bytes])]);
                }
            }
        }
    });
    let clients = [(); 3].map(|()| sim.connect(&at));
    clients.iter().filter(|client| client.can_send()).for_each(|client| drop(client.send("some twenty bytes of it")));
    sim.settle();
    (sim.steps(), sim.trace_hash())
}

#[test]
fn a_run_is_the_same_recorded_and_unrecorded() {
    let mut steps = 0;
    for seed in 0..300 {
        let unrecorded = run(Choices::seed(seed).unrecorded());
        assert_eq!(run(Choices::seed(seed)), unrecorded, "seed {seed}");
        steps += unrecorded.0;
    }
    assert!(steps > 50_000, "the runs are too short to tell: {steps} steps");
}

/// Who is started in the midst of a run of moves, and waits behind others for its first.
fn starts(choices: Choices) -> (u64, u64) {
    let sim = Sim::new(choices);
    let gates: Vec<_> = (0..3).map(|_| sim.threads().gate("parent")).collect();
    for index in 0..gates.len() {
        let (mine, next) = (gates[index].clone(), gates[(index + 1) % gates.len()].clone());
        let threads = sim.threads();
        let shared = threads.shared("count");
        sim.spawn(&format!("parent {index}"), move || {
            for _ in 0..8 {
                threads.visit(shared);
                let (child, parent) = (threads.clone(), next.clone());
                let started = threads.spawn(
                    "child",
                    Box::new(move || {
                        child.visit(shared);
                        parent.unpark();
                        child.visit(shared);
                    }),
                );
                started.unwrap();
                next.unpark();
                mine.park_until(threads.now() + Duration::from_millis(1));
            }
        });
    }
    sim.settle();
    (sim.steps(), sim.trace_hash())
}

#[test]
fn whom_a_run_starts_waits_as_long_recorded_and_unrecorded() {
    for seed in 0..300 {
        assert_eq!(starts(Choices::seed(seed)), starts(Choices::seed(seed).unrecorded()), "seed {seed}");
    }
}
