//! A piece of a response body, from the application to the client: what counts as one, and what does not.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use handwound_wsgi::{Call, WriteError};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyString};

use crate::attach::detached;
use crate::module;
use crate::start_response::{kind, shown};

/// Breaches of PEP 3333 that are let through, each with one warning per application.
#[derive(Clone, Copy, Debug)]
pub enum Once {
    /// A `str` in the body.
    StrBody,
    /// A tuple of headers.
    HeadersTuple,
    /// A header that is a list.
    HeaderList,
}

/// From this length on a piece is not copied, but kept by the reactor until it is out. Copying costs twice, into the
/// exchange and behind the head, and is the cheaper way for less: a reference costs an allocation, a visit to PyO3's list
/// of what is to be released, and a longer list of slices for the kernel.
const LONG_BYTES: usize = 8 << 10;

/// What a piece of a body is for its way.
enum Piece<'a> {
    Short(&'a [u8]),
    Long(Bytes),
}

/// How an application is treated, and what it has been told.
pub struct Habits {
    name: String,
    strict: bool,
    warned: [AtomicBool; 3],
}

impl Habits {
    /// For the application `name`; a strict server lets no `str` through.
    pub fn new(name: impl Into<String>, strict: bool) -> Habits {
        Habits { name: name.into(), strict, warned: Default::default() }
    }

    /// Logs a warning, the first time.
    pub fn warn(&self, once: Once, text: impl FnOnce() -> String) {
        if !self.warned[once as usize].swap(true, Ordering::Relaxed) {
            tracing::warn!(application = self.name, "{}; said once", text());
        }
    }

    /// Sends one piece; an empty one does nothing. Detaches from Python where it has to wait for the client.
    ///
    /// # Errors
    /// `TypeError` for what is no piece of a body, `ClientDisconnected`, `RuntimeError` for a write at the wrong time.
    pub fn send(&self, call: &Call, piece: &Bound<'_, PyAny>) -> PyResult<()> {
        match self.piece_of(piece)? {
            Piece::Short([]) => Ok(()),
            Piece::Short(bytes) => write(piece.py(), || call.try_write(bytes), || call.write(bytes)),
            Piece::Long(bytes) => write(piece.py(), || call.try_write_shared(&bytes), || call.write_shared(&bytes)),
        }
    }

    /// Sends the only piece of a body, together with its length.
    ///
    /// # Errors
    /// As [`send`](Habits::send).
    pub fn send_whole(&self, call: &Call, piece: &Bound<'_, PyAny>) -> PyResult<()> {
        match self.piece_of(piece)? {
            Piece::Short(bytes) => write(piece.py(), || call.try_send_whole(bytes), || call.write(bytes)),
            Piece::Long(bytes) => {
                write(piece.py(), || call.try_send_whole_shared(&bytes), || call.write_shared(&bytes))
            }
        }
    }

    fn piece_of<'a>(&self, piece: &'a Bound<'_, PyAny>) -> PyResult<Piece<'a>> {
        if let Ok(bytes) = piece.cast::<PyBytes>() {
            return Ok(match bytes.as_bytes() {
                long if long.len() >= LONG_BYTES => Piece::Long(Bytes::from_owner(PyBackedBytes::from(bytes.clone()))),
                short => Piece::Short(short),
            });
        }
        let Ok(text) = piece.cast::<PyString>() else {
            let hint = if kind(piece) == "int" { "; return [body], not the bytes themselves" } else { "" };
            let (shown, kind) = (shown(piece), kind(piece));
            return Err(PyTypeError::new_err(format!(
                "a piece of a response body must be bytes (PEP 3333), not {shown} ({kind}){hint}"
            )));
        };
        let refusal = |why: &str| {
            let shown = shown(text);
            PyTypeError::new_err(format!(
                "a piece of a response body must be bytes (PEP 3333), not the str {shown}{why}; encode it"
            ))
        };
        if self.strict {
            return Err(refusal(", which --strict refuses"));
        }
        let text = text.to_str().ok().filter(|text| text.is_ascii()).ok_or_else(|| refusal(", which is not ASCII"))?;
        if !text.is_empty() {
            self.warn(Once::StrBody, || {
                "the response body holds a str; PEP 3333 asks for bytes, and only ASCII passes".to_owned()
            });
        }
        Ok(Piece::Short(text.as_bytes()))
    }
}

/// Tries without waiting first. Nobody waits for a client, nor for another thread's write, while attached.
fn write(
    py: Python<'_>,
    at_once: impl FnOnce() -> Result<bool, WriteError>,
    waiting: impl FnOnce() -> Result<(), WriteError> + Send,
) -> PyResult<()> {
    let outcome = match at_once() {
        Ok(false) => detached(py, waiting),
        outcome => outcome.map(drop),
    };
    outcome.map_err(|error| match error {
        WriteError::ClientDisconnected => module::client_left(),
        WriteError::NotStarted | WriteError::Ended => PyRuntimeError::new_err(error.to_string()),
    })
}
