//! Conversations of a client with a whole server, kept as text: what went over the wire when, and how it was cut.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use handwound_reactor::{AnyThreads, Threads};
use handwound_testkit::{Choices, Sim};
use handwound_wsgi::testing::{HttpClient, Server};
use handwound_wsgi::{Call, Failure, SiteConfig};

const MS: Duration = Duration::from_millis(1);

/// Thinks for 10 ms, then says the path, and the body's length.
fn think(threads: AnyThreads) -> impl Fn(&Call) -> Result<String, Failure> + Send + Sync + 'static {
    move |call: &Call| {
        threads.sleep(10 * MS);
        call.start_response("200 OK", &[("Content-Type", "text/plain")])?;
        Ok(format!("{} {}", String::from_utf8_lossy(call.request().path_info()), call.body_len()))
    }
}

fn conversation(choices: Choices, talk: impl FnOnce(&Sim, &HttpClient)) -> (Sim, String) {
    let sim = Sim::new(choices);
    let server = Server::prepare(&sim, 1, think(AnyThreads::new(sim.threads())), SiteConfig::default());
    server.watch(&sim);
    server.run(&sim);
    let client = server.connect(&sim);
    talk(&sim, &client);
    sim.settle();
    assert!(!sim.leftovers().contains("timers:") && !sim.leftovers().contains("jobs:"), "{}", sim.leftovers());
    sim.assert_no_deadlock();
    let transcript = client.transcript();
    (sim, transcript)
}

fn two_in_turn(sim: &Sim, client: &HttpClient) {
    client.send("GET /one HTTP/1.1\r\nHost: x\r\n\r\n");
    sim.advance(100 * MS);
    client.send("GET /two HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
}

#[test]
fn keep_alive() {
    let (sim, transcript) = conversation(Choices::calm(), two_in_turn);
    insta::assert_snapshot!(transcript);
    insta::assert_snapshot!("keep_alive_diagram", sim.diagram());
}

#[test]
fn keep_alive_over_a_rough_network() {
    insta::assert_snapshot!(conversation(Choices::seed(12), two_in_turn).1);
}

#[test]
fn a_body_that_waits_for_100_continue() {
    let (_, transcript) = conversation(Choices::calm(), |sim, client| {
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
        sim.advance(5 * MS);
        client.send("hello");
    });
    insta::assert_snapshot!(transcript);
}

#[test]
fn a_body_that_does_not_come_is_waited_for_only_so_long() {
    let (_, transcript) = conversation(Choices::calm(), |sim, client| {
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe");
        sim.advance(1000 * MS);
        client.send("l");
    });
    insta::assert_snapshot!(transcript);
}

#[test]
fn a_reset_in_the_middle_of_a_request() {
    let (sim, transcript) = conversation(Choices::calm(), |sim, client| {
        client.send("GET /one HTTP/1.1\r\nHost: x\r\n\r\n");
        sim.advance(5 * MS);
        client.reset();
    });
    insta::assert_snapshot!(transcript);
    insta::assert_snapshot!("a_reset_in_the_middle_of_a_request_diagram", sim.diagram());
}
