//! The operating system's errors by their names, for tests that want an exact one.

use std::fmt;
use std::io;

/// An error of the operating system, with this system's number for it.
///
/// ```
/// use handwound_testkit::EMFILE;
///
/// let error = std::io::Error::from(EMFILE);
/// assert_eq!(error.raw_os_error(), Some(24));
/// assert_eq!(EMFILE.to_string(), "EMFILE");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemError {
    number: i32,
    name: &'static str,
}

impl SystemError {
    const fn new(name: &'static str, linux: i32, bsd: i32) -> SystemError {
        SystemError { name, number: if cfg!(any(target_os = "linux", target_os = "android")) { linux } else { bsd } }
    }
}

/// This process has no descriptor left.
pub const EMFILE: SystemError = SystemError::new("EMFILE", 24, 24);
/// The whole system has no descriptor left.
pub const ENFILE: SystemError = SystemError::new("ENFILE", 23, 23);
/// The connection was gone before it was accepted.
pub const ECONNABORTED: SystemError = SystemError::new("ECONNABORTED", 103, 53);
/// A signal has interrupted the call. No reactor lets it through: it makes the call again, as `MioReactor` does, and so
/// does a simulated one that is told to fail with it. The trace has it.
pub const EINTR: SystemError = SystemError::new("EINTR", 4, 4);
/// No memory for a socket.
pub const ENOMEM: SystemError = SystemError::new("ENOMEM", 12, 12);
/// No buffer for a socket.
pub const ENOBUFS: SystemError = SystemError::new("ENOBUFS", 105, 55);
/// The protocol has failed.
pub const EPROTO: SystemError = SystemError::new("EPROTO", 71, 100);
/// A firewall forbids it.
pub const EPERM: SystemError = SystemError::new("EPERM", 1, 1);
/// Not allowed.
pub const EACCES: SystemError = SystemError::new("EACCES", 13, 13);
/// No watch is left for a socket: the kernel bounds them for each user.
pub const ENOSPC: SystemError = SystemError::new("ENOSPC", 28, 28);
/// No local port is left.
pub const EADDRNOTAVAIL: SystemError = SystemError::new("EADDRNOTAVAIL", 99, 49);
/// No way leads to that network.
pub const ENETUNREACH: SystemError = SystemError::new("ENETUNREACH", 101, 51);
/// No way leads to that host.
pub const EHOSTUNREACH: SystemError = SystemError::new("EHOSTUNREACH", 113, 65);
/// The peer has reset the connection.
pub const ECONNRESET: SystemError = SystemError::new("ECONNRESET", 104, 54);
/// Nobody listens there.
pub const ECONNREFUSED: SystemError = SystemError::new("ECONNREFUSED", 111, 61);
/// The peer does not answer.
pub const ETIMEDOUT: SystemError = SystemError::new("ETIMEDOUT", 110, 60);

impl From<SystemError> for io::Error {
    fn from(error: SystemError) -> io::Error {
        io::Error::from_raw_os_error(error.number)
    }
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
