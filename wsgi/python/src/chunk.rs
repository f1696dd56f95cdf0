//! A piece of a response body, from the application to the client: what counts as one, and what does not.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use handwound_wsgi::{Call, WriteError};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
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
        let bytes = self.bytes_of(piece)?;
        if bytes.is_empty() {
            return Ok(());
        }
        write(piece.py(), call, &bytes, Call::try_write, Call::write)
    }

    /// Sends the only piece of a body, together with its length.
    ///
    /// # Errors
    /// As [`send`](Habits::send).
    pub fn send_whole(&self, call: &Call, piece: &Bound<'_, PyAny>) -> PyResult<()> {
        let bytes = self.bytes_of(piece)?;
        write(piece.py(), call, &bytes, Call::try_send_whole, Call::write)
    }

    fn bytes_of<'a>(&self, piece: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
        if let Ok(bytes) = piece.cast::<PyBytes>() {
            return Ok(Cow::Borrowed(bytes.as_bytes()));
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
        Ok(Cow::Borrowed(text.as_bytes()))
    }
}

/// Tries without waiting first. Nobody waits for a client, nor for another thread's write, while attached.
fn write(
    py: Python<'_>,
    call: &Call,
    bytes: &[u8],
    at_once: impl FnOnce(&Call, &[u8]) -> Result<bool, WriteError>,
    waiting: impl FnOnce(&Call, &[u8]) -> Result<(), WriteError> + Send,
) -> PyResult<()> {
    let outcome = match at_once(call, bytes) {
        Ok(false) => detached(py, || waiting(call, bytes)),
        outcome => outcome.map(drop),
    };
    outcome.map_err(|error| match error {
        WriteError::ClientDisconnected => module::client_left(),
        WriteError::NotStarted | WriteError::Ended => PyRuntimeError::new_err(error.to_string()),
    })
}
