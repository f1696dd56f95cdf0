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
/// A signal has interrupted the call. `MioReactor` retries and never lets it through; a reactor of one's own may.
pub const EINTR: SystemError = SystemError::new("EINTR", 4, 4);
/// No memory for a socket.
pub const ENOMEM: SystemError = SystemError::new("ENOMEM", 12, 12);
/// No buffer for a socket.
pub const ENOBUFS: SystemError = SystemError::new("ENOBUFS", 105, 55);
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
