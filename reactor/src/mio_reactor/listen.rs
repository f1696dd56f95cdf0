//! Sockets that listen, with the options that mio does not set: bound here, or inherited.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
#[cfg(unix)]
use std::path::Path;

use socket2::{Domain, Protocol, Socket as RawSocket, Type};

use super::socket::{Kind, Socket};
#[cfg(unix)]
use super::socket_file::{self, SocketFile};
use crate::{Address, ListenOptions};

/// A socket that listens and belongs to no reactor: for a process that binds, and has others accept. It is their
/// [`MioReactor::inherit`](super::MioReactor::inherit) that takes what this lends.
///
/// As long as it, or one of its duplicates, is open, connections queue up in it; none is lost when one of those who
/// accept from it ends. The file of a UNIX socket goes away when this is dropped, however many duplicates there are.
#[derive(Debug)]
pub struct Bound {
    /// Goes first (fields are dropped in order): nobody shall find a file that refuses.
    #[cfg(unix)]
    file: Option<SocketFile>,
    socket: RawSocket,
    local: Address,
}

impl Bound {
    /// Binds, and starts to listen.
    ///
    /// # Errors
    /// As [`Reactor::listen`](crate::Reactor::listen).
    pub fn new(at: &Address, options: &ListenOptions) -> io::Result<Bound> {
        match at {
            Address::Tcp(address) => tcp(*address, options),
            #[cfg(unix)]
            Address::Unix(Some(path)) => unix(path, options),
            #[cfg(unix)]
            Address::Unix(None) => Err(io::Error::new(io::ErrorKind::InvalidInput, "a UNIX address without a path")),
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "no UNIX sockets on this system")),
        }
    }

    /// What a parent process or a service manager has bound, and listens at. The file of a UNIX socket stays: whoever
    /// made it may hand it out again.
    ///
    /// # Errors
    /// `InvalidInput` for what is no socket that listens for TCP or UNIX streams.
    #[cfg(unix)]
    pub fn adopt(listener: OwnedFd) -> io::Result<Bound> {
        let refuse = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        let socket = RawSocket::from(listener);
        if socket.r#type().ok() != Some(Type::STREAM) {
            return refuse("an inherited descriptor is no stream socket");
        }
        if !socket.is_listener()? {
            return refuse("an inherited socket does not listen");
        }
        let local = local(&socket)?;
        socket.set_nonblocking(true)?;
        // Not for what an application starts.
        socket.set_cloexec(true)?;
        Ok(Bound { file: None, socket, local })
    }

    /// Where it listens: with the port that the system chose.
    pub fn local_address(&self) -> &Address {
        &self.local
    }

    /// The same as a reactor's socket.
    pub(super) fn into_socket(self) -> Socket {
        Socket::established(match self.local {
            Address::Tcp(_) => Kind::TcpListener(mio::net::TcpListener::from_std(self.socket.into())),
            #[cfg(unix)]
            Address::Unix(_) => {
                let listener = mio::net::UnixListener::from_std(self.socket.into());
                Kind::UnixListener { _file: self.file, listener }
            }
            #[cfg(not(unix))]
            Address::Unix(_) => unreachable!("never bound on this system"),
        })
    }
}

#[cfg(unix)]
impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn tcp(address: SocketAddr, options: &ListenOptions) -> io::Result<Bound> {
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not have to wait for old connections to time out. On Windows the option means something
    // else, and what we want is the default.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if options.reuse_port {
        reuse_port(&socket)?;
    }
    if address.is_ipv6() {
        // `[::]` takes IPv4 connections too. The default differs between systems; this is the same on all.
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    start(&socket, options)?;
    let local = local(&socket)?;
    Ok(Bound {
        #[cfg(unix)]
        file: None,
        socket,
        local,
    })
}

#[cfg(unix)]
fn unix(path: &Path, options: &ListenOptions) -> io::Result<Bound> {
    let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
    let file = socket_file::bind(&socket, path, options.unix_mode)?;
    start(&socket, options)?;
    Ok(Bound { file: Some(file), socket, local: Address::Unix(Some(path.to_owned())) })
}

fn start(socket: &RawSocket, options: &ListenOptions) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // The system caps it further (on Linux at net.core.somaxconn).
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))
}

fn local(socket: &RawSocket) -> io::Result<Address> {
    let local = socket.local_addr()?;
    match local.as_socket() {
        Some(address) => Ok(Address::Tcp(address)),
        #[cfg(unix)]
        None if local.is_unix() => Ok(Address::Unix(local.as_pathname().map(Path::to_path_buf))),
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, "a socket that is neither TCP nor UNIX")),
    }
}

/// Linux spreads connections over all who listen with it; macOS gives them to one.
#[cfg(unix)]
fn reuse_port(socket: &RawSocket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(unix))]
fn reuse_port(_: &RawSocket) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system cannot share a port between processes"))
}
