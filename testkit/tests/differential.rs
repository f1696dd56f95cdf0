//! The simulated network against the real one: the same script of socket calls is run on both, and what comes of
//! each call in the simulation must be what comes of it on real sockets.
//!
//! What is compared is what a program can rely on, not timing. After every call both sides are given time to let
//! everything arrive, and a call goes on until nothing more comes of it: short reads and writes, injected
//! `WouldBlock`s and latency, of which the simulation makes much use, add up to the same. Error kinds are compared
//! as they are. Real sockets may take longer to settle than they were given: a script whose outcomes differ is
//! run on them again with more time, and any outcome that they have shown is allowed.
//!
//! The rules found in this way are those of Linux, and so the test is run there only.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fmt;
use std::io::{ErrorKind, IoSlice};
use std::time::Duration;

use handwound_reactor::{Close, ListenOptions, MioReactor, Reactor, Sock};
use handwound_testkit::{Choices, NetworkOptions, Sim};
use proptest::prelude::*;

/// One call on one end of one of two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    connection: usize,
    end: usize,
    call: Call,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Write(usize),
    Read(usize),
    ShutdownWrite,
    Close,
    Reset,
    ConnectResult,
}

/// What came of a call, once everything had arrived.
#[derive(Clone, PartialEq, Eq)]
enum Outcome {
    Read(Vec<u8>, Then),
    Wrote(usize, Then),
    Plain(Result<(), ErrorKind>),
}

/// Why a read or a write went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Enough,
    End,
    WouldBlock,
    Error(ErrorKind),
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Read(bytes, then) => write!(f, "read {} from {:?}, {then:?}", bytes.len(), bytes.first()),
            Outcome::Wrote(count, then) => write!(f, "wrote {count}, {then:?}"),
            Outcome::Plain(result) => write!(f, "{result:?}"),
        }
    }
}

/// A reactor with two connections, on which a script is run.
struct Stage<R> {
    reactor: R,
    settle: Duration,
    ends: Vec<[Sock; 2]>,
    written: u8,
    /// An edge was reported since the last `WouldBlock`.
    readable: BTreeSet<Sock>,
    writable: BTreeSet<Sock>,
}

impl<R: Reactor> Stage<R> {
    fn new(reactor: R, settle: Duration) -> Stage<R> {
        let (readable, writable) = (BTreeSet::new(), BTreeSet::new());
        let mut stage = Stage { reactor, settle, ends: Vec::new(), written: 0, readable, writable };
        stage.ends = (0..2).map(|_| stage.connection()).collect();
        stage.settle();
        stage
    }

    fn connection(&mut self) -> [Sock; 2] {
        let at = "127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into();
        let listener = self.reactor.listen(&at, &ListenOptions::default()).unwrap();
        let client = self.reactor.connect(&self.reactor.local_address(listener).unwrap()).unwrap();
        let server = loop {
            match self.reactor.accept(listener) {
                Ok((server, _)) => break server,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            self.settle();
        };
        while !self.reactor.connect_result(client).unwrap() {
            self.settle();
        }
        self.reactor.close(listener, Close::Graceful);
        [client, server]
    }

    /// Lets everything arrive that is under way.
    fn settle(&mut self) {
        let end = self.reactor.now() + self.settle;
        let mut events = Vec::new();
        // Real reactors wait in whole milliseconds; for less, look again and again.
        let brief = self.settle < Duration::from_millis(1);
        while self.reactor.now() < end {
            let until = if brief { self.reactor.now() } else { end };
            self.reactor.poll(&mut events, Some(until)).unwrap();
            self.readable.extend(events.iter().filter(|event| event.readable).map(|event| event.sock));
            self.writable.extend(events.iter().filter(|event| event.writable).map(|event| event.sock));
        }
    }

    fn run(mut self, script: &[Step]) -> Vec<Outcome> {
        // What is left at the end counts too.
        let ends = || (0..2).flat_map(|connection| (0..2).map(move |end| (connection, end)));
        let last = [Call::Read(usize::MAX), Call::Write(1), Call::Read(1), Call::Write(1), Call::ShutdownWrite];
        let last =
            last.into_iter().flat_map(|call| ends().map(move |(connection, end)| Step { connection, end, call }));
        script.iter().copied().chain(last).map(|step| self.step(step)).collect()
    }

    fn step(&mut self, step: Step) -> Outcome {
        let sock = self.ends[step.connection][step.end];
        let outcome = match step.call {
            Call::Write(count) => self.write(sock, count),
            Call::Read(count) => self.read(sock, count),
            Call::ShutdownWrite => Outcome::Plain(self.reactor.shutdown_write(sock).map_err(|error| error.kind())),
            Call::Close => self.close(sock, Close::Graceful),
            Call::Reset => self.close(sock, Close::Reset),
            Call::ConnectResult => {
                Outcome::Plain(self.reactor.connect_result(sock).map(|up| assert!(up)).map_err(|error| error.kind()))
            }
        };
        self.settle();
        outcome
    }

    fn close(&mut self, sock: Sock, how: Close) -> Outcome {
        self.reactor.close(sock, how);
        Outcome::Plain(Ok(()))
    }

    fn write(&mut self, sock: Sock, count: usize) -> Outcome {
        let mut sent = 0;
        while sent < count {
            // One byte alone at first: short writes or not, all grounds then do the same.
            let end = if sent == 0 { 1 } else { count };
            let bytes: Vec<u8> = (sent..end).map(|at| self.written.wrapping_add(at as u8)).collect();
            match self.reactor.write(sock, &[IoSlice::new(&bytes)]) {
                Ok(some) => {
                    // Whether the rest goes to a peer who is gone depends on whether its reset has come.
                    if sent == 0 && some < count {
                        self.settle();
                    }
                    sent += some;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.writable.remove(&sock);
                    self.settle();
                    if !self.writable.contains(&sock) {
                        return Outcome::Wrote(sent, Then::WouldBlock);
                    }
                }
                Err(error) => return Outcome::Wrote(sent, Then::Error(error.kind())),
            }
        }
        self.written = self.written.wrapping_add(101);
        Outcome::Wrote(sent, Then::Enough)
    }

    fn read(&mut self, sock: Sock, count: usize) -> Outcome {
        let mut all = Vec::new();
        let mut into = [0; 4096];
        while all.len() < count {
            let room = into.len().min(count - all.len());
            match self.reactor.read(sock, &mut into[..room]) {
                Ok(received) if received.bytes == 0 => return Outcome::Read(all, Then::End),
                Ok(received) => all.extend_from_slice(&into[..received.bytes]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable.remove(&sock);
                    self.settle();
                    if !self.readable.contains(&sock) {
                        return Outcome::Read(all, Then::WouldBlock);
                    }
                }
                Err(error) => return Outcome::Read(all, Then::Error(error.kind())),
            }
        }
        Outcome::Read(all, Then::Enough)
    }
}

fn real(script: &[Step], settle: Duration) -> Vec<Outcome> {
    Stage::new(MioReactor::new().unwrap(), settle).run(script)
}

fn simulated(script: &[Step], choices: Choices, network: Option<NetworkOptions>) -> Vec<Outcome> {
    let sim = Sim::new(choices);
    if let Some(network) = network {
        sim.set_network(network);
    }
    // More than any latency, and free.
    Stage::new(sim.reactor("stage"), Duration::from_secs(10)).run(script)
}

/// Panics unless each of `simulated` is among what real sockets show.
fn compare(script: &[Step], simulated: &[(String, Vec<Outcome>)]) {
    let mut shown = Vec::new();
    let mut unseen: Vec<_> = simulated.iter().collect();
    for micros in [100, 1_000, 10_000, 50_000, 50_000] {
        shown.push(real(script, Duration::from_micros(micros)));
        unseen.retain(|(_, outcomes)| !shown.contains(outcomes));
        if unseen.is_empty() {
            return;
        }
    }
    let real = shown.last().expect("run several times");
    let (name, outcomes) = unseen[0];
    let first = real.iter().zip(outcomes).position(|(real, simulated)| real != simulated).expect("they differ");
    let what = script.get(first).map_or("in what was left at the end".to_owned(), |step| format!("in {step:?}"));
    panic!(
        "{name}: step {first} differs, {what}:\nreal      {:?}\nsimulated {:?}\nscript {script:#?}\nreal {real:#?}\nsimulated {outcomes:#?}",
        real[first], outcomes[first]
    );
}

fn scripts() -> impl Strategy<Value = Vec<Step>> {
    let call = prop_oneof![
        1 => Just(Call::Write(1)),
        5 => (2..3000_usize).prop_map(Call::Write),
        6 => (1..4000_usize).prop_map(Call::Read),
        2 => Just(Call::ShutdownWrite),
        2 => Just(Call::Close),
        1 => Just(Call::Reset),
        1 => Just(Call::ConnectResult),
    ];
    // Mostly on one connection: more happens there.
    let connection = prop_oneof![3 => Just(0_usize), 1 => Just(1_usize)];
    let step = (connection, 0..2_usize, call).prop_map(|(connection, end, call)| Step { connection, end, call });
    proptest::collection::vec(step, 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_simulation_shows_real_sockets_show_too(script in scripts(), seed in any::<u64>()) {
        let calm = simulated(&script, Choices::calm(), Some(NetworkOptions::calm()));
        let rough = simulated(&script, Choices::seed(seed), Some(NetworkOptions::rough()));
        let drawn = simulated(&script, Choices::seed(seed), None);
        let named = |name: &str, outcomes| (format!("{name} (seed {seed})"), outcomes);
        compare(&script, &[named("calm", calm), named("rough", rough), named("drawn", drawn)]);
    }
}
