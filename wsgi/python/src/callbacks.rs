//! Calls that one thread makes in order: those that other threads ask for, and those whose time has come. What a
//! Python reactor runs on; no Python in it, so that it runs in a simulation.
//!
//! One round: what had been posted when it began, first come first made; then what was due when it began, by deadline,
//! then by age. What a call posts or sets to "now" comes in the next round, so that neither kind starves the other.
//!
//! ```text
//!   any thread:  post, post_at, cancel, move_to ──► queue, timers ──► gate
//!   one thread:  next ──► a call, to be made under no lock │ nothing: wait │ ended
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use handwound_reactor::{AnyThreads, Gate, Threads, Time, Watched};

/// Calls that may wait, posted and timed ones together.
pub const WAITING_MAX: usize = 1 << 20;

/// Names a timed call, for ever.
pub type Name = u64;

/// The calls of one reactor, of any kind `C`.
pub struct Callbacks<C> {
    threads: AnyThreads,
    gate: Gate,
    watched: Watched,
    waiting_max: usize,
    state: Mutex<State<C>>,
}

struct State<C> {
    queue: VecDeque<C>,
    /// By deadline, and in the order in which they were set.
    timers: BTreeMap<Key, (Name, C)>,
    keys: BTreeMap<Name, Key>,
    sequence: u64,
    round: Round,
    ended: bool,
}

type Key = (Time, u64);

/// What the round under way has still to take.
#[derive(Clone, Copy)]
struct Round {
    posted: usize,
    now: Time,
    /// Timers set from here on are of a later round.
    set_before: u64,
}

/// What there is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<C> {
    /// Make this call.
    Call(C),
    /// Nothing, before this time.
    Nothing(Option<Time>),
    /// Nothing, for ever.
    Ended,
}

/// Why a call was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nothing will be called any more.
    Ended,
    /// As many calls wait as may.
    Full,
}

impl<C: Send> Callbacks<C> {
    /// None yet, on the clock of `threads`.
    pub fn new(threads: impl Threads) -> Callbacks<C> {
        Callbacks::with_bound(threads, WAITING_MAX)
    }

    /// As [`new`](Callbacks::new), with another bound than [`WAITING_MAX`].
    pub fn with_bound(threads: impl Threads, waiting_max: usize) -> Callbacks<C> {
        let threads = AnyThreads::new(threads);
        let (gate, watched) = (threads.gate("callbacks"), threads.watched("callbacks"));
        let round = Round { posted: 0, now: Time::ZERO, set_before: 0 };
        let (queue, timers, keys) = (VecDeque::new(), BTreeMap::new(), BTreeMap::new());
        let state = Mutex::new(State { queue, timers, keys, sequence: 0, round, ended: false });
        Callbacks { threads, gate, watched, waiting_max, state }
    }

    /// The time on the clock that timed calls wait by.
    pub fn now(&self) -> Time {
        self.threads.now()
    }

    /// Has `call` made in the next round. Any thread.
    ///
    /// # Errors
    /// [`Refused`], with the call: what it holds is the caller's to drop.
    pub fn post(&self, call: C) -> Result<(), (Refused, C)> {
        let mut state = self.enter();
        if let Some(refused) = self.refusal(&state) {
            return Err((refused, call));
        }
        state.queue.push_back(call);
        drop(state);
        self.gate.unpark();
        Ok(())
    }

    /// Has `call` made when `deadline` has come, in a later round than this. Any thread.
    ///
    /// # Errors
    /// As [`post`](Callbacks::post).
    pub fn post_at(&self, deadline: Time, call: C) -> Result<Name, (Refused, C)> {
        let mut state = self.enter();
        if let Some(refused) = self.refusal(&state) {
            return Err((refused, call));
        }
        let key = state.next_key(deadline);
        // The first sequence that it has is its name.
        let name = key.1;
        state.keys.insert(name, key);
        state.timers.insert(key, (name, call));
        self.timers_changed(state);
        Ok(name)
    }

    /// Takes a timed call back; `None` if it has been made, or taken back before. Any thread.
    pub fn cancel(&self, name: Name) -> Option<C> {
        let mut state = self.enter();
        let key = state.keys.remove(&name)?;
        state.timers.remove(&key).map(|(_, call)| call)
    }

    /// Moves a timed call to the deadline that `move_to` makes of its own, behind those that are there already; `None`
    /// if it has been made or taken back. Any thread.
    pub fn move_to(&self, name: Name, move_to: impl FnOnce(Time) -> Time) -> Option<Time> {
        let mut state = self.enter();
        let old = *state.keys.get(&name)?;
        let entry = state.timers.remove(&old)?;
        let key = state.next_key(move_to(old.0));
        state.keys.insert(name, key);
        state.timers.insert(key, entry);
        self.timers_changed(state);
        Some(key.0)
    }

    /// When a timed call is due; `None` if it has been made or taken back. Any thread.
    pub fn deadline(&self, name: Name) -> Option<Time> {
        self.enter().keys.get(&name).map(|key| key.0)
    }

    /// What `of` says of each timed call, the next one first. Any thread; `of` runs under the lock.
    pub fn timed<T>(&self, of: impl FnMut(&C) -> T) -> Vec<T> {
        let state = self.enter();
        state.timers.values().map(|(_, call)| call).map(of).collect()
    }

    /// Shows `look` all calls that wait, unless another thread is in the middle of something here. Never blocks.
    pub fn peek<E>(&self, mut look: impl FnMut(&C) -> Result<(), E>) -> Result<(), E> {
        let Ok(state) = self.state.try_lock() else { return Ok(()) };
        let timers = state.timers.values().map(|(_, call)| call);
        state.queue.iter().chain(timers).try_for_each(&mut look)
    }

    /// What is to be done now. One thread at a time; what it gets it calls under no lock.
    pub fn next(&self) -> Next<C> {
        let now = self.now();
        let mut state = self.enter();
        if state.ended {
            return Next::Ended;
        }
        if let Some(call) = state.take() {
            return Next::Call(call);
        }
        state.round = Round { posted: state.queue.len(), now, set_before: state.sequence };
        match state.take() {
            Some(call) => Next::Call(call),
            None => Next::Nothing(state.timers.keys().next().map(|key| key.0)),
        }
    }

    /// Waits until there may be something to do, at the longest until `until`.
    pub fn wait(&self, until: Option<Time>) {
        match until {
            Some(until) => {
                self.gate.park_until(until);
            }
            None => self.gate.park(),
        }
    }

    /// Ends the present wait, or the next. Any thread, and a signal's watcher.
    pub fn wake(&self) {
        self.gate.unpark();
    }

    /// Nothing is called from here on; what waited is given back, to be dropped. Any thread.
    #[must_use = "what calls hold may only be dropped where that is allowed"]
    pub fn end(&self) -> Vec<C> {
        let mut state = self.enter();
        state.ended = true;
        state.keys.clear();
        let timers = mem::take(&mut state.timers).into_values().map(|(_, call)| call);
        let left = mem::take(&mut state.queue).into_iter().chain(timers).collect();
        drop(state);
        self.gate.unpark();
        left
    }

    fn refusal(&self, state: &State<C>) -> Option<Refused> {
        if state.ended {
            return Some(Refused::Ended);
        }
        (state.queue.len() + state.timers.len() >= self.waiting_max).then_some(Refused::Full)
    }

    /// Who waits may do so for too long, if the first deadline is another now.
    fn timers_changed(&self, state: MutexGuard<'_, State<C>>) {
        let newest_is_first = state.timers.keys().next().is_some_and(|key| key.1 + 1 == state.sequence);
        drop(state);
        if newest_is_first {
            self.gate.unpark();
        }
    }

    fn enter(&self) -> MutexGuard<'_, State<C>> {
        self.watched.visit();
        // Nothing that is not ours runs under this lock, but for what `timed` and `move_to` are given.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> State<C> {
    /// What the round under way has still to give.
    fn take(&mut self) -> Option<C> {
        if self.round.posted > 0 {
            self.round.posted -= 1;
            return self.queue.pop_front();
        }
        let round = self.round;
        let due = self.timers.keys().take_while(|key| key.0 <= round.now);
        // Those that have been set in this round may lie in between.
        let key = due.copied().find(|key| key.1 < round.set_before)?;
        let (name, call) = self.timers.remove(&key).expect("the key has just been seen");
        self.keys.remove(&name);
        Some(call)
    }

    fn next_key(&mut self, deadline: Time) -> Key {
        self.sequence += 1;
        (deadline, self.sequence - 1)
    }
}

#[cfg(test)]
#[path = "callbacks_tests.rs"]
mod tests;
