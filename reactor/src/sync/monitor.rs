//! State that threads wait for, in lines. What the other files here are made of.
//!
//! A line is for something that can be counted: room in a queue, items, permits, a lock. Whoever releases some of it
//! chooses the first of the line; what a chosen waiter has been promised, nobody else may take.

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::{MutexGuard, PoisonError};

use crate::{AnyThreads, Gate, SharedId, Threads, Time, Unparked};

/// How long a thread is ready to wait.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    None,
    Until(Time),
    Endless,
}

/// Threads that wait, the first of them first. Each has a gate of its own.
#[derive(Default)]
pub(super) struct Line {
    waiting: VecDeque<Gate>,
    /// How many have been woken and have not come back yet.
    chosen: usize,
    /// Gates that nobody uses and that hold no token.
    spare: Vec<Gate>,
}

impl Line {
    /// There are `count` now: whom to wake, if one more can be served.
    pub(super) fn choose(&mut self, count: usize) -> Option<Gate> {
        if count <= self.chosen {
            return None;
        }
        let first = self.waiting.pop_front()?;
        self.chosen += 1;
        Some(first)
    }

    /// Nothing will ever be scarce again: whom to wake.
    pub(super) fn choose_all(&mut self) -> VecDeque<Gate> {
        self.chosen += self.waiting.len();
        std::mem::take(&mut self.waiting)
    }

    /// Takes `gate` out of the line; false if it has been chosen.
    fn leave(&mut self, gate: &Gate) -> bool {
        let place = self.waiting.iter().position(|waiting| waiting.is(gate));
        place.and_then(|place| self.waiting.remove(place)).is_some()
    }
}

pub(super) struct Monitor<S> {
    pub(super) threads: AnyThreads,
    pub(super) name: String,
    id: SharedId,
    /// Where in the code it was made, and so its gates; for diagnoses.
    made: crate::Place,
    state: std::sync::Mutex<S>,
}

impl<S> Monitor<S> {
    #[track_caller]
    pub(super) fn new(threads: &impl Threads, name: &str, state: S) -> Monitor<S> {
        let threads = AnyThreads::new(threads.clone());
        let (id, made) = (threads.shared(name), Location::caller());
        Monitor { threads, name: name.to_owned(), id, made, state: std::sync::Mutex::new(state) }
    }

    /// The state, for an access of which the simulation knows. Not to be held while waiting.
    pub(super) fn enter(&self) -> MutexGuard<'_, S> {
        self.threads.visit(self.id);
        self.lock()
    }

    /// The calling thread has what others wait for here, or has it no longer; for diagnoses.
    pub(super) fn hold(&self, held: bool) {
        self.threads.hold(self.id, held);
    }

    fn lock(&self) -> MutexGuard<'_, S> {
        // No user code runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits in the line until `count` says that there is one for this thread, and takes it by `take`, which also
    /// says whom that lets go on. `None` when patience is over.
    pub(super) fn take<R>(
        &self,
        line: fn(&mut S) -> &mut Line,
        mut patience: Patience,
        count: fn(&S) -> usize,
        take: impl FnOnce(&mut S) -> (R, Option<Gate>),
    ) -> Option<R> {
        let mut gate: Option<Gate> = None;
        let mut waited: Option<Place<'_, S>> = None;
        loop {
            let mut state = self.enter();
            if let Some(place) = waited.take() {
                gate = place.leave(line(&mut state)).1;
            }
            let free = count(&state);
            let queue = line(&mut state);
            if free > queue.chosen {
                queue.spare.extend(gate);
                let (result, next) = take(&mut state);
                drop(state);
                wake(next);
                return Some(result);
            }
            if matches!(patience, Patience::None) {
                queue.spare.extend(gate);
                return None;
            }
            let Some(mine) = gate.take().or_else(|| queue.spare.pop()) else {
                drop(state);
                // Not under the lock. The state is looked at again, as others have had time.
                gate = Some(self.threads.gate_at(self.id, &self.name, self.made));
                continue;
            };
            queue.waiting.push_back(mine.clone());
            drop(state);
            let place = waited.insert(Place { monitor: self, line, count, gate: mine, has_token: false, left: false });
            place.park(patience);
            if !place.has_token {
                patience = Patience::None;
            }
        }
    }

    /// A place at the end of the line.
    pub(super) fn join(&self, line: fn(&mut S) -> &mut Line, count: fn(&S) -> usize) -> Place<'_, S> {
        let mut gate: Option<Gate> = None;
        loop {
            let mut state = self.enter();
            let queue = line(&mut state);
            if let Some(gate) = gate.take().or_else(|| queue.spare.pop()) {
                queue.waiting.push_back(gate.clone());
                return Place { monitor: self, line, count, gate, has_token: false, left: false };
            }
            drop(state);
            gate = Some(self.threads.gate_at(self.id, &self.name, self.made));
        }
    }
}

/// A thread's place in a line.
pub(super) struct Place<'a, S> {
    monitor: &'a Monitor<S>,
    line: fn(&mut S) -> &mut Line,
    count: fn(&S) -> usize,
    gate: Gate,
    /// The token that comes with being chosen has been taken.
    has_token: bool,
    left: bool,
}

impl<S> Place<'_, S> {
    /// Waits to be chosen.
    pub(super) fn park(&mut self, patience: Patience) {
        self.has_token = match patience {
            Patience::Until(time) => self.gate.park_until(time) == Unparked::ByToken,
            _ => {
                self.gate.park();
                true
            }
        };
    }

    /// The thread is back. Returns whether it has been chosen.
    pub(super) fn come_back(self) -> bool {
        let line = self.line;
        let mut state = self.monitor.enter();
        let (was_chosen, gate) = self.leave(line(&mut state));
        line(&mut state).spare.extend(gate);
        was_chosen
    }

    /// The thread is back. Returns whether it has been chosen, and its gate, unless that has, or will have, a token
    /// left over.
    fn leave(mut self, line: &mut Line) -> (bool, Option<Gate>) {
        self.left = true;
        let was_chosen = !line.leave(&self.gate);
        if was_chosen {
            line.chosen -= 1;
        }
        (was_chosen, (was_chosen == self.has_token).then(|| self.gate.clone()))
    }
}

/// A wait that is unwound, as at the end of a simulation: what it was promised is the next one's.
impl<S> Drop for Place<'_, S> {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        let mut state = self.monitor.lock();
        let free = (self.count)(&state);
        let line = (self.line)(&mut state);
        if line.leave(&self.gate) {
            return;
        }
        line.chosen -= 1;
        let next = line.choose(free);
        drop(state);
        wake(next);
    }
}

pub(super) fn wake(gates: impl IntoIterator<Item = Gate>) {
    for gate in gates {
        gate.unpark();
    }
}
