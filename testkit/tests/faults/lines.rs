//! Lines that break, are cut, or fall silent.

use std::io::ErrorKind;
use std::time::Duration;

use handwound_reactor::{Reactor, Time};
use handwound_testkit::{Break, NetworkOptions, Parting, Way};

use super::{at, ground, read, write};

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
