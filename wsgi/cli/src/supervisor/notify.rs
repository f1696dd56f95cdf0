//! News for a service manager, as systemd's `sd_notify` has them: a datagram to the socket that `NOTIFY_SOCKET` names.

use std::ffi::OsStr;
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells the service manager that has started this process, if there is one: `READY=1` and the like.
pub(crate) fn tell(state: &str) {
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET") {
        // A service manager that does not listen misses nothing that we depend on.
        let _ = send(&socket, state);
    }
}

/// `RELOADING=1`, with the time that systemd wants beside it.
pub(super) fn tell_reloading() {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
}

fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let datagram = UnixDatagram::unbound()?;
    datagram.set_nonblocking(true)?;
    datagram.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(receiver: &UnixDatagram, socket: &OsStr) {
        send(socket, "READY=1").unwrap();
        let mut received = [0; 64];
        let bytes = receiver.recv(&mut received).unwrap();
        assert_eq!(&received[..bytes], b"READY=1");
    }

    #[test]
    fn a_datagram_comes_to_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        check(&UnixDatagram::bind(&path).unwrap(), path.as_os_str());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_datagram_comes_to_an_abstract_name() {
        let name = format!("handwound-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        check(&UnixDatagram::bind_addr(&address).unwrap(), OsStr::new(&format!("@{name}")));
    }

    #[test]
    fn nobody_there_is_no_panic() {
        assert!(send(OsStr::new("/nowhere/at/all"), "READY=1").is_err());
    }
}
