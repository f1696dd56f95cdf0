//! Clauses 4 and 5: what a `Sock` names, and listeners.

use std::io::{ErrorKind, IoSlice};
use std::time::Duration;

use handwound_reactor::{Address, Close, Reactor, Sock};

use super::Ground;
use super::bench::{Bench, Way};

/// Clause 4: every call with a closed `Sock` gives `NotConnected`.
pub fn a_closed_sock_names_nothing<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (client, server) = bench.pair(ground);
    let (listener, _) = bench.listen(ground);
    bench.reactor.close(client, Close::Graceful);
    bench.reactor.close(server, Close::Reset);
    bench.reactor.close(listener, Close::Graceful);
    for sock in [client, server, listener] {
        expect_nothing(&mut bench.reactor, sock);
    }
}

#[track_caller]
fn expect_nothing(reactor: &mut impl Reactor, sock: Sock) {
    let gone = Some(ErrorKind::NotConnected);
    assert_eq!(reactor.read(sock, &mut [0; 8]).err().map(|error| error.kind()), gone, "read");
    assert_eq!(reactor.write(sock, &[IoSlice::new(b"x")]).err().map(|error| error.kind()), gone, "write");
    assert_eq!(reactor.shutdown_write(sock).err().map(|error| error.kind()), gone, "shutdown_write");
    assert_eq!(reactor.accept(sock).err().map(|error| error.kind()), gone, "accept");
    assert_eq!(reactor.connect_result(sock).err().map(|error| error.kind()), gone, "connect_result");
    assert_eq!(reactor.local_address(sock).err().map(|error| error.kind()), gone, "local_address");
}

/// Clause 4: sockets that are opened after a close have other names, whatever place they take; the old name does
/// them no harm.
pub fn a_closed_sock_never_names_its_successor<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let mut old = Vec::new();
    for _ in 0..10 {
        let (client, server) = bench.pair(ground);
        for &sock in &old {
            assert!(sock != client && sock != server, "{sock:?} names another socket now");
            expect_nothing(&mut bench.reactor, sock);
            bench.reactor.close(sock, Close::Reset);
        }
        bench.send(client, b"still here");
        bench.expect(server, b"still here");
        bench.reactor.close(client, Close::Graceful);
        bench.reactor.close(server, Close::Graceful);
        old.extend([client, server]);
    }
}

/// Clause 4: a `Sock` can be closed again, in either way, to no effect; the peer sees the first close only.
pub fn closing_twice_is_harmless<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (client, server) = bench.pair(ground);
    bench.send(client, b"bye");
    bench.reactor.close(client, Close::Graceful);
    bench.reactor.close(client, Close::Reset);
    bench.reactor.close(client, Close::Graceful);
    assert_eq!(bench.read_all(server), (b"bye".to_vec(), Ok(())));
}

/// Clause 5: an accept with nobody there is `WouldBlock`, as often as it is tried; whoever comes then is let in.
pub fn accept_would_block_when_nobody_waits<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (listener, at) = bench.listen(ground);
    for _ in 0..3 {
        assert_eq!(bench.try_accept(listener), Ok(None));
    }
    bench.connect(&at).expect("somebody listens");
    bench.accept(listener);
    assert_eq!(bench.try_accept(listener), Ok(None));
}

/// Clause 5: both ends agree on who is connected to whom.
pub fn accept_tells_who_has_come<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (listener, at) = bench.listen(ground);
    let client = bench.connect(&at).expect("somebody listens");
    let (server, from) = bench.accept(listener);
    assert_eq!(bench.reactor.local_address(client).expect("an open socket has an address"), from);
    assert_eq!(bench.reactor.local_address(server).expect("an open socket has an address"), at);
}

/// Clause 5: connections are established before they are accepted, and none is lost until they are.
pub fn connections_wait_to_be_accepted<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (listener, at) = bench.listen(ground);
    let clients: Vec<_> = (0..8_u8).map(|_| bench.connect(&at).expect("somebody listens")).collect();
    for (&client, number) in clients.iter().zip(0..) {
        bench.send(client, &[number]);
    }
    let mut heard = Vec::new();
    for _ in &clients {
        let (server, _) = bench.accept(listener);
        heard.extend(bench.read(server, 8).expect("a healthy connection"));
    }
    heard.sort_unstable();
    assert_eq!(heard, [0, 1, 2, 3, 4, 5, 6, 7]);
}

/// Clause 5: after an error of the system (out of descriptors, a connection aborted) the listener goes on. Needs
/// [`Ground::fail_an_accept`].
pub fn a_failed_accept_leaves_the_listener_usable<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (listener, at) = bench.listen(ground);
    let Some(expected) = ground.fail_an_accept() else { return };
    bench.connect(&at).expect("somebody listens");
    let end = bench.patience();
    loop {
        match bench.try_accept(listener) {
            Err(kind) => break assert_eq!(kind, expected),
            Ok(None) => {}
            Ok(Some(_)) => panic!("the accept was to fail with {expected:?}"),
        }
        assert!(bench.reactor.now() < end, "the accept was to fail with {expected:?}");
        bench.poll(Duration::from_millis(1));
    }
    bench.connect(&at).expect("somebody listens");
    bench.wait(listener, Way::Read);
    bench.accept(listener);
}

/// Clause 5, and the words on `listen`: one address, one listener; when that is closed, another.
pub fn an_address_in_use_is_refused_until_it_is_free<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (listener, at) = bench.listen(ground);
    let second = bench.try_listen(&at);
    assert_eq!(second.err().map(|error| error.kind()), Some(ErrorKind::AddrInUse));
    bench.reactor.close(listener, Close::Graceful);
    let second = bench.try_listen(&at).expect("the address is free again");
    bench.connect(&at).expect("somebody listens");
    bench.accept(second);
}

/// Clause 5, and the words on `listen`: port 0 becomes a real port, another one each time.
pub fn each_listener_gets_a_port_of_its_own<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (_, one) = bench.listen(ground);
    let (_, other) = bench.listen(ground);
    assert_ne!(one, other);
    assert_ne!(one.tcp().map(|at| at.port()), Some(0));
    assert_ne!(other, Address::Unix(None));
}
