//! One socket of the system behind one type, and what we remember about it.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::SockRef;
use std::time::Duration;

#[cfg(unix)]
use super::socket_file::SocketFile;
use crate::{Address, Received};

/// A socket of the system.
pub(super) enum Kind {
    TcpListener(TcpListener),
    TcpStream(TcpStream),
    /// With the file to remove when we close it; none where the file is somebody else's. It goes first (fields
    /// are dropped in order): nobody shall find a file that refuses.
    #[cfg(unix)]
    UnixListener {
        _file: Option<SocketFile>,
        listener: UnixListener,
    },
    #[cfg(unix)]
    UnixStream(UnixStream),
}

/// A socket of the system, and what we remember about it.
pub(super) struct Socket {
    pub(super) kind: Kind,
    connect: Connect,
    /// An event has said that the peer's stream has an end, an error or an urgent byte in it.
    /// From then on a short read says nothing about what is waiting behind it; see [`Socket::read`].
    interrupted: bool,
}

/// How far a connect has come.
enum Connect {
    Underway,
    Done,
    /// The system tells this once; we tell it every time.
    Failed(Fault),
}

/// An error that can be told more than once.
#[derive(Clone, Copy)]
struct Fault {
    code: Option<i32>,
    kind: io::ErrorKind,
}

impl Fault {
    fn of(error: &io::Error) -> Fault {
        Fault { code: error.raw_os_error(), kind: error.kind() }
    }

    fn error(self) -> io::Error {
        self.code.map_or_else(|| self.kind.into(), io::Error::from_raw_os_error)
    }
}

impl Socket {
    /// A listener, or a stream that was connected when we got it.
    pub(super) fn established(kind: Kind) -> Socket {
        Socket { kind, connect: Connect::Done, interrupted: false }
    }

    /// A stream whose connect is under way.
    pub(super) fn connecting(kind: Kind) -> Socket {
        Socket { kind, connect: Connect::Underway, interrupted: false }
    }

    /// Connects, without waiting.
    pub(super) fn connect(to: &Address) -> io::Result<Socket> {
        match to {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(*address)?;
                send_at_once(&stream);
                Ok(Socket::connecting(Kind::TcpStream(stream)))
            }
            // The system connects UNIX sockets in the call itself, or not at all.
            #[cfg(unix)]
            Address::Unix(Some(path)) => Ok(Socket::established(Kind::UnixStream(UnixStream::connect(path)?))),
            #[cfg(unix)]
            Address::Unix(None) => Err(io::Error::new(io::ErrorKind::InvalidInput, "a UNIX address without a path")),
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "no UNIX sockets on this system")),
        }
    }

    /// Takes a connection from a listener.
    pub(super) fn accept(&self) -> io::Result<(Socket, Address)> {
        match &self.kind {
            Kind::TcpListener(listener) => {
                let (stream, peer) = retry(|| listener.accept())?;
                send_at_once(&stream);
                Ok((Socket::established(Kind::TcpStream(stream)), Address::Tcp(peer)))
            }
            #[cfg(unix)]
            Kind::UnixListener { listener, .. } => {
                let (stream, peer) = retry(|| listener.accept())?;
                Ok((Socket::established(Kind::UnixStream(stream)), unix_address(&peer)))
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "accept on a socket that does not listen")),
        }
    }

    pub(super) fn connect_result(&mut self) -> io::Result<bool> {
        match &self.connect {
            Connect::Done => return Ok(true),
            Connect::Failed(fault) => return Err(fault.error()),
            Connect::Underway => {}
        }
        let Kind::TcpStream(stream) = &self.kind else { unreachable!("only TCP connects take time") };
        // The error first: after a failed connect the system too says "not connected", as before its end.
        if let Some(error) = stream.take_error()? {
            self.connect = Connect::Failed(Fault::of(&error));
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => {
                self.connect = Connect::Done;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn local_address(&self) -> io::Result<Address> {
        match &self.kind {
            Kind::TcpListener(listener) => listener.local_addr().map(Address::Tcp),
            Kind::TcpStream(stream) => stream.local_addr().map(Address::Tcp),
            #[cfg(unix)]
            Kind::UnixListener { listener, .. } => listener.local_addr().map(|address| unix_address(&address)),
            #[cfg(unix)]
            Kind::UnixStream(stream) => stream.local_addr().map(|address| unix_address(&address)),
        }
    }

    /// Reads, and says whether the socket is drained.
    ///
    /// On Linux a short read from a TCP stream means that the receive queue was empty at its end, with three
    /// exceptions, each of which announces itself: the end of the stream, an error, and an urgent byte, at which
    /// reads stop short although more may follow. `epoll_wait` looks at the socket's state when it hands out an
    /// event. So whichever of the three happened before the last event was handed out is in that event's flags,
    /// and has set `interrupted`, and we promise nothing. Whatever happens (or arrives) later wakes the epoll
    /// instance again, which gives a new edge, and that is just what `drained` promises. This holds for an end
    /// that comes along with the data as well: it is in the flags of the same event.
    ///
    /// UNIX streams are never called drained: reads there also stop at passed file descriptors, unannounced.
    /// Other systems may well allow the same argument, but it has been checked on Linux only; there we promise
    /// nothing, which costs one more read per burst.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<Received> {
        if !matches!(self.connect, Connect::Done) {
            return self.while_connecting(|socket| socket.read(into));
        }
        match &self.kind {
            Kind::TcpStream(stream) => {
                let bytes = retry(|| (&*stream).read(into))?;
                let short = bytes > 0 && bytes < into.len();
                Ok(Received { bytes, drained: cfg!(target_os = "linux") && short && !self.interrupted })
            }
            #[cfg(unix)]
            Kind::UnixStream(stream) => retry(|| (&*stream).read(into)).map(|bytes| Received { bytes, drained: false }),
            _ => Err(not_a_stream()),
        }
    }

    pub(super) fn write(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        if !matches!(self.connect, Connect::Done) {
            return self.while_connecting(|socket| socket.write(from));
        }
        match &self.kind {
            Kind::TcpStream(stream) => retry(|| write_slices(stream, from)),
            #[cfg(unix)]
            Kind::UnixStream(stream) => retry(|| write_slices(stream, from)),
            _ => Err(not_a_stream()),
        }
    }

    /// Runs `act` if the connect has succeeded; systems differ in what they say before.
    fn while_connecting<V>(&mut self, act: impl FnOnce(&mut Socket) -> io::Result<V>) -> io::Result<V> {
        match self.connect_result()? {
            true => act(self),
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        match &self.kind {
            Kind::TcpStream(stream) => stream.shutdown(Shutdown::Write),
            #[cfg(unix)]
            Kind::UnixStream(stream) => stream.shutdown(Shutdown::Write),
            _ => Err(not_a_stream()),
        }
    }

    /// Makes the coming close a reset. UNIX sockets know none; there it is a plain close.
    pub(super) fn reset_on_close(&self) {
        if let Kind::TcpStream(stream) = &self.kind {
            // Fails only where the connection is over already.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }

    /// Takes note of what an event says about the peer's stream.
    pub(super) fn note(&mut self, event: &mio::event::Event) {
        self.interrupted |= event.is_read_closed() || event.is_error() || event.is_priority();
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.kind {
            Kind::TcpListener(listener) => listener.register(registry, token, Interest::READABLE),
            Kind::TcpStream(stream) => stream.register(registry, token, STREAM_INTEREST),
            #[cfg(unix)]
            Kind::UnixListener { listener, .. } => listener.register(registry, token, Interest::READABLE),
            #[cfg(unix)]
            Kind::UnixStream(stream) => stream.register(registry, token, Interest::READABLE | Interest::WRITABLE),
        }
    }

    pub(super) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match &mut self.kind {
            Kind::TcpListener(listener) => listener.deregister(registry),
            Kind::TcpStream(stream) => stream.deregister(registry),
            #[cfg(unix)]
            Kind::UnixListener { listener, .. } => listener.deregister(registry),
            #[cfg(unix)]
            Kind::UnixStream(stream) => stream.deregister(registry),
        }
    }
}

/// Urgent bytes are of no interest by themselves, but [`Socket::read`] has to know of them.
#[cfg(target_os = "linux")]
const STREAM_INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
#[cfg(not(target_os = "linux"))]
const STREAM_INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// Without it the system holds small writes back, waiting for more. It can fail only for a connection that is
/// over already, which the next read tells better.
fn send_at_once(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
}

/// Repeats a call that a signal has interrupted.
fn retry<V>(mut call: impl FnMut() -> io::Result<V>) -> io::Result<V> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// One slice, the usual case, goes the shorter way through the kernel.
fn write_slices(mut stream: impl Write, from: &[IoSlice<'_>]) -> io::Result<usize> {
    match from {
        [only] => stream.write(only),
        several => stream.write_vectored(several),
    }
}

#[cfg(unix)]
fn unix_address(address: &std::os::unix::net::SocketAddr) -> Address {
    Address::Unix(address.as_pathname().map(ToOwned::to_owned))
}

fn not_a_stream() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a listener neither reads nor writes")
}
