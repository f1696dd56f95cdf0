//! What UNIX sockets do on Linux, where that is not what TCP does: each fact is checked on the system's sockets and
//! on the simulated ones, whatever the network is drawn to be.
//!
//! Nothing is ever under way between the ends of a UNIX socket, and so nothing here waits for anything.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, IoSlice};

use handwound_reactor::{Address, Close, Event, ListenOptions, MioReactor, Reactor, Sock, Time};
use handwound_testkit::{Break, Choices, Fault, FaultPlan, Host, NetworkOptions, Parting, Sim, Way};

/// Runs `fact` on the system's sockets, and on simulated ones.
#[track_caller]
fn check(fact: fn(&mut Ground)) {
    let folder = tempfile::tempdir().unwrap();
    let at = Address::Unix(Some(folder.path().join("socket")));
    fact(&mut Ground::new(Box::new(MioReactor::new().unwrap()), &at));
    // Neither distance nor speed matters here. The short reads and writes of a rough network would only need loops.
    let mut slow = NetworkOptions::rough();
    (slow.short_reads, slow.short_writes, slow.fickle) = (false, false, false);
    for network in [NetworkOptions::calm(), slow] {
        let sim = Sim::new(Choices::seed(1));
        sim.set_network(network);
        fact(&mut Ground::new(Box::new(sim.reactor("stage")), &at));
    }
}

struct Ground {
    reactor: Box<dyn Reactor>,
    at: Address,
    listener: Sock,
}

impl Ground {
    fn new(mut reactor: Box<dyn Reactor>, at: &Address) -> Ground {
        let mut options = ListenOptions::default();
        options.backlog = 2;
        let listener = reactor.listen(at, &options).unwrap();
        Ground { reactor, at: at.clone(), listener }
    }

    fn connect(&mut self) -> Result<Sock, ErrorKind> {
        self.reactor.connect(&self.at).map_err(|error| error.kind())
    }

    fn pair(&mut self) -> [Sock; 2] {
        let there = self.connect().unwrap();
        [there, self.reactor.accept(self.listener).unwrap().0]
    }

    fn write(&mut self, sock: Sock, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.reactor.write(sock, &[IoSlice::new(bytes)]).map_err(|error| error.kind())
    }

    fn read(&mut self, sock: Sock) -> Result<String, ErrorKind> {
        let mut into = [0; 64];
        let received = self.reactor.read(sock, &mut into).map_err(|error| error.kind())?;
        assert!(!received.drained, "nobody can know that of a UNIX socket");
        Ok(String::from_utf8_lossy(&into[..received.bytes]).into_owned())
    }

    fn shutdown(&mut self, sock: Sock) -> Result<(), ErrorKind> {
        self.reactor.shutdown_write(sock).map_err(|error| error.kind())
    }

    /// The event on `sock`, if there is one.
    fn event(&mut self, sock: Sock) -> Option<Event> {
        let mut events = Vec::new();
        self.reactor.poll(&mut events, Some(Time::ZERO)).unwrap();
        events.into_iter().find(|event| event.sock == sock)
    }

    /// Writes until there is no room; how much there was.
    fn fill(&mut self, sock: Sock) -> usize {
        let mut total = 0;
        loop {
            match self.write(sock, &[b'x'; 4096]) {
                Ok(some) => total += some,
                Err(error) => {
                    assert_eq!(error, ErrorKind::WouldBlock);
                    return total;
                }
            }
        }
    }
}

const WOULD_BLOCK: ErrorKind = ErrorKind::WouldBlock;
const RESET: ErrorKind = ErrorKind::ConnectionReset;
const PIPE: ErrorKind = ErrorKind::BrokenPipe;

#[test]
fn a_connect_has_succeeded_when_it_returns_and_writes_need_no_accept() {
    check(|ground| {
        let there = ground.connect().unwrap();
        assert!(ground.reactor.connect_result(there).unwrap());
        assert_eq!(ground.write(there, b"early"), Ok(5));
        let here = ground.reactor.accept(ground.listener).unwrap().0;
        assert_eq!(ground.read(here), Ok("early".into()));
        assert_eq!(ground.read(here), Err(WOULD_BLOCK));
        assert_eq!(ground.write(here, b"at once"), Ok(7));
        assert_eq!(ground.read(there), Ok("at once".into()));
    });
}

#[test]
fn a_full_backlog_tells_a_connect_to_try_again_and_it_holds_one_more_than_asked_for() {
    check(|ground| {
        let queued: Vec<Sock> = (0..3).map(|_| ground.connect().unwrap()).collect();
        assert_eq!(ground.connect(), Err(WOULD_BLOCK));
        // One who has left keeps its place.
        ground.reactor.close(queued[0], Close::Graceful);
        assert_eq!(ground.connect(), Err(WOULD_BLOCK));
        ground.reactor.accept(ground.listener).unwrap();
        assert!(ground.connect().is_ok());
        assert_eq!(ground.connect(), Err(WOULD_BLOCK));
    });
}

#[test]
fn where_nobody_listens_any_more_there_is_no_file() {
    check(|ground| {
        ground.reactor.close(ground.listener, Close::Graceful);
        assert_eq!(ground.connect(), Err(ErrorKind::NotFound));
        ground.listener = ground.reactor.listen(&ground.at, &ListenOptions::default()).unwrap();
        assert!(ground.connect().is_ok());
    });
}

#[test]
fn a_path_is_not_shared() {
    check(|ground| {
        let mut options = ListenOptions::default();
        options.reuse_port = true;
        assert_eq!(ground.reactor.listen(&ground.at, &options).unwrap_err().kind(), ErrorKind::AddrInUse);
    });
}

#[test]
fn a_close_is_known_at_once_and_leaves_what_was_written() {
    check(|ground| {
        let [there, here] = ground.pair();
        ground.write(there, b"last words").unwrap();
        ground.reactor.close(there, Close::Graceful);
        assert_eq!(ground.write(here, b"x"), Err(PIPE));
        assert_eq!(ground.shutdown(here), Ok(()), "though nobody is there");
        assert_eq!(ground.read(here), Ok("last words".into()));
        assert_eq!(ground.read(here), Ok(String::new()));
        assert_eq!(ground.read(here), Ok(String::new()));
        assert_eq!(ground.write(here, b"x"), Err(PIPE));
        assert!(ground.reactor.connect_result(here).unwrap());
    });
}

#[test]
fn there_is_no_reset_but_a_plain_close() {
    check(|ground| {
        let [there, here] = ground.pair();
        ground.write(there, b"kept").unwrap();
        ground.reactor.close(there, Close::Reset);
        assert_eq!(ground.read(here), Ok("kept".into()));
        assert_eq!(ground.read(here), Ok(String::new()));
        assert_eq!(ground.write(here, b"x"), Err(PIPE));
    });
}

#[test]
fn a_close_with_unread_bytes_is_told_once_by_a_read_and_never_by_a_write() {
    check(|ground| {
        for how in [Close::Graceful, Close::Reset] {
            let [there, here] = ground.pair();
            ground.write(here, b"unread").unwrap();
            ground.write(there, b"answer").unwrap();
            ground.reactor.close(there, how);
            assert_eq!(ground.write(here, b"x"), Err(PIPE));
            assert_eq!(ground.read(here), Ok("answer".into()));
            assert_eq!(ground.write(here, b"x"), Err(PIPE));
            assert_eq!(ground.read(here), Err(RESET));
            assert_eq!(ground.read(here), Ok(String::new()));
            assert_eq!(ground.write(here, b"x"), Err(PIPE));
        }
    });
}

#[test]
fn a_close_with_unread_bytes_is_told_after_the_end_of_the_stream_too() {
    check(|ground| {
        let [there, here] = ground.pair();
        ground.shutdown(there).unwrap();
        assert_eq!(ground.read(here), Ok(String::new()));
        assert_eq!(ground.write(here, b"unread"), Ok(6));
        ground.reactor.close(there, Close::Graceful);
        assert_eq!(ground.read(here), Err(RESET));
        assert_eq!(ground.read(here), Ok(String::new()));
    });
}

#[test]
fn a_half_closed_one_is_read_on_and_may_be_half_closed_again() {
    check(|ground| {
        let [there, here] = ground.pair();
        ground.shutdown(there).unwrap();
        assert_eq!(ground.shutdown(there), Ok(()));
        assert_eq!(ground.write(there, b"x"), Err(PIPE));
        assert_eq!(ground.write(here, b"on"), Ok(2));
        assert_eq!(ground.shutdown(here), Ok(()));
        assert_eq!(ground.read(there), Ok("on".into()));
        assert_eq!(ground.read(there), Ok(String::new()));
        assert_eq!(ground.shutdown(here), Ok(()), "both streams have ended, the connection has not");
        assert_eq!(ground.read(here), Ok(String::new()));
    });
}

#[test]
fn a_listener_that_closes_resets_those_in_its_queue_whatever_they_wrote() {
    check(|ground| {
        let [wrote, silent] = [ground.connect().unwrap(), ground.connect().unwrap()];
        ground.write(wrote, b"never read").unwrap();
        ground.reactor.close(ground.listener, Close::Graceful);
        for sock in [wrote, silent] {
            assert_eq!(ground.write(sock, b"x"), Err(PIPE));
            assert_eq!(ground.read(sock), Err(RESET));
            assert_eq!(ground.read(sock), Ok(String::new()));
            assert!(ground.reactor.connect_result(sock).unwrap());
        }
    });
}

#[test]
fn one_who_left_before_the_accept_is_accepted_and_read() {
    check(|ground| {
        let there = ground.connect().unwrap();
        ground.write(there, b"gone by now").unwrap();
        ground.reactor.close(there, Close::Graceful);
        let here = ground.reactor.accept(ground.listener).unwrap().0;
        assert_eq!(ground.write(here, b"x"), Err(PIPE));
        assert_eq!(ground.read(here), Ok("gone by now".into()));
        assert_eq!(ground.read(here), Ok(String::new()));
    });
}

#[test]
fn a_writer_without_room_is_woken_when_three_quarters_are_free() {
    check(|ground| {
        let [there, here] = ground.pair();
        ground.event(there);
        let total = ground.fill(there);
        let mut into = vec![0; total];
        let mut taken = 0;
        let mut read_up_to = |ground: &mut Ground, most: usize| {
            while taken < most {
                taken += ground.reactor.read(here, &mut into[..4096.min(most - taken)]).unwrap().bytes;
            }
        };
        read_up_to(ground, total / 2);
        assert_eq!(ground.event(there), None);
        read_up_to(ground, total);
        assert_eq!(ground.event(there), Some(Event { sock: there, readable: false, writable: true }));
    });
}

#[test]
fn a_close_wakes_a_writer_without_room() {
    check(|ground| {
        let [there, here] = ground.pair();
        ground.event(there);
        ground.fill(there);
        assert_eq!(ground.read(there), Err(WOULD_BLOCK));
        ground.reactor.close(here, Close::Graceful);
        assert_eq!(ground.event(there), Some(Event { sock: there, readable: true, writable: true }));
        assert_eq!(ground.write(there, b"x"), Err(PIPE));
        assert_eq!(ground.read(there), Err(RESET));
    });
}

// Of scripted clients, and of what goes wrong: only the simulation has them.

fn simulated() -> (Sim, Ground) {
    let sim = Sim::new(Choices::calm());
    let reactor = Box::new(sim.reactor("server"));
    (sim, Ground::new(reactor, &Address::Unix(Some("/run/server".into()))))
}

#[test]
fn a_planned_refusal_comes_from_the_call_and_leaves_no_socket() {
    let (sim, mut ground) = simulated();
    sim.plan(&FaultPlan::from(Fault::Refused { connection: 0 }).and(Fault::Unanswered { connection: 1 }));
    assert_eq!(ground.connect(), Err(ErrorKind::ConnectionRefused));
    assert_eq!(ground.connect(), Err(ErrorKind::ConnectionRefused), "nobody waits for an answer there");
    assert!(ground.connect().is_ok());
    assert_eq!(sim.sockets().len(), 2, "the listener, and the one that was not planned to fail");
}

#[test]
fn partitions_and_broken_lines_do_not_concern_a_unix_socket() {
    let (sim, mut ground) = simulated();
    let breaks = [Break::Reset, Break::Cut, Break::Stall].map(|how| Fault::Break {
        connection: 0,
        way: Way::ToServer,
        byte: 1,
        how,
    });
    sim.plan(&breaks.into_iter().fold(FaultPlan::none(), FaultPlan::and));
    sim.partition("server", Host::Clients);
    let client = sim.connect(&ground.at);
    client.send("all of it");
    let here = ground.reactor.accept(ground.listener).unwrap().0;
    assert_eq!(ground.read(here), Ok("all of it".into()));
    assert_eq!(ground.write(here, b"answer"), Ok(6));
    assert_eq!(client.received_text(), "answer");
}

#[test]
#[should_panic(expected = "a UNIX socket has no line that could break")]
fn a_client_that_is_to_break_off_a_unix_socket_is_told_that_it_cannot() {
    let (sim, ground) = simulated();
    sim.connect(&ground.at).send("GET /").reset_at(3);
}

#[test]
fn a_scripted_client_parts_as_programs_do() {
    let (sim, mut ground) = simulated();
    let client = sim.connect(&ground.at);
    let here = ground.reactor.accept(ground.listener).unwrap().0;
    client.send("kept");
    client.reset();
    assert_eq!(ground.read(here), Ok("kept".into()));
    assert_eq!(ground.read(here), Ok(String::new()));

    let slow = sim.connect(&ground.at);
    let here = ground.reactor.accept(ground.listener).unwrap().0;
    slow.window(10);
    assert_eq!(ground.write(here, b"unread"), Ok(6));
    slow.close();
    assert_eq!(ground.write(here, b"x"), Err(PIPE));
    assert_eq!(ground.read(here), Err(RESET));

    for (unread, parting) in [("", Parting::Finished), ("unread", Parting::Reset)] {
        let client = sim.connect(&ground.at);
        let here = ground.reactor.accept(ground.listener).unwrap().0;
        client.send(unread);
        ground.write(here, b"last").unwrap();
        ground.reactor.close(here, Close::Reset);
        assert_eq!((client.received_text().as_str(), client.closing()), ("last", parting));
    }
    let queued = sim.connect(&ground.at);
    ground.reactor.close(ground.listener, Close::Graceful);
    assert_eq!(queued.closing(), Parting::Reset);
}
