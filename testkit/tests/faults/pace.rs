//! Slow clients, latency and bandwidth.

use std::io::ErrorKind;
use std::time::Duration;

use handwound_reactor::{Reactor, Time};
use handwound_testkit::{Choices, Latency, NetworkOptions, Segments, Sim};

use super::{at, ground, listen, read, write};

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
