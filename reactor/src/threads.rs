//! Threads of whichever ground, behind one type; and shared state that a simulation watches.

use std::io;
use std::panic::Location;
use std::sync::{Arc, Weak};

use crate::{Gate, Outstanding, Place, SharedId, Threads, Time};

/// The object-safe part of [`Threads`].
trait Spawner: Send + Sync {
    fn spawn_from(&self, name: &str, body: Box<dyn FnOnce() + Send>, place: Place) -> io::Result<()>;
    fn gate_from(&self, name: &str, place: Place) -> Gate;
    fn enlist(&self, pool: Weak<dyn Outstanding + Send + Sync>);
    fn now(&self) -> Time;
    fn shared(&self, name: &str) -> SharedId;
    fn shared_inside(&self, name: &str) -> SharedId;
    fn visit(&self, shared: SharedId);
    fn gate_at(&self, shared: SharedId, name: &str, place: Place) -> Gate;
    fn hold(&self, shared: SharedId, held: bool);
}

impl<T: Threads> Spawner for T {
    fn spawn_from(&self, name: &str, body: Box<dyn FnOnce() + Send>, place: Place) -> io::Result<()> {
        Threads::spawn_from(self, name, body, place)
    }
    fn gate_from(&self, name: &str, place: Place) -> Gate {
        Threads::gate_from(self, name, place)
    }
    fn enlist(&self, pool: Weak<dyn Outstanding + Send + Sync>) {
        Threads::enlist(self, pool);
    }
    fn now(&self) -> Time {
        Threads::now(self)
    }
    fn shared(&self, name: &str) -> SharedId {
        Threads::shared(self, name)
    }
    fn shared_inside(&self, name: &str) -> SharedId {
        Threads::shared_inside(self, name)
    }
    fn visit(&self, shared: SharedId) {
        Threads::visit(self, shared);
    }
    fn gate_at(&self, shared: SharedId, name: &str, place: Place) -> Gate {
        Threads::gate_at(self, shared, name, place)
    }
    fn hold(&self, shared: SharedId, held: bool) {
        Threads::hold(self, shared, held);
    }
}

/// Any [`Threads`], its type forgotten: what a pool or a server keeps, so that it need not be generic.
#[derive(Clone)]
pub struct AnyThreads(Arc<dyn Spawner>);

impl AnyThreads {
    /// Forgets the type of `threads`.
    pub fn new(threads: impl Threads) -> AnyThreads {
        AnyThreads(Arc::new(threads))
    }

    /// Names a thing inside of reactor, pool or server that several threads will touch; see [`Watched::visit`].
    pub fn watched(&self, name: &str) -> Watched {
        let id = self.0.shared_inside(name);
        // On real threads, and in simulations that do not look that closely, a visit costs a branch.
        let watcher = (id != SharedId::UNWATCHED).then(|| self.clone());
        Watched { id, watcher }
    }
}

impl Threads for AnyThreads {
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        // The caller would be lost behind the virtual call.
        self.0.spawn_from(name, body, Location::caller())
    }
    fn gate(&self, name: &str) -> Gate {
        self.0.gate_from(name, Location::caller())
    }
    fn spawn_from(&self, name: &str, body: Box<dyn FnOnce() + Send>, place: Place) -> io::Result<()> {
        self.0.spawn_from(name, body, place)
    }
    fn gate_from(&self, name: &str, place: Place) -> Gate {
        self.0.gate_from(name, place)
    }
    fn enlist(&self, pool: Weak<dyn Outstanding + Send + Sync>) {
        self.0.enlist(pool);
    }
    fn now(&self) -> Time {
        self.0.now()
    }
    fn shared(&self, name: &str) -> SharedId {
        self.0.shared(name)
    }
    fn shared_inside(&self, name: &str) -> SharedId {
        self.0.shared_inside(name)
    }
    fn visit(&self, shared: SharedId) {
        self.0.visit(shared);
    }
    fn gate_at(&self, shared: SharedId, name: &str, place: Place) -> Gate {
        self.0.gate_at(shared, name, place)
    }
    fn hold(&self, shared: SharedId, held: bool) {
        self.0.hold(shared, held);
    }
}

/// Names one piece of state that several threads touch.
#[derive(Clone)]
pub struct Watched {
    id: SharedId,
    watcher: Option<AnyThreads>,
}

impl Watched {
    /// To be called right before the state is touched, with no lock held: a simulation may let other threads
    /// run here. On real threads it does nothing.
    #[inline]
    pub fn visit(&self) {
        if let Some(watcher) = &self.watcher {
            Threads::visit(watcher, self.id);
        }
    }
}
