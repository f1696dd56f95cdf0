//! The clock is wound, and the same choices make the same run.
#![allow(clippy::unwrap_used)]

use std::io::IoSlice;
use std::time::Duration;

use handwound_reactor::{Address, ListenOptions, Reactor, Threads, Time};
use handwound_testkit::{Choices, MockReactor, Sim};
use proptest::prelude::*;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A reactor that answers each byte it reads by two, after `think` has passed.
fn serve(mut reactor: MockReactor, listener: handwound_reactor::Sock, threads: &impl Threads, think: Duration) {
    let mut events = Vec::new();
    let mut socks = Vec::new();
    let mut into = [0; 8];
    loop {
        reactor.poll(&mut events, None).unwrap();
        while let Ok((sock, _)) = reactor.accept(listener) {
            socks.push(sock);
        }
        for &sock in &socks {
            while let Ok(received) = reactor.read(sock, &mut into)
                && received.bytes > 0
            {
                threads.sleep(think);
                let text = &into[..received.bytes];
                let _ = reactor.write(sock, &[IoSlice::new(text), IoSlice::new(text)]);
            }
        }
    }
}

/// Three threads that sleep and pass tokens, a server, two clients.
fn busy(sim: &Sim, naps: &[u64]) -> [handwound_testkit::Client; 2] {
    let mut reactor = sim.reactor("server");
    let at = Address::Tcp("127.0.0.1:0".parse().unwrap());
    let listener = reactor.listen(&at, &ListenOptions::default()).unwrap();
    let address = reactor.local_address(listener).unwrap();
    let threads = sim.threads();
    sim.spawn("loop", move || serve(reactor, listener, &threads, ms(3)));
    let gate = sim.threads().gate("baton");
    for (n, &nap) in naps.iter().enumerate() {
        let (threads, gate) = (sim.threads(), gate.clone());
        sim.spawn(&format!("napper-{n}"), move || {
            for _ in 0..4 {
                threads.sleep(ms(nap));
                gate.unpark();
            }
        });
    }
    let threads = sim.threads();
    sim.spawn("taker", move || {
        for _ in 0..5 {
            gate.park_until(threads.now() + ms(7));
        }
    });
    let clients = [sim.connect(&address), sim.connect(&address)];
    clients[0].send("hello");
    clients[1].send("you");
    clients
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn advancing_in_parts_is_advancing_at_once(
        seed in 0..1000_u64,
        naps in prop::collection::vec(0..12_u64, 1..4),
        parts in prop::collection::vec(0..40_u64, 1..6),
    ) {
        let run = |parts: &[u64]| {
            let sim = Sim::new(Choices::seed(seed));
            let clients = busy(&sim, &naps);
            parts.iter().for_each(|&part| sim.advance(ms(part)));
            (sim.trace_hash(), sim.now(), clients.map(|client| client.received()))
        };
        let whole = run(&[parts.iter().sum()]);
        prop_assert_eq!(run(&parts), whole);
    }

    #[test]
    fn any_bytes_are_a_run_and_it_can_be_replayed(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        naps in prop::collection::vec(0..12_u64, 1..4),
    ) {
        let run = |choices| {
            let sim = Sim::new(choices);
            let clients = busy(&sim, &naps);
            sim.settle();
            (sim.trace_hash(), sim.recorded(), clients.map(|client| client.received()))
        };
        let first = run(Choices::bytes(bytes));
        prop_assert_eq!(run(Choices::replay(&first.1).unwrap()), first);
    }
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_not() {
    let run = |seed| {
        let sim = Sim::new(Choices::seed(seed));
        busy(&sim, &[1, 1, 2]);
        sim.settle();
        sim.trace_hash()
    };
    let mut hashes: Vec<u64> = (0..200).map(run).collect();
    assert_eq!(hashes, (0..200).map(run).collect::<Vec<_>>());
    hashes.sort_unstable();
    hashes.dedup();
    assert!(hashes.len() > 190, "{} of 200 differ", hashes.len());
}

#[test]
fn settle_now_leaves_the_clock_alone_and_step_moves_it_last() {
    let sim = Sim::new(Choices::calm());
    let threads = sim.threads();
    sim.spawn("napper", move || threads.sleep(ms(5)));
    sim.settle_now();
    assert_eq!(sim.now(), Time::ZERO);
    assert!(sim.step());
    assert_eq!(sim.now(), Time::new(ms(5)));
    assert!(sim.step());
    assert!(!sim.step());
    sim.assert_clean();
}

#[test]
fn the_wall_clock_goes_with_the_worlds() {
    let sim = Sim::new(Choices::calm());
    let reactor = sim.reactor("r");
    let before = reactor.wall_clock();
    sim.advance(ms(1500));
    assert_eq!(reactor.wall_clock().duration_since(before).unwrap(), ms(1500));
}

#[test]
fn a_trace_is_text_for_snapshots() {
    let sim = Sim::new(Choices::calm());
    let [one, _] = busy(&sim, &[2]);
    sim.advance(ms(4));
    one.finish();
    sim.settle_now();
    insta::assert_snapshot!(sim.trace());
}
