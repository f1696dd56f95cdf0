//! The reactor whose clock is wound by hand and whose sockets are memory.

use std::fmt;
use std::io;
use std::panic::Location;
use std::rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use handwound_reactor::{
    Address, Close, Event, ListenOptions, Outstanding, Place, Reactor, Received, Sock, Time, Wake, Waker,
};

use crate::census;
use crate::drift::Drift;
use crate::driver::act;
use crate::faults::Call;
use crate::shared::Shared;
use crate::world::{Op, World};

/// Every world begins at Sun, 06 Nov 1994 08:49:37 GMT, the date that RFC 9110 uses in its examples.
const EPOCH_SECONDS: u64 = 784_111_777;

/// The date, as time since 1970, when a clock shows `now`.
fn date_at(world: &mut World, now: Time) -> Duration {
    let (ahead, back) = world.date_offset();
    let date = Duration::from_secs(EPOCH_SECONDS) + now.since_start();
    // Nothing here is older than 1970.
    date.saturating_add(ahead).saturating_sub(back)
}

/// The date on a clock that is right.
pub(crate) fn date(world: &mut World) -> Duration {
    let now = world.now;
    date_at(world, now)
}

/// A simulated reactor. What it has open is closed when it is dropped.
///
/// In a task, `poll` lets others run until it is ready. Called by the test itself, it drives the world as
/// [`Sim::settle`](crate::Sim::settle) does, until it is ready.
///
/// # Panics
/// `poll`, called by the test itself, when nothing can move any more; the message says who waits for what.
pub struct MockReactor {
    world: Arc<Shared>,
    index: u32,
    drift: Drift,
    /// On whose behalf the next socket is made.
    place: Option<Place>,
}

impl fmt::Debug for MockReactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MockReactor({})", self.index)
    }
}

impl MockReactor {
    pub(crate) fn new(world: Arc<Shared>, name: &str, drift: Drift) -> MockReactor {
        let index = world.with(|w| w.new_reactor(name));
        MockReactor { world, index, drift, place: None }
    }

    pub(crate) fn drift(&self) -> Drift {
        self.drift
    }

    /// A socket call: a point where others may go first, if the simulation is told so.
    fn socket<R>(&self, call: impl FnOnce(&mut World, u32) -> R) -> R {
        let mut call = Some(call);
        let done = self.world.with(|w| {
            let switches = w.socket_switches && !w.stopping;
            (!switches).then(|| call.take().map(|call| call(w, self.index)))
        });
        if let Some(Some(result)) = done {
            return result;
        }
        let call = call.expect("not made above, or it would have returned");
        act(&self.world, Op::Socket, |w| call(w, self.index))
    }
}

impl Reactor for MockReactor {
    fn now(&self) -> Time {
        self.drift.local(self.world.with(|w| w.now))
    }

    fn wall_clock(&self) -> SystemTime {
        let drifted = self.now();
        SystemTime::UNIX_EPOCH + self.world.with(|w| date_at(w, drifted))
    }

    fn listen(&mut self, at: &Address, options: &ListenOptions) -> io::Result<Sock> {
        let place = self.place.take().unwrap_or(Location::caller());
        self.socket(|w, reactor| made_at(w, place, |w| w.listen(reactor, at, options)))
    }

    fn accept(&mut self, listener: Sock) -> io::Result<(Sock, Address)> {
        self.socket(|w, reactor| w.accept(reactor, listener))
    }

    fn connect(&mut self, to: &Address) -> io::Result<Sock> {
        let place = self.place.take().unwrap_or(Location::caller());
        self.socket(|w, reactor| made_at(w, place, |w| w.connect(reactor, to)))
    }

    fn connect_result(&mut self, sock: Sock) -> io::Result<bool> {
        self.socket(|w, reactor| w.connect_result(reactor, sock))
    }

    fn local_address(&self, sock: Sock) -> io::Result<Address> {
        self.world.with(|w| w.local_address(self.index, sock))
    }

    fn read(&mut self, sock: Sock, into: &mut [u8]) -> io::Result<Received> {
        self.socket(|w, reactor| w.read(reactor, sock, into))
    }

    fn write(&mut self, sock: Sock, from: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.socket(|w, reactor| w.write(reactor, sock, from))
    }

    fn shutdown_write(&mut self, sock: Sock) -> io::Result<()> {
        self.socket(|w, reactor| w.shutdown_write(reactor, sock))
    }

    fn close(&mut self, sock: Sock, how: Close) {
        self.socket(|w, reactor| w.close(reactor, sock, how));
    }

    fn poll(&mut self, events: &mut Vec<Event>, until: Option<Time>) -> io::Result<()> {
        events.clear();
        let until = until.map(|until| self.drift.world(until));
        act(&self.world, Op::Poll { reactor: self.index, until }, |w| match w.call_fails(Call::Poll, false) {
            Some(error) => Err(error),
            None => {
                w.poll(self.index, events);
                Ok(())
            }
        })
    }

    fn waker(&self) -> Waker {
        Waker::new(Arc::new(SimWaker { world: Arc::clone(&self.world), reactor: self.index }))
    }

    fn at_place(&mut self, place: Place) {
        self.place = Some(place);
    }

    fn enlist(&mut self, event_loop: rc::Weak<dyn Outstanding>) {
        census::enlist(&self.world, event_loop);
    }
}

/// What `make` makes is made there.
fn made_at<R>(world: &mut World, place: Place, make: impl FnOnce(&mut World) -> R) -> R {
    world.trace.origins.at_place(place);
    let made = make(world);
    // It may have made nothing.
    world.trace.origins.take_place();
    made
}

impl Drop for MockReactor {
    fn drop(&mut self) {
        self.world.try_with(|w| w.drop_reactor(self.index));
    }
}

struct SimWaker {
    world: Arc<Shared>,
    reactor: u32,
}

impl Wake for SimWaker {
    fn wake(&self) {
        act(&self.world, Op::Wake(self.reactor), |w| w.wake(self.reactor));
    }
}
