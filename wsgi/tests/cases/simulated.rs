//! Cases in the simulation: no sockets, no threads, no time.

use std::time::Duration;

use handwound_testkit::{Choices, Parting, Sim, explore, seeds};
use handwound_wsgi::SiteConfig;
use handwound_wsgi::testing::{HttpClient, Server};

use crate::answers::{Seen, application, verdict};
use crate::table::Case;

/// The longest conversation that is cut at every byte; longer ones are cut near their ends, and here and there.
const EVERY_CUT_BYTES_MAX: usize = 1000;

/// As many cases share one bad network.
const CROWD: usize = 150;

fn serve(sim: &Sim) -> (Server, Seen) {
    let seen = Seen::default();
    let server = Server::prepare(sim, 2, application(&seen), SiteConfig::default());
    server.run(sim);
    (server, seen)
}

/// Each case whole, cut in two at every byte, and byte by byte: always the same verdict, the table's. And cut off at
/// every byte: the application sees nothing that it had not seen otherwise.
pub fn check_cuts(cases: &[Case]) {
    for case in cases {
        // What fails in here is about this case.
        println!("{case}");
        let sim = Sim::new(Choices::calm());
        let (server, seen) = serve(&sim);
        let bytes = case.bytes();
        let whole = converse(&sim, &server, &seen, case, &[&bytes]);
        let ends = case.send.len();
        let is_short = bytes.len() <= EVERY_CUT_BYTES_MAX;
        for cut in (1..ends).filter(|cut| is_short || *cut < 150 || *cut + 150 > ends || *cut % 997 == 0) {
            let (before, after) = bytes.split_at(cut);
            converse(&sim, &server, &seen, case, &[before, after]);
            let client = server.connect(&sim);
            client.send(before);
            sim.settle_now();
            client.reset();
            sim.advance(Duration::from_millis(2));
            let some = std::mem::take(&mut *seen.lock().unwrap()).into_values().next().unwrap_or_default();
            assert!(whole.starts_with(&some), "reset after {cut} bytes, the application saw {some:?}");
        }
        let drip = if is_short { 1 } else { 61 };
        converse(&sim, &server, &seen, case, &bytes.chunks(drip).collect::<Vec<_>>());
    }
}

/// One conversation, in these pieces. Gives what the application saw.
fn converse(sim: &Sim, server: &Server, seen: &Seen, case: &Case, pieces: &[&[u8]]) -> Vec<String> {
    let client = server.connect(sim);
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        client.send(piece);
        sim.settle_now();
    }
    if case.ends {
        client.finish();
    }
    // A loop that dozes is woken by its clock.
    sim.advance(Duration::from_millis(2));
    let seen = compare(case, seen, &client, &format!("in pieces of {:?} bytes", lengths(pieces)));
    client.close();
    sim.settle_now();
    seen
}

fn lengths(pieces: &[&[u8]]) -> Vec<usize> {
    pieces.iter().map(|piece| piece.len()).collect()
}

#[track_caller]
fn compare(case: &Case, seen: &Seen, client: &HttpClient, how: &str) -> Vec<String> {
    let port = client.address().and_then(|address| address.tcp()).expect("a connected client").port();
    let seen = seen.lock().unwrap().remove(&port).unwrap_or_default();
    let parting = client.closing();
    assert!(matches!(parting, Parting::Open | Parting::Finished), "{case}\n{how}: {parting:?}");
    let found = verdict(case, &seen, &client.received(), parting == Parting::Finished);
    assert!(found == case.expect, "{case}\n{how}\n gives {found}\n not   {}", case.expect);
    seen
}

/// All cases side by side, in crowds, on networks that delay, cut and shuffle as each seed has it.
pub fn check_crowds(cases: &[Case]) {
    for crowd in cases.chunks(CROWD) {
        explore(seeds(3), |sim| {
            let (server, seen) = serve(sim);
            let clients: Vec<_> = crowd.iter().map(|case| (case, server.connect(sim))).collect();
            for (case, client) in &clients {
                if !case.bytes().is_empty() {
                    client.send(case.bytes());
                }
                if case.ends {
                    client.finish();
                }
            }
            // Less than the shortest timeout: who waits shall be seen to wait.
            sim.advance(Duration::from_secs(14));
            for (case, client) in &clients {
                compare(case, &seen, client, "in a crowd");
            }
        });
    }
}
