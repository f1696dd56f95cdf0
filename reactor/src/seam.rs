//! The seam: what a reactor and its threads must provide, and nothing that can be built above them.
//!
//! Everything else in this crate (event loop, timers, transports, thread pool) is written once, against these
//! traits. [`MioReactor`](crate::MioReactor) with [`OsThreads`](crate::OsThreads) is the real ground;
//! the testkit's `MockReactor` with `SimThreads` is the simulated one. The promises below are numbered as in
//! the contract suite, which runs on every implementation.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc;
use std::sync::{self, Arc};
use std::time::{Duration, SystemTime};

use crate::{Outstanding, Place, Time};

/// A socket of one reactor: a number, never an owned object.
///
/// A closed socket's slot may be used again, with another generation: a stale `Sock` names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sock {
    /// Index into the reactor's table of sockets.
    pub slot: u32,
    /// How many sockets have had this slot before.
    pub generation: u32,
}

/// What [`Reactor::poll`] reports: an edge, seen once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The socket it is about. May have been closed since; such events are to be ignored.
    pub sock: Sock,
    /// A read (or an accept) may succeed, or report the end or an error.
    pub readable: bool,
    /// A write may succeed, or report an error; a connect has ended.
    pub writable: bool,
}

/// How to part from a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// What was written is delivered, then the end of the stream (FIN).
    Graceful,
    /// The peer sees a reset (RST); undelivered bytes are dropped on both sides.
    Reset,
}

/// What one [`Reactor::read`] gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes read; zero is the end of the peer's stream.
    pub bytes: usize,
    /// The ground promises that nothing more is waiting and that a new edge will come, as if the next read had
    /// given `WouldBlock`. `false` promises nothing; read on.
    pub drained: bool,
}

/// Where to listen or connect, and who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// TCP over IPv4 or IPv6.
    Tcp(SocketAddr),
    /// A UNIX socket; `None` is a peer without a name, as most clients are.
    Unix(Option<PathBuf>),
}

impl Address {
    /// The IP address and port, where there are any.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Address::Tcp(address) => Some(*address),
            Address::Unix(_) => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address::Tcp(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Address::Unix(None) => f.write_str("unix:(unnamed)"),
        }
    }
}

/// How to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenOptions {
    /// How many connections the system may hold for us before we accept them.
    pub backlog: u32,
    /// Several processes may listen on the same port and share its connections.
    pub reuse_port: bool,
    /// File mode of a UNIX socket, as for `chmod`; the process's umask where `None`.
    pub unix_mode: Option<u32>,
}

impl Default for ListenOptions {
    fn default() -> ListenOptions {
        ListenOptions { backlog: 1024, reuse_port: false, unix_mode: None }
    }
}

/// The ground under an event loop: a clock, sockets, and a way to wait for them.
///
/// All calls but those on a [`Waker`] come from one thread. No call blocks except [`poll`](Reactor::poll).
///
/// 1. Readiness is edge-triggered: an edge is reported once; after `WouldBlock` (or [`Received::drained`]) a new
///    edge comes. Whoever stops earlier remembers that there is more. Spurious events are allowed.
/// 2. [`Waker::wake`] ends the current poll, or the next; wakes coalesce; none is lost.
/// 3. `poll` returns by `until`, never notably early; system calls that a signal interrupts are retried inside, here
///    and in all other calls: nobody is told `Interrupted`.
/// 4. A closed [`Sock`] never names its successor: calls with it give [`io::ErrorKind::NotConnected`].
/// 5. `accept` gives `WouldBlock` or the system's error (`EMFILE`, `ECONNABORTED`, …), and stays usable.
/// 6. [`Close::Reset`] sends a reset; [`Close::Graceful`] delivers what was written, then the end.
/// 7. Half-close, reset by the peer, refused connects and a write after the peer's close give the system's
///    error kinds.
/// 8. [`now`](Reactor::now) never goes back.
pub trait Reactor {
    /// The time on this reactor's clock. Does not change by itself between two polls on a mock.
    fn now(&self) -> Time;

    /// The date for people: `Date` headers and logs only. It may jump in either direction.
    fn wall_clock(&self) -> SystemTime;

    /// Starts to listen. Port 0 lets the ground choose; see [`local_address`](Reactor::local_address).
    ///
    /// # Errors
    /// The operating system's: address in use, permission denied, no such folder for a UNIX socket.
    #[track_caller]
    fn listen(&mut self, at: &Address, options: &ListenOptions) -> io::Result<Sock>;

    /// Takes one connection and says who it is from. Accepted sockets do not wait to fill packets (`TCP_NODELAY`).
    ///
    /// # Errors
    /// `WouldBlock` when nobody is waiting; otherwise the system's, and the listener stays usable.
    fn accept(&mut self, listener: Sock) -> io::Result<(Sock, Address)>;

    /// Starts to connect. The first writable event tells the end of it; the first write, read or
    /// [`connect_result`](Reactor::connect_result) tells the outcome.
    ///
    /// # Errors
    /// The system's, if it already knows (`EMFILE`, no such UNIX socket).
    #[track_caller]
    fn connect(&mut self, to: &Address) -> io::Result<Sock>;

    /// Whether a connect has succeeded: `Ok(true)` connected, `Ok(false)` still under way.
    ///
    /// # Errors
    /// Why it failed: `ConnectionRefused`, `TimedOut`, ….
    fn connect_result(&mut self, sock: Sock) -> io::Result<bool>;

    /// The address of this end.
    ///
    /// # Errors
    /// `NotConnected` for a closed `Sock`.
    fn local_address(&self, sock: Sock) -> io::Result<Address>;

    /// Reads up to `into.len()` bytes, possibly fewer; zero bytes are the end of the peer's stream.
    ///
    /// # Errors
    /// `WouldBlock`, or the system's (`ConnectionReset`, …).
    fn read(&mut self, sock: Sock, into: &mut [u8]) -> io::Result<Received>;

    /// Writes some of `from`, in order, possibly fewer bytes than given; returns how many.
    ///
    /// # Errors
    /// `WouldBlock`, or the system's (`BrokenPipe`, `ConnectionReset`, …).
    fn write(&mut self, sock: Sock, from: &[io::IoSlice<'_>]) -> io::Result<usize>;

    /// Ends our stream and keeps reading the peer's (half-close).
    ///
    /// # Errors
    /// The system's.
    fn shutdown_write(&mut self, sock: Sock) -> io::Result<()>;

    /// Closes any socket, listeners too. The `Sock` names nothing from here on; closing it again does nothing.
    fn close(&mut self, sock: Sock, how: Close);

    /// Clears `events` and waits for some, for a wake, or for `until` (`None`: for ever).
    ///
    /// # Errors
    /// Only those after which this reactor is of no use any more.
    fn poll(&mut self, events: &mut Vec<Event>, until: Option<Time>) -> io::Result<()>;

    /// A handle with which any thread can end a poll.
    fn waker(&self) -> Waker;

    /// The next `listen` or `connect` is made on behalf of the code at `place`: for diagnoses. A real ground has none.
    fn at_place(&mut self, place: Place) {
        let _ = place;
    }

    /// An event loop that runs on this reactor makes itself known, to be asked what it has still to do. A real ground
    /// does not ask.
    fn enlist(&mut self, event_loop: rc::Weak<dyn Outstanding>) {
        let _ = event_loop;
    }
}

/// What is behind a [`Waker`]; implemented by a reactor.
pub trait Wake: Send + Sync {
    /// Ends the current poll, or the next.
    fn wake(&self);
}

/// Ends a [`Reactor::poll`] from any thread.
#[derive(Clone)]
pub struct Waker(Arc<dyn Wake>);

impl Waker {
    /// A waker that calls `wake`.
    pub fn new(wake: Arc<dyn Wake>) -> Waker {
        Waker(wake)
    }

    /// Ends the current poll, or the next. Never blocks; wakes coalesce.
    pub fn wake(&self) {
        self.0.wake();
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}

/// A thing that several threads touch, named for a simulation; of no meaning on real threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharedId(pub u32);

impl SharedId {
    /// What nobody watches: [`Threads::visit`] need not be called for it.
    pub const UNWATCHED: SharedId = SharedId(u32::MAX);
}

/// The threads that go with a reactor, on the same clock.
///
/// Code above the seam starts threads, parks them and names shared state through this trait only, so that a
/// simulation sees every point at which the order of threads can matter.
pub trait Threads: Clone + Send + Sync + 'static {
    /// Starts a thread. The thread is detached: who needs its end has it say so.
    ///
    /// # Errors
    /// The system's, when it has no thread to give.
    #[track_caller]
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<()>;

    /// A new gate, shut and without a token; `name` appears in diagnoses.
    #[track_caller]
    fn gate(&self, name: &str) -> Gate;

    /// As [`spawn`](Threads::spawn), on behalf of the code at `place`: for diagnoses. Real threads do without.
    ///
    /// # Errors
    /// As there.
    fn spawn_from(&self, name: &str, body: Box<dyn FnOnce() + Send>, place: Place) -> io::Result<()> {
        let _ = place;
        self.spawn(name, body)
    }

    /// As [`gate`](Threads::gate), on behalf of the code at `place`: for diagnoses. Real threads do without.
    fn gate_from(&self, name: &str, place: Place) -> Gate {
        let _ = place;
        self.gate(name)
    }

    /// A pool on these threads makes itself known, to be asked what it has still to do. Real threads do not ask.
    fn enlist(&self, pool: sync::Weak<dyn Outstanding + Send + Sync>) {
        let _ = pool;
    }

    /// The time on the clock that gates wait by; that of the reactor beside these threads.
    fn now(&self) -> Time;

    /// Names a thing that several threads will touch.
    fn shared(&self, name: &str) -> SharedId;

    /// As [`shared`](Threads::shared), for what reactor, pool and server keep inside. A simulation may take what they do
    /// there, between two of their waits and calls, for one step: then it answers [`UNWATCHED`](SharedId::UNWATCHED).
    fn shared_inside(&self, name: &str) -> SharedId {
        self.shared(name)
    }

    /// To be called right before the calling thread touches `shared` (a queue, a flag, a locked state). A
    /// simulation may let other threads run first; real threads do nothing. No lock may be held here.
    fn visit(&self, shared: SharedId);

    /// A gate where threads wait for what `shared` names, made on behalf of the code at `place`, so that diagnoses can
    /// say whose it is.
    fn gate_at(&self, shared: SharedId, name: &str, place: Place) -> Gate {
        let _ = shared;
        self.gate_from(name, place)
    }

    /// From here on the calling thread has what `shared` names to itself, as a lock, or has it no longer. For
    /// diagnoses only: real threads do nothing.
    fn hold(&self, shared: SharedId, held: bool) {
        let _ = (shared, held);
    }

    /// Blocks the calling thread for `duration` of this clock.
    #[track_caller]
    fn sleep(&self, duration: Duration) {
        let until = self.now() + duration;
        let gate = self.gate("sleep");
        while gate.park_until(until) == Unparked::ByToken {}
    }
}

/// Why [`Gate::park_until`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unparked {
    /// A token was there, and has been taken.
    ByToken,
    /// The time came first.
    ByTime,
}

/// What is behind a [`Gate`]; implemented by a ground.
pub trait Parking: Send + Sync {
    /// Waits for a token and takes it; gives up at `until`.
    fn park(&self, until: Option<Time>) -> Unparked;
    /// Leaves a token; one at the most is kept.
    fn unpark(&self);
}

/// Where one thread waits and others let it go on.
///
/// It holds at most one token. An early [`unpark`](Gate::unpark) is kept; several coalesce. One thread parks at
/// a time; any may unpark. Like a condition variable's, a wakeup is a hint: look at the state again.
#[derive(Clone)]
pub struct Gate(Arc<dyn Parking>);

impl Gate {
    /// A gate over `parking`.
    pub fn new(parking: Arc<dyn Parking>) -> Gate {
        Gate(parking)
    }

    /// Blocks until there is a token, and takes it. No lock may be held here.
    pub fn park(&self) {
        self.0.park(None);
    }

    /// Blocks until there is a token, or until `until`.
    pub fn park_until(&self, until: Time) -> Unparked {
        self.0.park(Some(until))
    }

    /// Whether `other` is this very gate.
    pub fn is(&self, other: &Gate) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Leaves a token. Never blocks.
    pub fn unpark(&self) {
        self.0.unpark();
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}
