//! Callbacks that call the loop they are called by: closing listeners, stopping, submitting work.
#![allow(clippy::unwrap_used)]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use handwound_reactor::{
    Address, CallRefused, EventLoop, Job, LifecycleError, ListenOptions, Listening, LoopConfig, Phase, Protocol,
    Transport, Worker,
};
use handwound_testkit::{Choices, Sim};

fn address() -> Address {
    std::net::SocketAddr::from(([127, 0, 0, 1], 7007)).into()
}

fn elsewhere() -> Address {
    std::net::SocketAddr::from(([127, 0, 0, 1], 7008)).into()
}

type Act = Rc<dyn Fn(&EventLoop)>;

/// Calls its act when it is connected; says `stop` when it is told to stop.
struct Acting(Act);

impl Protocol for Acting {
    fn connected(&mut self, transport: &mut Transport) {
        (self.0)(&transport.event_loop());
    }

    fn received(&mut self, _transport: &mut Transport, _bytes: &[u8]) {}

    fn stopping(&mut self, transport: &mut Transport) {
        transport.write(b"stop");
        transport.close();
    }
}

fn run(sim: &Sim, name: &str, event_loop: &EventLoop) {
    let running = event_loop.clone();
    sim.spawn(name, move || {
        running.run().unwrap();
    });
}

#[test]
fn a_listener_closed_by_the_connection_it_accepts_takes_no_other() {
    let sim = Sim::new(Choices::calm());
    let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
    let place: Rc<RefCell<Option<Listening>>> = Rc::default();
    let listening = place.clone();
    let accepted = Rc::new(Cell::new(0));
    let count = accepted.clone();
    let close: Act = Rc::new(move |event_loop| {
        count.set(count.get() + 1);
        if let Some(listening) = listening.take() {
            listening.close(event_loop);
        }
    });
    *place.borrow_mut() =
        Some(event_loop.listen(&address(), &ListenOptions::default(), move |_| Acting(close.clone())).unwrap());
    let _clients = [sim.connect(&address()), sim.connect(&address())];
    run(&sim, "loop", &event_loop);
    sim.advance(Duration::from_secs(1));
    assert_eq!((accepted.get(), event_loop.connections()), (1, 1));
    assert_eq!(sim.sockets().len(), 1, "the connection only: {:?}", sim.sockets());
}

#[test]
fn a_stop_from_within_a_connection_tells_that_one_too_and_closes_its_listener() {
    let sim = Sim::new(Choices::calm());
    let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
    let stop: Act = Rc::new(|event_loop| event_loop.stop_within(Duration::from_secs(30)).unwrap());
    event_loop.listen(&address(), &ListenOptions::default(), move |_| Acting(stop.clone())).unwrap();
    let clients = [sim.connect(&address()), sim.connect(&address())];
    run(&sim, "loop", &event_loop);
    sim.advance(Duration::from_secs(1));
    assert!(!event_loop.is_running(), "nothing is left to wait for");
    assert_eq!((clients[0].received_text().as_str(), clients[1].received_text().as_str()), ("stop", ""));
    sim.assert_clean();
}

/// Connects to [`elsewhere`] when it is told to stop.
struct Reporting;

impl Protocol for Reporting {
    fn received(&mut self, _transport: &mut Transport, _bytes: &[u8]) {}

    fn stopping(&mut self, transport: &mut Transport) {
        transport.event_loop().connect(&elsewhere(), Acting(Rc::new(|_| {}))).unwrap();
        transport.close();
    }
}

/// Keeps what it receives.
struct Keeping(Rc<RefCell<Vec<u8>>>);

impl Protocol for Keeping {
    fn received(&mut self, _transport: &mut Transport, bytes: &[u8]) {
        self.0.borrow_mut().extend_from_slice(bytes);
    }
}

#[test]
fn a_connection_begun_during_a_stop_is_told_of_it_once_it_is_open() {
    let sim = Sim::new(Choices::calm());
    let witness = EventLoop::new(sim.reactor("witness"), sim.threads());
    let heard = Rc::new(RefCell::new(Vec::new()));
    let kept = heard.clone();
    witness.listen(&elsewhere(), &ListenOptions::default(), move |_| Keeping(kept.clone())).unwrap();
    run(&sim, "witness", &witness);
    let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
    event_loop.listen(&address(), &ListenOptions::default(), |_| Reporting).unwrap();
    let _client = sim.connect(&address());
    run(&sim, "loop", &event_loop);
    sim.settle();
    let stop = |event_loop: &EventLoop| event_loop.stop_within(Duration::from_secs(30)).unwrap();
    event_loop.call_from_thread(stop).unwrap();
    sim.advance(Duration::from_secs(1));
    assert_eq!(*heard.borrow(), b"stop");
    assert!(!event_loop.is_running(), "nothing is left to wait for");
}

/// Always has more to write.
struct Endless(Rc<Cell<usize>>);

impl Protocol for Endless {
    fn connected(&mut self, transport: &mut Transport) {
        transport.write(&[b'x'; 20]);
    }

    fn received(&mut self, _transport: &mut Transport, _bytes: &[u8]) {}

    fn drained(&mut self, transport: &mut Transport) {
        self.0.set(self.0.get() + 1);
        transport.write(&[b'x'; 20]);
    }
}

#[test]
fn a_writer_without_end_leaves_the_loop_its_turns() {
    let sim = Sim::new(Choices::calm());
    let mut config = LoopConfig::default();
    (config.output_high_bytes, config.output_low_bytes) = (10, 5);
    let event_loop = EventLoop::with_config(sim.reactor("server"), sim.threads(), config);
    let drained = Rc::new(Cell::new(0));
    let count = drained.clone();
    event_loop.listen(&address(), &ListenOptions::default(), move |_| Endless(count.clone())).unwrap();
    let _client = sim.connect(&address());
    for _ in 0..10 {
        let before = drained.get();
        event_loop.turn_without_waiting().unwrap();
        let more = drained.get() - before;
        assert!(more <= 2, "{more} times in one turn");
    }
    assert!(drained.get() >= 8, "it goes on in each turn");
}

struct Count(AtomicUsize);

impl Job for Count {
    fn run(self: Arc<Self>, _worker: &mut Worker<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn describe(&self) -> String {
        "count".to_owned()
    }
}

#[test]
fn work_submitted_outside_a_turns_events_is_not_left_lying() {
    let sim = Sim::new(Choices::calm());
    let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
    let pool = event_loop.thread_pool();
    let job = Arc::new(Count(AtomicUsize::new(0)));
    let submitted = job.clone();
    event_loop.add_trigger(Phase::AfterStartup, move |event_loop| event_loop.submit(&pool, submitted).unwrap());
    run(&sim, "loop", &event_loop);
    sim.settle();
    assert_eq!(job.0.load(Ordering::SeqCst), 1);
}

#[test]
fn a_run_that_fails_is_over() {
    let sim = Sim::new(Choices::calm());
    let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
    event_loop.listen(&address(), &ListenOptions::default(), |_| Acting(Rc::new(|_| {}))).unwrap();
    event_loop.suggest_thread_pool(1..=1);
    event_loop.thread_pool();
    sim.spawn_fails_once();
    event_loop.run().unwrap_err();
    assert!(!event_loop.is_running());
    assert_eq!(event_loop.run().unwrap_err().to_string(), LifecycleError::NotRestartable.to_string());
    assert_eq!(event_loop.call_from_thread(|_| {}), Err(CallRefused::Stopped));
    sim.assert_clean();
}
