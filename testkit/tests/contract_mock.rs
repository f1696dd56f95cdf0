//! The contract of a reactor, on simulated sockets: calm, rough, and in between.
#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;

use handwound_testkit::contract::{self, Ground};
use handwound_testkit::{Choices, MockReactor, NetworkOptions, Sim, SimThreads};

struct Simulated {
    sim: Sim,
    name: String,
}

impl Simulated {
    fn new(choices: Choices, network: NetworkOptions) -> Simulated {
        let sim = Sim::new(choices);
        sim.set_network(network);
        Simulated { sim, name: String::new() }
    }

    /// A world whose network is as rough as the seed says.
    fn seeded(seed: u64) -> Simulated {
        Simulated { sim: Sim::new(Choices::seed(seed)), name: format!("with seed {seed}") }
    }
}

impl Ground for Simulated {
    type Reactor = MockReactor;
    type Threads = SimThreads;

    fn reactor(&mut self) -> MockReactor {
        self.sim.reactor("reactor")
    }

    fn threads(&mut self, _beside: &MockReactor) -> SimThreads {
        self.sim.threads()
    }

    fn bulk_bytes(&self) -> usize {
        4 * self.sim.network().receive_buffer_bytes
    }

    fn fail_an_accept(&mut self) -> Option<ErrorKind> {
        self.sim.accept_fails_once(ErrorKind::ConnectionAborted);
        Some(ErrorKind::ConnectionAborted)
    }

    fn describe(&self) -> String {
        format!("{}, {:?}", self.name, self.sim.network())
    }
}

handwound_testkit::contract_tests!(calm, Simulated::new(Choices::calm(), NetworkOptions::calm()));
handwound_testkit::contract_tests!(rough, Simulated::new(Choices::seed(1), NetworkOptions::rough()));

#[test]
fn the_contract_holds_for_every_seed() {
    for seed in 0..300 {
        contract::run_all(|| Simulated::seeded(seed));
    }
}
