//! A client that the test has dropped, and whose connection is over, does nothing any more: not to the connection that
//! has taken its place either.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use handwound_reactor::{Address, Close, ListenOptions, Reactor};
use handwound_testkit::{Choices, Fault, FaultPlan, MockReactor, Sim};

const SECOND: Duration = Duration::from_secs(1);

fn at() -> Address {
    Address::Tcp("127.0.0.1:80".parse().unwrap())
}

/// What a slow writer that the test drops has still to send, when the server ends the connection.
fn slow_writer(sim: &Sim, server: &mut MockReactor, closes: bool) {
    let listener = server.listen(&at(), &ListenOptions::default()).unwrap();
    let slow = sim.connect(&at()).write_in(1).every(SECOND);
    slow.send("slow");
    let (sock, _) = server.accept(listener).unwrap();
    assert_eq!(server.read(sock, &mut [0; 9]).unwrap().bytes, 1);
    if closes {
        slow.close();
    }
    server.close(sock, Close::Graceful);
    drop(slow);
    let next = sim.connect(&at());
    let (sock, _) = server.accept(listener).unwrap();
    sim.advance(9 * SECOND);
    next.send("next");
    let mut bytes = [0; 9];
    let received = server.read(sock, &mut bytes).unwrap().bytes;
    assert_eq!(bytes[..received].escape_ascii().to_string(), "next");
    assert!(!next.is_closed());
}

#[test]
fn what_a_dropped_client_had_to_send_is_not_sent_on_the_next_connection() {
    for closes in [false, true] {
        let sim = Sim::new(Choices::calm());
        slow_writer(&sim, &mut sim.reactor("server"), closes);
    }
}

#[test]
fn a_slow_client_may_be_dropped_when_the_server_has_left() {
    let sim = Sim::new(Choices::calm());
    let mut server = sim.reactor("server");
    let listener = server.listen(&at(), &ListenOptions::default()).unwrap();
    let slow = sim.connect(&at()).write_in(1).every(SECOND);
    slow.send("slow");
    let (sock, _) = server.accept(listener).unwrap();
    assert_eq!(server.read(sock, &mut [0; 9]).unwrap().bytes, 1);
    server.close(sock, Close::Graceful);
    drop(slow);
    sim.advance(9 * SECOND);
}

#[test]
fn a_client_may_be_dropped_while_it_waits_for_an_answer() {
    let sim = Sim::new(Choices::calm());
    sim.plan(&FaultPlan::none().and(Fault::Unanswered { connection: 0 }));
    let mut server = sim.reactor("server");
    server.listen(&at(), &ListenOptions::default()).unwrap();
    drop(sim.connect(&at()));
    sim.advance(3600 * SECOND);
}
