//! Connections with a filter: opening, both directions, the end and what looks like it, failures, bounds.
#![allow(clippy::unwrap_used)]

mod toy;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use handwound_reactor::{Address, EventLoop, Filters, ListenOptions, LoopConfig, Protocol, Transport};
use handwound_testkit::{Break, Choices, Client, Parting, Sim, Way, explore, seeds};
use toy::{DATA, END, HELLO, REFUSED, Toy, unit, units};

fn address() -> Address {
    std::net::SocketAddr::from(([127, 0, 0, 1], 7007)).into()
}

/// What a protocol was told, in order.
type Told = Rc<RefCell<Vec<String>>>;

/// Sends everything back, at most one read ahead of the reader, and notes what it is told.
struct Echo {
    told: Told,
    takes_truncation: bool,
}

impl Echo {
    fn note(&self, what: impl Into<String>) {
        self.told.borrow_mut().push(what.into());
    }
}

impl Protocol for Echo {
    fn connected(&mut self, transport: &mut Transport) {
        let session = transport.session().and_then(|session| session.downcast_ref::<Vec<u8>>());
        self.note(format!("connected to a {}", String::from_utf8_lossy(session.unwrap())));
    }

    fn received(&mut self, transport: &mut Transport, bytes: &[u8]) {
        match bytes {
            b"close" => transport.close(),
            b"linger" => transport.close_lingering(),
            b"abort" => transport.abort(),
            b"greet" => {
                transport.write(b"bye");
                transport.close();
            }
            _ => transport.write(bytes),
        }
        if transport.is_full() {
            transport.pause_reading();
        }
    }

    fn drained(&mut self, transport: &mut Transport) {
        transport.resume_reading();
    }

    fn ended(&mut self, transport: &mut Transport) {
        self.note("ended");
        transport.close();
    }

    fn truncated(&mut self, transport: &mut Transport) {
        self.note("truncated");
        if self.takes_truncation { transport.close() } else { transport.abort() }
    }

    fn stopping(&mut self, transport: &mut Transport) {
        self.note("stopping");
        transport.write(b"stop");
        transport.close();
    }

    fn closed(&mut self, reason: handwound_reactor::Closed) {
        self.note(reason.to_string());
    }
}

struct Stage {
    event_loop: EventLoop,
    told: Told,
}

fn serve_with(sim: &Sim, config: LoopConfig, takes_truncation: bool) -> Stage {
    let event_loop = EventLoop::with_config(sim.reactor("server"), sim.threads(), config);
    let told = Told::default();
    let notes = told.clone();
    let filters = Filters::new(Duration::from_secs(15), |_| Toy::server());
    let make = move |_: &Address| Echo { told: notes.clone(), takes_truncation };
    event_loop.listen_filtered(&address(), &ListenOptions::default(), filters, make).unwrap();
    let running = event_loop.clone();
    sim.spawn("loop", move || {
        running.run().unwrap();
    });
    Stage { event_loop, told }
}

fn serve(sim: &Sim) -> Stage {
    serve_with(sim, LoopConfig::default(), false)
}

impl Stage {
    #[track_caller]
    fn was_told(&self, expected: &[&str]) {
        assert_eq!(*self.told.borrow(), expected);
    }
}

fn hello() -> Vec<u8> {
    unit(HELLO, b"client")
}

/// The plain bytes that came, and the kinds of the other units, after the hello.
#[track_caller]
fn heard(client: &Client) -> (Vec<u8>, Vec<u8>) {
    let (units, rest) = units(&client.received());
    assert_eq!(rest, 0, "a unit that is not whole");
    let data = units.iter().filter(|(kind, _)| *kind == DATA).flat_map(|(_, plain)| plain.clone()).collect();
    (data, units.iter().map(|(kind, _)| *kind).filter(|kind| *kind != DATA).collect())
}

#[test]
fn bytes_come_back_in_order_however_the_network_cuts_them() {
    explore(seeds(200), |sim| {
        let stage = serve(sim);
        let client = sim.connect(&address());
        let sent: Vec<u8> = (0..50_000_u32).map(|n| n as u8).collect();
        client.send(hello());
        sent.chunks(777).for_each(|piece| {
            client.send(unit(DATA, piece));
        });
        client.send(unit(END, b""));
        sim.settle();
        assert_eq!(heard(&client), (sent, vec![HELLO, END]));
        assert_eq!(client.closing(), Parting::Finished);
        stage.was_told(&["connected to a client", "ended", "closed by this side"]);
    });
}

#[test]
fn whatever_is_written_last_comes_before_the_last_word() {
    let check = |word: &[u8], expected: &[u8]| {
        explore(seeds(50), |sim| {
            let stage = serve(sim);
            let client = sim.connect(&address());
            client.send([hello(), unit(DATA, b"one"), unit(DATA, word), unit(DATA, b"more")].concat());
            sim.settle();
            client.close();
            sim.settle();
            assert_eq!(heard(&client), (expected.to_vec(), vec![HELLO, END]));
            // What it sent behind that is read only by who lingers; otherwise the system answers it with a reset.
            assert!(client.closing() == Parting::Finished || word != b"linger");
            assert_eq!(stage.told.borrow().last().unwrap(), "closed by this side");
            assert_eq!(stage.event_loop.connections(), 0);
        });
    };
    check(b"close", b"one");
    check(b"linger", b"one");
    check(b"greet", b"onebye");
}

#[test]
fn an_abort_says_no_last_word() {
    let sim = Sim::new(Choices::calm());
    let stage = serve(&sim);
    let client = sim.connect(&address());
    client.send([hello(), unit(DATA, b"abort")].concat());
    sim.settle();
    assert_eq!(client.closing(), Parting::Reset);
    stage.was_told(&["connected to a client", "reset by this side"]);
}

#[test]
fn an_end_without_a_last_word_is_no_end() {
    for takes_truncation in [false, true] {
        explore(seeds(30), |sim| {
            let stage = serve_with(sim, LoopConfig::default(), takes_truncation);
            let client = sim.connect(&address());
            client.send([hello(), unit(DATA, b"half of it")].concat());
            client.finish();
            sim.settle();
            let how = if takes_truncation { "closed by this side" } else { "reset by this side" };
            stage.was_told(&["connected to a client", "truncated", how]);
        });
    }
}

/// Nothing of what may come at any time makes a protocol hear something that was not said.
#[test]
fn a_client_that_leaves_at_any_byte_leaves_nothing_behind() {
    let conversation = [hello(), unit(DATA, b"hello"), unit(END, b"")].concat();
    let opens = hello().len();
    for how in [Break::Cut, Break::Reset] {
        for at in 0..=conversation.len() {
            let sim = Sim::new(Choices::calm());
            let stage = serve(&sim);
            let client = sim.connect(&address());
            client.break_at(Way::ToServer, at as u64, how);
            client.send(&conversation);
            sim.settle();
            client.close();
            sim.settle();
            let told = stage.told.borrow();
            assert_eq!(stage.event_loop.connections(), 0, "{how:?} at {at}");
            assert_eq!(told[0] == "connected to a client", at >= opens, "{how:?} at {at}: {told:?}");
            assert_eq!(told.contains(&"ended".to_owned()), at == conversation.len(), "{how:?} at {at}: {told:?}");
            let echoed = heard(&client).0;
            assert!(echoed == b"hello" || at < conversation.len() || how == Break::Reset, "{how:?} at {at}: {told:?}");
            assert_eq!(
                told.iter().filter(|said| said.contains("this side") || said.contains(':')).count(),
                1,
                "{told:?}"
            );
            assert_eq!(stage.event_loop.pending_timers(), 0, "{how:?} at {at}");
        }
    }
}

#[test]
fn the_line_back_may_break_at_any_byte_too() {
    let whole = unit(HELLO, b"server").len() + unit(DATA, b"hello").len() + unit(END, b"").len();
    for at in 0..=whole {
        let sim = Sim::new(Choices::calm());
        let stage = serve(&sim);
        let client = sim.connect(&address());
        client.break_at(Way::ToClient, at as u64, Break::Reset);
        client.send([hello(), unit(DATA, b"hello"), unit(END, b"")].concat());
        sim.settle();
        assert_eq!((stage.event_loop.connections(), stage.event_loop.pending_timers()), (0, 0), "at {at}");
    }
}

#[test]
fn what_never_opens_is_ended_in_time_and_its_protocol_never_called() {
    for sent in [&b""[..], &hello()[..5]] {
        let sim = Sim::new(Choices::calm());
        let stage = serve(&sim);
        let client = sim.connect(&address());
        client.send(sent);
        sim.advance(Duration::from_millis(14_900));
        assert_eq!((client.closing(), stage.event_loop.connections()), (Parting::Open, 1));
        sim.advance(Duration::from_millis(200));
        assert_eq!((client.closing(), stage.event_loop.connections()), (Parting::Reset, 0));
        stage.was_told(&["cannot connect: timed out"]);
    }
}

#[test]
fn a_refusal_says_why_before_the_connection_ends() {
    let check = |sent: Vec<u8>, told: &[&str]| {
        explore(seeds(30), |sim| {
            let stage = serve(sim);
            let client = sim.connect(&address());
            client.send(&sent);
            sim.settle();
            let (_, kinds) = heard(&client);
            assert_eq!(kinds.last(), Some(&REFUSED), "{}", client.transcript());
            assert_eq!(client.closing(), Parting::Finished);
            // It goes on sending, and leaves.
            client.send(unit(DATA, b"more"));
            client.close();
            sim.settle();
            stage.was_told(told);
            assert_eq!(stage.event_loop.connections(), 0);
        });
    };
    check(b"GET / HTTP/1.1\r\n\r\n".repeat(2000), &["cannot connect: not a unit"]);
    check([hello(), hello()].concat(), &["connected to a client", "connection lost: not a unit"]);
}

#[test]
fn a_refusal_that_nobody_reads_is_given_up() {
    let sim = Sim::new(Choices::calm());
    let stage = serve(&sim);
    let client = sim.connect(&address());
    client.window(4);
    client.send([hello(), hello()].concat());
    sim.advance(Duration::from_secs(3));
    assert_eq!(
        (client.closing(), stage.event_loop.connections()),
        (Parting::Open, 0),
        "a reset waits behind what is unread"
    );
    assert_eq!(stage.event_loop.pending_timers(), 0);
}

#[test]
fn a_filter_that_panics_ends_its_connection_only() {
    let sim = Sim::new(Choices::calm());
    let stage = serve(&sim);
    let (bad, good) = (sim.connect(&address()), sim.connect(&address()));
    bad.send([hello(), unit(b'P', b"")].concat());
    good.send([hello(), unit(DATA, b"x")].concat());
    sim.settle();
    assert_eq!(heard(&good).0, b"x");
    bad.close();
    sim.settle();
    assert_eq!(stage.event_loop.connections(), 1);
    assert!(stage.told.borrow().contains(&"connection lost: the filter panicked".to_owned()));
}

#[test]
fn a_client_that_reads_nothing_cannot_fill_the_memory() {
    explore(seeds(20), |sim| {
        let mut config = LoopConfig::default();
        (config.output_high_bytes, config.output_low_bytes) = (20_000, 5_000);
        (config.read_chunk_bytes, config.filter_chunk_bytes) = (8_000, 4_000);
        let stage = serve_with(sim, config, false);
        let client = sim.connect(&address());
        client.window(100);
        client.send(hello());
        for _ in 0..500 {
            client.send(unit(DATA, &[b'x'; 2000]));
        }
        sim.advance(Duration::from_secs(10));
        let memory = stage.event_loop.memory();
        // The mark, one read beyond it, and what a growing buffer takes; a piece that is in the wire; an unfinished unit.
        assert!(memory.of("output").bytes <= 2 * 28_000, "{memory:?}");
        assert!(memory.of("filter").bytes <= 2 * (4_000 + 100) + 2 * 8_000, "{memory:?}");
        assert!(client.unsent_bytes() > 0);
        client.read_eagerly();
        client.send(unit(END, b""));
        sim.settle();
        let (data, kinds) = heard(&client);
        assert_eq!((data.len(), kinds), (1_000_000, vec![HELLO, END]));
    });
}

#[test]
fn waiting_output_is_counted_until_the_system_has_it() {
    let sim = Sim::new(Choices::calm());
    let mut config = LoopConfig::default();
    config.filter_chunk_bytes = 1000;
    let stage = serve_with(&sim, config, false);
    let client = sim.connect(&address());
    client.window(9);
    client.send([hello(), unit(DATA, &[b'x'; 5000])].concat());
    sim.settle_now();
    client.read(9);
    sim.settle();
    assert!(stage.event_loop.memory().of("output").bytes >= 5000, "nothing of it is out");
    client.read_eagerly();
    sim.settle();
    assert_eq!(heard(&client).0.len(), 5000);
}

#[test]
fn a_stop_waits_for_what_is_being_opened_and_tells_it_then() {
    let sim = Sim::new(Choices::calm());
    let stage = serve(&sim);
    let client = sim.connect(&address());
    client.send(&hello()[..5]);
    sim.advance(Duration::from_secs(1));
    let stop = |event_loop: &EventLoop| event_loop.stop_within(Duration::from_secs(30)).unwrap();
    stage.event_loop.call_from_thread(stop).unwrap();
    sim.advance(Duration::from_secs(1));
    assert!(stage.event_loop.is_running());
    client.send([&hello()[5..], &unit(DATA, b"x")].concat());
    sim.advance(Duration::from_secs(1));
    assert_eq!(heard(&client), (b"xstop".to_vec(), vec![HELLO, END]));
    stage.was_told(&["connected to a client", "stopping", "closed by this side"]);
    assert!(!stage.event_loop.is_running());
    sim.assert_clean();
}

/// Asks, and keeps what comes.
struct Asking {
    told: Told,
    asks: Vec<u8>,
}

impl Protocol for Asking {
    fn connected(&mut self, transport: &mut Transport) {
        transport.write(&self.asks);
    }

    fn received(&mut self, transport: &mut Transport, bytes: &[u8]) {
        self.told.borrow_mut().push(String::from_utf8_lossy(bytes).into_owned());
        transport.close();
    }

    fn closed(&mut self, reason: handwound_reactor::Closed) {
        self.told.borrow_mut().push(reason.to_string());
    }
}

#[test]
fn a_filter_can_be_on_the_side_that_connects() {
    explore(seeds(50), |sim| {
        let stage = serve(sim);
        let client = EventLoop::new(sim.reactor("client"), sim.threads());
        let told = Told::default();
        let asking = Asking { told: told.clone(), asks: b"ping".to_vec() };
        client.connect_filtered(&address(), Toy::client(), Duration::from_secs(5), asking).unwrap();
        let running = client.clone();
        sim.spawn("client", move || {
            running.run().unwrap();
        });
        sim.settle();
        assert_eq!(*told.borrow(), ["ping", "closed by this side"]);
        stage.was_told(&["connected to a client", "ended", "closed by this side"]);
    });
}
