//! What becomes of a request whose client has left before a worker took it up, and of the stop of a server that still
//! runs such requests.
#![allow(clippy::unwrap_used)]

mod in_hand;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use handwound_testkit::explore_all;
use handwound_wsgi::testing::prelude::*;
use handwound_wsgi::{Call, Failure, SiteConfig};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// An application that counts its calls, and the count.
fn counting() -> (Arc<AtomicUsize>, impl Fn(&Call) -> Result<&'static str, Failure> + Send + Sync) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let application = move |call: &Call| {
        counter.fetch_add(1, Relaxed);
        call.start_response("200 OK", &[])?;
        Ok("hello")
    };
    (calls, application)
}

/// The only worker is busy elsewhere while the request waits.
fn leaves_in_the_queue(leave: impl Fn(&HttpClient)) -> usize {
    let sim = Sim::new(Choices::calm());
    let (calls, application) = counting();
    let server = Server::prepare(&sim, 1, application, SiteConfig::default());
    server.run(&sim);
    server.watch(&sim);
    server.pool.submit(|| sleep(10.secs())).unwrap();
    sim.advance(1.secs());
    let client = server.connect(&sim);
    client.send(GET);
    sim.advance(1.secs());
    assert_eq!(server.pool.counts().queued, 1);
    leave(&client);
    sim.advance(20.secs());
    assert_eq!((server.pool.counts().queued, server.pool.counts().busy), (0, 0));
    sim.assert_clean();
    calls.load(Relaxed)
}

#[test]
fn a_request_taken_back_by_a_reset_is_not_begun() {
    assert_eq!(leaves_in_the_queue(|client| client.reset()), 0);
}

/// Who ends its stream, or closes its socket, has sent all it had to say: that is no reason not to do it.
#[test]
fn a_request_whose_client_has_only_closed_is_done() {
    assert_eq!(leaves_in_the_queue(|client| client.finish()), 1);
    assert_eq!(leaves_in_the_queue(|client| client.close()), 1);
}

/// Some orders begin it and some do not; none begins it twice, answers it, or leaves anything behind.
#[test]
fn a_reset_and_the_worker_in_every_order() {
    let seen = Rc::new(RefCell::new([0; 2]));
    let counted = Rc::clone(&seen);
    explore_all(All::default(), move |sim| {
        let (calls, application) = counting();
        let (server, client) = in_hand::just_read(sim, application, SiteConfig::default(), GET);
        client.reset();
        sim.advance(10.ms());
        counted.borrow_mut()[calls.load(Relaxed)] += 1;
        assert_eq!((server.pool.counts().busy, server.pool.counts().queued), (0, 0));
        assert_eq!((server.event_loop.remote().len(), server.event_loop.connections()), (0, 0));
    });
    assert!(seen.borrow().iter().all(|&orders| orders > 0), "not begun, begun: {:?} orders", seen.borrow());
}

/// Stops a server while one job without a client runs for `job`; how long that took, and how many workers were stuck.
fn stop_with_a_job(job: Duration, patience: Duration, second: Option<Duration>) -> (Duration, usize) {
    let sim = Sim::new(Choices::calm());
    let (_, application) = counting();
    let server = Server::prepare(&sim, 1, application, SiteConfig::default());
    let stopped = Rc::new(RefCell::new(None));
    let (event_loop, report, threads) = (server.event_loop.clone(), Rc::clone(&stopped), sim.threads());
    sim.spawn("reactor", move || {
        let outcome = event_loop.run().unwrap();
        *report.borrow_mut() = Some((handwound_reactor::Threads::now(&threads), outcome.stuck.len()));
    });
    server.pool.submit(move || sleep(job)).unwrap();
    sim.advance(1.secs());
    let asked_at = sim.now();
    let stop =
        |patience| server.event_loop.call_from_thread(move |event_loop| event_loop.stop_within(patience).unwrap());
    stop(patience).unwrap();
    sim.advance(1.secs());
    if let Some(patience) = second {
        stop(patience).unwrap();
    }
    sim.settle();
    let (at, stuck) = stopped.borrow_mut().take().expect("a stop comes to its end");
    (at - asked_at, stuck)
}

/// Nobody is connected, but what runs was promised the patience of the stop.
#[test]
fn a_job_without_a_client_has_the_patience_of_a_stop() {
    assert_eq!(stop_with_a_job(11.secs(), 30.secs(), None), (10.secs(), 0));
    assert_eq!(stop_with_a_job(100.secs(), 30.secs(), None), (30.secs(), 1));
    // With less than a second of patience, workers still have that second.
    assert_eq!(stop_with_a_job(100.secs(), 0.secs(), None), (1.secs(), 1));
}

/// The second signal of a person in a hurry; its workers have the second that workers have.
#[test]
fn a_second_stop_shortens_what_the_first_gave_to_jobs() {
    assert_eq!(stop_with_a_job(100.secs(), 30.secs(), Some(0.secs())), (2.secs(), 1));
    assert_eq!(stop_with_a_job(100.secs(), 5.secs(), Some(60.secs())), (5.secs(), 1));
}

/// While all workers are busy, clients come, send large bodies and reset: what they sent does not stay in the queue.
// Linux tells which files a process has open.
#[cfg(target_os = "linux")]
#[test]
fn the_body_of_an_abandoned_request_is_given_back() {
    let sim = Sim::new(Choices::calm());
    let folder = tempfile::tempdir().unwrap();
    let mut config = SiteConfig::default();
    (config.body_memory_bytes_max, config.body_folder) = (1_000, Some(folder.path().to_owned()));
    let (calls, application) = counting();
    let server = Server::prepare(&sim, 1, application, config);
    server.run(&sim);
    server.watch(&sim);
    let open_files =
        || std::fs::read_dir("/proc/self/fd").unwrap().flatten().map(|entry| std::fs::read_link(entry.path()));
    let in_folder = || open_files().flatten().filter(|file| file.starts_with(folder.path())).count();
    server.pool.submit(|| sleep(100.secs())).unwrap();
    let clients: Vec<_> = (0..20).map(|_| server.connect(&sim)).collect();
    for client in &clients {
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n");
        client.send([b'b'; 200_000]);
    }
    sim.advance(1.secs());
    assert_eq!((server.pool.counts().queued, in_folder()), (20, 20));
    clients.iter().for_each(|client| client.reset());
    sim.advance(1.secs());
    assert_eq!((server.pool.counts().queued, in_folder()), (20, 0));
    sim.advance(100.secs());
    assert_eq!(calls.load(Relaxed), 0);
    sim.assert_clean();
}
