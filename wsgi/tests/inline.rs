//! A site whose pool has no threads: the event loop runs the application itself.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use handwound_testkit::{NetworkOptions, Sim, explore, seeds};
use handwound_wsgi::testing::Server;
use handwound_wsgi::{Call, Chunks, Failure, SiteConfig};

fn application(call: &Call) -> Result<Chunks<Vec<Vec<u8>>>, Failure> {
    call.start_response("200 OK", &[("Content-Type", "text/plain")])?;
    match call.path().as_str() {
        "/large" => Ok(Chunks(vec![vec![b'x'; 100_000]; 10])),
        "/panics" => panic!("asked to"),
        path => Ok(Chunks(vec![path.as_bytes().to_vec()])),
    }
}

/// With less room than `/large` takes.
fn server(sim: &Sim) -> Server {
    let mut config = SiteConfig::default();
    config.response_bytes_max = 1000;
    let server = Server::prepare(sim, 0, application, config);
    server.run(sim);
    server.watch(sim);
    server
}

#[test]
fn requests_are_answered_without_a_thread() {
    explore(seeds(100), |sim| {
        sim.set_network(NetworkOptions::rough());
        let server = server(sim);
        let paths = ["/a", "/large", "/b", "/panics", "/c"];
        let clients = paths.map(|path| server.get(sim, path));
        sim.settle();
        for (path, client) in paths.iter().zip(&clients) {
            match *path {
                "/large" => assert_eq!(client.response().body().len(), 1_000_000),
                "/panics" => assert_eq!(client.response().status(), 500),
                path => assert_eq!(client.text(), path),
            }
        }
        assert_eq!(server.pool.counts().threads, 0);
        sim.assert_clean();
    });
}

/// It would wait for ever if it waited: nobody but the loop could make room.
#[test]
fn a_slow_reader_holds_up_nobody() {
    explore(seeds(50), |sim| {
        let server = server(sim);
        let slow = server.connect(sim);
        slow.window(0);
        slow.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
        sim.advance(Duration::from_secs(1));
        let other = server.get(sim, "/other");
        sim.advance(Duration::from_secs(1));
        assert_eq!(other.text(), "/other");
        slow.read_eagerly();
        sim.settle();
        assert_eq!(slow.response().body().len(), 1_000_000);
        sim.assert_clean();
    });
}

#[test]
fn a_client_that_leaves_takes_nothing_along() {
    explore(seeds(100), |sim| {
        let server = server(sim);
        let leaves = server.get(sim, "/large");
        sim.advance(Duration::from_millis(sim.choose("patience in ms", 50).into()));
        leaves.reset();
        let other = server.get(sim, "/other");
        sim.settle();
        assert_eq!(other.text(), "/other");
        sim.assert_clean();
    });
}
