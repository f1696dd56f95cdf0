//! What the access log is told, whatever the order of things: one entry for each response, complete or cut.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use handwound_reactor::Threads;
use handwound_testkit::{Sim, explore, seeds};
use handwound_wsgi::testing::Server;
use handwound_wsgi::{AccessEntry, AccessLog, Call, Failure, SiteConfig};

/// Entries as text: peer's address, request, status, bytes, whole or cut, seconds.
#[derive(Clone, Debug, Default)]
struct Entries(Arc<Mutex<Vec<String>>>);

impl AccessLog for Entries {
    fn log(&self, entry: &AccessEntry<'_>) {
        let request = entry.request.map_or("-".to_owned(), |head| {
            format!("{} {}", head.method().escape_ascii(), head.target().escape_ascii())
        });
        let ip = entry.peer.tcp().unwrap().ip();
        let whole = if entry.is_complete { "whole" } else { "cut" };
        assert!(entry.received > SystemTime::UNIX_EPOCH);
        let (status, bytes, seconds) = (entry.status, entry.body_bytes, entry.duration.as_secs_f64().round());
        self.0.lock().unwrap().push(format!("{ip} {request} {status} {bytes} {whole} {seconds}s"));
    }
}

/// Serves, with a log of all of it.
fn serve(sim: &Sim) -> (Server, Entries) {
    let entries = Entries::default();
    let mut config = SiteConfig::default();
    config.access_log = Some(Arc::new(entries.clone()));
    let threads = sim.threads();
    let application = move |call: &Call| -> Result<&'static str, Failure> {
        match call.request().path().as_str() {
            "/sleep" => threads.sleep(Duration::from_secs(7)),
            "/raise" => return Err(Failure::new("for the test")),
            "/short" => {
                call.start_response("200 OK", &[("Content-Length", "10")])?;
                return Ok("short");
            }
            "/long" => {
                call.start_response("200 OK", &[("Content-Length", "2")])?;
                return Ok("long");
            }
            "/chunks" => {
                call.start_response("203 Fine", &[])?;
                call.write(b"one")?;
                return Ok("three");
            }
            "/breaks" => {
                call.start_response("200 OK", &[])?;
                call.write(b"one")?;
                return Err(Failure::new("for the test"));
            }
            _ => {}
        }
        call.start_response("200 OK", &[])?;
        Ok("Hello, world!")
    };
    let server = Server::prepare(sim, 2, application, config);
    server.run(sim);
    server.watch(sim);
    (server, entries)
}

/// The entries after `input` on one connection.
#[track_caller]
fn check(input: &str, expected: &[&str]) {
    explore(seeds(40), |sim| {
        let (server, entries) = serve(sim);
        server.connect(sim).send(input);
        sim.advance(Duration::from_secs(60));
        assert_eq!(*entries.0.lock().unwrap(), expected, "{input}");
    });
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

#[test]
fn spec_38_each_response_is_one_entry() {
    check(&get("/a?b"), &["127.0.0.1 GET /a?b 200 13 whole 0s"]);
    check(
        &(get("/a") + &get("/chunks")),
        &["127.0.0.1 GET /a 200 13 whole 0s", "127.0.0.1 GET /chunks 203 8 whole 0s"],
    );
    check("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", &["127.0.0.1 HEAD / 200 0 whole 0s"]);
    check(&get("/sleep"), &["127.0.0.1 GET /sleep 200 13 whole 7s"]);
}

#[test]
fn what_fails_or_breaks_off_is_noted_as_it_was_sent() {
    check(&get("/raise"), &["127.0.0.1 GET /raise 500 42 whole 0s"]);
    check(&get("/breaks"), &["127.0.0.1 GET /breaks 200 3 cut 0s"]);
    check(&get("/short"), &["127.0.0.1 GET /short 200 5 cut 0s"]);
    check(&get("/long"), &["127.0.0.1 GET /long 200 2 whole 0s"]);
}

#[test]
fn refusals_are_noted_with_the_request_if_it_could_be_read() {
    check("GET / HTTP/9.9\r\n\r\n", &["127.0.0.1 - 505 38 whole 0s"]);
    let too_large = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n";
    check(too_large, &["127.0.0.1 - 413 31 whole 0s"]);
    let bad_chunk = "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n";
    check(bad_chunk, &["127.0.0.1 POST /a 400 41 whole 0s"]);
}

#[test]
fn who_leaves_before_the_response_is_noted_once() {
    explore(seeds(200), |sim| {
        let (server, entries) = serve(sim);
        let client = server.get(sim, "/sleep");
        sim.advance(Duration::from_secs(2));
        client.reset();
        sim.advance(Duration::from_secs(60));
        assert_eq!(*entries.0.lock().unwrap(), ["127.0.0.1 GET /sleep 499 0 cut 2s"]);
    });
}

#[test]
fn what_a_stop_cuts_is_noted() {
    explore(seeds(100), |sim| {
        let (server, entries) = serve(sim);
        server.get(sim, "/sleep");
        sim.advance(Duration::from_secs(2));
        let stop = server.event_loop.call_from_thread(|event_loop| {
            event_loop.stop_within(Duration::from_secs(2)).unwrap();
        });
        stop.unwrap();
        sim.advance(Duration::from_secs(60));
        assert_eq!(*entries.0.lock().unwrap(), ["127.0.0.1 GET /sleep 499 0 cut 4s"]);
    });
}

/// Whenever the client is gone: what it was sent of is noted, and nothing twice.
#[test]
fn no_request_is_noted_twice() {
    explore(seeds(200), |sim| {
        let (server, entries) = serve(sim);
        let client = server.connect(sim).reset_at(sim.any(0..80));
        client.send(get("/chunks") + &get("/a"));
        sim.advance(Duration::from_secs(60));
        let noted = entries.0.lock().unwrap().clone();
        assert!(noted.len() <= 2, "{noted:?}");
        assert!(noted.iter().all(|entry| entry.contains("/chunks")) || noted.len() == 2, "{noted:?}");
    });
}

#[test]
fn spec_38_extra_headers_are_in_every_response() {
    explore(seeds(40), |sim| {
        let mut config = SiteConfig::default();
        config.http.extra_headers.push("X-Frame-Options", "DENY").unwrap();
        let server = Server::prepare(sim, 1, handwound_wsgi::application(hello), config);
        server.run(sim);
        server.watch(sim);
        let client = server.get(sim, "/");
        client.send("nonsense\r\n\r\n");
        sim.settle();
        let text = client.received_text();
        assert_eq!(text.matches("\r\nX-Frame-Options: DENY\r\n").count(), 2, "{text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 2, "{text}");
    });
}

fn hello(call: &Call) -> Result<&'static str, Failure> {
    call.start_response("200 OK", &[])?;
    Ok("Hello, world!")
}
