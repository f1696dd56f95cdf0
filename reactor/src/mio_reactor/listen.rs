//! Sockets that listen, with the options that mio does not set.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;

use socket2::{Domain, Protocol, Socket as RawSocket, Type};

use super::socket::{Kind, Socket};
#[cfg(unix)]
use super::socket_file;
use crate::{Address, ListenOptions};

/// Starts to listen.
pub(super) fn listen(at: &Address, options: &ListenOptions) -> io::Result<Socket> {
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

fn tcp(address: SocketAddr, options: &ListenOptions) -> io::Result<Socket> {
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
    Ok(Socket::established(Kind::TcpListener(mio::net::TcpListener::from_std(socket.into()))))
}

#[cfg(unix)]
fn unix(path: &Path, options: &ListenOptions) -> io::Result<Socket> {
    let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
    let file = socket_file::bind(&socket, path, options.unix_mode)?;
    start(&socket, options)?;
    let listener = mio::net::UnixListener::from_std(socket.into());
    Ok(Socket::established(Kind::UnixListener { _file: Some(file), listener }))
}

fn start(socket: &RawSocket, options: &ListenOptions) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // The system caps it further (on Linux at net.core.somaxconn).
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))
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
