//! What waits for an event loop has a bound, whoever sends in whatever order: at every moment.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use handwound_reactor::{EventLoop, LoopConfig, Threads};
use handwound_testkit::Choices;
use handwound_testkit::strategies::{schedule, simulate};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..ProptestConfig::default() })]

    /// Calls beyond the mailbox's bound are refused, none is lost, and none waits beyond it.
    #[test]
    fn a_mailbox_never_holds_more_than_its_bound(
        schedule in schedule(),
        calls_max in 1..6_usize,
        senders in 1..4_usize,
        calls_each in 1..12_usize,
    ) {
        simulate(Choices::bytes(schedule), |sim| {
            let mut config = LoopConfig::default();
            config.mailbox_calls_max = calls_max;
            let event_loop = EventLoop::with_config(sim.reactor("loop"), sim.threads(), config);
            let (taken, refused, ran) = <(Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
            for sender in 0..senders {
                let (remote, ran) = (event_loop.remote().clone(), Arc::clone(&ran));
                let (taken, refused) = (Arc::clone(&taken), Arc::clone(&refused));
                let body = move || {
                    for _ in 0..calls_each {
                        let ran = Arc::clone(&ran);
                        let count = move |_: &EventLoop| {
                            ran.fetch_add(1, Relaxed);
                        };
                        let outcome = if remote.call_from_thread(count).is_ok() { &taken } else { &refused };
                        outcome.fetch_add(1, Relaxed);
                    }
                };
                sim.threads().spawn(&format!("sender-{sender}"), Box::new(body)).unwrap();
            }
            let running = event_loop.clone();
            sim.spawn("loop", move || drop(running.run()));
            while sim.step() {
                let waiting = event_loop.remote().len();
                prop_assert!(waiting <= calls_max, "{} calls wait where {} may", waiting, calls_max);
            }
            prop_assert_eq!(taken.load(Relaxed), ran.load(Relaxed), "what was taken is done");
            prop_assert_eq!(taken.load(Relaxed) + refused.load(Relaxed), senders * calls_each);
            Ok(())
        })?;
    }
}
