//! What the doubles are made of: state that threads share, and a lock that they wait for.

use std::sync::{Arc, Mutex};

use handwound_reactor::{Gate, SharedId, Threads};
use handwound_testkit::{Sim, SimThreads};

/// State that threads share. Each touch of it is a point at which another thread may come first.
pub(crate) struct Cell<T> {
    threads: SimThreads,
    id: SharedId,
    value: Arc<Mutex<T>>,
}

impl<T> Clone for Cell<T> {
    fn clone(&self) -> Cell<T> {
        Cell { threads: self.threads.clone(), id: self.id, value: Arc::clone(&self.value) }
    }
}

impl<T> Cell<T> {
    pub(crate) fn new(sim: &Sim, name: &str, value: T) -> Cell<T> {
        let threads = sim.threads();
        let id = threads.shared(name);
        Cell { threads, id, value: Arc::new(Mutex::new(value)) }
    }

    /// One step of its own: nobody comes between.
    pub(crate) fn with<R>(&self, use_it: impl FnOnce(&mut T) -> R) -> R {
        self.threads.visit(self.id);
        use_it(&mut self.value.lock().unwrap())
    }
}

impl<T: Copy> Cell<T> {
    pub(crate) fn get(&self) -> T {
        self.with(|value| *value)
    }

    pub(crate) fn set(&self, new: T) {
        self.with(|value| *value = new);
    }
}

/// A lock for which threads wait where the simulation sees it.
#[derive(Clone)]
pub(crate) struct Lock {
    threads: SimThreads,
    name: &'static str,
    /// Whether it is held, and who waits.
    state: Cell<(bool, Vec<Gate>)>,
}

impl Lock {
    pub(crate) fn new(sim: &Sim, name: &'static str) -> Lock {
        Lock { threads: sim.threads(), name, state: Cell::new(sim, name, (false, Vec::new())) }
    }

    pub(crate) fn lock(&self) {
        let gate = self.threads.gate(self.name);
        let taken = |(held, waiting): &mut (bool, Vec<Gate>)| {
            if *held {
                waiting.push(gate.clone());
            }
            !std::mem::replace(held, true)
        };
        while !self.state.with(taken) {
            gate.park();
        }
    }

    pub(crate) fn unlock(&self) {
        let waiting = self.state.with(|(held, waiting)| {
            *held = false;
            std::mem::take(waiting)
        });
        waiting.iter().for_each(Gate::unpark);
    }
}

/// Runs everything to its end; a thread that waits for ever is a failure with its name.
#[track_caller]
pub(crate) fn settle_all(sim: &Sim) {
    sim.settle();
    if let Some(waits) = sim.report_deadlock() {
        panic!("stuck {waits}");
    }
}
