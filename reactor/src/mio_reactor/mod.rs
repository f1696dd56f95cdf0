//! The real ground: the operating system's sockets, through mio. No buffers, no timers, no protocol.

#[cfg(all(test, unix))]
mod inherit_tests;
mod listen;
mod socket;
#[cfg(unix)]
mod socket_file;
mod table;
#[cfg(test)]
mod tests;

use std::io::{self, IoSlice};
use std::net::TcpListener;
#[cfg(unix)]
use std::os::fd::OwnedFd;
#[cfg(unix)]
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use mio::{Events, Poll, Token};

pub use self::listen::Bound;
use self::socket::{Kind, Socket};
use self::table::Table;
use crate::{Address, Close, Event, ListenOptions, Reactor, Received, Sock, Time, Wake, Waker};

/// How many events one poll takes from the system at the most; the rest come with the next poll.
const EVENTS_MAX: usize = 1024;

/// The reactor on the operating system's sockets and its monotonic clock.
///
/// ```
/// use handwound_reactor::{Address, ListenOptions, MioReactor, Reactor, Time};
///
/// # fn main() -> std::io::Result<()> {
/// let mut reactor = MioReactor::new()?;
/// let at = Address::Tcp(([127, 0, 0, 1], 0).into());
/// let listener = reactor.listen(&at, &ListenOptions::default())?;
/// let client = reactor.connect(&reactor.local_address(listener)?)?;
/// let mut events = Vec::new();
/// let server = loop {
///     reactor.poll(&mut events, None)?;
///     if events.iter().any(|event| event.sock == listener && event.readable) {
///         break reactor.accept(listener)?.0;
///     }
/// };
/// assert_eq!(reactor.local_address(server)?, reactor.local_address(listener)?);
/// # let _ = client;
/// # Ok(())
/// # }
/// ```
///
/// Beyond the contract of [`Reactor`]:
/// - Listening sets `SO_REUSEADDR` (except on Windows, where it means something else). `[::]` takes IPv4
///   connections as well, on every system, and so does not go together with `0.0.0.0` on the same port.
/// - A UNIX socket file at which nobody listens is replaced; where somebody does, `listen` gives
///   [`AddrInUse`](io::ErrorKind::AddrInUse). The file goes away when its listener is closed or the reactor is
///   dropped. UNIX sockets know no reset: [`Close::Reset`] closes them.
/// - [`Received::drained`] is told for TCP on Linux. Elsewhere nothing is promised.
/// - A graceful close while bytes from the peer are unread, or still on their way, makes most systems send a
///   reset, and the peer may never see the last bytes that were written. Who wants to be heard ends his own
///   stream first, reads until the peer has ended too (for a limited time), and closes then.
///
/// All of this is tested on Linux only.
pub struct MioReactor {
    epoch: Instant,
    poll: Poll,
    sockets: Table<Socket>,
    /// Listeners that wait for a `listen` at their address.
    inherited: Vec<(Address, Bound)>,
    /// What the last poll has found; kept only for its memory.
    found: Events,
    /// mio allows one per poll, and it has to live as long as the poll does.
    wake: Arc<MioWake>,
}

impl MioReactor {
    /// A reactor without sockets, whose clock starts now.
    ///
    /// # Errors
    /// The system's, when it has no descriptors left.
    pub fn new() -> io::Result<MioReactor> {
        let poll = Poll::new()?;
        let wake = Arc::new(MioWake(mio::Waker::new(poll.registry(), WAKE)?));
        let (sockets, found) = (Table::new(), Events::with_capacity(EVENTS_MAX));
        Ok(MioReactor { epoch: Instant::now(), poll, sockets, inherited: Vec::new(), found, wake })
    }

    /// Keeps a socket that listens already for the next [`listen`](Reactor::listen) at `at`, which then takes it instead
    /// of binding, whatever its options; several for one address are taken in the order they came. A parent process or a
    /// service manager has made it, and may give it to others as well: they share its connections.
    ///
    /// `at` is only a name: port 0, or the address of an endpoint that stands for whatever was inherited.
    ///
    /// # Errors
    /// `InvalidInput` for what is no socket that listens for TCP or UNIX streams.
    #[cfg(unix)]
    pub fn inherit(&mut self, at: Address, listener: OwnedFd) -> io::Result<()> {
        self.inherited.push((at, Bound::adopt(listener)?));
        Ok(())
    }

    /// Takes over a socket that listens already: one inherited from a parent process or a service manager.
    ///
    /// # Errors
    /// The system's, when it does not let us watch the socket.
    pub fn adopt_listener(&mut self, listener: TcpListener) -> io::Result<Sock> {
        listener.set_nonblocking(true)?;
        self.enter(Socket::established(Kind::TcpListener(mio::net::TcpListener::from_std(listener))))
    }

    /// Like [`adopt_listener`](MioReactor::adopt_listener). The socket's file stays when it is closed: whoever
    /// made it may hand it out again.
    ///
    /// # Errors
    /// The system's, when it does not let us watch the socket.
    #[cfg(unix)]
    pub fn adopt_unix_listener(&mut self, listener: UnixListener) -> io::Result<Sock> {
        listener.set_nonblocking(true)?;
        let listener = mio::net::UnixListener::from_std(listener);
        self.enter(Socket::established(Kind::UnixListener { _file: None, listener }))
    }

    /// When this reactor's clock was at zero.
    pub(crate) fn epoch(&self) -> Instant {
        self.epoch
    }

    /// Has the system watch a socket, and gives it its number.
    fn enter(&mut self, mut socket: Socket) -> io::Result<Sock> {
        let token = token_of(self.sockets.vacant());
        // Registering looks at the socket's present state, so what has happened to it before is not missed.
        socket.register(self.poll.registry(), token)?;
        Ok(self.sockets.fill(socket))
    }

    /// Moves what the system has found into `events`; whether anybody has woken us.
    fn collect(&mut self, events: &mut Vec<Event>) -> bool {
        let mut woken = false;
        for found in &self.found {
            if found.token() == WAKE {
                woken = true;
                continue;
            }
            let Some((sock, socket)) = named(&mut self.sockets, found.token()) else { continue };
            socket.note(found);
            // An error ends both directions, and is told by whichever is tried first.
            let failed = found.is_error();
            let readable = failed || found.is_readable() || found.is_read_closed();
            let writable = failed || found.is_writable() || found.is_write_closed();
            events.push(Event { sock, readable, writable });
        }
        woken
    }
}

impl Reactor for MioReactor {
    fn now(&self) -> Time {
        Time::new(self.epoch.elapsed())
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::now()
    }

    fn listen(&mut self, at: &Address, options: &ListenOptions) -> io::Result<Sock> {
        let inherited = self.inherited.iter().position(|(name, _)| name == at);
        let bound = match inherited {
            Some(place) => self.inherited.remove(place).1,
            None => Bound::new(at, options)?,
        };
        self.enter(bound.into_socket())
    }

    fn accept(&mut self, listener: Sock) -> io::Result<(Sock, Address)> {
        let (socket, peer) = self.sockets.get(listener)?.accept()?;
        Ok((self.enter(socket)?, peer))
    }

    fn connect(&mut self, to: &Address) -> io::Result<Sock> {
        let socket = Socket::connect(to)?;
        self.enter(socket)
    }

    fn connect_result(&mut self, sock: Sock) -> io::Result<bool> {
        self.sockets.get_mut(sock)?.connect_result()
    }

    fn local_address(&self, sock: Sock) -> io::Result<Address> {
        self.sockets.get(sock)?.local_address()
    }

    fn read(&mut self, sock: Sock, into: &mut [u8]) -> io::Result<Received> {
        self.sockets.get_mut(sock)?.read(into)
    }

    fn write(&mut self, sock: Sock, from: &[IoSlice<'_>]) -> io::Result<usize> {
        self.sockets.get_mut(sock)?.write(from)
    }

    fn shutdown_write(&mut self, sock: Sock) -> io::Result<()> {
        self.sockets.get(sock)?.shutdown_write()
    }

    fn close(&mut self, sock: Sock, how: Close) {
        let Some(mut socket) = self.sockets.remove(sock) else { return };
        // Before the descriptor goes, or its successor might get our events. It fails only if the system has
        // forgotten the socket already.
        let _ = socket.deregister(self.poll.registry());
        if how == Close::Reset {
            socket.reset_on_close();
        }
    }

    fn poll(&mut self, events: &mut Vec<Event>, until: Option<Time>) -> io::Result<()> {
        events.clear();
        // A time beyond the clock's end is never reached.
        let deadline = until.and_then(|until| self.epoch.checked_add(until.since_start()));
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut self.found, left) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            let woken = self.collect(events);
            if woken || !events.is_empty() || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(());
            }
        }
    }

    fn waker(&self) -> Waker {
        Waker::new(self.wake.clone())
    }
}

/// mio's waker, to be shared.
struct MioWake(mio::Waker);

impl Wake for MioWake {
    fn wake(&self) {
        // It writes to a counter of the system that takes any number of wakes; there is nothing left to fail
        // once it exists.
        let _ = self.0.wake();
    }
}

/// The waker's own token; no socket ever has this name (a table of so many slots does not fit in memory).
const WAKE: Token = Token(usize::MAX);

/// A token is slot and generation where a `usize` holds both. Where it does not, it is the slot alone. That is
/// enough, if less defensive: a socket is deregistered before it is closed, and a batch of events gets its full
/// names before anybody can close anything.
#[cfg(target_pointer_width = "64")]
fn token_of(sock: Sock) -> Token {
    Token((sock.generation as usize) << 32 | sock.slot as usize)
}

#[cfg(not(target_pointer_width = "64"))]
fn token_of(sock: Sock) -> Token {
    Token(sock.slot as usize)
}

/// The socket that a token names, if it is still there.
fn named(sockets: &mut Table<Socket>, token: Token) -> Option<(Sock, &mut Socket)> {
    // The lower half on 64 bits, the whole of it otherwise.
    let slot = token.0 as u32;
    sockets.in_slot(slot).filter(|(sock, _)| token_of(*sock) == token)
}
