//! A deterministic world in which a whole server runs: without sockets, without real threads, without real time.
//!
//! Code written against [`Reactor`](handwound_reactor::Reactor) and [`Threads`](handwound_reactor::Threads) runs
//! here unchanged. [`Sim`] is the world: it makes [`MockReactor`]s, [`SimThreads`] and scripted [`Client`]s, and
//! moves only when the test says so. Nothing in it is left to chance but what [`Choices`] decides; the same choices
//! make the same run, to the last step.
//!
//! ```
//! use handwound_reactor::{Address, ListenOptions, Reactor, Threads};
//! use handwound_testkit::{Choices, Sim};
//! use std::{io::IoSlice, time::Duration};
//!
//! let sim = Sim::new(Choices::seed(7));
//! let (mut reactor, threads) = (sim.reactor("server"), sim.threads());
//! let at = Address::Tcp("127.0.0.1:0".parse()?);
//! let listener = reactor.listen(&at, &ListenOptions::default())?;
//! let address = reactor.local_address(listener)?;
//!
//! // A server that thinks for an hour. It runs as a thread of the world.
//! sim.spawn("server", move || {
//!     let mut events = Vec::new();
//!     let sock = loop {
//!         if let Ok((sock, _)) = reactor.accept(listener) { break sock }
//!         reactor.poll(&mut events, None).expect("a mock's poll does not fail");
//!     };
//!     threads.sleep(Duration::from_secs(3600));
//!     while reactor.write(sock, &[IoSlice::new(b"!")]).is_err() {
//!         reactor.poll(&mut events, None).expect("a mock's poll does not fail");
//!     }
//! });
//!
//! let client = sim.connect(&address);
//! sim.advance(Duration::from_secs(3599));
//! assert_eq!(client.received_text(), "");
//! sim.settle();
//! assert_eq!(client.received_text(), "!");
//! sim.assert_clean();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`guide`] says which search to use when, how to read and keep a failure, and how to go about properties and snapshots;
//! [`prelude`] has what most tests import. `testkit/DEFECTS.md` lists the defects that the searches are known to find, and
//! [`contract`] holds any reactor to the rules that this one keeps.
//!
//! # Driving
//!
//! | | threads and network | clock |
//! |---|---|---|
//! | [`Sim::step`] | one move | moves when nothing else can |
//! | [`Sim::run_task`] | one thread, until it waits | stands still |
//! | [`Sim::settle_now`] | until nothing can move | stands still |
//! | [`Sim::advance`] | the same | by so much, deadline by deadline |
//! | [`Sim::settle`] | the same | as far as there are deadlines |
//!
//! The test itself may call gates, wakers, pools and event loops too. What would have to wait there drives the
//! world until it need not.
//!
//! A thread can be overtaken at *visible operations* only: before it visits a shared thing, parks, unparks, wakes
//! or polls a reactor, or starts a thread. A move is one such operation and the code up to the next. Memory that
//! threads share without saying so, and code inside lock-free structures, is not searched. What event loops, pools and
//! servers share inside is such a thing in one run by seed of four, and in every exhaustive search
//! ([`Sim::look_inside`]).
//!
//! # Searching
//!
//! [`explore`] runs a test with many seeds: other orders of threads, and a rougher network for each
//! ([`NetworkOptions`]). [`explore_all`] runs it in every order, leaving out those that differ only in how moves on
//! different objects are arranged. [`for_every_cut`] splits and resets a conversation at every byte. [`Exploration`]
//! is the one behind them, with all there is to say:
//!
//! | | what is searched | what it promises |
//! |---|---|---|
//! | [`Exploration::random`] | threads and network, by chance | nothing, and finds most |
//! | [`Exploration::pct`] | threads by priorities, the network by chance | a defect of depth `d` in one of `n * steps^(d - 1)` runs, on average |
//! | [`Exploration::all`] | every order of threads, every [`Sim::choose`] | no other outcome is possible |
//! | [`Exploration::bounded`] | the same with few preemptions, least first | no other outcome with so many |
//! | [`Exploration::answers`] | every [`Sim::choose`], threads in the plain order | every answer was tried |
//!
//! A run that fails is made small: the plain run but for the few decisions that matter. The report has the message and
//! its place, a sequence diagram of the small run, who waits for what where somebody waits for good, the path of a
//! timeline for a browser (in `target/handwound`; `HANDWOUND_TIMELINE` names another folder, or is `off`), and the line
//! that repeats it, `HANDWOUND_REPLAY=…`, before `cargo test` and the test's name; a long one is in a file that
//! `HANDWOUND_REPLAY=@…` names. The line names its exploration too: only that replays. A replay knows what each decision
//! was about. On code that has changed it fails at the first that differs, and says what was recorded and what is asked.
//! [`Exploration::regressions`] keeps such lines in a file and replays them first.
//!
//! A test that leaves something to chance cannot be repeated: [`Exploration::twice`], or `HANDWOUND_TWICE=1` for all,
//! makes each run twice and names the first step that differs.
//!
//! ```should_panic
//! # use handwound_reactor::Threads;
//! use handwound_testkit::{All, explore_all};
//! use std::sync::{Arc, atomic::{AtomicU32, Ordering::Relaxed}};
//!
//! // Two threads count by reading and then writing: some order loses a count, and it is found.
//! explore_all(All::default(), |sim| {
//!     let (threads, counter) = (sim.threads(), sim.threads().shared("counter"));
//!     let count = Arc::new(AtomicU32::new(0));
//!     for name in ["one", "two"] {
//!         let (threads, count) = (threads.clone(), Arc::clone(&count));
//!         sim.spawn(name, move || {
//!             threads.visit(counter);
//!             let read = count.load(Relaxed);
//!             threads.visit(counter);
//!             count.store(read + 1, Relaxed);
//!         });
//!     }
//!     sim.settle();
//!     assert_eq!(count.load(Relaxed), 2);
//! });
//! ```
//!
//! # What goes wrong
//!
//! Exactly what the test says: clients are slow or break off, calls fail, plans ([`FaultPlan`]) name connections,
//! bytes and the nth call, hosts are parted and healed. Or what the choices draw: [`Sim::allow_trouble`] turns whole
//! families of faults on or off for each seed.
//!
//! ```
//! # use handwound_reactor::{Address, ListenOptions, Reactor};
//! use handwound_testkit::{EMFILE, Trouble, explore, seeds};
//! use std::time::Duration;
//!
//! explore(seeds(20), |sim| {
//! #   let mut server = sim.reactor("server");
//! #   let address = Address::Tcp("127.0.0.1:80".parse().unwrap());
//! #   server.listen(&address, &ListenOptions::default()).unwrap();
//!     let slow = sim.connect(&address).write_in(1).every(Duration::from_millis(10));
//!     let broken = sim.connect(&address);
//!     slow.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
//!     broken.send("GET /b HTTP/1.1\r\nHost: x\r\n\r\n").reset_at(sim.choose("byte", 20));
//!     sim.accept_fails_once(EMFILE);
//!     sim.allow_trouble(Trouble::all());
//!     sim.settle();
//! });
//! ```
//!
//! # What it is faithful to
//!
//! Sockets do as Linux's: edges are reported once and again after `WouldBlock`; a graceful close with unread bytes
//! resets; after a reset come the bytes that had arrived, the error once, then the end; the first write after the
//! peer's close succeeds and the next does not. With a seed, reads and writes come short, bytes take their time,
//! and readiness is fickle, each as a real system may.
#![deny(unsafe_code)]

mod acks;
mod addresses;
mod any;
mod bounded;
mod buffer;
#[cfg(feature = "proptest")]
mod cases;
mod census;
mod chance;
mod choices;
mod client;
mod client_state;
mod coder;
mod columns;
pub mod contract;
mod conversation;
mod coroutine;
mod cuts;
mod diagnosis;
mod diagram;
mod dial;
mod drift;
mod driver;
mod edits;
mod errno;
mod explore;
mod failure;
mod family;
mod faults;
mod foreign;
#[cfg(any(doc, doctest))]
#[doc = include_str!("../GUIDE.md")]
pub mod guide {}
mod here;
mod holds;
mod line;
mod local;
mod network;
mod network_options;
#[cfg(test)]
mod network_tests;
mod origins;
mod pace;
mod path;
mod pct;
mod perfetto;
pub mod prelude;
mod reactor;
mod regressions;
mod replay;
mod replay_file;
mod report;
mod room;
mod rows;
mod runner;
mod search;
mod shared;
mod shrink;
mod sim;
mod sim_views;
mod slots;
mod sockets;
mod story;
mod strand;
#[cfg(feature = "proptest")]
pub mod strategies;
mod threads;
mod timeline;
mod trace;
mod transcript;
mod trouble;
mod twice;
mod waits;
mod whose;
mod world;

pub use any::AnyOf;
pub use chance::split_mix;
pub use choices::Choices;
pub use client::{Client, Parting};
pub use conversation::{Conversation, Step, play};
pub use cuts::{Cut, for_every_cut};
pub use diagnosis::{GateInfo, TaskInfo, TaskState};
pub use drift::Drift;
pub use errno::{
    EACCES, EADDRNOTAVAIL, ECONNABORTED, ECONNREFUSED, ECONNRESET, EHOSTUNREACH, EINTR, EMFILE, ENETUNREACH, ENFILE,
    ENOBUFS, ENOMEM, ENOSPC, EPERM, EPROTO, ETIMEDOUT, SystemError,
};
pub use explore::{All, Exploration, Report, explore, explore_all, seeds};
pub use failure::{Failure, panic_text};
pub use family::Family;
pub use faults::{Break, Call, Fault, FaultPlan, Host, Way};
pub use foreign::{Foreign, Newcomer, Waited};
pub use here::sleep;
pub use network_options::{Latency, NetworkOptions, Segments};
pub use pace::{Pace, Sent};
pub use reactor::MockReactor;
pub use report::report;
pub use sim::{Destination, Sim};
pub use strand::{Backend, around_switches};
pub use threads::SimThreads;
pub use trouble::Trouble;
pub use twice::check_deterministic;
pub use waits::{Deadlock, Wait};
