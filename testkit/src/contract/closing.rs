//! Clauses 6 and 7: the ends of connections, good and bad, and their beginnings.

use std::io::ErrorKind;
use std::time::Duration;

use handwound_reactor::{Close, Reactor, Sock};

use super::Ground;
use super::bench::{Bench, Way, pattern};

/// Clause 6: what was written before a graceful close arrives, and then the end.
pub fn a_graceful_close_delivers_everything_then_the_end<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    for bytes in [&b""[..], b"x", b"last words"] {
        let (client, server) = bench.pair(ground);
        bench.send(server, bytes);
        bench.reactor.close(server, Close::Graceful);
        assert_eq!(bench.read_all(client), (bytes.to_vec(), Ok(())));
        bench.reactor.close(client, Close::Graceful);
    }
}

/// Clause 6: the same for more than a connection holds, closed the moment the last byte was taken.
pub fn a_graceful_close_delivers_much_then_the_end<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (client, server) = bench.pair(ground);
    let sent = pattern(0, ground.bulk_bytes());
    let (mut left, mut got) = (&sent[..], Vec::new());
    let end = bench.patience();
    loop {
        let mut moved = false;
        if !left.is_empty() && bench.has_edge(server, Way::Write) {
            let count = bench.try_write(server, &[left]).expect("a healthy connection").unwrap_or(0);
            left = &left[count..];
            moved = count > 0;
            if left.is_empty() {
                bench.reactor.close(server, Close::Graceful);
            }
        }
        if bench.has_edge(client, Way::Read) {
            match bench.try_read(client, 16 * 1024).expect("no error at a graceful close") {
                Some(bytes) if bytes.is_empty() => break,
                Some(bytes) => {
                    got.extend(bytes);
                    moved = true;
                }
                None => {}
            }
        }
        let may_move = bench.has_edge(client, Way::Read) || !left.is_empty() && bench.has_edge(server, Way::Write);
        if !moved && !may_move {
            assert!(bench.reactor.now() < end, "stuck: {} sent, {} received", sent.len() - left.len(), got.len());
            bench.poll_until(Some(end));
        }
    }
    assert!(got == sent, "other bytes came than were sent ({} of {})", got.len(), sent.len());
}

/// Clause 6: a reset is an error to the peer, never an end.
pub fn a_reset_is_seen_as_one<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    for swap in [false, true] {
        let (client, server) = bench.pair(ground);
        let (from, to) = if swap { (server, client) } else { (client, server) };
        bench.send(from, b"hello");
        bench.expect(to, b"hello");
        bench.reactor.close(from, Close::Reset);
        assert_eq!(bench.read_all(to), (vec![], Err(ErrorKind::ConnectionReset)));
    }
}

/// Clause 6: with a reset the peer gets a beginning of what was written, perhaps all, perhaps nothing; then the
/// error.
pub fn a_reset_drops_what_was_not_delivered_and_changes_nothing_else<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (client, server) = bench.pair(ground);
    let sent = pattern(0, 5000);
    bench.send(client, &sent);
    bench.reactor.close(client, Close::Reset);
    let (got, outcome) = bench.read_all(server);
    assert!(sent.starts_with(&got), "bytes that were never sent, or in another order");
    assert_eq!(outcome, Err(ErrorKind::ConnectionReset));
}

/// Clauses 6 and 7: who waits to write when the peer resets gets an edge, and then an error.
pub fn a_reset_frees_a_writer_that_waits<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (client, server) = bench.pair(ground);
    bench.fill(client);
    bench.reactor.close(server, Close::Reset);
    bench.wait(client, Way::Write);
    expect_write_error(&mut bench, client);
}

/// Clause 6: a graceful close that leaves bytes of the peer unread may, as most systems do it, be a reset. Either
/// way the peer is told.
pub fn a_close_with_unread_bytes_is_noticed<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (client, server) = bench.pair(ground);
    bench.send(client, b"nobody reads this");
    bench.wait(server, Way::Read);
    bench.reactor.close(server, Close::Graceful);
    let (got, outcome) = bench.read_all(client);
    assert_eq!(got, b"");
    assert!(matches!(outcome, Ok(()) | Err(ErrorKind::ConnectionReset)), "{outcome:?}");
}

/// Clause 6: those who wait at a listener that closes are told, by an end or a reset.
pub fn closing_a_listener_turns_away_who_waits<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (listener, at) = bench.listen(ground);
    let client = bench.connect(&at).expect("somebody listens");
    bench.wait(listener, Way::Read);
    bench.reactor.close(listener, Close::Graceful);
    let (got, outcome) = bench.read_all(client);
    assert_eq!(got, b"");
    assert!(matches!(outcome, Ok(()) | Err(ErrorKind::ConnectionReset)), "{outcome:?}");
}

/// Clause 7, and the words on `connect`: its end comes with a writable edge, and is told as often as it is asked
/// for.
pub fn a_connect_comes_to_an_end<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (listener, at) = bench.listen(ground);
    let client = bench.start_to_connect(&at).expect("nothing is known against it");
    // Either way before the edge; later only one.
    bench.reactor.connect_result(client).expect("nothing is known against it");
    bench.connected(client).expect("somebody listens");
    let (server, _) = bench.accept(listener);
    for sock in [client, client, server] {
        assert!(bench.reactor.connect_result(sock).expect("connected"));
    }
}

/// Clause 7: where nobody listens, the connect itself or its result says `ConnectionRefused`. (A UNIX socket
/// whose file is gone is `NotFound`.)
pub fn a_refused_connect_says_so<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (listener, nobody) = bench.listen(ground);
    bench.reactor.close(listener, Close::Graceful);
    let expected = if nobody.tcp().is_some() { ErrorKind::ConnectionRefused } else { ErrorKind::NotFound };
    assert_eq!(bench.connect(&nobody), Err(expected));
    // A read or a write without having asked says the same.
    if let Ok(sock) = bench.start_to_connect(&nobody) {
        bench.wait(sock, Way::Write);
        assert_eq!(bench.try_write(sock, &[b"x"]), Err(expected));
        bench.reactor.close(sock, Close::Graceful);
    }
}

/// Clause 7: whoever has ended its own stream still receives, for as long as the peer sends.
pub fn half_close_ends_one_direction_only<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    for swap in [false, true] {
        let (client, server) = bench.pair(ground);
        let (quiet, talker) = if swap { (server, client) } else { (client, server) };
        bench.send(quiet, b"request");
        bench.reactor.shutdown_write(quiet).expect("a healthy connection");
        assert_eq!(bench.read_all(talker), (b"request".to_vec(), Ok(())));
        for word in [&b"a long"[..], b" answer"] {
            bench.send(talker, word);
            bench.expect(quiet, word);
        }
        bench.reactor.close(talker, Close::Graceful);
        bench.expect_end(quiet);
    }
}

/// Clause 7: both streams can be ended without closing; each side gets what the other has sent before.
pub fn both_directions_can_be_half_closed<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (client, server) = bench.pair(ground);
    bench.send(client, b"to the server");
    bench.send(server, b"to the client");
    bench.reactor.shutdown_write(client).expect("a healthy connection");
    bench.reactor.shutdown_write(server).expect("one end has ended, the other may too");
    assert_eq!(bench.read_all(client), (b"to the client".to_vec(), Ok(())));
    assert_eq!(bench.read_all(server), (b"to the server".to_vec(), Ok(())));
}

/// Clause 7: a read after the end gives the end again.
pub fn the_end_is_told_again<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (client, server) = bench.pair(ground);
    bench.reactor.close(client, Close::Graceful);
    bench.expect_end(server);
    for _ in 0..3 {
        assert_eq!(bench.try_read(server, 8), Ok(Some(vec![])));
    }
}

/// Clause 7: who has ended its own stream cannot write.
pub fn a_write_after_our_own_end_is_a_broken_pipe<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (client, server) = bench.pair(ground);
    for sock in [client, server] {
        bench.reactor.shutdown_write(sock).expect("a healthy connection");
        assert_eq!(bench.try_write(sock, &[b"x"]), Err(ErrorKind::BrokenPipe));
    }
}

/// Clause 7: bytes for a peer who is gone may be taken at first; soon an error comes.
pub fn a_write_after_the_peer_has_closed_fails_in_the_end<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    for how in [Close::Graceful, Close::Reset] {
        let (client, server) = bench.pair(ground);
        bench.reactor.close(server, how);
        expect_write_error(&mut bench, client);
    }
}

#[track_caller]
fn expect_write_error<R: Reactor>(bench: &mut Bench<R>, sock: Sock) {
    let end = bench.patience();
    let kind = loop {
        match bench.try_write(sock, &[b"anybody there?"]) {
            Ok(_) => assert!(bench.reactor.now() < end, "nobody is there, and writes still succeed"),
            Err(kind) => break kind,
        }
        bench.poll(Duration::from_millis(1));
    };
    assert!(matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{kind:?}");
}

/// The words on `write`: what several slices hold arrives as if it had been one, empty ones among them.
pub fn several_slices_arrive_in_order<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let (client, server) = bench.pair(ground);
    let slices: [&[u8]; 6] = [b"", b"HTTP/1.1", b" ", b"", b"200 OK", b"\r\n"];
    let whole = slices.concat();
    let mut sent = 0;
    while sent < whole.len() {
        // The rest, in the same slices.
        let mut skip = sent;
        let rest: Vec<&[u8]> = slices
            .iter()
            .map(|slice| {
                let skipped = skip.min(slice.len());
                skip -= skipped;
                &slice[skipped..]
            })
            .collect();
        bench.wait(client, Way::Write);
        sent += bench.try_write(client, &rest).expect("a healthy connection").unwrap_or(0);
    }
    bench.expect(server, &whole);
}

/// Bytes go where they were sent: with several connections at once, none sees another's.
pub fn connections_do_not_mix<G: Ground>(ground: &mut G) {
    let mut bench = Bench::on(ground);
    let pairs: Vec<_> = (0..6).map(|_| bench.pair(ground)).collect();
    for round in 0..3 {
        for (number, &(client, server)) in pairs.iter().enumerate() {
            bench.send(client, &pattern(number * 1000 + round, 50));
            bench.send(server, &pattern(number * 2000 + round, 50));
        }
        for (number, &(client, server)) in pairs.iter().enumerate().rev() {
            bench.expect(server, &pattern(number * 1000 + round, 50));
            bench.expect(client, &pattern(number * 2000 + round, 50));
        }
    }
}
