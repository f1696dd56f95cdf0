//! The small responses about files: what is not there, not allowed, elsewhere.

use std::io;
use std::path::Path;

use crate::{Call, Failure};

/// A short text.
pub(super) fn send_text(call: &Call, status: &str, text: &str) -> Result<(), Failure> {
    call.start_response(status, &[("Content-Type", "text/plain; charset=utf-8")])?;
    Ok(call.send_whole(text.as_bytes())?)
}

pub(super) fn send_not_found(call: &Call) -> Result<(), Failure> {
    send_text(call, "404 Not Found", "No such resource.\n")
}

pub(super) fn send_forbidden(call: &Call) -> Result<(), Failure> {
    send_text(call, "403 Forbidden", "You are not allowed to see this.\n")
}

/// Only GET and HEAD ask for files.
pub(super) fn send_not_allowed(call: &Call) -> Result<(), Failure> {
    let headers = [("Allow", "GET, HEAD"), ("Content-Type", "text/plain; charset=utf-8")];
    call.start_response("405 Method Not Allowed", &headers)?;
    Ok(call.send_whole(b"Only GET and HEAD are answered here.\n")?)
}

/// What the client is told where `path` cannot be read. What is nobody's fault but the system's is a failure, and goes
/// to the log.
pub(super) fn send_error(call: &Call, path: &Path, error: &io::Error) -> Result<(), Failure> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => send_forbidden(call),
        _ if is_absent(error) => send_not_found(call),
        _ => Err(Failure::new(format!("cannot read {}: {error}", path.display()))),
    }
}

/// Whether it says that there is no such file, also where there can be none.
pub(super) fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename | InvalidInput) || is_loop(error)
}

#[cfg(unix)]
fn is_loop(error: &io::Error) -> bool {
    // A circle of symbolic links; or one where none is followed.
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::LOOP)
}

#[cfg(not(unix))]
fn is_loop(_error: &io::Error) -> bool {
    false
}
