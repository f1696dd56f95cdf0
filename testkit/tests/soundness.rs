//! What the searches leave out does not matter, with sockets, clients, clocks and faults: small programs are searched
//! plainly, with sleep sets, and with states compared, and every outcome of the one is an outcome of the others.
//!
//! `HANDWOUND_PROGRAMS=5000` tries so many programs instead of a few hundred.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::IoSlice;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handwound_reactor::{Address, Close, Gate, ListenOptions, Reactor, SharedId, Sock, Threads, Time, Waker};
use handwound_testkit::{
    Break, Call, Client, ECONNABORTED, EMFILE, Exploration, Fault, FaultPlan, Host, Latency, MockReactor,
    NetworkOptions, Sim, SimThreads, Way,
};
use proptest::prelude::*;

/// What a thread does next. Each has a reactor of its own, a listener and a connection there, and a gate.
#[derive(Clone, Copy, Debug)]
enum Step {
    Listen(u16),
    Connect(u16),
    Accept,
    Write(usize),
    Read,
    Shutdown,
    Close(bool),
    Result,
    Poll(u64),
    Date,
    Mix(u32),
    Unpark(usize),
    ParkFor(u64),
    Wake(usize),
    Spawn(u32),
    /// The client is one for all.
    ClientSend,
    ClientLooks,
    ClientReads,
    ClientResets,
}

/// How the world is before the threads begin.
#[derive(Clone, Debug)]
struct Scene {
    faults: Vec<Fault>,
    accept_fails: bool,
    spawn_fails: bool,
    late: bool,
    buffer: usize,
    backlog: u32,
    /// Socket calls are moves of their own.
    switches: bool,
    programs: Vec<Vec<Step>>,
}

fn step() -> impl Strategy<Value = Step> {
    let socket = prop_oneof![
        1 => (80..82_u16).prop_map(Step::Listen),
        2 => (80..82_u16).prop_map(Step::Connect),
        3 => Just(Step::Accept),
        3 => (1..4_usize).prop_map(Step::Write),
        3 => Just(Step::Read),
        1 => Just(Step::Shutdown),
        1 => any::<bool>().prop_map(Step::Close),
        2 => Just(Step::Result),
        3 => (0..3_u64).prop_map(Step::Poll),
        1 => Just(Step::Date),
    ];
    let thread = prop_oneof![
        2 => (1..5_u32).prop_map(Step::Mix),
        1 => (0..2_usize).prop_map(Step::Unpark),
        1 => (0..3_u64).prop_map(Step::ParkFor),
        1 => (0..2_usize).prop_map(Step::Wake),
        1 => (1..5_u32).prop_map(Step::Spawn),
    ];
    let client =
        prop_oneof![Just(Step::ClientSend), Just(Step::ClientLooks), Just(Step::ClientReads), Just(Step::ClientResets)];
    prop_oneof![6 => socket, 3 => thread, 2 => client]
}

fn fault() -> impl Strategy<Value = Fault> {
    let at = |ms| Time::new(Duration::from_millis(ms));
    let call =
        prop::sample::select(vec![Call::Accept, Call::Connect, Call::Listen, Call::Read, Call::Write, Call::Spawn]);
    let how = prop::sample::select(vec![Break::Reset, Break::Cut, Break::Stall]);
    let way = prop::sample::select(vec![Way::ToServer, Way::ToClient]);
    prop_oneof![
        4 => (call, 0..4_u64).prop_map(|(call, nth)| {
            Fault::call(call, nth, if call == Call::Accept { ECONNABORTED } else { EMFILE })
        }),
        3 => (0..4_u32, way, 0..4_u64, how)
            .prop_map(|(connection, way, byte, how)| Fault::Break { connection, way, byte, how }),
        1 => (2..4_u32).prop_map(|connection| Fault::Refused { connection }),
        1 => (2..4_u32).prop_map(|connection| Fault::Unanswered { connection }),
        2 => (0..3_u64, any::<bool>()).prop_map(move |(ms, clients)| Fault::Partition {
            at: at(ms),
            one: if clients { Host::Clients } else { "r0".into() },
            other: "r1".into(),
        }),
        1 => (1..3_u64).prop_map(move |ms| Fault::Heal { at: at(ms) }),
        1 => (0..3_u64).prop_map(move |ms| Fault::DateJump { at: at(ms), by: Duration::from_secs(60), back: false }),
    ]
}

fn scene() -> impl Strategy<Value = Scene> {
    let programs = prop_oneof![
        prop::collection::vec(prop::collection::vec(step(), 1..4), 2),
        prop::collection::vec(prop::collection::vec(step(), 1..3), 3),
    ];
    let flags = (prop::bool::weighted(0.2), prop::bool::weighted(0.2), prop::bool::weighted(0.3), any::<bool>());
    let sizes = (prop::sample::select(vec![3_usize, 64 * 1024]), 1..3_u32);
    (prop::collection::vec(fault(), 0..3), flags, sizes, programs).prop_map(|(faults, flags, sizes, programs)| {
        let (accept_fails, spawn_fails, late, switches) = flags;
        Scene { faults, accept_fails, spawn_fails, late, buffer: sizes.0, backlog: sizes.1, switches, programs }
    })
}

fn at(port: u16) -> Address {
    Address::Tcp(([127, 0, 0, 1], port).into())
}

struct Actor {
    threads: SimThreads,
    reactor: MockReactor,
    listener: Option<Sock>,
    stream: Option<Sock>,
    gates: Vec<Gate>,
    wakers: Vec<Waker>,
    shared: SharedId,
    number: Arc<Mutex<u32>>,
    client: Client,
    me: usize,
    backlog: u32,
}

impl Actor {
    fn run(&mut self, step: Step) -> String {
        let stream = self.stream.unwrap_or(Sock { slot: 77, generation: 0 });
        let mut options = ListenOptions::default();
        options.backlog = self.backlog;
        match step {
            Step::Listen(port) => {
                let listener = self.reactor.listen(&at(port), &options);
                self.listener = listener.as_ref().ok().copied().or(self.listener);
                format!("{:?}", listener.map_err(|error| error.kind()))
            }
            Step::Connect(port) => {
                let sock = self.reactor.connect(&at(port));
                self.stream = sock.as_ref().ok().copied().or(self.stream);
                format!("{:?}", sock.map_err(|error| error.kind()))
            }
            Step::Accept => {
                let Some(listener) = self.listener else { return String::new() };
                let accepted = self.reactor.accept(listener);
                self.stream = accepted.as_ref().ok().map(|(sock, _)| *sock).or(self.stream);
                format!("{:?}", accepted.map_err(|error| error.kind()))
            }
            Step::Write(bytes) => {
                format!("{:?}", self.reactor.write(stream, &[IoSlice::new(&b"xyz"[..bytes])]).map_err(|e| e.kind()))
            }
            Step::Read => format!("{:?}", self.reactor.read(stream, &mut [0; 2]).map_err(|error| error.kind())),
            Step::Shutdown => format!("{:?}", self.reactor.shutdown_write(stream).map_err(|error| error.kind())),
            Step::Close(resets) => {
                self.reactor.close(stream, if resets { Close::Reset } else { Close::Graceful });
                String::new()
            }
            Step::Result => format!("{:?}", self.reactor.connect_result(stream).map_err(|error| error.kind())),
            Step::Poll(ms) => {
                let (mut events, until) = (Vec::new(), self.reactor.now() + Duration::from_millis(ms));
                self.reactor.poll(&mut events, Some(until)).unwrap();
                format!("{events:?}")
            }
            Step::Date => format!("{:?}", self.reactor.wall_clock()),
            Step::Mix(by) => {
                self.threads.visit(self.shared);
                let mut number = self.number.lock().unwrap();
                *number = (*number * 3 + by) % 1009;
                format!("{number}")
            }
            Step::Unpark(whose) => {
                self.gates[whose % self.gates.len()].unpark();
                String::new()
            }
            Step::ParkFor(ms) => {
                format!("{:?}", self.gates[self.me].park_until(self.threads.now() + Duration::from_millis(ms)))
            }
            Step::Wake(whose) => {
                self.wakers[whose % self.wakers.len()].wake();
                String::new()
            }
            Step::Spawn(by) => {
                let (threads, shared, number) = (self.threads.clone(), self.shared, Arc::clone(&self.number));
                let child = move || {
                    threads.visit(shared);
                    let mut number = number.lock().unwrap();
                    *number = (*number * 3 + by) % 1009;
                };
                format!("{:?}", self.threads.spawn("child", Box::new(child)).is_ok())
            }
            Step::ClientSend => {
                if self.client.can_send() {
                    self.client.send("ab");
                }
                format!("{}", self.client.unsent_bytes())
            }
            Step::ClientLooks => format!("{} {:?}", self.client.received_text(), self.client.closing()),
            Step::ClientReads => format!("{}", self.client.read(1)),
            Step::ClientResets => {
                self.client.reset();
                String::new()
            }
        }
    }
}

/// What all threads have seen, each in its order, and what is left.
fn outcome(sim: &Sim, scene: &Scene) -> String {
    let mut network = NetworkOptions::calm();
    network.latency = if scene.late { Latency::Fixed(Duration::from_millis(1)) } else { Latency::None };
    network.receive_buffer_bytes = scene.buffer;
    sim.set_network(network);
    sim.switch_at_sockets(scene.switches);
    let threads = sim.threads();
    let shared = threads.shared("number");
    let number = Arc::new(Mutex::new(0));
    let mut reactors: Vec<_> = (0..scene.programs.len()).map(|n| sim.reactor(&format!("r{n}"))).collect();
    let mut options = ListenOptions::default();
    options.backlog = scene.backlog;
    // Thread 0 listens at port 80; thread 1 is connected to it, and so is the client, who reads slowly.
    let listener = reactors[0].listen(&at(80), &options).unwrap();
    let there = reactors[1].connect(&at(80)).unwrap();
    sim.settle_now();
    let client = sim.connect(&at(80));
    client.window(2);
    sim.settle();
    let here = reactors[0].accept(listener).map(|(sock, _)| sock).ok();
    sim.plan(&scene.faults.iter().cloned().collect::<FaultPlan>());
    if scene.accept_fails {
        sim.accept_fails_once(EMFILE);
    }
    if scene.spawn_fails {
        sim.spawn_fails_once();
    }
    let gates: Vec<_> = (0..scene.programs.len()).map(|n| threads.gate(&format!("g{n}"))).collect();
    let wakers: Vec<_> = reactors.iter().map(Reactor::waker).collect();
    let logs: Vec<_> = scene.programs.iter().map(|_| Rc::new(RefCell::new(Vec::new()))).collect();
    for (me, (reactor, steps)) in reactors.into_iter().zip(&scene.programs).enumerate() {
        let (gates, wakers, client) = (gates.clone(), wakers.clone(), client.clone());
        let (threads, number) = (threads.clone(), Arc::clone(&number));
        let (listener, stream) = match me {
            0 => (Some(listener), here),
            1 => (None, Some(there)),
            _ => (None, None),
        };
        let backlog = scene.backlog;
        let mut actor =
            Actor { threads, reactor, listener, stream, gates, wakers, shared, number, client, me, backlog };
        let (log, steps) = (Rc::clone(&logs[me]), steps.clone());
        sim.spawn(&format!("t{me}"), move || {
            for step in steps {
                let told = actor.run(step);
                log.borrow_mut().push(format!("{told} {}", actor.threads.now()));
            }
        });
    }
    sim.settle();
    format!("{logs:?} {} {} {:?} {}", number.lock().unwrap(), client.received_text(), client.closing(), sim.now())
}

/// All outcomes there are; `None` where there are too many orders to go through.
fn outcomes(how: Exploration<'_>, scene: &Scene) -> Option<(BTreeSet<String>, u64)> {
    let seen = RefCell::new(BTreeSet::new());
    let result = how.runs_max(30_000).check(|sim| {
        seen.borrow_mut().insert(outcome(sim, scene));
    });
    match result {
        Ok(report) => Some((seen.into_inner(), report.runs)),
        Err(failure) if failure.message.contains("not all orders seen") => None,
        Err(failure) => panic!("{failure}"),
    }
}

fn cases() -> u32 {
    std::env::var("HANDWOUND_PROGRAMS").map_or(150, |count| count.parse().expect("a number of programs"))
}

#[track_caller]
fn same(plain: &BTreeSet<String>, other: &BTreeSet<String>, name: &str) -> Result<(), TestCaseError> {
    let missed = plain.difference(other).next();
    prop_assert!(
        missed.is_none(),
        "{} of {} outcomes missed by {name}: {}",
        plain.difference(other).count(),
        plain.len(),
        missed.unwrap()
    );
    let new = other.difference(plain).next();
    prop_assert!(new.is_none(), "an outcome that plain search does not have, by {name}: {}", new.unwrap());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_by_what_the_searches_leave_out(scene in scene(), bound in 0..3_u32) {
        let Some((plain, runs)) = outcomes(Exploration::all().plainly(), &scene) else { return Ok(()) };
        let (pruned, fewer) = outcomes(Exploration::all(), &scene).expect("no more orders than plainly");
        same(&plain, &pruned, "sleep sets")?;
        prop_assert!(fewer <= 2 * runs, "{fewer} runs instead of {runs}");
        let (compared, _) = outcomes(Exploration::bounded(100), &scene).expect("no more orders than plainly");
        same(&plain, &compared, "comparing states")?;
        let (bounded, _) = outcomes(Exploration::bounded(bound).plainly(), &scene).expect("no more orders than plainly");
        let (compared, _) = outcomes(Exploration::bounded(bound), &scene).expect("no more orders than plainly");
        same(&bounded, &compared, "comparing states within a bound")?;
    }
}
