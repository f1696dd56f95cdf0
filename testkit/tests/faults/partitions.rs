//! Who is cut off from whom, and for how long.

use std::io::ErrorKind;
use std::time::Duration;

use handwound_reactor::{Reactor, Time};
use handwound_testkit::{Fault, FaultPlan, Host, Parting};

use super::{at, ground, poll, read, write};

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
