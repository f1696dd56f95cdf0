//! HTTPS in a simulation: clients that mean harm, or end where few do.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use handwound_testkit::{Choices, Parting, Sim};
use handwound_wsgi::testing::Server;
use handwound_wsgi::testing::prelude::sleep;
use handwound_wsgi::testing::tls::{TlsClient, client_config, serve};
use handwound_wsgi::{Call, Failure, SiteConfig};
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

const GET: &str = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Takes a minute for its answer.
fn slow(call: &Call) -> Result<&'static str, Failure> {
    sleep(Duration::from_secs(60));
    call.start_response("200 OK", &[])?;
    Ok("done")
}

fn slow_server(sim: &Sim) -> Server {
    serve(sim, 1, slow, SiteConfig::default())
}

/// RFC 8446 section 6.1: what follows it is ignored.
#[test]
fn what_comes_after_the_last_word_is_not_kept() {
    for version in [&TLS13, &TLS12] {
        let sim = Sim::new(Choices::calm());
        let server = slow_server(&sim);
        let client = TlsClient::connect(&sim, &server.address, &client_config(&[version]));
        client.send(GET);
        sim.advance(Duration::from_secs(1));
        client.end();
        for _ in 0..20 {
            client.client.send(vec![b'x'; 100_000]);
            sim.advance(Duration::from_secs(1));
            assert!(server.event_loop.memory().of("filter").bytes < 20_000, "{:?}", server.event_loop.memory());
        }
        sim.settle();
        assert!(client.text().ends_with("done"), "{}", client.text());
    }
}

/// A message of a handshake may come in records of one byte each, but nobody has reason to.
#[test]
fn a_handshake_in_crumbs_is_refused_before_it_costs_much() {
    let sim = Sim::new(Choices::calm());
    let server = slow_server(&sim);
    let client = sim.connect(&server.address);
    let crumbs: Vec<u8> =
        [1, 0, 0xff, 0].into_iter().chain([7; 30_000]).flat_map(|byte| [22, 3, 1, 0, 1, byte]).collect();
    for piece in crumbs.chunks(10_000) {
        client.send(piece);
        sim.settle_now();
        assert!(server.event_loop.memory().of("filter").bytes < 100_000, "{:?}", server.event_loop.memory());
    }
    sim.settle();
    assert_eq!(server.event_loop.connections(), 0);
}

/// Who resumes a session of TLS 1.2 has the last word of the handshake, and may leave with it.
#[test]
fn a_client_may_leave_with_the_last_of_its_handshake() {
    let sim = Sim::new(Choices::calm());
    let server = slow_server(&sim);
    let config = client_config(&[&TLS12]);
    let first = TlsClient::connect(&sim, &server.address, &config);
    sim.settle_now();
    first.end();
    let second = TlsClient::connect(&sim, &server.address, &config);
    second.leave_when_open();
    sim.settle();
    assert_eq!(second.connection(|tls| tls.handshake_kind()), Some(HandshakeKind::Resumed));
    assert!(second.has_ended(), "it is answered with a last word, not a reset");
    assert_eq!(second.client.closing(), Parting::Finished);
}

#[test]
fn who_says_nothing_holds_up_no_stop() {
    let sim = Sim::new(Choices::calm());
    let server = slow_server(&sim);
    let silent = sim.connect(&server.address);
    sim.settle_now();
    server.event_loop.call_from_thread(|event_loop| event_loop.stop().unwrap()).unwrap();
    sim.advance(Duration::from_secs(3));
    assert_eq!((server.event_loop.connections(), silent.is_closed()), (0, true));
}
