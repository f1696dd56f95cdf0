//! Threads that obey: blocking code on coroutines, in the order the simulation decides.

use std::fmt;
use std::io;
use std::panic::Location;
use std::sync::{Arc, Weak};

use handwound_reactor::{Gate, Outstanding, Parking, Place, SharedId, Threads, Time, Unparked};

use crate::drift::Drift;
use crate::driver::act;
use crate::shared::Shared;
use crate::world::{Op, Unbegun};

/// The threads of a simulated world. Copies are the same threads.
#[derive(Clone)]
pub struct SimThreads {
    world: Arc<Shared>,
    drift: Drift,
}

impl fmt::Debug for SimThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimThreads")
    }
}

impl SimThreads {
    pub(crate) fn new(world: Arc<Shared>, drift: Drift) -> SimThreads {
        SimThreads { world, drift }
    }

    pub(crate) fn world(&self) -> &Arc<Shared> {
        &self.world
    }

    fn gate_for(&self, shared: Option<SharedId>, name: &str, place: Place) -> Gate {
        let index = self.world.with(|w| {
            w.trace.origins.at_place(place);
            let index = w.new_gate(name);
            w.holds.gate_is_at(index, shared);
            index
        });
        Gate::new(Arc::new(SimGate { world: Arc::clone(&self.world), index, drift: self.drift }))
    }
}

/// What Linux says: EAGAIN.
pub(crate) fn no_thread() -> io::Error {
    io::Error::new(io::ErrorKind::WouldBlock, "no thread to be had")
}

impl Threads for SimThreads {
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        self.spawn_from(name, body, Location::caller())
    }

    fn spawn_from(&self, name: &str, body: Box<dyn FnOnce() + Send>, place: Place) -> io::Result<()> {
        let refused = act(&self.world, Op::Spawn, |w| {
            if w.stopping {
                // Its body is dropped, outside of the lock.
                return Some(body);
            }
            if w.start_fails(name) {
                return Some(body);
            }
            w.trace.origins.at_place(place);
            w.spawn(name, Some(Unbegun::Body(body)));
            None
        });
        match refused {
            None => Ok(()),
            Some(_) => Err(no_thread()),
        }
    }

    fn gate(&self, name: &str) -> Gate {
        self.gate_from(name, Location::caller())
    }

    fn gate_from(&self, name: &str, place: Place) -> Gate {
        self.gate_for(None, name, place)
    }

    fn gate_at(&self, shared: SharedId, name: &str, place: Place) -> Gate {
        self.gate_for(Some(shared), name, place)
    }

    fn hold(&self, shared: SharedId, held: bool) {
        self.world.with(|w| {
            let holder = held.then_some(w.actor);
            w.holds.hold(shared, holder);
        });
    }

    fn enlist(&self, pool: Weak<dyn Outstanding + Send + Sync>) {
        self.world.with(|w| w.trace.origins.enlist(pool));
    }

    fn now(&self) -> Time {
        self.drift.local(self.world.with(|w| w.now))
    }

    fn shared(&self, name: &str) -> SharedId {
        self.world.with(|w| w.new_shared(name))
    }

    fn shared_inside(&self, name: &str) -> SharedId {
        self.world.with(|w| if w.looks_inside { w.new_shared(name) } else { SharedId::UNWATCHED })
    }

    fn visit(&self, shared: SharedId) {
        act(&self.world, Op::Visit(shared), |w| w.visit(shared));
    }
}

struct SimGate {
    world: Arc<Shared>,
    index: u32,
    drift: Drift,
}

impl Parking for SimGate {
    fn park(&self, until: Option<Time>) -> Unparked {
        let until = until.map(|until| self.drift.world(until));
        act(&self.world, Op::Park { gate: self.index, until }, |w| {
            let by_token = w.take_token(self.index);
            // Without a token and without a deadline: the end of a simulation lets waiters go.
            let in_time = until.is_none_or(|until| w.now < until);
            if by_token || in_time { Unparked::ByToken } else { Unparked::ByTime }
        })
    }

    fn unpark(&self) {
        act(&self.world, Op::Unpark(self.index), |w| w.unpark(self.index));
    }
}

impl Drop for SimGate {
    fn drop(&mut self) {
        self.world.try_with(|w| w.drop_gate(self.index));
    }
}
