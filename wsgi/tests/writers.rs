//! Several threads of one application that write one response.
#![allow(clippy::unwrap_used)]

mod in_hand;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use handwound_reactor::Threads;
use handwound_testkit::{All, Backend, Choices, Sim, SimThreads, explore, explore_all, seeds};
use handwound_wsgi::testing::Server;
use handwound_wsgi::{Call, Failure, SiteConfig, WriteError};

const GET: &str = "GET / HTTP/1.0\r\nHost: x\r\n\r\n";

type Outcomes = Arc<Mutex<Vec<(u8, Result<(), WriteError>)>>>;

fn tight() -> SiteConfig {
    let mut config = SiteConfig::default();
    config.response_bytes_max = 1000;
    config
}

/// Writes `records` records of `bytes` bytes, each all of one letter. Those of capitals are not copied.
fn write_records(call: &Call, letter: u8, records: usize, bytes: usize) -> Result<(), WriteError> {
    (0..records).try_for_each(|_| match letter.is_ascii_uppercase() {
        true => call.write_shared(&vec![letter; bytes].into()),
        false => call.write(&vec![letter; bytes]),
    })
}

/// One thread for each letter, and the application's own for the first; it returns when all are through.
fn several(
    threads: SimThreads,
    outcomes: Outcomes,
    letters: &'static [u8],
    records: usize,
    bytes: usize,
) -> impl Fn(&Call) -> Result<(), Failure> {
    move |call| {
        call.start_response("200 OK", &[])?;
        let done = threads.gate("writers done");
        for &letter in &letters[1..] {
            let (call, outcomes, done) = (call.clone(), outcomes.clone(), done.clone());
            let body = move || {
                let outcome = write_records(&call, letter, records, bytes);
                outcomes.lock().unwrap().push((letter, outcome));
                done.unpark();
            };
            threads.spawn("writer", Box::new(body))?;
        }
        let outcome = write_records(call, letters[0], records, bytes);
        outcomes.lock().unwrap().push((letters[0], outcome));
        while outcomes.lock().unwrap().len() < letters.len() {
            done.park();
        }
        Ok(outcome?)
    }
}

/// Each record is whole, and all are there.
#[track_caller]
fn check_records(body: &[u8], letters: &[u8], records: usize, bytes: usize) {
    assert_eq!(body.len(), letters.len() * records * bytes);
    for record in body.chunks(bytes) {
        assert!(record.iter().all(|letter| *letter == record[0]), "a record was torn apart");
    }
    for letter in letters {
        assert_eq!(body.iter().filter(|byte| *byte == letter).count(), records * bytes);
    }
}

#[test]
fn three_threads_write_to_a_slow_reader_and_no_write_is_torn() {
    for backend in [Backend::Coroutines, Backend::OsThreads] {
        let count = if backend == Backend::OsThreads { 40 } else { 400 };
        explore(seeds(count), |sim| {
            sim.set_backend(backend);
            let (outcomes, letters) = (Outcomes::default(), b"aBC");
            // Some records fit, some are larger than all that may wait.
            let bytes = [300, 700, 2500][sim.choose("bytes of a record", 3) as usize];
            let application = several(sim.threads(), outcomes.clone(), letters, 6, bytes);
            let server = Server::prepare(sim, 1, application, tight());
            server.run(sim);
            let client = server.connect(sim).read_in(500).every(Duration::from_millis(10));
            client.window(700);
            client.send(GET);
            sim.advance(Duration::from_secs(20));
            check_records(client.response().body(), letters, 6, bytes);
            assert!(outcomes.lock().unwrap().iter().all(|(_, outcome)| outcome.is_ok()));
            assert_eq!(server.pool.counts().busy, 0);
        });
    }
}

#[test]
fn two_threads_write_in_every_order() {
    explore_all(All::default(), |sim| {
        let outcomes = Outcomes::default();
        let application = several(sim.threads(), outcomes.clone(), b"aB", 1, 700);
        let (_server, client) = in_hand::just_read(sim, application, tight(), GET);
        sim.advance(Duration::from_secs(1));
        check_records(client.response().body(), b"aB", 1, 700);
    });
}

#[test]
fn all_writers_learn_that_the_client_has_left() {
    explore(seeds(400), |sim| {
        let outcomes = Outcomes::default();
        let application = several(sim.threads(), outcomes.clone(), b"aBC", 1_000, 700);
        let server = Server::prepare(sim, 1, application, tight());
        server.run(sim);
        let client = server.connect(sim).read_in(500).every(Duration::from_millis(10));
        client.window(700);
        client.send(GET);
        sim.advance(Duration::from_millis(sim.choose("patience in ms", 100).into()));
        client.reset();
        sim.advance(Duration::from_secs(1));
        let outcomes = outcomes.lock().unwrap();
        // It may have left before anyone was asked.
        assert!(matches!(outcomes.len(), 0 | 3), "{outcomes:?}");
        assert!(outcomes.iter().all(|(_, outcome)| *outcome == Err(WriteError::ClientDisconnected)), "{outcomes:?}");
        assert_eq!((server.pool.counts().busy, server.pool.counts().queued), (0, 0));
    });
}

#[test]
fn a_thread_that_still_writes_when_the_application_returns_is_told_so() {
    explore(seeds(200), |sim| {
        let outcomes = Outcomes::default();
        let (threads, seen) = (sim.threads(), outcomes.clone());
        let application = move |call: &Call| {
            call.start_response("200 OK", &[])?;
            for letter in *b"xY" {
                let (call, outcomes) = (call.clone(), seen.clone());
                let body = move || {
                    let outcome = write_records(&call, letter, 1_000, 700);
                    outcomes.lock().unwrap().push((letter, outcome));
                };
                threads.spawn("writer", Box::new(body))?;
            }
            threads.sleep(Duration::from_millis(5));
            Ok(())
        };
        let server = Server::prepare(sim, 1, application, tight());
        server.run(sim);
        let client = server.connect(sim);
        // Reads nothing: both writers are parked when the application returns.
        client.window(0);
        client.send(GET);
        sim.advance(Duration::from_secs(1));
        let expected = [Err(WriteError::Ended); 2];
        assert_eq!(outcomes.lock().unwrap().iter().map(|(_, outcome)| *outcome).collect::<Vec<_>>(), expected);
        assert_eq!(server.pool.counts().busy, 0);
    });
}

#[test]
fn try_write_takes_all_or_nothing() {
    let sim = Sim::new(Choices::calm());
    let said = Arc::new(Mutex::new(Vec::new()));
    let seen = said.clone();
    let application = move |call: &Call| {
        let attempt = |bytes| seen.lock().unwrap().push(call.try_write(&vec![b'x'; bytes]));
        attempt(1);
        call.start_response("200 OK", &[])?;
        for bytes in [0, 600, 600, 400, 1, 0] {
            attempt(bytes);
        }
        Ok(())
    };
    let server = Server::prepare(&sim, 1, application, tight());
    let client = server.connect(&sim);
    client.send(GET);
    for _ in 0..3 {
        server.event_loop.turn_without_waiting().unwrap();
    }
    sim.run_task("worker-1");
    let expected = [Err(WriteError::NotStarted), Ok(true), Ok(true), Ok(false), Ok(true), Ok(false), Ok(true)];
    assert_eq!(*said.lock().unwrap(), expected);
    server.run(&sim);
    sim.settle();
    assert_eq!(client.response().body(), &[b'x'; 1000]);
}

const LONG_BYTES: usize = 1_000_000;

/// Answers with one piece that is longer than all that may wait, and is not copied.
fn long(call: &Call) -> Result<(), Failure> {
    call.start_response("200 OK", &[])?;
    Ok(call.send_whole_shared(&Bytes::from_static(&[b'l'; LONG_BYTES]))?)
}

/// Takes what it is sent `bytes` at a time.
fn slow_reader_of_a_long_piece(sim: &Sim, bytes: usize) -> (Server, handwound_wsgi::testing::HttpClient) {
    let server = Server::prepare(sim, 1, long, SiteConfig::default());
    server.run(sim);
    let client = server.connect(sim).read_in(bytes).every(Duration::from_millis(10));
    client.window(bytes);
    client.send(GET);
    (server, client)
}

/// 256 KiB in the transport and as many in the exchange cost no worker, however slowly they are read; more does.
#[test]
fn a_long_piece_holds_its_worker_until_what_is_left_may_wait() {
    explore(seeds(60), |sim| {
        let (server, client) = slow_reader_of_a_long_piece(sim, 50_000);
        let may_wait = 512 << 10;
        let mut was_held = false;
        for _ in 0..500 {
            sim.advance(Duration::from_millis(20));
            let left = LONG_BYTES.saturating_sub(client.received().len());
            let is_held = server.pool.counts().busy == 1;
            was_held |= is_held;
            // Sockets and the way have some of it, too.
            assert!(!is_held || left + 200_000 > may_wait, "{left} bytes are left, and a worker waits for them");
        }
        assert!(was_held);
        sim.settle();
        assert_eq!(client.response().body(), &[b'l'; LONG_BYTES]);
        assert_eq!(server.pool.counts().busy, 0);
    });
}

#[test]
fn a_writer_behind_a_long_piece_learns_that_the_client_has_left() {
    explore(seeds(60), |sim| {
        let (server, client) = slow_reader_of_a_long_piece(sim, 100);
        sim.advance(Duration::from_secs(1));
        assert_eq!(server.pool.counts().busy, 1);
        client.reset();
        sim.advance(Duration::from_secs(1));
        assert_eq!(server.pool.counts().busy, 0);
        assert_eq!(server.event_loop.connections(), 0);
    });
}

/// The framing is that of a copied body, and so is what is not sent of it.
#[test]
fn a_shared_body_is_framed_as_a_copied_one() {
    let answer = |sim: &Sim, request: &str, length: Option<&'static str>, shared: bool| {
        let application = move |call: &Call| {
            let fields: Vec<_> = length.map(|length| ("Content-Length", length)).into_iter().collect();
            call.start_response("200 OK", &fields)?;
            for piece in ["one,", "two,", "three"] {
                match shared {
                    true => call.write_shared(&Bytes::from_static(piece.as_bytes()))?,
                    false => call.write(piece.as_bytes())?,
                }
            }
            Ok::<(), Failure>(())
        };
        let server = Server::prepare(sim, 1, application, SiteConfig::default());
        server.run(sim);
        let client = server.connect(sim);
        client.send(request);
        sim.advance(Duration::from_secs(1));
        String::from_utf8(client.received()).unwrap()
    };
    for request in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", GET, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"] {
        for length in [None, Some("13"), Some("5"), Some("4"), Some("20")] {
            let [copied, shared] = [false, true].map(|shared| {
                let sim = Sim::new(Choices::calm());
                answer(&sim, request, length, shared)
            });
            // The pieces of a chunked body may be cut otherwise.
            let joined = |text: &str| text.replace("\r\n4\r\n", "").replace("\r\n5\r\n", "").replace("\r\nd\r\n", "");
            assert_eq!(joined(&copied), joined(&shared), "{request} {length:?}");
        }
    }
}
