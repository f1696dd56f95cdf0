//! The contract of a reactor, on simulated sockets: calm, rough, and in between.
#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;

use handwound_testkit::contract::{self, Ground};
use handwound_testkit::{Choices, Drift, MockReactor, NetworkOptions, Sim, SimThreads, Trouble};

struct Simulated {
    sim: Sim,
    name: String,
    clock: Drift,
    in_trouble: bool,
}

impl Simulated {
    fn new(choices: Choices, network: NetworkOptions) -> Simulated {
        let sim = Sim::new(choices);
        sim.set_network(network);
        Simulated::on(sim)
    }

    fn on(sim: Sim) -> Simulated {
        Simulated { sim, name: String::new(), clock: Drift::default(), in_trouble: false }
    }

    /// A world whose network is as rough as the seed says.
    fn seeded(seed: u64) -> Simulated {
        Simulated { name: format!("with seed {seed}"), ..Simulated::on(Sim::new(Choices::seed(seed))) }
    }

    /// The same, with all kinds of trouble that the seed has on, or with all there are, and a clock that is off.
    fn in_trouble(seed: u64, all: bool) -> Simulated {
        let mut simulated = Simulated::seeded(seed);
        // The checks start threads for themselves; what starts promise is not in the reactor's contract.
        let mut trouble = Trouble::all();
        // Nor is it that a connect succeeds; but the checks need one that does.
        (trouble.starts, trouble.connects) = (false, false);
        simulated.in_trouble = true;
        if all {
            simulated.sim.set_trouble(trouble);
        } else {
            simulated.sim.allow_trouble(trouble);
        }
        simulated.clock = Drift {
            ahead: std::time::Duration::from_secs(u64::from(simulated.sim.choose("ahead", 3))),
            parts_per_million: [0, 50, -50, 300_000, -300_000][simulated.sim.choose("drift", 5) as usize],
        };
        simulated
    }
}

impl Ground for Simulated {
    type Reactor = MockReactor;
    type Threads = SimThreads;

    fn reactor(&mut self) -> MockReactor {
        self.sim.reactor_with("reactor", self.clock)
    }

    fn threads(&mut self, beside: &MockReactor) -> SimThreads {
        self.sim.threads_beside(beside)
    }

    fn bulk_bytes(&self) -> usize {
        4 * self.sim.network().receive_buffer_bytes
    }

    fn fail_an_accept(&mut self) -> Option<ErrorKind> {
        self.sim.accept_fails_once(ErrorKind::ConnectionAborted);
        Some(ErrorKind::ConnectionAborted)
    }

    fn is_in_trouble(&self) -> bool {
        self.in_trouble
    }

    fn describe(&self) -> String {
        format!("{}, {:?}, {:?}", self.name, self.sim.network(), self.clock)
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

#[test]
fn the_contract_holds_in_all_kinds_of_trouble() {
    for seed in 0..300 {
        contract::run_all(|| Simulated::in_trouble(seed, seed % 3 == 0));
    }
}
