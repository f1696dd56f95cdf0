//! Nothing that is posted lies unseen while the loop sleeps.

use std::sync::Arc;

use super::threads::{LoomGate, LoomThreads};
use super::{check, defect};
use crate::threads::AnyThreads;
use crate::{Parking, Sock, Waker};

/// What senders do, for a mailbox over whichever primitives; and a loop that sleeps when there is nothing for it, until
/// it has taken all. Where a wake is lost, it sleeps for ever, which loom calls a deadlock.
macro_rules! mailbox_with {
    ($ground:ident) => {
        mod $ground {
            use super::*;
            pub(super) use crate::model::$ground::mailbox::{ConnectionId, Notifier, Remote, Sleep};

            pub(super) type Sender = fn(&Notifier);

            pub(super) fn scenario(senders: &[Sender], sleep: Sleep) {
                let (remote, poll) = mailbox();
                for &sender in senders {
                    let notifier = notifier(&remote);
                    loom::thread::spawn(move || sender(&notifier));
                }
                let mut taken = 0;
                loop {
                    while remote.take().is_some() {
                        taken += 1;
                    }
                    if taken == senders.len() {
                        return;
                    }
                    if remote.fall_asleep(sleep) {
                        poll.park(None);
                    }
                    remote.wake_up();
                }
            }

            pub(super) fn mailbox() -> (Remote, Arc<LoomGate>) {
                let poll = Arc::new(LoomGate::default());
                (Remote::new(Waker::new(poll.clone()), &AnyThreads::new(LoomThreads), 4), poll)
            }

            pub(super) fn notifier(remote: &Remote) -> Notifier {
                Notifier::new(remote.clone(), ConnectionId(Sock { slot: 0, generation: 0 }))
            }
        }
    };
}

mailbox_with!(sound);
mailbox_with!(weak);

/// A worker that has nothing more to do: it pays what it owes before it parks.
fn lazily(notifier: &sound::Notifier) {
    notifier.notify_lazily();
    notifier.remote().flush();
}

#[test]
fn a_sleeping_loop_is_woken_for_whatever_comes() {
    check(3, || sound::scenario(&[sound::Notifier::notify, sound::Notifier::notify], sound::Sleep::Deep));
}

#[test]
fn a_lazy_sender_wakes_a_loop_in_deep_sleep_without_paying() {
    check(3, || sound::scenario(&[sound::Notifier::notify_lazily, sound::Notifier::notify], sound::Sleep::Deep));
}

#[test]
fn a_lazy_sender_that_pays_wakes_a_loop_that_dozes_for_ever() {
    check(3, || sound::scenario(&[lazily, lazily], sound::Sleep::Doze));
}

#[test]
fn a_lazy_sender_that_does_not_pay_is_found() {
    let said = defect(2, || sound::scenario(&[sound::Notifier::notify_lazily], sound::Sleep::Doze));
    assert!(said.contains("deadlock"), "{said}");
}

#[test]
fn a_loop_that_looks_before_it_says_that_it_sleeps_is_found() {
    let said = defect(2, || {
        let (remote, poll) = sound::mailbox();
        let notifier = sound::notifier(&remote);
        loom::thread::spawn(move || notifier.notify());
        while remote.take().is_none() {
            if remote.is_empty() {
                // What it says to this comes after the look that counted.
                let _ = remote.fall_asleep(sound::Sleep::Deep);
                poll.park(None);
            }
        }
    });
    assert!(said.contains("deadlock"), "{said}");
}

#[test]
fn a_state_that_is_not_sequentially_consistent_is_found() {
    let said = defect(2, || weak::scenario(&[weak::Notifier::notify], weak::Sleep::Deep));
    assert!(said.contains("deadlock"), "{said}");
}
