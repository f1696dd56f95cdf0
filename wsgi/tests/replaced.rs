//! A server whose place is taken by another: what becomes of connections that wait for a request when it stops.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use handwound_reactor::{Address, EventLoop, ListenOptions, Phase};
use handwound_testkit::{Choices, Parting, Sim, explore, seeds};
use handwound_wsgi::testing::{HttpClient, Server};
use handwound_wsgi::{Call, Failure, RequestLimit, Site, SiteConfig, WsgiResource};

const IDLE: Duration = Duration::from_secs(2);
const UNUSED: Duration = Duration::from_secs(4);

/// A server that is replaced when it stops, and how many requests its application has seen.
fn server(sim: &Sim, config: SiteConfig) -> (Server, Arc<AtomicUsize>) {
    let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
    event_loop.suggest_thread_pool(2..=2);
    let pool = event_loop.thread_pool();
    pool.start().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let application = move |call: &Call| -> Result<&str, Failure> {
        counted.fetch_add(1, Ordering::Relaxed);
        call.start_response("200 OK", &[])?;
        Ok("served")
    };
    let site = Site::with_config(WsgiResource::new(&event_loop, pool.clone(), application), config);
    let address = Address::from(SocketAddr::from(([127, 0, 0, 1], 80)));
    site.listen(&event_loop, &address, &ListenOptions::default()).unwrap();
    event_loop.add_trigger(Phase::BeforeShutdown, move |_| site.keep_idle_when_stopping(IDLE, UNUSED));
    let server = Server { event_loop, pool, address };
    server.run(sim);
    server.watch(sim);
    (server, calls)
}

fn stop(server: &Server) {
    server.event_loop.call_from_thread(|event_loop| event_loop.stop().unwrap()).unwrap();
}

fn ask(client: &HttpClient) {
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
}

fn says_close(client: &HttpClient) -> Vec<bool> {
    client.responses().iter().map(|response| response.headers().contains_key("connection")).collect()
}

#[test]
fn a_request_that_comes_in_time_is_answered_and_told_that_it_was_the_last() {
    let sim = Sim::new(Choices::calm());
    let (server, _) = server(&sim, SiteConfig::default());
    let (used, unused) = (server.get(&sim, "/"), server.connect(&sim));
    sim.settle_now();
    stop(&server);
    sim.advance(IDLE - Duration::from_millis(1));
    assert!(!used.is_closed() && !unused.is_closed());
    ask(&used);
    sim.settle_now();
    assert_eq!(says_close(&used), [false, true]);
    assert!(used.is_closed());
    sim.advance(UNUSED - IDLE);
    ask(&unused);
    sim.settle_now();
    assert_eq!(says_close(&unused), [true]);
    assert!(unused.is_closed());
    sim.settle();
    assert!(!server.event_loop.is_running());
    sim.assert_clean();
}

#[test]
fn a_connection_without_a_request_ends_in_order_when_its_time_is_up() {
    let sim = Sim::new(Choices::calm());
    let (server, calls) = server(&sim, SiteConfig::default());
    let (used, unused) = (server.get(&sim, "/"), server.connect(&sim));
    sim.settle_now();
    stop(&server);
    sim.advance(IDLE + Duration::from_millis(1));
    assert_eq!((used.closing(), unused.closing()), (Parting::Finished, Parting::Open));
    sim.advance(UNUSED - IDLE);
    assert_eq!(unused.closing(), Parting::Finished);
    // What comes all the same is not looked at, and not answered with a reset either.
    ask(&used);
    sim.settle();
    assert_eq!((used.closing(), used.responses().len()), (Parting::Finished, 1));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert!(!server.event_loop.is_running());
    sim.assert_clean();
}

#[test]
fn whoever_has_begun_a_head_has_the_time_that_everyone_has() {
    let sim = Sim::new(Choices::calm());
    let (server, _) = server(&sim, SiteConfig::default());
    let slow = server.connect(&sim);
    slow.send("GET / HT");
    sim.settle_now();
    stop(&server);
    sim.advance(UNUSED + Duration::from_secs(1));
    slow.send("TP/1.1\r\nHost: x\r\n\r\n");
    sim.settle_now();
    assert_eq!(says_close(&slow), [true]);
    sim.settle();
    sim.assert_clean();
}

#[test]
fn each_request_of_a_server_that_is_replaced_is_answered_or_was_never_seen() {
    explore(seeds(3_000), |sim| {
        let (server, calls) = server(sim, SiteConfig::default());
        let clients: Vec<_> = (0..3).map(|_| server.connect(sim)).collect();
        let mut asked = 0;
        for client in &clients {
            if sim.any(0..2) == 1 {
                ask(client);
                asked += 1;
            }
        }
        sim.advance(Duration::from_millis(sim.any(0..50)));
        stop(&server);
        for client in &clients {
            sim.advance(Duration::from_millis(sim.any(0..2_500)));
            ask(client);
            asked += 1;
        }
        sim.settle();
        let mut answered = 0;
        for client in &clients {
            let says_close = says_close(client);
            answered += says_close.len();
            // Nothing comes after the word that nothing comes.
            assert!(says_close.iter().rev().skip(1).all(|it| !it));
            assert_ne!(client.closing(), Parting::Reset, "{}", client.received_text());
        }
        assert_eq!(answered, calls.load(Ordering::Relaxed));
        assert!(answered <= asked);
        assert!(!server.event_loop.is_running());
        sim.assert_clean();
    });
}

#[test]
fn a_limit_of_requests_is_told_once_and_stops_nothing() {
    let sim = Sim::new(Choices::calm());
    let told = Arc::new(AtomicUsize::new(0));
    let counted = told.clone();
    let mut config = SiteConfig::default();
    config.request_limit = Some(RequestLimit::new(3, move || {
        counted.fetch_add(1, Ordering::Relaxed);
    }));
    let (server, _) = server(&sim, config);
    let (one, other) = (server.connect(&sim), server.connect(&sim));
    for (client, expected) in [(&one, 0), (&other, 0), (&one, 1), (&other, 1), (&one, 1)] {
        ask(client);
        sim.settle_now();
        assert_eq!(told.load(Ordering::Relaxed), expected);
    }
    assert_eq!((one.responses().len(), other.responses().len()), (3, 2));
}
