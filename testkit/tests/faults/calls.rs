//! Calls that fail by plan.

use std::io::ErrorKind;
use std::time::Duration;

use handwound_reactor::{ListenOptions, Reactor, Threads, Time};
use handwound_testkit::{Call, ECONNABORTED, EINTR, EMFILE, ENFILE, ENOMEM, Fault, FaultPlan, NetworkOptions};

use super::{at, ground, poll, read, write};

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
