//! What the simulated network does, as Linux does it.
#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, IoSlice};
use std::time::Duration;

use handwound_reactor::{Address, Close, Event, ListenOptions, Reactor, Sock, Time};
use handwound_testkit::{Choices, MockReactor, Parting, Sim};

struct Ground {
    sim: Sim,
    reactor: MockReactor,
    listener: Sock,
    address: Address,
}

impl Ground {
    fn new() -> Ground {
        Ground::on(Sim::new(Choices::calm()))
    }

    fn on(sim: Sim) -> Ground {
        let mut reactor = sim.reactor("server");
        let at = Address::Tcp("127.0.0.1:0".parse().unwrap());
        let listener = reactor.listen(&at, &ListenOptions::default()).unwrap();
        let address = reactor.local_address(listener).unwrap();
        Ground { sim, reactor, listener, address }
    }

    fn poll(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let now = self.reactor.now();
        self.reactor.poll(&mut events, Some(now)).unwrap();
        events
    }

    fn accept(&mut self) -> Sock {
        self.reactor.accept(self.listener).unwrap().0
    }

    fn read(&mut self, sock: Sock) -> Result<(Vec<u8>, bool), ErrorKind> {
        let mut into = [0; 64];
        match self.reactor.read(sock, &mut into) {
            Ok(received) => Ok((into[..received.bytes].to_vec(), received.drained)),
            Err(error) => Err(error.kind()),
        }
    }

    fn write(&mut self, sock: Sock, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.reactor.write(sock, &[IoSlice::new(bytes)]).map_err(|error| error.kind())
    }
}

fn event(sock: Sock, readable: bool, writable: bool) -> Event {
    Event { sock, readable, writable }
}

#[test]
fn ports_are_given_in_order_and_taken_once() {
    let mut ground = Ground::new();
    assert_eq!(ground.address.to_string(), "127.0.0.1:40001");
    let address = ground.address.clone();
    let again = ground.reactor.listen(&address, &ListenOptions::default()).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AddrInUse);
    let listener = ground.listener;
    ground.reactor.close(listener, Close::Graceful);
    assert!(ground.reactor.listen(&address, &ListenOptions::default()).is_ok());
    assert_eq!(ground.reactor.accept(listener).unwrap_err().kind(), ErrorKind::NotConnected);
}

#[test]
fn an_edge_is_reported_once_and_again_after_would_block() {
    let mut ground = Ground::new();
    let client = ground.sim.connect(&ground.address);
    let listener = ground.listener;
    assert_eq!(ground.poll(), [event(listener, true, false)]);
    assert_eq!(ground.poll(), []);
    let sock = ground.accept();
    assert_eq!(ground.reactor.accept(listener).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(ground.poll(), [event(sock, false, true)]);

    client.send("one");
    assert_eq!(ground.poll(), [event(sock, true, false)]);
    client.send("two");
    assert_eq!(ground.poll(), [], "nobody has read up to WouldBlock");
    assert_eq!(ground.read(sock), Ok((b"onetwo".to_vec(), true)));
    client.send("three");
    assert_eq!(ground.poll(), [event(sock, true, false)], "drained is as good as WouldBlock");
    assert_eq!(ground.read(sock), Ok((b"three".to_vec(), true)));
    assert_eq!(ground.read(sock), Err(ErrorKind::WouldBlock));
    client.finish();
    assert_eq!(ground.poll(), [event(sock, true, false)]);
    assert_eq!(ground.read(sock), Ok((Vec::new(), false)));
    assert_eq!(ground.read(sock), Ok((Vec::new(), false)));

    assert_eq!(ground.write(sock, b"answer"), Ok(6));
    assert_eq!((client.received_text(), client.closing()), ("answer".to_owned(), Parting::Open));
    ground.reactor.close(sock, Close::Graceful);
    assert_eq!(client.closing(), Parting::Finished);
    assert_eq!(ground.read(sock), Err(ErrorKind::NotConnected));
}

#[test]
fn a_read_that_finds_the_end_behind_the_bytes_is_not_drained() {
    let mut ground = Ground::new();
    let client = ground.sim.connect(&ground.address);
    client.send("bye");
    client.finish();
    let sock = ground.accept();
    assert_eq!(ground.read(sock), Ok((b"bye".to_vec(), false)));
    assert_eq!(ground.read(sock), Ok((Vec::new(), false)));
}

#[test]
fn after_a_reset_bytes_then_the_error_once_then_the_end() {
    let mut ground = Ground::new();
    let client = ground.sim.connect(&ground.address);
    let sock = ground.accept();
    client.send("hello");
    client.reset();
    let listener = ground.listener;
    assert_eq!(ground.poll(), [event(listener, true, false), event(sock, true, true)]);
    assert_eq!(ground.read(sock), Ok((b"hello".to_vec(), false)));
    assert_eq!(ground.read(sock), Err(ErrorKind::ConnectionReset));
    assert_eq!(ground.read(sock), Ok((Vec::new(), false)));
    assert_eq!(ground.write(sock, b"x"), Err(ErrorKind::BrokenPipe));
    assert_eq!(ground.reactor.shutdown_write(sock).unwrap_err().kind(), ErrorKind::NotConnected);

    let client = ground.sim.connect(&ground.address);
    let sock = ground.accept();
    client.reset();
    assert_eq!(ground.write(sock, b"x"), Err(ErrorKind::ConnectionReset));
    assert_eq!(ground.write(sock, b"x"), Err(ErrorKind::BrokenPipe));
    assert_eq!(ground.read(sock), Ok((Vec::new(), false)));
}

#[test]
fn a_first_write_after_the_peers_close_succeeds_and_the_next_does_not() {
    let mut ground = Ground::new();
    let client = ground.sim.connect(&ground.address);
    let sock = ground.accept();
    client.close();
    assert_eq!(ground.write(sock, b"x"), Ok(1));
    assert_eq!(ground.write(sock, b"x"), Err(ErrorKind::BrokenPipe));
    assert_eq!(ground.read(sock), Ok((Vec::new(), false)));
}

#[test]
fn a_close_with_unread_bytes_delivers_what_was_written_and_then_a_reset() {
    let mut ground = Ground::new();
    let client = ground.sim.connect(&ground.address);
    let sock = ground.accept();
    client.send("unread");
    assert_eq!(ground.write(sock, b"answer"), Ok(6));
    ground.reactor.close(sock, Close::Graceful);
    assert_eq!((client.received_text(), client.closing()), ("answer".to_owned(), Parting::Reset));
}

#[test]
fn a_half_closed_connection_still_sends() {
    let mut ground = Ground::new();
    let client = ground.sim.connect(&ground.address);
    let sock = ground.accept();
    ground.reactor.shutdown_write(sock).unwrap();
    assert_eq!(client.closing(), Parting::Finished);
    assert_eq!(ground.write(sock, b"x"), Err(ErrorKind::BrokenPipe));
    client.send("still here");
    assert_eq!(ground.read(sock), Ok((b"still here".to_vec(), true)));
}

#[test]
fn a_slow_reader_bounds_the_writer_and_lets_it_go_on() {
    let mut ground = Ground::new();
    let client = ground.sim.connect(&ground.address);
    client.window(10);
    let sock = ground.accept();
    assert_eq!(ground.poll().len(), 2);
    assert_eq!(ground.write(sock, &[b'x'; 25]), Ok(10));
    assert_eq!(ground.write(sock, &[b'x'; 15]), Err(ErrorKind::WouldBlock));
    assert_eq!(client.read(3), 3);
    assert_eq!(ground.poll(), [], "too little room to be worth a wake");
    assert_eq!(client.read(1), 1);
    assert_eq!(ground.poll(), [event(sock, false, true)]);
    assert_eq!(ground.write(sock, &[b'x'; 15]), Ok(4));
    assert_eq!(client.received().len(), 4);
    client.read_eagerly();
    assert_eq!(client.received().len(), 14);
    assert_eq!(ground.write(sock, &[b'x'; 11]), Ok(11));
    assert_eq!(client.take_received().len(), 25);
    assert_eq!(client.take_received().len(), 0);
}

#[test]
fn what_finds_no_room_follows_as_the_server_reads() {
    let mut ground = Ground::new();
    let mut options = ground.sim.network();
    options.receive_buffer_bytes = 50;
    ground.sim.set_network(options);
    let client = ground.sim.connect(&ground.address);
    client.send([7; 120]);
    client.finish();
    assert_eq!(client.unsent_bytes(), 70);
    let sock = ground.accept();
    let mut total = 0;
    while let Ok((bytes, _)) = ground.read(sock)
        && !bytes.is_empty()
    {
        total += bytes.len();
    }
    assert_eq!(total, 120);
}

#[test]
fn nobody_there_is_a_refused_connect() {
    let mut ground = Ground::new();
    let nobody = Address::Tcp("127.0.0.1:9".parse().unwrap());
    assert_eq!(ground.sim.connect(&nobody).closing(), Parting::Refused);
    let sock = ground.reactor.connect(&nobody).unwrap();
    assert_eq!(ground.poll(), [event(sock, true, true)]);
    assert_eq!(ground.reactor.connect_result(sock).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(ground.read(sock), Err(ErrorKind::ConnectionRefused));
    assert_eq!(ground.write(sock, b"x"), Err(ErrorKind::ConnectionRefused));
    let path = Address::Unix(Some("/run/nobody".into()));
    assert_eq!(ground.reactor.connect(&path).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn reactors_of_one_world_talk_to_each_other() {
    let mut ground = Ground::new();
    let mut other = ground.sim.reactor("other");
    let there = other.connect(&ground.address).unwrap();
    let mut events = Vec::new();
    other.poll(&mut events, Some(Time::ZERO)).unwrap();
    assert_eq!(events, [event(there, false, true)]);
    assert!(other.connect_result(there).unwrap());
    let (here, peer) = ground.reactor.accept(ground.listener).unwrap();
    assert_eq!(peer, other.local_address(there).unwrap());
    other.write(there, &[IoSlice::new(b"pi"), IoSlice::new(b"ng")]).unwrap();
    assert_eq!(ground.read(here), Ok((b"ping".to_vec(), true)));
    assert_eq!(ground.sim.sockets().len(), 3);
    drop(other);
    assert_eq!(ground.read(here), Ok((Vec::new(), false)));
}

#[test]
fn a_planned_failure_of_accept_comes_once() {
    let mut ground = Ground::new();
    ground.sim.accept_fails_once(std::io::Error::from_raw_os_error(24));
    let listener = ground.listener;
    assert_eq!(ground.reactor.accept(listener).unwrap_err().kind(), ErrorKind::WouldBlock);
    let _client = ground.sim.connect(&ground.address);
    assert_eq!(ground.reactor.accept(listener).unwrap_err().raw_os_error(), Some(24));
    assert!(ground.reactor.accept(listener).is_ok());
}

#[test]
fn connections_beyond_the_backlog_wait_for_room() {
    // One more than was asked for.
    let held = 2;
    for at in [Address::Tcp("127.0.0.1:80".parse().unwrap()), Address::Unix(Some("/run/x".into()))] {
        let sim = Sim::new(Choices::calm());
        let mut reactor = sim.reactor("server");
        let mut options = ListenOptions::default();
        options.backlog = 1;
        let listener = reactor.listen(&at, &options).unwrap();
        let clients: Vec<_> = (0..held + 2).map(|_| sim.connect(&at)).collect();
        clients[held].reset();
        clients[held + 1].send("last");
        (0..held).for_each(|_| drop(reactor.accept(listener).unwrap()));
        let (last, peer) = reactor.accept(listener).unwrap();
        assert_eq!(Some(peer), clients[held + 1].address());
        let mut into = [0; 9];
        assert_eq!(reactor.read(last, &mut into).unwrap().bytes, 4);
        reactor.close(listener, Close::Graceful);
        assert_eq!(sim.connect(&at).closing(), Parting::Refused);
    }
}

#[test]
fn a_closed_socks_slot_is_used_again_under_another_generation() {
    let mut ground = Ground::new();
    let _one = ground.sim.connect(&ground.address);
    let first = ground.accept();
    ground.reactor.close(first, Close::Reset);
    let two = ground.sim.connect(&ground.address);
    let second = ground.accept();
    assert_eq!((first.slot, first.generation + 1), (second.slot, second.generation));
    ground.reactor.close(first, Close::Reset);
    assert_eq!(two.closing(), Parting::Open);
}

/// Sends `text` through a rough network and back, by a server that reads and writes as edges tell it.
fn echo(seed: u64, text: &[u8]) -> (u64, String) {
    let ground = Ground::on(Sim::new(Choices::seed(seed)));
    let mut options = handwound_testkit::NetworkOptions::rough();
    options.receive_buffer_bytes = 40;
    ground.sim.set_network(options);
    let (sim, address, listener, mut reactor) = (ground.sim, ground.address, ground.listener, ground.reactor);
    let client = sim.connect(&address);
    client.send(text);
    client.finish();
    sim.spawn("echo", move || {
        let mut waiting = Vec::new();
        let mut sock = None;
        let mut ended = false;
        let mut events = Vec::new();
        let mut into = [0; 16];
        while !(ended && waiting.is_empty()) {
            reactor.poll(&mut events, None).unwrap();
            if sock.is_none() {
                sock = reactor.accept(listener).ok().map(|(sock, _)| sock);
            }
            let Some(sock) = sock else { continue };
            while !ended {
                match reactor.read(sock, &mut into) {
                    Ok(received) if received.bytes == 0 => ended = true,
                    Ok(received) => waiting.extend(&into[..received.bytes]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
            while !waiting.is_empty() {
                match reactor.write(sock, &[IoSlice::new(&waiting)]) {
                    Ok(count) => drop(waiting.drain(..count)),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    });
    sim.settle();
    assert_eq!(client.received(), text, "seed {seed}");
    assert_eq!(client.closing(), Parting::Finished);
    sim.assert_clean();
    (sim.trace_hash(), sim.recorded())
}

#[test]
fn a_rough_network_loses_nothing_and_a_seed_is_a_run() {
    let text: Vec<u8> = (0..200).collect();
    let mut hashes: Vec<u64> = (0..300).map(|seed| echo(seed, &text).0).collect();
    assert_eq!(echo(7, &text).0, hashes[7]);
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 300);
}

/// A refusal that came at once was taken for news on the first connection there was, and read its bytes.
#[test]
fn a_refused_client_receives_nothing_of_another() {
    let sim = Sim::new(Choices::calm());
    let mut reactor = sim.reactor("server");
    let at = |port| Address::Tcp(std::net::SocketAddr::from(([127, 0, 0, 1], port)));
    let listener = reactor.listen(&at(80), &ListenOptions::default()).unwrap();
    let slow = sim.connect(&at(80));
    slow.window(100);
    let (sock, _) = reactor.accept(listener).unwrap();
    reactor.write(sock, &[std::io::IoSlice::new(b"for the slow one")]).unwrap();
    let refused = sim.connect(&at(81));
    assert_eq!((refused.received_text().as_str(), refused.closing()), ("", Parting::Refused));
    slow.read(100);
    assert_eq!(slow.received_text(), "for the slow one");
}

/// It had room for each write, but not for all that it still wanted to write.
#[test]
fn who_writes_slowly_and_finds_room_each_time_has_sent_all_of_it() {
    let ground = Ground::new();
    let mut options = ground.sim.network();
    options.receive_buffer_bytes = 64;
    ground.sim.set_network(options);
    let mut ground = Ground::on(ground.sim);
    let client = ground.sim.connect(&ground.address).write_in(10).every(Duration::from_secs(1));
    let sock = ground.accept();
    client.send([b'x'; 80]);
    ground.sim.advance(Duration::from_millis(3_500));
    client.reset();
    assert_eq!(ground.read(sock), Ok((vec![b'x'; 40], false)));
}
