//! The hand-off between the reactor and its workers, without sockets: the container's own code on the mock.
//! Numbers in names are those of the behaviour that the container promises; see ARCHITECTURE.md.
#![allow(clippy::unwrap_used)]

mod in_hand;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handwound_reactor::{JobRefused, Stopped, ThreadPool, Threads, WorkerHook};
use handwound_testkit::{All, Choices, Exploration, Sim, explore, explore_all, seeds};
use handwound_wsgi::testing::{HttpClient, Server};
use handwound_wsgi::{Call, Chunks, Failure, SiteConfig, WriteError};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fn hello(call: &Call) -> Result<&'static str, Failure> {
    call.start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok("Hello, world!")
}

/// After the render one job and no byte; after the job one mailbox entry and still no byte; after the turn the
/// response.
#[test]
fn spec_29_one_job_one_entry_one_turn() {
    let sim = Sim::new(Choices::calm());
    let server = Server::prepare(&sim, 1, hello, SiteConfig::default());
    sim.run_task("worker-1");
    let client = server.connect(&sim);
    client.send(GET);

    // Accepts, then reads and renders. Nothing but the queue tells of the request.
    server.event_loop.turn_without_waiting().unwrap();
    server.event_loop.turn_without_waiting().unwrap();
    assert_eq!((server.pool.counts().queued, server.event_loop.remote().len()), (1, 0));
    assert_eq!(client.received_text(), "");

    sim.run_task("worker-1");
    assert_eq!((server.pool.counts().queued, server.event_loop.remote().len()), (0, 1));
    assert_eq!(client.received_text(), "");

    server.event_loop.turn_without_waiting().unwrap();
    sim.settle_now();
    assert_eq!(server.event_loop.remote().len(), 0);
    assert_eq!(client.response().body(), b"Hello, world!");
}

/// As it is for applications in Python: one worker does what is short.
struct OneAtATime;

impl WorkerHook for OneAtATime {
    fn one_at_a_time(&self) -> bool {
        true
    }
}

fn calm(server: Server) -> Server {
    server.pool.set_hook(Arc::new(OneAtATime));
    server
}

/// Two requests are there at once; from here on reactor and workers run in every order.
fn two_requests(sim: &Sim, server: Server) -> (Server, [HttpClient; 2]) {
    sim.run_task("worker-1");
    sim.run_task("worker-2");
    let clients = [server.connect(sim), server.connect(sim)];
    server.run(sim);
    sim.run_task("reactor");
    for client in &clients {
        client.send(GET);
    }
    (server, clients)
}

#[test]
fn spec_29_two_requests_in_every_order_of_reactor_and_workers() {
    explore_all(All::default(), |sim| {
        let (server, clients) = two_requests(sim, Server::prepare(sim, 2, hello, SiteConfig::default()));
        sim.advance(Duration::from_millis(10));
        for client in &clients {
            assert_eq!(client.response().body(), b"Hello, world!");
        }
        assert_eq!(server.pool.counts().queued, 0);
    });
}

#[test]
fn spec_29_two_requests_that_wait_for_their_clients_in_many_orders_of_a_calm_pool() {
    let program = |sim: &Sim| {
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let server = Server::prepare(sim, 2, hello_in_two_writes(outcomes.clone()), tight());
        let (server, clients) = two_requests(sim, calm(server));
        sim.advance(Duration::from_secs(10));
        for client in &clients {
            assert_eq!(client.response().body().len(), 2000);
        }
        assert_eq!((server.pool.counts().queued, server.pool.counts().busy), (0, 0));
    };
    Exploration::bounded(2).run(program);
    explore(seeds(2_000), program);
}

/// The first one's application goes on only when the second's has begun.
#[test]
fn spec_29_a_request_behind_one_that_waits_for_it_in_every_order_of_a_calm_pool() {
    explore_all(All::default(), |sim| {
        let gate = sim.threads().gate("the second one");
        let begun = Arc::new(AtomicUsize::new(0));
        let application = move |call: &Call| {
            match begun.fetch_add(1, Ordering::SeqCst) {
                0 => gate.park(),
                _ => gate.unpark(),
            }
            hello(call)
        };
        let server = Server::prepare(sim, 2, application, SiteConfig::default());
        let (_server, clients) = two_requests(sim, calm(server));
        sim.advance(Duration::from_millis(10));
        for client in &clients {
            assert_eq!(client.response().body(), b"Hello, world!");
        }
    });
}

#[test]
fn spec_30_busy_and_queued_are_counted() {
    let sim = Sim::new(Choices::seed(1));
    let pool = ThreadPool::new(sim.threads(), 5..=20);
    let gate = sim.threads().gate("never");
    let done = Arc::new(AtomicUsize::new(0));
    for _ in 0..25 {
        let (gate, done) = (gate.clone(), done.clone());
        let threads = sim.threads();
        let job = move || {
            threads.sleep(Duration::from_secs(1));
            drop(gate);
            done.fetch_add(1, Ordering::SeqCst);
        };
        pool.submit(job).unwrap();
    }
    assert_eq!(pool.counts().queued, 25, "work before the start waits for it");
    pool.start().unwrap();
    sim.settle_now();
    let counts = pool.counts();
    assert_eq!((counts.threads, counts.busy, counts.idle, counts.queued), (20, 20, 0, 5));

    sim.advance(Duration::from_secs(2));
    assert_eq!((done.load(Ordering::SeqCst), pool.counts().busy), (25, 0));

    pool.begin_stop(|| {});
    assert_eq!(pool.submit(|| {}), Err(JobRefused::Stopped));
    sim.settle_now();
    assert_eq!(pool.counts().threads, 0);
    sim.assert_clean();
}

/// Threads that submit while another starts the pool and stops it: what was accepted runs, and nothing else.
fn submit_start_and_stop(sim: &Sim, submitters: &[&str], workers_max: usize) {
    let pool = ThreadPool::new(sim.threads(), 0..=workers_max);
    let ran = Arc::new(AtomicUsize::new(0));
    let accepted = Rc::new(RefCell::new(0));
    for name in submitters {
        let (pool, ran, accepted) = (pool.clone(), ran.clone(), accepted.clone());
        sim.spawn(name, move || {
            let job = move || {
                ran.fetch_add(1, Ordering::SeqCst);
            };
            if pool.submit(job).is_ok() {
                *accepted.borrow_mut() += 1;
            }
        });
    }
    let stopped = pool.clone();
    sim.spawn("stopper", move || {
        stopped.start().unwrap();
        stopped.begin_stop(|| {});
    });
    sim.settle_now();
    assert_eq!(ran.load(Ordering::SeqCst), *accepted.borrow(), "what was accepted has run, and nothing else");
    assert_eq!(pool.counts().threads, 0);
}

#[test]
fn spec_30_no_job_is_lost_in_any_order_of_submit_start_and_stop() {
    explore_all(All::default(), |sim| submit_start_and_stop(sim, &["first"], 2));
    explore_all(All::default(), |sim| submit_start_and_stop(sim, &["first", "second"], 1));
}

/// All orders of these are some two million; of them, those with three changes of threads that were not needed, and
/// a sample of the others.
#[test]
fn spec_30_no_job_is_lost_between_two_workers() {
    let program = |sim: &Sim| submit_start_and_stop(sim, &["first", "second"], 2);
    Exploration::bounded(3).run(program);
    explore(seeds(2_000), program);
}

#[test]
fn spec_31_the_outcome_is_reported_on_the_worker_in_every_order() {
    explore_all(All::default(), |sim| {
        let pool = ThreadPool::new(sim.threads(), 2..=2);
        pool.start().unwrap();
        sim.run_task("worker-1");
        sim.run_task("worker-2");
        let reports = Arc::new(Mutex::new(Vec::new()));
        for panics in [false, true] {
            let reports = reports.clone();
            let call = move || if panics { panic!("no luck") } else { 7 };
            pool.submit_with_result(call, move |outcome| reports.lock().unwrap().push(outcome)).unwrap();
        }
        sim.settle_now();
        let mut reports = reports.lock().unwrap().clone();
        reports.sort();
        assert_eq!(reports, [Ok(7), Err("no luck".to_owned())]);
        assert_eq!((pool.counts().threads, pool.counts().busy), (2, 0), "a panic costs no worker");
    });
}

/// A response that no client reads to its end.
fn endless(outcomes: Arc<Mutex<Vec<WriteError>>>) -> impl Fn(&Call) -> Result<(), Failure> {
    move |call| {
        call.start_response("200 OK", &[])?;
        loop {
            if let Err(error) = call.write(&[b'x'; 1000]) {
                outcomes.lock().unwrap().push(error);
                return Err(error.into());
            }
        }
    }
}

fn tight() -> SiteConfig {
    let mut config = SiteConfig::default();
    config.response_bytes_max = 1000;
    config
}

/// Twisted's container waits for ever here: the reactor joins the worker, the worker waits for the reactor.
#[test]
fn spec_32_a_stop_ends_writers_and_the_pool_within_its_bound() {
    let sim = Sim::new(Choices::seed(3));
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let server = Server::prepare(&sim, 2, endless(outcomes.clone()), tight());
    let client = server.connect(&sim);
    client.window(10);
    client.send(GET);
    let stopped = Rc::new(RefCell::new(None));
    let (event_loop, report) = (server.event_loop.clone(), stopped.clone());
    sim.spawn("reactor", move || *report.borrow_mut() = Some(event_loop.run().unwrap()));
    sim.advance(Duration::from_secs(1));
    assert_eq!(server.pool.counts().busy, 1, "the writer is parked, the client reads nothing");

    server.event_loop.call_from_thread(|reactor| reactor.stop_within(Duration::from_secs(3)).unwrap()).unwrap();
    sim.advance(Duration::from_secs(2));
    assert!(stopped.borrow().is_none(), "there is time yet");
    sim.advance(Duration::from_millis(1100));
    let report: Stopped = stopped.borrow_mut().take().expect("stopped within its bound");
    assert_eq!((report.connections_cut, report.late.len(), report.stuck), (1, 1, vec![]));
    assert_eq!(*outcomes.lock().unwrap(), [WriteError::ClientDisconnected]);
    assert_eq!(server.pool.counts().threads, 0);
    client.read_eagerly();
    sim.settle();
    assert!(client.is_closed());
}

#[test]
fn spec_32_a_stop_with_two_writers_in_every_order() {
    stop_with_two_writers(|server| server);
}

#[test]
fn spec_32_a_stop_with_two_writers_in_every_order_of_a_calm_pool() {
    stop_with_two_writers(calm);
}

fn stop_with_two_writers(dress: fn(Server) -> Server) {
    explore_all(All::default(), |sim| {
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let server = Server::prepare(sim, 2, hello_in_two_writes(outcomes.clone()), tight());
        let (server, _clients) = two_requests(sim, dress(server));
        server.event_loop.call_from_thread(|reactor| reactor.stop_within(Duration::ZERO).unwrap()).unwrap();
        sim.advance(Duration::from_secs(5));
        assert!(!server.event_loop.is_running(), "the stop has come to its end");
        assert_eq!(server.pool.counts().threads, 0);
        let live: Vec<_> = sim.report_deadlock().into_iter().collect();
        assert_eq!(live, [""; 0]);
    });
}

fn hello_in_two_writes(outcomes: Arc<Mutex<Vec<WriteError>>>) -> impl Fn(&Call) -> Result<(), Failure> {
    move |call| {
        call.start_response("200 OK", &[])?;
        // More than may wait: the second write parks until the reactor has taken the first.
        for _ in 0..2 {
            if let Err(error) = call.write(&[b'x'; 1000]) {
                outcomes.lock().unwrap().push(error);
                return Err(error.into());
            }
        }
        Ok(())
    }
}

#[test]
fn spec_25_a_slow_reader_slows_the_producer() {
    let sim = Sim::new(Choices::seed(5));
    let produced = Arc::new(AtomicUsize::new(0));
    let counter = produced.clone();
    let application = move |call: &Call| {
        call.start_response("200 OK", &[])?;
        let counter = counter.clone();
        Ok(Chunks((0..1000).map(move |_| {
            counter.fetch_add(10_000, Ordering::SeqCst);
            vec![b'x'; 10_000]
        })))
    };
    let mut config = SiteConfig::default();
    config.response_bytes_max = 50_000;
    let server = Server::prepare(&sim, 1, application, config);
    server.run(&sim);
    let client = server.connect(&sim);
    client.window(0);
    client.send(GET);
    sim.advance(Duration::from_secs(5));
    // What may wait: in the exchange, in the transport up to its mark and one helping more, in the network.
    let bound = 2 * 50_000 + server.event_loop.config().output_high_bytes + sim.network().receive_buffer_bytes * 2;
    let made = produced.load(Ordering::SeqCst);
    assert!((50_000..=bound + 10_000).contains(&made), "{made} bytes were made for a client that reads none");

    client.read_eagerly();
    sim.advance(Duration::from_secs(50));
    assert_eq!(produced.load(Ordering::SeqCst), 10_000_000);
    assert!(client.received_text().ends_with("\r\n0\r\n\r\n"));
}

#[test]
fn spec_24_a_writer_learns_of_the_disconnect_in_every_order() {
    explore_all(All::default(), |sim| {
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let (server, client) = in_hand::just_read(sim, hello_in_two_writes(outcomes.clone()), tight(), GET);
        client.reset();
        sim.advance(Duration::from_millis(10));
        assert_eq!((server.pool.counts().busy, server.pool.counts().queued), (0, 0), "nobody waits for the client");
        assert_eq!(server.event_loop.connections(), 0);
        assert!(outcomes.lock().unwrap().iter().all(|error| *error == WriteError::ClientDisconnected));
    });
}
