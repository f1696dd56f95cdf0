//! What a run on a bad network is shrunk to: the decisions about one connection, whatever was going on in others.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use handwound_reactor::{Address, EventLoop, ListenOptions, Protocol, Reactor, Threads, Transport};
use handwound_testkit::{Exploration, Failure, NetworkOptions, Sim, Trouble};

/// Sends back what comes. Planted: of what comes in three pieces and more, the third is lost.
#[derive(Default)]
struct Forgetful {
    pieces: u32,
}

impl Protocol for Forgetful {
    fn received(&mut self, transport: &mut Transport, bytes: &[u8]) {
        self.pieces += 1;
        if self.pieces != 3 {
            transport.write(bytes);
        }
    }
}

/// Several clients talk to it; each must get all of its own back.
fn conversations(sim: &Sim, clients_max: u32) {
    let mut rough = NetworkOptions::rough();
    rough.bytes_per_second = None;
    sim.set_network(rough);
    let address = Address::Tcp("127.0.0.1:7".parse().unwrap());
    let event_loop = EventLoop::new(sim.reactor("echo"), sim.threads());
    event_loop.listen(&address, &ListenOptions::default(), |_peer| Forgetful::default()).unwrap();
    let running = event_loop.clone();
    sim.spawn("loop", move || drop(running.run()));
    let count = 1 + sim.choose("clients", clients_max);
    let clients: Vec<_> = (0..count).map(|_| sim.connect(&address)).collect();
    for client in &clients {
        client.send([b'x'; 400]);
    }
    sim.settle();
    for client in &clients {
        assert_eq!(client.received().len(), 400, "bytes come back");
    }
}

fn shrunk(clients_max: u32, first: u64) -> Box<Failure> {
    let run = |sim: &Sim| conversations(sim, clients_max);
    let failure = Exploration::random(first..first + 100).check(run).unwrap_err();
    assert!(failure.notes.is_empty(), "{failure}");
    // Exact: the line fails in the same way, at the same place.
    let again = Exploration::replay(&failure.replay).check(run).unwrap_err();
    assert_eq!((&again.message, &again.place), (&failure.message, &failure.place));
    failure
}

#[test]
fn one_clients_decisions_are_left_of_those_of_many() {
    for first in 0..20 {
        let failure = shrunk(12, 1000 * first);
        assert!(failure.choices > 20, "there was something to shrink: {}", failure.choices);
        assert!(failure.shrunk_choices <= 6, "{failure}");
    }
}

/// Two servers on troubled systems, which act in turn. Planted: one of them does not survive its second failing accept.
fn troubled(sim: &Sim) {
    let mut trouble = Trouble::none();
    trouble.accepts = true;
    sim.set_trouble(trouble);
    sim.set_network(NetworkOptions::calm());
    for (name, port) in [("frail", 1), ("sturdy", 2)] {
        let (mut reactor, threads) = (sim.reactor(name), sim.threads());
        let address = Address::Tcp(([127, 0, 0, 1], port).into());
        let listener = reactor.listen(&address, &ListenOptions::default()).unwrap();
        sim.spawn(name, move || {
            let mut failures = 0;
            for _ in 0..12 {
                threads.sleep(Duration::from_millis(1));
                reactor.connect(&address).unwrap();
                failures += u32::from(reactor.accept(listener).is_err());
                assert!(name != "frail" || failures < 2, "the second failure");
            }
        });
    }
    sim.settle();
}

#[test]
fn one_servers_failing_calls_are_left_of_those_of_two() {
    let mut choices = 0;
    for first in 0..20 {
        let failure = Exploration::random(1000 * first..1000 * first + 100).check(troubled).unwrap_err();
        assert!(failure.shrunk_choices <= 2, "{failure}");
        choices += failure.choices;
    }
    assert!(choices > 100, "there was something to shrink: {choices}");
}
