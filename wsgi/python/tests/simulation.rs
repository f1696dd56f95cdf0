//! A Python application on simulated workers, each an OS thread of its own: the same seed, the same run.
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use handwound_python::testing;
use handwound_testkit::{Choices, NetworkOptions, Sim, explore, seeds};
use handwound_wsgi::SiteConfig;
use handwound_wsgi::testing::{HttpClient, Server};
use pyo3::prelude::*;

const CODE: &str = r#"
import threading
from handwound.testing import sleep

threads = set()
made = closed = 0

class Pieces:
    def __init__(self, count):
        global made
        made += 1
        self.count = count
    def __iter__(self):
        for number in range(self.count):
            yield b'%04d' % number * 1000
    def close(self):
        global closed
        closed += 1

def application(environ, start_response):
    threads.add(threading.get_ident())
    path = environ['PATH_INFO']
    if path == '/written':
        write = start_response('200 OK', [('Content-Type', 'text/plain')])
        write(b'a' * 300_000)
        write(b'b' * 300_000)
        return []
    if path == '/pieces':
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return Pieces(150)
    if path == '/whole':
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return [b'w' * 600_000]
    if path == '/fails':
        raise ValueError('asked to')
    if path == '/counts':
        start_response('200 OK', [])
        return [b'%d threads %d made %d closed' % (len(threads), made, closed)]
    body = environ['wsgi.input'].read()
    sleep(0.05)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return (piece for piece in (path.encode(), b' ', b'%d' % len(body)))
"#;

fn tight() -> SiteConfig {
    let mut config = SiteConfig::default();
    config.response_bytes_max = 10_000;
    config.body_memory_bytes_max = 50_000;
    config
}

fn post(client: &HttpClient, path: &str, bytes: usize) {
    client.send(format!("POST {path} HTTP/1.0\r\nHost: x\r\nContent-Length: {bytes}\r\n\r\n"));
    client.send(vec![b'.'; bytes]);
}

/// How many threads Python has seen, how many iterables were made, and how many closed.
fn counts(sim: &Sim, server: &Server) -> Vec<usize> {
    let client = server.get(sim, "/counts");
    sim.advance(Duration::from_secs(1));
    let text = String::from_utf8(client.response().into_body().into()).unwrap();
    text.split(' ').filter_map(|word| word.parse().ok()).collect()
}

/// Six clients, slow ones, one with a large body, one that leaves: the hash of the run, what came, and how many
/// threads Python has seen.
fn run(seed: u64) -> (u64, Vec<String>, usize) {
    let sim = Sim::new(Choices::seed(seed));
    sim.set_network(NetworkOptions::rough());
    let server = testing::prepare(&sim, 3, testing::application_of(CODE), tight());
    server.run(&sim);
    let clients: Vec<_> = ["/one", "/written", "/large", "/fails", "/pieces", "/whole"]
        .into_iter()
        .map(|path| {
            let client = server.connect(&sim).read_in(9_000).every(Duration::from_millis(7));
            post(&client, path, if path == "/large" { 120_000 } else { 4 });
            client
        })
        .collect();
    // This one leaves while its answer is being written, or before.
    sim.advance(Duration::from_millis(sim.choose("patience in ms", 300).into()));
    clients[5].reset();
    sim.advance(Duration::from_secs(30));
    let counts = counts(&sim, &server);
    let answers = clients.iter().map(|client| client.received_text()).collect();
    server.event_loop.call_from_thread(|event_loop| event_loop.stop().unwrap()).unwrap();
    sim.settle();
    sim.assert_clean();
    (sim.trace_hash(), answers, counts[0])
}

#[test]
fn a_python_application_runs_the_same_each_time() {
    let mut threads_max = 0;
    for seed in 0..12 {
        let first = run(seed);
        for _ in 0..2 {
            let (again, first) = (run(seed), &first);
            assert_eq!((first.0, first.2), (again.0, again.2), "seed {seed}");
            for (answer, other) in first.1.iter().zip(&again.1) {
                let differs = answer.bytes().zip(other.bytes()).position(|(one, other)| one != other);
                assert_eq!((answer.len(), differs), (other.len(), None), "seed {seed}");
            }
        }
        let (_, answers, threads) = first;
        let ends = |answer: usize, with: &str| assert!(answers[answer].ends_with(with), "{}", answers[answer]);
        ends(0, "/one 4");
        ends(1, &("\r\n\r\n".to_owned() + &"a".repeat(300_000) + &"b".repeat(300_000)));
        ends(2, "/large 120000");
        assert!(answers[3].starts_with("HTTP/1.1 500 "), "{}", answers[3]);
        ends(4, &"0149".repeat(1000));
        threads_max = threads_max.max(threads);
    }
    assert!(threads_max > 1, "Python has seen one thread only");
}

/// A worker that waits for its client, in any of the ways to write, keeps no other from Python.
#[test]
fn workers_that_wait_for_clients_let_others_have_python() {
    explore(seeds(30), |sim| {
        let server = testing::prepare(sim, 4, testing::application_of(CODE), tight());
        server.run(sim);
        let stuck = ["/written", "/pieces", "/whole"].map(|path| {
            let client = server.connect(sim);
            client.window(0);
            post(&client, path, 4);
            client
        });
        sim.advance(Duration::from_secs(1));
        assert_eq!(server.pool.counts().busy, 3, "they wait");
        let client = server.get(sim, "/free");
        sim.advance(Duration::from_secs(1));
        assert_eq!(client.response().body(), b"/free 0");
        for client in stuck {
            client.read_eagerly();
        }
        sim.advance(Duration::from_secs(5));
        assert_eq!(server.pool.counts().busy, 0);
    });
}

#[test]
fn the_iterable_is_closed_once_whatever_happens() {
    let mut broken_off = 0;
    for seed in 0..30 {
        let sim = Sim::new(Choices::seed(seed));
        let server = testing::prepare(&sim, 2, testing::application_of(CODE), tight());
        server.run(&sim);
        let client = server.connect(&sim).read_in(5_000).every(Duration::from_millis(10));
        post(&client, "/pieces", 4);
        sim.advance(Duration::from_millis(sim.choose("patience in ms", 500).into()));
        client.reset();
        sim.advance(Duration::from_secs(30));
        let counts = counts(&sim, &server);
        assert_eq!(counts[1], counts[2], "seed {seed}");
        broken_off += counts[1];
    }
    assert!(broken_off > 10, "hardly any client was served before it left");
}

/// Each worker's OS thread ends, and Python's lock is free again, wherever the simulation is broken off.
#[test]
fn a_simulation_that_is_broken_off_leaves_python_free() {
    for steps in (0..400).step_by(7) {
        let sim = Sim::new(Choices::seed(steps));
        let server = testing::prepare(&sim, 3, testing::application_of(CODE), tight());
        server.run(&sim);
        for path in ["/one", "/written", "/pieces"] {
            let client = server.connect(&sim);
            client.window(2_000);
            post(&client, path, 4);
        }
        for _ in 0..steps {
            sim.step();
        }
        drop(sim);
        Python::attach(|py| py.run(c"len('free')", None, None).unwrap());
    }
}

#[test]
fn sleep_is_for_simulated_workers() {
    testing::start();
    let error = Python::attach(|py| py.run(c"import handwound.testing as t\nt.sleep(1)", None, None).unwrap_err());
    assert!(error.to_string().contains("is for the workers of a simulation"), "{error}");
}

#[test]
fn an_application_is_imported_anew_each_time() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hw_counts.py"), COUNTS).unwrap();
    testing::import_from(folder.path());
    for _ in 0..2 {
        explore(seeds(5), |sim| {
            let server = testing::serve(sim, 1, testing::application("hw_counts:app"));
            for expected in ["1", "2"] {
                let client = server.get(sim, "/");
                sim.advance(Duration::from_secs(1));
                assert_eq!(client.response().body(), expected.as_bytes());
            }
        });
    }
    for (name, says) in [
        ("hw_counts:ap", "no attribute 'ap' in module 'hw_counts'; did you mean 'app'?"),
        ("hw_counts:count", "hw_counts:count cannot be called; it is an int: 0"),
    ] {
        let Err(payload) = catch_unwind(AssertUnwindSafe(|| testing::application(name))) else { panic!("{name}") };
        assert_eq!(*payload.downcast::<String>().unwrap(), says);
    }
    let Err(payload) = catch_unwind(|| testing::application_of("1 / 0")) else { panic!("it divides by zero") };
    assert!(payload.downcast::<String>().unwrap().contains("line 1, in <module>\nZeroDivisionError"));
}

const COUNTS: &str = "
count = 0

def app(environ, start_response):
    global count
    count += 1
    start_response('200 OK', [])
    return [b'%d' % count]
";
