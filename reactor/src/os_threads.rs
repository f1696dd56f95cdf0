//! The real threads: the operating system's, and gates to park them at.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::{Gate, MioReactor, Parking, SharedId, Threads, Time, Unparked};

/// The operating system's threads, on the clock of a [`MioReactor`].
#[derive(Clone, Copy, Debug)]
pub struct OsThreads {
    epoch: Instant,
}

impl OsThreads {
    /// Threads on a clock of their own, which starts now. For use without a reactor.
    pub fn new() -> OsThreads {
        OsThreads { epoch: Instant::now() }
    }

    /// Threads on the clock of `reactor`: a [`Time`] means the same to both.
    pub fn beside(reactor: &MioReactor) -> OsThreads {
        OsThreads { epoch: reactor.epoch() }
    }
}

impl Default for OsThreads {
    fn default() -> OsThreads {
        OsThreads::new()
    }
}

impl Threads for OsThreads {
    /// Linux shows the first 15 bytes of the name; NUL bytes in it are left out.
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        thread::Builder::new().name(name.replace('\0', "")).spawn(body).map(drop)
    }

    fn gate(&self, _name: &str) -> Gate {
        Gate::new(Arc::new(OsGate { epoch: self.epoch, state: AtomicU8::new(EMPTY), parked: Mutex::new(None) }))
    }

    fn now(&self) -> Time {
        Time::new(self.epoch.elapsed())
    }

    #[inline]
    fn shared(&self, _name: &str) -> SharedId {
        SharedId::UNWATCHED
    }

    #[inline]
    fn visit(&self, _shared: SharedId) {}

    fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }
}

/// Nobody waits, and there is no token.
const EMPTY: u8 = 0;
/// There is a token.
const TOKEN: u8 = 1;
/// A thread waits; its handle is in `parked`.
const PARKED: u8 = 2;

/// A gate whose state is one atomic, so that an `unpark` that wakes nobody costs one exchange and no system
/// call. The standard library's own per-thread token is used as a mere hint to look at the state again: anyone
/// may unpark a thread for reasons of his own.
struct OsGate {
    epoch: Instant,
    state: AtomicU8,
    /// Who waits. Written by that thread before it says `PARKED`.
    parked: Mutex<Option<Thread>>,
}

impl OsGate {
    /// Takes the token, if it is there. What was done before the `unpark` is visible after it.
    fn take(&self) -> bool {
        self.state.compare_exchange(TOKEN, EMPTY, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Leaves the calling thread's handle and says that it waits; false if there was a token, which is taken.
    fn announce(&self) -> bool {
        let me = thread::current();
        let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(self.state.load(Ordering::Relaxed) != PARKED, "one thread parks at a gate at a time");
        if parked.as_ref().is_none_or(|before| before.id() != me.id()) {
            *parked = Some(me);
        }
        drop(parked);
        match self.state.compare_exchange(EMPTY, PARKED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(_) => {
                let taken = self.take();
                debug_assert!(taken, "neither empty nor parked is a token");
                false
            }
        }
    }
}

impl Parking for OsGate {
    fn park(&self, until: Option<Time>) -> Unparked {
        if self.take() || !self.announce() {
            return Unparked::ByToken;
        }
        // A time beyond the clock's end is never reached.
        let deadline = until.and_then(|until| self.epoch.checked_add(until.since_start()));
        loop {
            match deadline {
                None => thread::park(),
                Some(deadline) => thread::park_timeout(deadline.saturating_duration_since(Instant::now())),
            }
            if self.take() {
                return Unparked::ByToken;
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                // A token that comes just now wins over the clock.
                let left = self.state.compare_exchange(PARKED, EMPTY, Ordering::AcqRel, Ordering::Acquire).is_ok();
                return if left || !self.take() { Unparked::ByTime } else { Unparked::ByToken };
            }
        }
    }

    fn unpark(&self) {
        // Always an exchange, never a look first: even where a token is there already, the next to park must see
        // what we have done before.
        if self.state.swap(TOKEN, Ordering::AcqRel) == PARKED {
            let parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // If the thread has meanwhile seen the token by itself, this wakes it, or its successor, for nothing.
            parked.expect("a handle is left before PARKED is said").unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::AtomicU64;
    use std::sync::mpsc;

    use super::*;

    /// Far longer than any machine takes; reached only where a wakeup was lost.
    const DEADLINE: Duration = Duration::from_secs(60);

    #[test]
    fn an_early_unpark_is_kept_and_several_coalesce() {
        let threads = OsThreads::new();
        let gate = threads.gate("gate");
        gate.unpark();
        gate.unpark();
        gate.park();
        assert_eq!(gate.park_until(threads.now()), Unparked::ByTime);
    }

    #[test]
    fn a_token_wins_over_a_time_that_has_passed() {
        let threads = OsThreads::new();
        let gate = threads.gate("gate");
        gate.unpark();
        assert_eq!(gate.park_until(Time::ZERO), Unparked::ByToken);
        assert_eq!(gate.park_until(Time::ZERO), Unparked::ByTime);
    }

    #[test]
    fn park_until_is_never_early() {
        let threads = OsThreads::new();
        let gate = threads.gate("gate");
        for micros in [0, 1, 50, 999, 2_500] {
            let until = threads.now() + Duration::from_micros(micros);
            assert_eq!(gate.park_until(until), Unparked::ByTime);
            assert!(threads.now() >= until);
        }
    }

    #[test]
    fn a_token_that_the_thread_has_from_elsewhere_opens_no_gate() {
        let threads = OsThreads::new();
        let gate = threads.gate("gate");
        thread::current().unpark();
        let until = threads.now() + Duration::from_millis(3);
        assert_eq!(gate.park_until(until), Unparked::ByTime);
        assert!(threads.now() >= until);
    }

    #[test]
    fn two_threads_hand_a_ball_to_and_fro() {
        const ROUNDS: u64 = 20_000;
        let threads = OsThreads::new();
        let (ping, pong) = (threads.gate("ping"), threads.gate("pong"));
        let count = Arc::new(AtomicU64::new(0));
        let (theirs, there, back) = (count.clone(), ping.clone(), pong.clone());
        let body = move || {
            for round in 0..ROUNDS {
                there.park();
                // Relaxed on purpose: it is the gate that has to make the other side's writes visible.
                assert_eq!(theirs.load(Ordering::Relaxed), 2 * round + 1);
                theirs.store(2 * round + 2, Ordering::Relaxed);
                back.unpark();
            }
        };
        threads.spawn("player", Box::new(body)).unwrap();
        for round in 0..ROUNDS {
            count.store(2 * round + 1, Ordering::Relaxed);
            ping.unpark();
            assert_eq!(pong.park_until(threads.now() + DEADLINE), Unparked::ByToken, "lost in round {round}");
            assert_eq!(count.load(Ordering::Relaxed), 2 * round + 2);
        }
    }

    #[test]
    fn no_token_is_lost_when_it_comes_just_as_time_runs_out() {
        const TOKENS: u64 = 2_000;
        let threads = OsThreads::new();
        let gate = threads.gate("gate");
        let (left, theirs) = (Arc::new(AtomicU64::new(0)), gate.clone());
        let (sent, body_left) = (left.clone(), left.clone());
        let body = move || {
            for token in 1..=TOKENS {
                // The next is sent only when the last was taken, so each must arrive.
                while body_left.load(Ordering::Acquire) != token - 1 {
                    thread::yield_now();
                }
                theirs.unpark();
            }
        };
        threads.spawn("sender", Box::new(body)).unwrap();
        let end = threads.now() + DEADLINE;
        for token in 1..=TOKENS {
            while gate.park_until(threads.now() + Duration::from_micros(token % 60)) == Unparked::ByTime {
                assert!(threads.now() < end, "token {token} of {TOKENS} was lost");
            }
            sent.store(token, Ordering::Release);
        }
        assert_eq!(gate.park_until(threads.now()), Unparked::ByTime);
    }

    #[test]
    fn a_gate_may_be_parked_at_by_one_thread_after_another() {
        let threads = OsThreads::new();
        let gate = threads.gate("gate");
        for turn in 0..100 {
            let (done, end) = mpsc::channel();
            let theirs = gate.clone();
            threads.spawn("parker", Box::new(move || done.send((turn, theirs.park())).unwrap())).unwrap();
            gate.unpark();
            assert_eq!(end.recv_timeout(DEADLINE).unwrap(), (turn, ()));
        }
    }

    #[test]
    fn threads_have_their_names_also_bad_ones() {
        let threads = OsThreads::new();
        for (given, seen) in
            [("worker 1", "worker 1"), ("a name longer than fifteen", "a name longer than fifteen"), ("a\0b", "ab")]
        {
            let (tell, told) = mpsc::channel();
            let body = move || tell.send(thread::current().name().map(str::to_owned)).unwrap();
            threads.spawn(given, Box::new(body)).unwrap();
            assert_eq!(told.recv_timeout(DEADLINE).unwrap().as_deref(), Some(seen));
        }
    }

    #[test]
    fn threads_beside_a_reactor_share_its_clock() {
        let reactor = MioReactor::new().unwrap();
        let threads = OsThreads::beside(&reactor);
        for _ in 0..100 {
            let (before, between, after) =
                (crate::Reactor::now(&reactor), threads.now(), crate::Reactor::now(&reactor));
            assert!(before <= between && between <= after);
        }
    }
}
