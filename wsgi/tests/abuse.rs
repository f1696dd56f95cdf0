//! Clients that mean harm, many of them, beside honest ones: the honest are served in time, and at each step of the world
//! what is kept for each connection is within the bounds that the configuration names.
#![allow(clippy::unwrap_used)]

mod abuse_bounds;

use std::sync::atomic::Ordering::Relaxed;

use abuse_bounds::{HONEST_MAX, WORKERS, Watched, site_config};
use handwound_testkit::Parting;
use handwound_wsgi::testing::prelude::*;

const MANY: usize = 12;

#[test]
fn slow_heads() {
    explore(seeds(20), |sim| {
        let watched = Watched::new(sim);
        let attackers = watched.attack(sim, MANY, |client| {
            client.write_in(1).every(700.ms()).send(format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(500)));
        });
        for _ in 0..3 {
            watched.serves(sim, HONEST_MAX);
            watched.pass(sim, 7.secs());
        }
        let refused = |client: &HttpClient| client.received_text().starts_with("HTTP/1.1 408 ");
        assert!(attackers.iter().all(refused), "a head takes 15 s at most");
        assert_eq!(watched.calls[2].load(Relaxed), 0);
        watched.ends_clean(sim, &attackers);
    });
}

#[test]
fn slow_bodies() {
    explore(seeds(20), |sim| {
        let watched = Watched::new(sim);
        let attackers = watched.attack(sim, MANY, |client| {
            client.send("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n");
            client.write_in(10).every(1.secs()).send([b'b'; 50_000]);
        });
        for _ in 0..6 {
            watched.serves(sim, HONEST_MAX);
            watched.pass(sim, 7.secs());
        }
        let refused = |client: &HttpClient| client.received_text().starts_with("HTTP/1.1 408 ");
        assert!(attackers.iter().all(refused), "a body has to come at some rate");
        assert_eq!(watched.calls[2].load(Relaxed), 0, "a body that is not there holds no worker");
        watched.ends_clean(sim, &attackers);
    });
}

/// In memory up to their bound, then in files.
#[test]
fn large_bodies_at_once_and_in_tiny_chunks() {
    explore(seeds(10), |sim| {
        let watched = Watched::new(sim);
        let attackers = watched.attack(sim, MANY / 2, |client| {
            client.send(format!("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 100_000));
            client.send([b'b'; 100_000]);
        });
        let chunked = watched.attack(sim, MANY / 2, |client| {
            client.send("POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
            client.send("1\r\nx\r\n".repeat(8_000) + "0\r\n\r\n");
        });
        watched.serves(sim, HONEST_MAX);
        watched.pass(sim, 60.secs());
        let attackers = [attackers, chunked].concat();
        assert!(attackers.iter().all(|client| client.text() == "/body"));
        assert!(watched.most.borrow()["body"] >= 6_000);
        watched.ends_clean(sim, &attackers);
    });
}

/// A response that the buffers have room for costs no worker, however slowly it is read.
#[test]
fn slow_readers() {
    explore(seeds(20), |sim| {
        let watched = Watched::new(sim);
        let attackers = watched.attack(sim, MANY, |client| {
            client.window(10);
            client.read_in(1).every(1.secs());
            client.send("GET /large/8000 HTTP/1.1\r\nHost: x\r\n\r\n");
        });
        for _ in 0..3 {
            watched.serves(sim, HONEST_MAX);
            watched.pass(sim, 7.secs());
        }
        assert_eq!(watched.calls[2].load(Relaxed), MANY);
        assert!(watched.most.borrow()["output"] >= 7_000, "{:?}", watched.most.borrow());
        watched.ends_clean(sim, &attackers);
    });
}

/// A longer one holds its worker until the client reads on or has taken nothing for the send timeout. Who queues behind
/// such clients is served when those before are cut.
#[test]
fn readers_of_nothing_hold_workers_for_the_send_timeout_at_most() {
    hold_workers_for_the_send_timeout_at_most(|_| {});
}

/// Nor does it help to take a byte now and then.
#[test]
fn readers_of_next_to_nothing_hold_workers_for_the_send_timeout_at_most() {
    hold_workers_for_the_send_timeout_at_most(|client| {
        client.read_in(1).every(1.secs());
    });
}

fn hold_workers_for_the_send_timeout_at_most(read: impl Fn(&HttpClient)) {
    explore(seeds(20), |sim| {
        let watched = Watched::new(sim);
        let attackers = watched.attack(sim, 2 * WORKERS, |client| {
            client.window(10);
            read(client);
            client.send("GET /large/100000 HTTP/1.1\r\nHost: x\r\n\r\n");
        });
        watched.pass(sim, 5.secs());
        assert_eq!(watched.server.pool.counts().busy, WORKERS);
        watched.serves(sim, 2 * site_config().send_timeout + HONEST_MAX);
        watched.ends_clean(sim, &attackers);
    });
}

/// Who takes no answers gets no further request looked at; who takes them gets all.
#[test]
fn floods_of_pipelined_requests() {
    explore(seeds(10), |sim| {
        let watched = Watched::new(sim);
        let request = "GET /large/500 HTTP/1.1\r\nHost: x\r\n\r\n";
        let deaf = watched.attack(sim, MANY / 2, |client| {
            client.window(10);
            client.send(request.repeat(2_000));
        });
        // Short questions with long answers, for which no worker is asked.
        let fixed = watched.attack(sim, MANY / 2, |client| {
            client.window(10);
            client.send("GET /fixed HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2_000));
        });
        let reading = watched.connect(sim);
        reading.send(request.repeat(200));
        for _ in 0..3 {
            watched.serves(sim, HONEST_MAX);
            watched.pass(sim, 5.secs());
        }
        let answered = watched.calls[2].load(Relaxed);
        // A half kilobyte each, and its head: as many as find room.
        assert!((200 + MANY / 2..200 + MANY / 2 * 60).contains(&answered), "{answered} were answered");
        assert_eq!(reading.responses().len(), 200);
        watched.ends_clean(sim, &[deaf, fixed, vec![reading]].concat());
    });
}

#[test]
fn header_bombs() {
    explore(seeds(20), |sim| {
        let watched = Watched::new(sim);
        let line = "GET /bomb HTTP/1.1\r\nHost: x\r\n";
        let bombs = [
            format!("{line}A: {}", "a".repeat(100_000)),
            format!("{line}{}", "A: b\r\n".repeat(20_000)),
            format!("{line}{}\r\n\r\n", "a".repeat(100_000)),
            format!("GET /{} HTTP/1.1\r\n", "a".repeat(100_000)),
            "\r\n".repeat(50_000),
        ];
        let mut attackers = Vec::new();
        for bomb in &bombs {
            attackers.extend(watched.attack(sim, 3, |client| drop(client.send(bomb))));
        }
        watched.serves(sim, HONEST_MAX);
        watched.pass(sim, 30.secs());
        assert!(attackers.iter().all(HttpClientExt::is_refused));
        assert_eq!(watched.calls[2].load(Relaxed), 0);
        watched.ends_clean(sim, &attackers);
    });
}

trait HttpClientExt {
    fn is_refused(&self) -> bool;
}

impl HttpClientExt for HttpClient {
    /// It has been told that its request is bad, or has learned it from a reset: it had not stopped sending.
    fn is_refused(&self) -> bool {
        self.received_text().starts_with("HTTP/1.1 4") || self.closing() == Parting::Reset
    }
}

#[test]
fn connections_that_say_nothing() {
    explore(seeds(5), |sim| {
        let watched = Watched::new(sim);
        let idle = watched.attack(sim, 100, |_| {});
        watched.serves(sim, HONEST_MAX);
        let used = watched.attack(sim, 50, |client| drop(client.send("GET /used HTTP/1.1\r\nHost: x\r\n\r\n")));
        watched.pass(sim, 10.secs());
        assert_eq!(watched.server.event_loop.connections(), 150);
        watched.serves(sim, HONEST_MAX);
        watched.pass(sim, 31.secs());
        assert_eq!(watched.server.event_loop.connections(), 0, "an idle connection is closed");
        watched.ends_clean(sim, &[idle, used].concat());
    });
}

/// Each of these connections is reset one byte later than the one before.
#[test]
fn resets_at_every_byte() {
    let request = "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    explore(seeds(5), |sim| {
        let watched = Watched::new(sim);
        for byte in 0..=request.len() {
            let client = watched.connect(sim);
            client.send(request).reset_at(byte);
        }
        watched.serves(sim, HONEST_MAX);
        watched.pass(sim, 10.secs());
        assert!(watched.calls[1].load(Relaxed) <= 1, "only one has sent all of its request");
        watched.ends_clean(sim, &[]);
    });
}
