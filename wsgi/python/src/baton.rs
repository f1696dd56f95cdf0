//! The interpreter's lock as a simulation sees it.
//!
//! A simulated worker that is left in the middle, with Python attached, keeps the real lock. The next one must not
//! wait for that, where nothing could go on, but at a gate, where others can. So each takes this lock first, and lets
//! go of it wherever it lets go of the real one to wait.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use handwound_reactor::{Gate, SharedId, Threads, WorkerHook};
use handwound_testkit::SimThreads;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::AttachWorkers;
use crate::attach::{Baton, carry, detached};

thread_local! {
    /// On a worker of a simulation: its lock.
    static MINE: RefCell<Option<Arc<SimulatedLock>>> = const { RefCell::new(None) };
}

/// One for each simulation.
pub(crate) struct SimulatedLock {
    threads: SimThreads,
    id: SharedId,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The gate of the worker that has it.
    holder: Option<Gate>,
    waiting: VecDeque<Gate>,
}

thread_local! {
    /// Where this worker waits for the lock.
    static GATE: RefCell<Option<Gate>> = const { RefCell::new(None) };
}

impl SimulatedLock {
    pub(crate) fn new(threads: SimThreads) -> SimulatedLock {
        SimulatedLock { id: threads.shared("interpreter"), threads, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics under this lock")
    }

    fn gate(&self) -> Gate {
        GATE.with_borrow_mut(|gate| gate.get_or_insert_with(|| self.threads.gate("interpreter")).clone())
    }
}

fn is_held_by(state: &State, gate: &Gate) -> bool {
    state.holder.as_ref().is_some_and(|holder| holder.is(gate))
}

impl Baton for SimulatedLock {
    fn acquire(&self) {
        let gate = self.gate();
        if is_held_by(&self.state(), &gate) {
            return;
        }
        self.threads.visit(self.id);
        {
            let mut state = self.state();
            if state.holder.is_none() {
                state.holder = Some(gate);
                return;
            }
            state.waiting.push_back(gate.clone());
        }
        let _given_up = GiveUp { lock: self, gate: &gate };
        // Whoever lets go hands it over.
        while !is_held_by(&self.state(), &gate) {
            gate.park();
        }
    }

    fn release(&self) {
        let gate = self.gate();
        if !is_held_by(&self.state(), &gate) {
            return;
        }
        self.threads.visit(self.id);
        let next = {
            let mut state = self.state();
            state.holder = state.waiting.pop_front();
            state.holder.clone()
        };
        if let Some(next) = next {
            next.unpark();
        }
    }
}

/// A wait that is unwound, as at the end of a simulation, must not be handed the lock.
struct GiveUp<'a> {
    lock: &'a SimulatedLock,
    gate: &'a Gate,
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        self.lock.state().waiting.retain(|waiting| !waiting.is(self.gate));
    }
}

/// The hook of a simulated pool.
pub(crate) struct SimulatedWorkers(pub(crate) Arc<SimulatedLock>);

impl WorkerHook for SimulatedWorkers {
    fn before_work(&self) {
        MINE.set(Some(Arc::clone(&self.0)));
        carry(Some(Arc::clone(&self.0) as Arc<dyn Baton>));
        self.0.acquire();
        AttachWorkers.before_work();
    }

    fn before_park(&self) {
        AttachWorkers.before_park();
        self.0.release();
    }

    fn stopped(&self) {
        self.0.acquire();
        AttachWorkers.stopped();
        self.0.release();
        carry(None);
        MINE.take();
        GATE.take();
    }

    fn one_at_a_time(&self) -> bool {
        AttachWorkers.one_at_a_time()
    }
}

/// Blocks for so many seconds of the simulation's clock; other workers have Python meanwhile.
#[pyfunction]
pub(crate) fn sleep(py: Python<'_>, seconds: f64) -> PyResult<()> {
    let Some(lock) = MINE.with_borrow(Option::clone) else {
        return Err(PyRuntimeError::new_err("handwound.testing.sleep is for the workers of a simulation"));
    };
    let duration = Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("sleep length must be a number of seconds, not {seconds}")))?;
    detached(py, || lock.threads.sleep(duration));
    Ok(())
}
