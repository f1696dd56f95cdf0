//! What goes wrong when a test says so: calls, connections, partitions, clocks.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSlice};
use std::time::{Duration, SystemTime};

use handwound_reactor::{Address, Event, ListenOptions, Reactor, Sock, Threads, Time};
use handwound_testkit::{
    Break, Call, Choices, Drift, EACCES, EADDRNOTAVAIL, ECONNABORTED, EINTR, EMFILE, ENETUNREACH, ENFILE, ENOBUFS,
    ENOMEM, ENOSPC, EPERM, EPROTO, Fault, FaultPlan, Host, Latency, MockReactor, NetworkOptions, Parting, Segments,
    Sim, SystemError, Trouble, Way,
};

fn at(port: u16) -> Address {
    Address::Tcp(([127, 0, 0, 1], port).into())
}

fn listen(reactor: &mut MockReactor, port: u16) -> Sock {
    reactor.listen(&at(port), &ListenOptions::default()).unwrap()
}

fn ground() -> (Sim, MockReactor, Sock) {
    let sim = Sim::new(Choices::calm());
    let mut reactor = sim.reactor("server");
    let listener = listen(&mut reactor, 80);
    (sim, reactor, listener)
}

fn read(reactor: &mut MockReactor, sock: Sock) -> Result<Vec<u8>, ErrorKind> {
    let mut into = [0; 4096];
    reactor.read(sock, &mut into).map(|read| into[..read.bytes].to_vec()).map_err(|error| error.kind())
}

fn write(reactor: &mut MockReactor, sock: Sock, bytes: &[u8]) -> Result<usize, ErrorKind> {
    reactor.write(sock, &[IoSlice::new(bytes)]).map_err(|error| error.kind())
}

fn poll(reactor: &mut MockReactor) -> Vec<Event> {
    let mut events = Vec::new();
    let now = reactor.now();
    reactor.poll(&mut events, Some(now)).unwrap();
    events
}

#[test]
fn a_connection_is_reset_at_its_byte_in_either_direction() {
    for byte in 0..=5 {
        let (sim, mut reactor, listener) = ground();
        let client = sim.connect(&at(80)).reset_at(byte);
        client.send("hello");
        let (sock, _) = reactor.accept(listener).unwrap();
        if byte > 0 {
            assert_eq!(read(&mut reactor, sock), Ok(b"hello"[..byte].to_vec()));
        }
        assert_eq!(read(&mut reactor, sock), Err(ErrorKind::ConnectionReset), "at byte {byte}");
        assert_eq!(client.closing(), Parting::Reset);

        let client = sim.connect(&at(80)).break_at(Way::ToClient, byte, Break::Reset);
        let (sock, _) = reactor.accept(listener).unwrap();
        let written = write(&mut reactor, sock, b"hello");
        assert_eq!(written, if byte == 0 { Err(ErrorKind::ConnectionReset) } else { Ok(5) });
        assert_eq!(client.received(), &b"hello"[..byte]);
        assert_eq!(client.closing(), Parting::Reset);
        if byte > 0 {
            assert_eq!(write(&mut reactor, sock, b"x"), Err(ErrorKind::ConnectionReset));
        }
        assert_eq!(write(&mut reactor, sock, b"x"), Err(ErrorKind::BrokenPipe));
    }
}

#[test]
fn a_cut_looks_like_an_end_to_one_and_like_nothing_to_the_other() {
    let (sim, mut reactor, listener) = ground();
    let client = sim.connect(&at(80));
    client.send("one");
    client.send("two").cut_at(2);
    client.send("three");
    let (sock, _) = reactor.accept(listener).unwrap();
    assert_eq!(read(&mut reactor, sock), Ok(b"onetw".to_vec()));
    assert_eq!(read(&mut reactor, sock), Ok(Vec::new()));
    assert_eq!(write(&mut reactor, sock, b"answer"), Ok(6));
    assert_eq!((client.received_text().as_str(), client.closing()), ("answer", Parting::Open));
    assert_eq!(client.unsent_bytes(), 0);
}

#[test]
fn a_line_that_falls_silent_fills_its_sender() {
    let (sim, mut reactor, listener) = ground();
    let mut network = NetworkOptions::calm();
    network.receive_buffer_bytes = 10;
    sim.set_network(network);
    let client = sim.connect(&at(80));
    let (sock, _) = reactor.accept(listener).unwrap();
    client.send("abc").stall_at(3);
    client.send("0123456789abcdef");
    assert_eq!(read(&mut reactor, sock), Ok(b"abc".to_vec()));
    client.finish();
    sim.advance(Duration::from_secs(924));
    assert_eq!(read(&mut reactor, sock), Err(ErrorKind::WouldBlock));
    assert_eq!(client.unsent_bytes(), 6, "ten are under way for ever, and keep the others back");
    assert_eq!(client.closing(), Parting::Open);
    sim.settle();
    assert_eq!(sim.now(), Time::new(Duration::from_millis(924_600)), "the client has given up");
    assert_eq!((client.unsent_bytes(), client.closing()), (0, Parting::Unanswered));
    assert_eq!(read(&mut reactor, sock), Err(ErrorKind::WouldBlock), "nobody tells the server");
}

#[test]
fn nobody_gives_up_a_connection_that_both_have_left() {
    let (sim, mut reactor, listener) = ground();
    let client = sim.connect(&at(80));
    let (sock, _) = reactor.accept(listener).unwrap();
    client.break_at(Way::ToClient, 1, Break::Stall);
    write(&mut reactor, sock, b"never heard").unwrap();
    client.close();
    sim.settle_now();
    reactor.close(sock, handwound_reactor::Close::Graceful);
    sim.settle();
    assert_eq!(sim.now(), Time::new(Duration::from_millis(924_600)));
}

#[test]
fn a_partition_for_ever_ends_the_connections_that_send() {
    let (sim, mut reactor, listener) = ground();
    let mut other = sim.reactor("other");
    let (writes, waits) = (other.connect(&at(80)).unwrap(), other.connect(&at(80)).unwrap());
    let (here, quiet) = (reactor.accept(listener).unwrap().0, reactor.accept(listener).unwrap().0);
    write(&mut reactor, here, b"before").unwrap();
    assert_eq!(read(&mut other, writes), Ok(b"before".to_vec()));
    assert_eq!(read(&mut other, writes), Err(ErrorKind::WouldBlock));
    sim.partition("server", "other");
    sim.advance(Duration::from_secs(10));
    write(&mut other, writes, b"lost").unwrap();
    sim.advance(Duration::from_secs(924));
    assert_eq!(write(&mut other, writes, b" too"), Ok(4));
    poll(&mut other);
    sim.settle();
    assert_eq!(sim.now(), Time::new(Duration::from_millis(934_600)), "since the first that was not acknowledged");
    assert!(poll(&mut other).iter().any(|event| event.sock == writes && event.readable));
    assert_eq!(read(&mut other, writes), Err(ErrorKind::TimedOut));
    assert_eq!(read(&mut other, writes), Ok(Vec::new()), "told once, as errors are");
    assert_eq!(write(&mut other, writes, b"x"), Err(ErrorKind::BrokenPipe));
    // The other side has sent nothing since, and knows nothing; nor does who was quiet.
    for sock in [here, quiet] {
        assert_eq!(read(&mut reactor, sock), Err(ErrorKind::WouldBlock));
    }
    sim.heal();
    sim.settle();
    assert_eq!(read(&mut reactor, here), Err(ErrorKind::WouldBlock), "what was given up does not arrive");
    assert_eq!(write(&mut reactor, here, b"anybody?"), Ok(8));
    sim.settle();
    assert_eq!(read(&mut reactor, here), Err(ErrorKind::ConnectionReset), "whoever sends there is told");
    write(&mut other, waits, b"still here").unwrap();
    assert_eq!(read(&mut reactor, quiet), Ok(b"still here".to_vec()));
    for sock in [writes, waits] {
        other.close(sock, handwound_reactor::Close::Graceful);
    }
    for sock in [here, quiet, listener] {
        reactor.close(sock, handwound_reactor::Close::Graceful);
    }
    sim.settle();
    sim.assert_clean();
}

#[test]
fn a_partition_that_ends_in_time_costs_nobody_a_connection_and_the_clock_does_not_run_on() {
    let (sim, mut reactor, listener) = ground();
    let client = sim.connect(&at(80));
    let (sock, _) = reactor.accept(listener).unwrap();
    for round in 1..3 {
        sim.partition(Host::Clients, "server");
        client.send("question");
        write(&mut reactor, sock, b"answer").unwrap();
        sim.advance(Duration::from_secs(900));
        sim.heal();
        sim.settle();
        assert_eq!(sim.now(), Time::new(Duration::from_secs(900 * round)));
        assert_eq!(read(&mut reactor, sock), Ok(b"question".to_vec()));
        assert_eq!(client.received_text(), "answer".repeat(round as usize));
    }
}

#[test]
fn a_slow_writer_writes_in_pieces_on_the_worlds_clock() {
    let (sim, mut reactor, listener) = ground();
    let client = sim.connect(&at(80)).write_in(2).every(Duration::from_millis(10));
    client.send("hello");
    client.finish();
    let (sock, _) = reactor.accept(listener).unwrap();
    assert_eq!(read(&mut reactor, sock), Ok(b"he".to_vec()));
    sim.advance(Duration::from_millis(9));
    assert_eq!(read(&mut reactor, sock), Err(ErrorKind::WouldBlock));
    sim.advance(Duration::from_millis(1));
    assert_eq!(read(&mut reactor, sock), Ok(b"ll".to_vec()));
    sim.settle();
    assert_eq!(sim.now(), Time::new(Duration::from_millis(20)));
    assert_eq!(read(&mut reactor, sock), Ok(b"o".to_vec()));
    assert_eq!(read(&mut reactor, sock), Ok(Vec::new()));
}

#[test]
fn a_slow_reader_reads_in_pieces_and_the_world_settles() {
    let (sim, mut reactor, listener) = ground();
    let client = sim.connect(&at(80)).read_in(3).every(Duration::from_secs(1));
    let (sock, _) = reactor.accept(listener).unwrap();
    write(&mut reactor, sock, b"0123456").unwrap();
    assert_eq!(client.received_text(), "012");
    sim.advance(Duration::from_secs(1));
    assert_eq!(client.received_text(), "012345");
    sim.settle();
    assert_eq!((client.received_text().as_str(), sim.now()), ("0123456", Time::new(Duration::from_secs(2))));
}

#[test]
fn latency_and_bandwidth_say_when_bytes_arrive() {
    let (sim, mut reactor, listener) = ground();
    let mut network = NetworkOptions::calm();
    network.latency = Latency::Fixed(Duration::from_millis(100));
    network.bytes_per_second = Some(1000);
    network.segments = Segments::Of(500);
    sim.set_network(network);
    let client = sim.connect(&at(80));
    client.send(vec![b'x'; 1100]);
    sim.advance(Duration::from_millis(200));
    let (sock, _) = reactor.accept(listener).unwrap();
    let mut arrived = Vec::new();
    while arrived.len() < 3 {
        sim.advance(Duration::from_millis(1));
        if let Ok(bytes) = read(&mut reactor, sock) {
            arrived.push((sim.now().since_start().as_millis(), bytes.len()));
        }
    }
    // Connect and answer take 200 ms; then 500 bytes take 500 ms and 100 ms more to arrive.
    assert_eq!(arrived, [(800, 500), (1300, 500), (1400, 100)]);
}

#[test]
fn latency_between_two_bounds_keeps_to_them_and_to_the_order() {
    for seed in 0..50 {
        let sim = Sim::new(Choices::seed(seed));
        let mut network = NetworkOptions::calm();
        network.latency = Latency::Between(Duration::from_millis(10), Duration::from_millis(20));
        sim.set_network(network);
        let mut reactor = sim.reactor("server");
        let listener = listen(&mut reactor, 80);
        let client = sim.connect(&at(80));
        sim.advance(Duration::from_millis(9));
        assert!(reactor.accept(listener).is_err());
        sim.advance(Duration::from_millis(31));
        let (sock, _) = reactor.accept(listener).unwrap();
        for letter in ["a", "b", "c", "d"] {
            client.send(letter);
        }
        sim.advance(Duration::from_millis(20));
        assert_eq!(read(&mut reactor, sock), Ok(b"abcd".to_vec()), "seed {seed}");
    }
}

#[test]
fn planned_calls_fail_and_all_others_do_not() {
    let (sim, mut reactor, listener) = ground();
    sim.plan(&FaultPlan::from([
        Fault::call(Call::Accept, 1, EMFILE),
        Fault::call(Call::Accept, 2, ECONNABORTED),
        Fault::call(Call::Connect, 0, ENFILE),
        Fault::call(Call::Read, 1, EINTR),
        Fault::call(Call::Write, 0, EINTR),
        Fault::call(Call::Spawn, 0, EMFILE),
        Fault::call(Call::Listen, 1, ENFILE),
    ]));
    let (a, _b) = (sim.connect(&at(80)), sim.connect(&at(80)));
    let (sock, _) = reactor.accept(listener).unwrap();
    let errors: Vec<_> = (0..2).map(|_| reactor.accept(listener).unwrap_err().raw_os_error()).collect();
    assert_eq!(errors, [EMFILE, ECONNABORTED].map(|error| std::io::Error::from(error).raw_os_error()));
    assert!(reactor.accept(listener).is_ok(), "who has waited is still there");

    a.send("hello");
    let mut two = [0; 2];
    assert_eq!(reactor.read(sock, &mut two).unwrap().bytes, 2);
    assert_eq!(read(&mut reactor, sock), Ok(b"llo".to_vec()), "made again inside, as the seam promises");
    assert_eq!(write(&mut reactor, sock, b"x"), Ok(1));
    for call in ["read 1", "write 0"] {
        assert!(sim.trace().contains(&format!("is interrupted, and does it again: {call}")), "{}", sim.trace());
    }
    sim.plan(&FaultPlan::from(Fault::call(Call::Poll, 0, EINTR)).and(Fault::call(Call::Poll, 1, ENOMEM)));
    assert_eq!(poll(&mut reactor).len(), 3, "the listener, and both ends of what has been accepted");
    let broken = reactor.poll(&mut Vec::new(), Some(Time::ZERO)).unwrap_err();
    assert_eq!(broken.raw_os_error(), Some(12), "a poll that fails: the reactor is of no use any more");
    sim.accept_fails_once(EINTR);
    let _c = sim.connect(&at(80));
    assert!(reactor.accept(listener).is_ok(), "interrupted, and made again");

    assert_eq!(reactor.connect(&at(80)).unwrap_err().raw_os_error(), Some(23));
    assert!(reactor.connect(&at(80)).is_ok());
    assert_eq!(reactor.listen(&at(81), &ListenOptions::default()).unwrap_err().raw_os_error(), Some(23));
    assert!(sim.threads().spawn("one", Box::new(|| {})).is_err());
    assert!(sim.threads().spawn("two", Box::new(|| {})).is_ok());
}

#[test]
fn a_reactor_without_descriptors_left_says_so_until_one_is_free() {
    let (sim, mut reactor, listener) = ground();
    let mut network = NetworkOptions::calm();
    network.sockets_max = 2;
    sim.set_network(network);
    let (_a, _b) = (sim.connect(&at(80)), sim.connect(&at(80)));
    let (first, _) = reactor.accept(listener).unwrap();
    assert_eq!(reactor.accept(listener).unwrap_err().raw_os_error(), Some(24));
    assert_eq!(reactor.connect(&at(80)).unwrap_err().raw_os_error(), Some(24));
    reactor.close(first, handwound_reactor::Close::Graceful);
    assert!(reactor.accept(listener).is_ok());
}

#[test]
fn connects_are_refused_or_time_out_by_plan() {
    let (sim, mut reactor, _listener) = ground();
    sim.plan(&FaultPlan::from(Fault::Refused { connection: 0 }).and(Fault::Unanswered { connection: 1 }));
    let mut other = sim.reactor("other");
    let (refused, unanswered) = (other.connect(&at(80)).unwrap(), other.connect(&at(80)).unwrap());
    assert_eq!(other.connect_result(refused).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    sim.advance(Duration::from_secs(126));
    assert!(!other.connect_result(unanswered).unwrap());
    sim.advance(Duration::from_secs(1));
    assert_eq!(other.connect_result(unanswered).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(read(&mut other, unanswered), Err(ErrorKind::TimedOut));
    assert_eq!(poll(&mut reactor), [], "the listener has seen neither");
}

#[test]
fn a_partition_holds_everything_back_and_healing_brings_it_in_order() {
    let (sim, mut reactor, listener) = ground();
    let mut other = sim.reactor("other");
    let sock = other.connect(&at(80)).unwrap();
    let (accepted, _) = reactor.accept(listener).unwrap();
    let client = sim.connect(&at(80));
    let (of_client, _) = reactor.accept(listener).unwrap();

    sim.partition("server", "other");
    write(&mut other, sock, b"one").unwrap();
    write(&mut other, sock, b"two").unwrap();
    other.close(sock, handwound_reactor::Close::Graceful);
    client.send("clients are not parted");
    let waiting = other.connect(&at(80)).unwrap();
    sim.settle_now();
    assert_eq!(read(&mut reactor, accepted), Err(ErrorKind::WouldBlock));
    assert_eq!(read(&mut reactor, of_client), Ok(b"clients are not parted".to_vec()));
    assert!(reactor.accept(listener).is_err());

    sim.heal();
    sim.settle_now();
    assert_eq!(read(&mut reactor, accepted), Ok(b"onetwo".to_vec()));
    assert_eq!(read(&mut reactor, accepted), Ok(Vec::new()));
    assert!(other.connect_result(waiting).unwrap());
    assert!(reactor.accept(listener).is_ok());
}

#[test]
fn a_connect_across_a_partition_times_out() {
    let (sim, mut reactor, listener) = ground();
    sim.partition(Host::Clients, "server");
    let client = sim.connect(&at(80));
    sim.settle();
    assert_eq!((client.closing(), sim.now()), (Parting::Unanswered, Time::new(Duration::from_secs(127))));
    sim.heal();
    sim.settle();
    assert!(reactor.accept(listener).is_err(), "its connect comes too late");
    assert_eq!(sim.connect(&at(80)).closing(), Parting::Open);
}

#[test]
fn partitions_and_jumps_of_the_date_may_be_planned_by_time() {
    let (sim, mut reactor, _listener) = ground();
    let seconds = |seconds| Time::new(Duration::from_secs(seconds));
    let parted = Fault::Partition { at: seconds(1), one: Host::Clients, other: "server".into() };
    let plan = FaultPlan::from(parted)
        + FaultPlan::from(Fault::Heal { at: seconds(3) }).and(Fault::DateJump {
            at: seconds(4),
            by: Duration::from_secs(3600),
            back: true,
        });
    assert_eq!(
        plan.to_string(),
        "+1.000s nothing passes between the clients and server\n+3.000s all partitions end\n\
         +4.000s the date jumps back by 3600s"
    );
    sim.plan(&plan);
    let client = sim.connect(&at(80));
    sim.advance(Duration::from_secs(2));
    client.send("x");
    sim.settle_now();
    assert_eq!(poll(&mut reactor).len(), 1, "the listener's edge only");
    assert!(!sim.trace().contains("brings 1 byte"));
    sim.advance(Duration::from_millis(1001));
    assert!(sim.trace().contains("brings 1 byte"), "{}", sim.trace());
    let before = reactor.wall_clock();
    sim.advance(Duration::from_secs(1));
    assert_eq!(before.duration_since(reactor.wall_clock()).unwrap(), Duration::from_secs(3599));
}

#[test]
fn the_date_jumps_both_ways_and_the_clock_does_not() {
    let (sim, reactor, _) = ground();
    let start = reactor.wall_clock();
    sim.date_jumps_ahead(Duration::from_secs(86_400));
    assert_eq!(reactor.wall_clock().duration_since(start).unwrap(), Duration::from_secs(86_400));
    sim.date_jumps_back(Duration::from_secs(86_460));
    assert_eq!(start.duration_since(reactor.wall_clock()).unwrap(), Duration::from_secs(60));
    sim.date_jumps_back(Duration::MAX);
    assert_eq!(reactor.wall_clock(), SystemTime::UNIX_EPOCH);
    assert_eq!(reactor.now(), Time::ZERO);
}

#[test]
fn clocks_of_two_reactors_drift_apart_and_keep_their_deadlines() {
    let sim = Sim::new(Choices::calm());
    let fast = Drift { ahead: Duration::from_secs(5), parts_per_million: 100_000 };
    let slow = Drift { ahead: Duration::ZERO, parts_per_million: -500_000 };
    let (mut one, mut two) = (sim.reactor_with("fast", fast), sim.reactor_with("slow", slow));
    assert_eq!((one.now(), two.now()), (Time::new(Duration::from_secs(5)), Time::ZERO));
    for reactor in [&mut one, &mut two] {
        let mut events = Vec::new();
        let until = reactor.now() + Duration::from_secs(1);
        reactor.poll(&mut events, Some(until)).unwrap();
        assert!(reactor.now() >= until && reactor.now() < until + Duration::from_nanos(3));
    }
    assert_eq!(
        sim.now().since_start().as_millis(),
        2909,
        "a second is 909 ms by the fast clock, and two s by the slow"
    );
    let threads = sim.threads_beside(&one);
    assert_eq!(threads.now(), one.now());
    threads.sleep(Duration::from_secs(11));
    assert_eq!(sim.now().since_start().as_millis(), 12_909, "eleven seconds of the fast clock take ten");
}

#[test]
fn a_family_of_trouble_does_not_shift_the_others() {
    let run = |trouble: Trouble| {
        let sim = Sim::new(Choices::seed(11));
        sim.set_network(NetworkOptions::calm());
        sim.set_trouble(trouble);
        let mut reactor = sim.reactor("server");
        let mut results = Vec::new();
        if let Ok(listener) = reactor.listen(&at(80), &ListenOptions::default()) {
            for _ in 0..40 {
                let _client = sim.connect(&at(80));
                results.push(reactor.accept(listener).map(drop).map_err(|error| error.raw_os_error()));
            }
        }
        results
    };
    let mut accepts = Trouble::none();
    accepts.accepts = true;
    let mut more = accepts;
    (more.breaks, more.peers, more.starts, more.date) = (true, true, true, true);
    let alone = run(accepts);
    assert!(alone.iter().any(Result::is_err) && alone.iter().any(Result::is_ok));
    assert_eq!(alone, run(more));
    assert!(run(Trouble::none()).iter().all(Result::is_ok));
}

#[test]
fn allowed_trouble_is_on_in_some_runs_and_never_in_a_calm_one() {
    let on = |choices| Sim::new(choices).allow_trouble(Trouble::all());
    assert_eq!(on(Choices::calm()), Trouble::none());
    let drawn: Vec<Trouble> = (0..64).map(|seed| on(Choices::seed(seed))).collect();
    assert!(drawn.iter().any(|trouble| trouble.breaks && !trouble.accepts));
    assert!(drawn.iter().any(|trouble| !trouble.breaks && trouble.accepts));
}

/// Each kind of call with what it may say: what the manual pages of Linux name, and `MioReactor` lets through.
const LEGAL: [(&str, &[SystemError]); 5] = [
    ("accept", &[ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTO, EPERM, ENETUNREACH]),
    ("connect", &[EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EACCES, EADDRNOTAVAIL, ENETUNREACH]),
    ("listen", &[EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EACCES, EADDRNOTAVAIL]),
    ("read", &[ENOMEM]),
    ("write", &[ENOBUFS, ENOMEM]),
];

/// Uses every call a lot; the errors of the system that came, by call.
fn errors_with(seed: u64, trouble: Trouble) -> BTreeSet<(&'static str, i32)> {
    let sim = Sim::new(Choices::seed(seed));
    sim.set_network(NetworkOptions::calm());
    sim.set_trouble(trouble);
    let mut reactor = sim.reactor("server");
    let mut seen = BTreeSet::new();
    let mut note = |call, error: std::io::Error| {
        assert_ne!(error.kind(), ErrorKind::Interrupted, "retried inside");
        if let Some(number) = error.raw_os_error() {
            seen.insert((call, number));
        }
    };
    for port in 80..110 {
        let listener = match reactor.listen(&at(port), &ListenOptions::default()) {
            Ok(listener) => listener,
            Err(error) => {
                note("listen", error);
                continue;
            }
        };
        let there = reactor.connect(&at(port)).map_err(|error| note("connect", error)).ok();
        let here = reactor.accept(listener).map_err(|error| note("accept", error)).ok();
        let (Some(there), Some((here, _))) = (there, here) else { continue };
        for _ in 0..8 {
            let _ = reactor.write(there, &[IoSlice::new(b"x")]).map_err(|error| note("write", error));
            let _ = reactor.read(here, &mut [0; 8]).map_err(|error| note("read", error));
        }
    }
    let _ = (0..10).map(|_| poll(&mut reactor)).count();
    assert!(trouble.signals || !sim.trace().contains("is interrupted"));
    seen
}

#[test]
fn troubles_errors_are_those_of_the_kernel_and_each_of_them_comes() {
    let mut all = Trouble::all();
    (all.connects, all.starts) = (false, false);
    let seen: BTreeSet<_> = (0..300).flat_map(|seed| errors_with(seed, all)).collect();
    let number = |error: SystemError| std::io::Error::from(error).raw_os_error().unwrap();
    let legal: BTreeSet<_> =
        LEGAL.iter().flat_map(|(call, errors)| errors.iter().map(|&error| (*call, number(error)))).collect();
    assert_eq!(seen, legal);
    for seed in 0..20 {
        assert_eq!(errors_with(seed, Trouble::none()), BTreeSet::new());
        let mut transfers = Trouble::none();
        transfers.transfers = true;
        assert!(errors_with(seed, transfers).iter().all(|(call, _)| ["read", "write"].contains(call)));
    }
}

#[test]
fn each_family_of_trouble_is_on_in_about_half_of_the_seeds_whatever_the_others_are() {
    let families = |seed| {
        let on = Sim::new(Choices::seed(seed)).allow_trouble(Trouble::all());
        let Trouble { accepts, sockets, breaks, peers, starts, date, signals, transfers, connects, .. } = on;
        [accepts, sockets, breaks, peers, starts, date, signals, transfers, connects]
    };
    let drawn: Vec<_> = (0..400).map(families).collect();
    for one in 0..9 {
        for other in 0..one {
            for wanted in [(false, false), (false, true), (true, false), (true, true)] {
                let count = drawn.iter().filter(|on| (on[one], on[other]) == wanted).count();
                assert!((60..140).contains(&count), "families {one} and {other}, {wanted:?}: {count} of 400");
            }
        }
    }
    let mut some = Trouble::none();
    (some.accepts, some.signals) = (true, true);
    for seed in 0..100 {
        let on = Sim::new(Choices::seed(seed)).allow_trouble(some);
        let mut others = on;
        (others.accepts, others.signals) = (false, false);
        assert_eq!(others, Trouble::none(), "what is not allowed is off");
    }
}

#[test]
fn connects_in_trouble_are_refused_unreachable_or_unanswered_and_some_succeed() {
    let mut seen = BTreeSet::new();
    for seed in 0..40 {
        let sim = Sim::new(Choices::seed(seed));
        let mut trouble = Trouble::none();
        trouble.connects = true;
        sim.set_trouble(trouble);
        let (mut server, mut other) = (sim.reactor("server"), sim.reactor("other"));
        listen(&mut server, 80);
        let socks: Vec<_> = (0..10).map(|_| other.connect(&at(80)).unwrap()).collect();
        sim.settle();
        for sock in socks {
            seen.insert(format!("{:?}", other.connect_result(sock).map_err(|error| error.kind())));
        }
    }
    let expected = ["Err(ConnectionRefused)", "Err(HostUnreachable)", "Err(TimedOut)", "Ok(true)"];
    assert_eq!(seen, BTreeSet::from(expected.map(String::from)));
}
