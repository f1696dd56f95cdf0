//! Clause 1: readiness.

use std::time::Duration;

use handwound_reactor::{Close, Reactor, Sock};

use super::Ground;
use super::bench::{Bench, Way, pattern};

/// Clause 1: what arrives after `WouldBlock` or `drained` makes a new edge, in both directions, again and again.
pub fn each_arrival_makes_an_edge<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (client, server) = bench.pair(ground);
    for round in 0..20 {
        let (from, to) = if round % 2 == 0 { (client, server) } else { (server, client) };
        let bytes = pattern(round * 100, 1 + round);
        bench.send(from, &bytes);
        bench.expect(to, &bytes);
        read_nothing(&mut bench, to);
    }
}

/// Reads from a socket for which nothing is under way: until that is told, by whatever edges there are.
#[track_caller]
fn read_nothing<R: Reactor>(bench: &mut Bench<R>, sock: Sock) {
    while bench.has_edge(sock, Way::Read) {
        assert_eq!(bench.try_read(sock, 8), Ok(None), "nothing was sent");
    }
}

/// Clause 1: an edge that nobody acts upon is not reported again and again, as a level would be. A few times are
/// allowed: spurious events are.
pub fn an_edge_is_not_reported_for_ever<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (client, server) = bench.pair(ground);
    bench.send(client, b"unread");
    bench.wait(server, Way::Read);
    let end = bench.reactor.now() + Duration::from_millis(20);
    let mut events = 0;
    while bench.reactor.now() < end {
        events += bench.poll_until(Some(end));
        assert!(events < 64, "{events} events, and nothing new to tell");
    }
    bench.expect(server, b"unread");
}

/// Clause 1: one edge covers all that is there, however it is read; a read that is neither `WouldBlock` nor
/// `drained` may be followed by another at once.
pub fn what_is_left_can_be_read_without_another_edge<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (client, server) = bench.pair(ground);
    let sent = pattern(0, 1000);
    bench.send(client, &sent);
    let (mut got, mut step) = (Vec::new(), 0);
    while got.len() < sent.len() {
        bench.wait(server, Way::Read);
        // No poll from here until the edge is used up.
        while bench.has_edge(server, Way::Read) {
            step += 1;
            if let Some(bytes) = bench.try_read(server, 1 + step % 13).expect("a healthy connection") {
                got.extend(bytes);
            }
        }
    }
    assert!(got == sent, "other bytes came than were sent");
}

/// Clause 1: whoever tries without an edge (as after a spurious event) is told `WouldBlock`, and gets the edge
/// that comes later all the same.
pub fn a_call_that_comes_too_early_would_block<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (listener, at) = bench.listen(ground);
    assert_eq!(bench.try_accept(listener), Ok(None));
    let client = bench.connect(&at).expect("somebody listens");
    let (server, _) = bench.accept(listener);
    for sock in [client, server, client, server] {
        assert_eq!(bench.try_read(sock, 8), Ok(None));
    }
    bench.send(client, b"there");
    bench.expect(server, b"there");
    bench.send(server, b"back");
    bench.expect(client, b"back");
}

/// Clause 1: after `drained` the next read gives `WouldBlock` if nothing was sent since, and an edge comes for
/// what is sent later, the end of the stream too.
pub fn drained_means_that_the_next_read_would_block<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (client, server) = bench.pair(ground);
    for round in 0..10 {
        let sent = pattern(round, 10);
        bench.send(client, &sent);
        let mut got = Vec::new();
        while got.len() < sent.len() {
            bench.wait(server, Way::Read);
            let Some(bytes) = bench.try_read(server, 64).expect("a healthy connection") else { continue };
            let drained = !bench.has_edge(server, Way::Read);
            got.extend(bytes);
            if drained && got.len() == sent.len() {
                assert_eq!(bench.try_read(server, 64), Ok(None), "drained, and yet there was more");
            }
        }
        assert!(got == sent, "other bytes came than were sent");
    }
    // The end comes with the last bytes, or just after.
    bench.send(client, b"last");
    bench.reactor.close(client, Close::Graceful);
    assert_eq!(bench.read_all(server), (b"last".to_vec(), Ok(())));
}

/// Clause 1: bytes, and an end, that were there before the connection was accepted are not missed.
pub fn bytes_that_came_before_the_accept_make_an_edge<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (listener, at) = bench.listen(ground);
    let client = bench.connect(&at).expect("somebody listens");
    bench.send(client, b"early");
    bench.reactor.close(client, Close::Graceful);
    bench.wait(listener, Way::Read);
    // Lets the bytes arrive.
    bench.poll(Duration::from_millis(5));
    let (server, _) = bench.accept(listener);
    assert_eq!(bench.read_all(server), (b"early".to_vec(), Ok(())));
}

/// Clause 1: a listener makes an edge when somebody comes after its `WouldBlock`; several may share one.
pub fn each_batch_of_connections_makes_an_edge<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (listener, at) = bench.listen(ground);
    for batch in 1..4 {
        let clients: Vec<_> = (0..batch).map(|_| bench.connect(&at).expect("somebody listens")).collect();
        let servers: Vec<_> = (0..batch).map(|_| bench.accept(listener).0).collect();
        while bench.has_edge(listener, Way::Read) {
            assert_eq!(bench.try_accept(listener), Ok(None), "nobody else has connected");
        }
        for sock in clients.into_iter().chain(servers) {
            bench.reactor.close(sock, Close::Graceful);
        }
    }
}

/// Clause 1: a connection that nobody reads takes a limited number of bytes, then `WouldBlock`; once they have
/// been read a writable edge comes, and everything has arrived.
pub fn a_full_connection_would_block_and_becomes_writable_once_it_is_read<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (client, server) = bench.pair(ground);
    for (from, to) in [(client, server), (server, client)] {
        let sent = bench.fill(from);
        assert!(!bench.has_edge(from, Way::Write), "full");
        let mut got = Vec::new();
        while got.len() < sent.len() {
            got.extend(bench.read(to, 64 * 1024).expect("a healthy connection"));
        }
        assert!(got == sent, "other bytes came than were sent");
        bench.send(from, b"again");
        bench.expect(to, b"again");
    }
}
