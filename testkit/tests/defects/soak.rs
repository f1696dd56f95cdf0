//! The clean code, over as many schedules as are asked for: no alarm may come.
//!
//! `HANDWOUND_SOAK=1000000 cargo test -p handwound-testkit --test defects soak -- --nocapture` runs a
//! million, half of them of the right twins and half of a whole server.

use std::time::{Duration, Instant};

use handwound_reactor::Threads;
use handwound_testkit::{Exploration, Sim, Trouble};
use handwound_wsgi::testing::Server;
use handwound_wsgi::{Call, Chunks, Failure, SiteConfig};

use crate::{Twin, all};

/// In a plain `cargo test`.
const SCHEDULES: u64 = 4_000;
/// The seeds of the soak begin here: those below are searched by the tests of the defects.
const FIRST_SEED: u64 = 1_000_000;

/// Half of what is asked for.
fn schedules() -> u64 {
    let asked = std::env::var("HANDWOUND_SOAK").ok();
    asked.map_or(SCHEDULES, |number| number.parse().expect("HANDWOUND_SOAK is a number of schedules")) / 2
}

fn soak(name: &str, count: u64, test: impl Fn(&Sim)) {
    if let Err(alarm) = Exploration::random(FIRST_SEED..FIRST_SEED + count).check(test) {
        panic!("{name}: {alarm}");
    }
}

#[test]
fn soak_of_the_right_twins() {
    let (start, twins) = (Instant::now(), all().count() as u64);
    let each = schedules().div_ceil(twins);
    for defect in all() {
        soak(defect.name, each, |sim| (defect.run)(sim, Twin::Right));
    }
    println!("{} schedules of {twins} right twins, no alarm, in {:?}", each * twins, start.elapsed());
}

#[test]
fn soak_of_a_whole_server() {
    let start = Instant::now();
    soak("a whole server", schedules(), whole_server);
    println!("{} schedules of a whole server, no alarm, in {:?}", schedules(), start.elapsed());
}

/// A soak that could not see a defect would say nothing about the clean code.
#[test]
fn the_soak_would_notice_each_of_the_wrong_twins() {
    for defect in all() {
        let few = Exploration::random(FIRST_SEED..FIRST_SEED + 200).shrink_runs_max(0);
        let found = few.check(|sim| (defect.run)(sim, Twin::Wrong));
        let failure = found.expect_err(defect.name);
        println!("{:<50} run {:>3}", defect.name, failure.run);
    }
}

/// Clients of several kinds, workers, faults, and an orderly end: each answer that comes is the right one, and nothing
/// is left over.
fn whole_server(sim: &Sim) {
    let threads = sim.threads();
    let application = move |call: &Call| -> Result<_, Failure> {
        call.start_response("200 OK", &[("Content-Type", "text/plain")])?;
        let path = call.request().path_info().to_vec();
        if path == b"/slow" {
            threads.sleep(Duration::from_millis(50));
        }
        let pieces = if path == b"/long" { 20 } else { 1 };
        Ok(Chunks((0..pieces).map(move |_| path.clone())))
    };
    let server = Server::prepare(sim, 2, application, SiteConfig::default());
    server.run(sim);
    let trouble = sim.choose("trouble", 2) == 1;
    if trouble {
        sim.allow_trouble(Trouble::all());
    }
    let (quick, slow, long) = (server.get(sim, "/quick"), server.get(sim, "/slow"), server.get(sim, "/long"));
    quick.send("GET /again HTTP/1.1\r\nHost: x\r\n\r\n");
    let leaves = server.get(sim, "/long");
    sim.advance(Duration::from_millis(u64::from(sim.choose("ms until one leaves", 100))));
    match sim.choose("how", 3) {
        0 => leaves.reset(),
        1 => leaves.close(),
        _ => leaves.finish(),
    }
    sim.advance(Duration::from_secs(5));
    if !trouble {
        let bodies = |client: &handwound_wsgi::testing::HttpClient| -> Vec<String> {
            let responses = client.responses();
            responses.iter().map(|response| String::from_utf8_lossy(response.body()).into_owned()).collect()
        };
        assert_eq!(bodies(&quick), ["/quick", "/again"]);
        assert_eq!(bodies(&slow), ["/slow"]);
        assert_eq!(bodies(&long), ["/long".repeat(20)]);
    }
    sim.set_trouble(Trouble::none());
    sim.heal();
    let remote = server.event_loop.remote().clone();
    remote.call_from_thread(|event_loop| event_loop.stop().expect("it runs")).expect("it takes calls");
    sim.advance(Duration::from_secs(300));
    sim.assert_clean();
}
