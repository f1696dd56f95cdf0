//! A Python WSGI application in a simulation. `basket.py` beside this is served in earnest by
//! `handwound web --app-dir wsgi/python/examples --wsgi basket.application`; here it runs on simulated workers, with the
//! interpreter's lock as a part of the simulation: the same seed, the same run.
//!
//! `cargo run -p handwound-python --example basket` draws one run. `cargo test -p handwound-python --example basket` runs
//! the tests. Both need the Python that the crate was built with; without it they fail and say so, and skip nothing.

use std::path::Path;
use std::time::Duration;

use handwound_python::testing;
use handwound_testkit::{Choices, Sim};
use handwound_wsgi::SiteConfig;
use handwound_wsgi::testing::Server;

/// The application, imported anew: nothing is left in it of an earlier run.
fn open(sim: &Sim) -> Server {
    testing::import_from(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"));
    let mut config = SiteConfig::default();
    // So much of an answer waits for a slow reader; then its worker does.
    config.response_bytes_max = 10_000;
    let server = testing::prepare(sim, 2, testing::application("basket:application"), config);
    server.run(sim);
    // From here on `sim.assert_clean()` stops the server and sees what it leaves.
    server.watch(sim);
    server
}

/// Two at once, for the same basket, through the handler that reads, waits and writes.
fn two_at_once(sim: &Sim) -> [String; 2] {
    let server = open(sim);
    let clients = [server.get(sim, "/add-slowly?ada"), server.get(sim, "/add-slowly?ada")];
    // Not `settle`, which would wait for the end of keep-alive too.
    sim.advance(Duration::from_secs(5));
    clients.map(|client| client.text())
}

fn main() {
    let sim = Sim::new(Choices::calm());
    let answers = two_at_once(&sim);
    println!("{}\n\n{answers:#?}", sim.diagram());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use handwound_wsgi::testing::prelude::*;

    #[test]
    fn two_requests_in_flight_have_two_baskets() {
        explore(seeds(20), |sim| {
            let server = open(sim);
            let (ada, bob) = (server.get(sim, "/add?ada"), server.get(sim, "/add?bob"));
            sim.settle();
            assert_eq!(ada.response().body(), "1 in the basket of ada");
            assert_eq!(bob.response().body(), "1 in the basket of bob");
            sim.assert_clean();
        });
    }

    /// A slow reader fills its bound, and its worker waits for it without Python's lock: the other is served meanwhile.
    #[test]
    fn a_slow_reader_keeps_nobody_else_waiting() {
        explore(seeds(10), |sim| {
            sim.set_network(NetworkOptions::calm());
            let server = open(sim);
            let slow = server.connect(sim).read_in(1_000).every(100.ms());
            slow.window(2_000);
            slow.send("GET /receipt HTTP/1.0\r\nHost: x\r\n\r\n");
            sim.advance(2.secs());
            assert_eq!(server.pool.counts().busy, 1, "it waits for its reader");
            let quick = server.get(sim, "/add?bob");
            sim.advance(1.secs());
            assert_eq!(quick.response().body(), "1 in the basket of bob");
            sim.settle();
            assert_eq!(slow.text().lines().count(), 50_000, "and the slow one has everything in the end");
            sim.assert_clean();
        });
    }

    /// PEP 3333: `close()` is called, and once, whether the answer is read to its end or the client leaves in it.
    #[test]
    fn a_receipt_is_closed_once_wherever_its_client_leaves() {
        explore(seeds(30), |sim| {
            let server = open(sim);
            let client = server.connect(sim).read_in(1_000).every(20.ms());
            client.window(2_000);
            client.send("GET /receipt HTTP/1.0\r\nHost: x\r\n\r\n");
            sim.advance(sim.any(0..4_000_u32).ms());
            client.reset();
            sim.settle();
            let counts = server.get(sim, "/receipts");
            sim.settle();
            // It may have left before its request was there.
            assert!(["0 opened, 0 closed", "1 opened, 1 closed"].contains(&&counts.text()[..]), "{}", counts.text());
            sim.assert_clean();
        });
    }

    /// The lock of the interpreter does not save a handler that reads, waits and writes. Shrunk to the plain run: it
    /// needs no particular order, only two requests at once.
    #[test]
    fn the_slow_handler_loses_an_update() {
        let failure = Exploration::random(seeds(5)).check(|sim| {
            let mut answers = two_at_once(sim);
            answers.sort();
            assert_eq!(answers, ["1 in the basket of ada", "2 in the basket of ada"]);
        });
        let failure = failure.unwrap_err();
        assert!(failure.message.contains("left: [\"1 in the basket of ada\", \"1 in"), "{failure}");
    }
}
