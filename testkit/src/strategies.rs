//! Strategies for property tests (feature `proptest`): networks, schedules, faults, conversations.
//!
//! All of them shrink to what is plain: no fault, whole pieces, no waits, the first thread first. So what a failure
//! ends with is what it needs.
//!
//! ```
//! use handwound_reactor::{Address, ListenOptions, Reactor};
//! use handwound_testkit::strategies::{conversation, fault_plan, network, schedule, simulate};
//! use handwound_testkit::{Choices, play};
//! use proptest::prelude::*;
//!
//! proptest!(ProptestConfig { failure_persistence: None, cases: 20, ..ProptestConfig::default() }, |(
//!     talk in conversation(prop::collection::vec(any::<u8>(), 0..20), 3),
//!     network in network(),
//!     faults in fault_plan(1, 40),
//!     schedule in schedule(),
//! )| {
//!     simulate(Choices::bytes(schedule), |sim| {
//!         sim.set_network(network);
//!         sim.plan(&faults);
//!         let mut reactor = sim.reactor("server");
//!         let at = Address::Tcp("127.0.0.1:80".parse().unwrap());
//!         let _ = reactor.listen(&at, &ListenOptions::default());
//!         let client = sim.connect(&at);
//!         play(sim, &[(&client, &talk)]);
//!         sim.settle();
//!         prop_assert_eq!(client.received(), b"", "nobody has answered");
//!         Ok(())
//!     })?;
//! });
//! ```

use std::time::Duration;

pub use crate::cases::simulate;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::conversation::{Conversation, Step};
use crate::errno::{ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS};
use crate::faults::{Break, Call, Fault, FaultPlan, Way};
use crate::network_options::{Latency, NetworkOptions, Segments};

/// Decisions for [`Choices::bytes`](crate::Choices::bytes): schedules, splits, latencies. Shrinks to the plain run.
pub fn schedule() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..2000)
}

/// Any network, from a calm one to a slow, rough one.
pub fn network() -> impl Strategy<Value = NetworkOptions> {
    let millis = |most| (0..=most).prop_map(Duration::from_millis);
    let latency = prop_oneof![
        Just(Latency::None),
        millis(300_u64).prop_map(Latency::Fixed),
        (millis(50_u64), millis(300_u64)).prop_map(|(least, more)| Latency::Between(least, least + more)),
        Just(Latency::Drawn),
    ];
    let segments = prop_oneof![Just(Segments::Whole), (1..2000_usize).prop_map(Segments::Of), Just(Segments::Drawn)];
    let rate = prop_oneof![Just(None), (10_000..10_000_000_u32).prop_map(Some)];
    let buffer = prop_oneof![Just(64 * 1024_usize), 1..4096_usize];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (latency, segments, rate, buffer, flags).prop_map(|(latency, segments, bytes_per_second, buffer, flags)| {
        let mut network = NetworkOptions::calm();
        (network.latency, network.segments, network.bytes_per_second) = (latency, segments, bytes_per_second);
        network.receive_buffer_bytes = buffer;
        (network.short_reads, network.short_writes, network.undrained, network.fickle) = flags;
        network
    })
}

/// One fault, at one of the first `connections` connections and their first `bytes` bytes, or at some call.
pub fn fault(connections: u32, bytes: u64) -> impl Strategy<Value = Fault> {
    let calls = prop_oneof![
        (Just(Call::Accept), select(vec![EMFILE, ENFILE, ECONNABORTED, ENOBUFS, EINTR])),
        (select(vec![Call::Read, Call::Write]), Just(EINTR)),
    ];
    let way = select(vec![Way::ToServer, Way::ToClient]);
    let how = select(vec![Break::Reset, Break::Cut, Break::Stall]);
    let connection = 0..connections.max(1);
    prop_oneof![
        1 => (calls, 0..8_u64).prop_map(|((call, error), nth)| Fault::call(call, nth, error)),
        3 => (connection.clone(), way, 0..=bytes, how)
            .prop_map(|(connection, way, byte, how)| Fault::Break { connection, way, byte, how }),
        1 => (connection, any::<bool>()).prop_map(|(connection, unanswered)| match unanswered {
            false => Fault::Refused { connection },
            true => Fault::Unanswered { connection },
        }),
    ]
}

/// Up to four of [`fault`].
pub fn fault_plan(connections: u32, bytes: u64) -> impl Strategy<Value = FaultPlan> {
    vec(fault(connections, bytes), 0..=4).prop_map(FaultPlan::from_iter)
}

/// `message` cut into up to `pieces` pieces, anywhere.
pub fn pieces(message: impl Strategy<Value = Vec<u8>>, pieces: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    (message, vec(any::<prop::sample::Index>(), 0..pieces.max(1))).prop_map(|(message, cuts)| {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(message.len() + 1)).collect();
        cuts.extend([0, message.len()]);
        cuts.sort_unstable();
        cuts.dedup();
        cuts.windows(2).map(|cut| message[cut[0]..cut[1]].to_vec()).collect()
    })
}

/// A client that sends `message` in up to `pieces_max` pieces, waits now and then, and may end it in any way.
pub fn conversation(message: impl Strategy<Value = Vec<u8>>, pieces_max: usize) -> impl Strategy<Value = Conversation> {
    let ending = prop_oneof![3 => Just(None), 1 => select(vec![Step::Finish, Step::Close, Step::Reset]).prop_map(Some)];
    let waits = vec(prop_oneof![3 => Just(0_u64), 2 => 1..500_u64, 1 => 1_000..40_000_u64], pieces_max.max(1));
    (pieces(message, pieces_max), waits, ending).prop_map(|(pieces, waits, ending)| {
        let mut steps = Vec::new();
        for (piece, wait) in pieces.into_iter().zip(waits) {
            steps.push(Step::Send(piece));
            if wait > 0 {
                steps.push(Step::Wait(Duration::from_millis(wait)));
            }
        }
        steps.extend(ending);
        Conversation { steps }
    })
}
