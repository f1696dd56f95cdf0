//! Where `wsgi.input` reads from: a request's body, or, in tests, some bytes.

use std::io;

use handwound_wsgi::Call;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::module;

/// A request's body, received in full.
pub enum Body {
    /// That of a request under way, or of one that has ended.
    OfCall(Call),
    /// Nothing.
    Empty,
    /// Some bytes.
    #[cfg(test)]
    OfBytes(Vec<u8>),
}

impl Body {
    /// These bytes.
    #[cfg(test)]
    pub fn of_bytes(bytes: &[u8]) -> Body {
        Body::OfBytes(bytes.to_vec())
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Body::OfCall(call) => call.body_len(),
            Body::Empty => 0,
            #[cfg(test)]
            Body::OfBytes(bytes) => bytes.len() as u64,
        }
    }

    /// Whether it may still be read.
    ///
    /// # Errors
    /// `ClientDisconnected`
    pub fn check(&self) -> PyResult<()> {
        match self {
            Body::OfCall(call) if call.is_disconnected() => Err(module::client_left()),
            _ => Ok(()),
        }
    }

    /// Fills `into` from `offset` on; there are as many bytes.
    ///
    /// # Errors
    /// `ClientDisconnected`, or `OSError` for the temporary file that a large body is in.
    pub fn read_exact_at(&self, mut offset: u64, mut into: &mut [u8]) -> PyResult<()> {
        while !into.is_empty() {
            let bytes = self.read_at(offset, into).map_err(failed)?;
            if bytes == 0 {
                return Err(PyOSError::new_err("the request's body ends early"));
            }
            into = &mut into[bytes..];
            offset += bytes as u64;
        }
        Ok(())
    }

    /// As many bytes from `offset` on as an object of Python's, copied once where they are in memory.
    ///
    /// # Errors
    /// As [`read_exact_at`](Self::read_exact_at).
    pub fn bytes_at<'py>(&self, py: Python<'py>, offset: u64, length: usize) -> PyResult<Bound<'py, PyBytes>> {
        if let Body::OfCall(call) = self
            && let Some(bytes) = call.with_body_at(offset, length, |bytes| PyBytes::new(py, bytes)).map_err(failed)?
        {
            return Ok(bytes);
        }
        PyBytes::new_with(py, length, |into| self.read_exact_at(offset, into))
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Body::OfCall(call) => call.read_body_at(offset, into),
            Body::Empty => Ok(0),
            #[cfg(test)]
            Body::OfBytes(bytes) => {
                let from = bytes.get(usize::try_from(offset).expect("tests are small")..).unwrap_or_default();
                let length = from.len().min(into.len());
                into[..length].copy_from_slice(&from[..length]);
                Ok(length)
            }
        }
    }
}

fn failed(error: io::Error) -> PyErr {
    match error.kind() {
        io::ErrorKind::ConnectionAborted => module::client_left(),
        _ => PyErr::from(error),
    }
}
