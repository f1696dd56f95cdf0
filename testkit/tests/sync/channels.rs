//! Channels: every item once, in order, and the end.

use std::sync::Arc;

use handwound_reactor::sync::{self, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use handwound_reactor::{Threads, Time};
use handwound_testkit::{All, Choices, Exploration, Sim, explore, explore_all, seeds};

use super::{MS, join, run};

#[test]
fn a_full_channel_loses_nothing_in_any_order() {
    explore_all(All::default(), |sim| {
        let threads = sim.threads();
        let (sender, receiver) = sync::bounded(&threads, "numbers", 1);
        let senders = [1, 2].map(|number| {
            let sender = sender.clone();
            sync::spawn(&threads, "sender", move || sender.send(number).unwrap()).unwrap()
        });
        drop(sender);
        let mut received = run(sim, move || [receiver.recv().unwrap(), receiver.recv().unwrap()]);
        received.sort_unstable();
        assert_eq!(received, [1, 2]);
        senders.into_iter().for_each(join);
    });
}

#[test]
fn a_bounded_channel_keeps_the_order_and_tells_the_end_in_every_order() {
    explore_all(All::default(), |sim| {
        let threads = sim.threads();
        let (sender, receiver) = sync::bounded(&threads, "numbers", 1);
        sync::spawn(&threads, "sender", move || (0..3).for_each(|number| sender.send(number).unwrap())).unwrap();
        assert_eq!(run(sim, move || receiver.iter().collect::<Vec<_>>()), [0, 1, 2]);
    });
}

#[test]
fn each_item_is_received_once_and_the_end_by_all() {
    let test = |sim: &Sim| {
        let threads = sim.threads();
        let (sender, receiver) = sync::unbounded(&threads, "numbers");
        let spawn = |receiver: sync::Receiver<u32>| {
            sync::spawn(&threads, "receiver", move || receiver.iter().sum::<u32>()).unwrap()
        };
        let receivers = [spawn(receiver.clone()), spawn(receiver)];
        run(sim, move || [1, 2].map(|number| sender.send(number).unwrap()));
        assert_eq!(receivers.map(join).iter().sum::<u32>(), 3);
    };
    Exploration::bounded(2).run(test);
    explore(seeds(1_000), test);
}

#[test]
fn an_item_that_comes_as_time_runs_out_is_received_or_stays_in_every_order() {
    let outcomes = std::cell::RefCell::new(std::collections::BTreeSet::new());
    explore_all(All::default(), |sim| {
        let threads = sim.threads();
        let outcome = run(sim, move || {
            let (sender, receiver) = sync::bounded(&threads, "item", 1);
            let sleeper = threads.clone();
            let body = move || {
                sleeper.sleep(5 * MS);
                sender.send(7).unwrap();
                sleeper.sleep(5 * MS);
            };
            let thread = sync::spawn(&threads, "sender", body).unwrap();
            let first = receiver.recv_timeout(5 * MS);
            assert_eq!(threads.now(), Time::new(5 * MS));
            let second = receiver.recv();
            join(thread);
            (first, second.ok())
        });
        outcomes.borrow_mut().insert(format!("{outcome:?}"));
    });
    let both = ["(Err(Timeout), Some(7))", "(Ok(7), None)"].map(str::to_owned);
    assert_eq!(outcomes.into_inner(), both.into());
}

#[test]
fn channels_say_why_nothing_was_sent_or_received() {
    let sim = Sim::new(Choices::calm());
    let threads = sim.threads();
    run(&sim, move || {
        let (sender, receiver) = sync::bounded(&threads, "channel", 2);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(receiver.recv_timeout(3 * MS), Err(RecvTimeoutError::Timeout));
        assert_eq!(threads.now(), Time::new(3 * MS));
        assert_eq!((sender.try_send(1), sender.try_send(2)), (Ok(()), Ok(())));
        assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
        assert_eq!(sender.send_until(3, Time::new(9 * MS)), Err(TrySendError::Full(3)));
        assert_eq!((threads.now(), receiver.len()), (Time::new(9 * MS), 2));
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);
        sender.send(4).unwrap();
        drop(sender);
        assert_eq!((receiver.recv(), receiver.try_recv()), (Ok(4), Err(TryRecvError::Disconnected)));
        assert!(receiver.recv().is_err());

        let (sender, receiver) = sync::bounded(&threads, "channel", 1);
        let item = Arc::new(());
        sender.send(Arc::clone(&item)).unwrap();
        let waits = sender.clone();
        let blocked = sync::spawn(&threads, "blocked", move || waits.send(Arc::new(()))).unwrap();
        threads.sleep(MS);
        drop(receiver);
        assert!(matches!(join(blocked), Err(SendError(_))));
        assert_eq!(Arc::strong_count(&item), 1, "what nobody can receive is dropped");
        assert!(matches!(sender.try_send(item), Err(TrySendError::Disconnected(_))));
    });
}
