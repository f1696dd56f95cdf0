//! Where the simulation once did what no real socket does.

use std::io::ErrorKind;
use std::time::Duration;

use handwound_reactor::{Address, ListenOptions, MioReactor, Reactor};
use handwound_testkit::{Choices, NetworkOptions, Sim};

use crate::judge::{compare, simulated};
use crate::script::{Call, Place, Script, Sockets, Step};

/// Runs a script, and holds what the calm simulation shows of its own calls against `expected`.
#[track_caller]
fn check(sockets: Sockets, steps: &[(usize, Call)], expected: &str) {
    let steps = steps.iter().map(|&(who, call)| Step { who, call }).collect();
    let script = Script { sockets, backlog: 8, buffer: 64 * 1024, steps };
    if let Err(difference) = compare(&script, 1, false) {
        panic!("{difference}");
    }
    let [(_, calm), ..] = simulated(&script, 1);
    let shown: Vec<String> = calm[..script.steps.len()].iter().map(|(_, outcome)| format!("{outcome:?}")).collect();
    assert_eq!(shown.join(" | "), expected);
}

#[test]
fn a_refused_connect_is_told_by_every_call() {
    check(
        Sockets::Tcp,
        &[(0, Call::Dial(Place::Nowhere)), (5, Call::Read(1)), (5, Call::Write(1)), (5, Call::Read(1))],
        "ConnectionRefused | read 0, ConnectionRefused | wrote 0, ConnectionRefused | read 0, ConnectionRefused",
    );
}

#[test]
fn a_reset_overtakes_the_end_that_waits_behind_a_full_pipe_and_what_is_not_sent_yet() {
    check(
        Sockets::Tcp,
        &[(0, Call::Fill), (0, Call::Close), (1, Call::Write(1)), (1, Call::Drain)],
        "wrote some, WouldBlock | ok | wrote 1 | read some (0..), ConnectionReset",
    );
}

#[test]
fn an_end_behind_a_full_pipe_comes_when_the_reader_has_made_room() {
    for sockets in [Sockets::Tcp, Sockets::Unix] {
        check(
            sockets,
            &[(0, Call::Fill), (0, Call::Close), (1, Call::Read(100)), (1, Call::Drain)],
            "wrote some, WouldBlock | ok | read 100 (0..) | read all, End",
        );
    }
}

#[test]
fn a_reset_is_told_to_a_writer_whose_own_end_still_waits() {
    check(
        Sockets::Tcp,
        &[(0, Call::Fill), (1, Call::ShutdownWrite), (0, Call::ShutdownWrite), (1, Call::Close), (0, Call::Write(1))],
        "wrote some, WouldBlock | ok | ok | ok | wrote some, ConnectionReset",
    );
}

/// How far each of five connects gets that nobody accepts, with `backlog` asked for.
fn dialled(reactor: &mut dyn Reactor, backlog: u32) -> Vec<Result<bool, ErrorKind>> {
    let mut options = ListenOptions::default();
    options.backlog = backlog;
    let listener = reactor.listen(&Address::Tcp(([127, 0, 0, 1], 0).into()), &options).unwrap();
    let at = reactor.local_address(listener).unwrap();
    let dialled = (0..5).map(|_| {
        let sock = reactor.connect(&at).unwrap();
        let soon = reactor.now() + Duration::from_millis(3);
        reactor.poll(&mut Vec::new(), Some(soon)).unwrap();
        reactor.connect_result(sock).map_err(|error| error.kind())
    });
    dialled.collect()
}

#[test]
fn a_full_backlog_keeps_tcp_waiting_and_it_holds_one_more_than_asked_for() {
    for backlog in [0, 1, 3] {
        let expected: Vec<_> = (0..5).map(|index| Ok(index <= backlog)).collect();
        assert_eq!(dialled(&mut MioReactor::new().unwrap(), backlog), expected);
        let sim = Sim::new(Choices::calm());
        sim.set_network(NetworkOptions::calm());
        assert_eq!(dialled(&mut sim.reactor("stage"), backlog), expected);
    }
}
