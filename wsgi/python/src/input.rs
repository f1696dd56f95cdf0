//! `wsgi.input`: the request body as a stream, with the methods PEP 3333 names and the habits of `io.BufferedReader`.
//!
//! The body has been received in full before the application runs, so no read waits for the client.

use std::sync::{Mutex, MutexGuard};

use memchr::memchr;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyList};

use crate::body::Body;

/// How much is looked at for a line end at once, in bytes.
const CHUNK_BYTES: usize = 16 << 10;

/// The stream. Its position is its own, the body is the request's.
#[pyclass(frozen, module = "handwound", name = "Input")]
pub struct Input {
    body: Body,
    reading: Mutex<Reading>,
}

#[derive(Default)]
struct Reading {
    /// Where the next byte comes from.
    position: u64,
    /// A piece of the body around `position`, kept for line after line.
    piece: Vec<u8>,
    piece_at: u64,
}

impl Input {
    /// A stream at the beginning of `body`.
    pub fn new(body: Body) -> Input {
        Input { body, reading: Mutex::new(Reading::default()) }
    }

    fn reading(&self, py: Python<'_>) -> MutexGuard<'_, Reading> {
        // A panic under the lock leaves no half-done state: the position moves last.
        self.reading.lock_py_attached(py).unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn take<'py>(&self, py: Python<'py>, reading: &mut Reading, limit: Option<u64>) -> PyResult<Bound<'py, PyBytes>> {
        let left = self.body.len().saturating_sub(reading.position);
        let wanted = limit.map_or(left, |limit| limit.min(left));
        let length = usize::try_from(wanted).map_err(|_| PyOSError::new_err("the body does not fit into memory"))?;
        if length == 0 {
            self.body.check()?;
            return Ok(PyBytes::new(py, b""));
        }
        let bytes = self.body.bytes_at(py, reading.position, length)?;
        reading.position += wanted;
        Ok(bytes)
    }

    fn line<'py>(&self, py: Python<'py>, reading: &mut Reading, limit: Option<u64>) -> PyResult<Bound<'py, PyBytes>> {
        let limit = limit.unwrap_or(u64::MAX);
        let mut line: Vec<u8> = Vec::new();
        loop {
            let room = limit - line.len() as u64;
            let ahead = reading.ahead(&self.body)?;
            let ahead = &ahead[..ahead.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
            let end = memchr(b'\n', ahead).map(|at| at + 1);
            let part = &ahead[..end.unwrap_or(ahead.len())];
            let is_whole = end.is_some() || part.is_empty();
            let bytes = (is_whole && line.is_empty()).then(|| PyBytes::new(py, part));
            if bytes.is_none() {
                line.extend_from_slice(part);
            }
            reading.position += part.len() as u64;
            match bytes {
                Some(bytes) => return Ok(bytes),
                None if is_whole => return Ok(PyBytes::new(py, &line)),
                None => {}
            }
        }
    }
}

impl Reading {
    /// Some bytes from the position on; none at the end of the body only.
    fn ahead(&mut self, body: &Body) -> PyResult<&[u8]> {
        let is_inside = (self.piece_at..self.piece_at + self.piece.len() as u64).contains(&self.position);
        if !is_inside {
            let left = body.len().saturating_sub(self.position);
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            let mut piece = std::mem::take(&mut self.piece);
            piece.resize(length, 0);
            body.read_exact_at(self.position, &mut piece)?;
            (self.piece, self.piece_at) = (piece, self.position);
        }
        let skip = usize::try_from(self.position - self.piece_at).expect("inside a piece");
        Ok(&self.piece[skip..])
    }
}

#[pymethods]
impl Input {
    /// Up to `size` bytes; all that is left without a size, or with None or a negative one.
    #[pyo3(signature = (size = None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        self.take(py, &mut self.reading(py), limit(size))
    }

    /// One line with its line end, or at most `size` bytes of it; b'' at the end of the body.
    #[pyo3(signature = (size = None, /))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        self.line(py, &mut self.reading(py), limit(size))
    }

    /// Lines until the end, or until they make at least `hint` bytes.
    #[pyo3(signature = (hint = None, /))]
    fn readlines<'py>(&self, py: Python<'py>, hint: Option<i64>) -> PyResult<Bound<'py, PyList>> {
        let hint = limit(hint).filter(|&hint| hint > 0).unwrap_or(u64::MAX);
        let lines = PyList::empty(py);
        let mut total = 0;
        let mut reading = self.reading(py);
        while total < hint {
            let line = self.line(py, &mut reading, None)?;
            if line.as_bytes().is_empty() {
                break;
            }
            total += line.as_bytes().len() as u64;
            lines.append(line)?;
        }
        Ok(lines)
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.line(py, &mut self.reading(py), None)?;
        Ok((!line.as_bytes().is_empty()).then_some(line))
    }
}

fn limit(size: Option<i64>) -> Option<u64> {
    size.and_then(|size| u64::try_from(size).ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::socket_server::python;

    /// Runs Python expressions, one a line, over one stream of `body`; compares with `io.BytesIO`.
    #[track_caller]
    fn as_bytes_io(body: &[u8], calls: &str) {
        python();
        Python::attach(|py| {
            let input = Py::new(py, Input::new(Body::of_bytes(body))).unwrap().into_bound(py).into_any();
            let model = py.import("io").unwrap().call_method1("BytesIO", (PyBytes::new(py, body),)).unwrap();
            for call in calls.lines().map(str::trim).filter(|call| !call.is_empty()) {
                let run = |stream: &Bound<'_, PyAny>| {
                    let names = pyo3::types::PyDict::new(py);
                    names.set_item("s", stream).unwrap();
                    let code = std::ffi::CString::new(format!("repr({call})")).unwrap();
                    py.eval(&code, None, Some(&names)).unwrap().to_string()
                };
                assert_eq!(run(&input), run(&model), "{call}");
            }
        });
    }

    /// PEP 3333, Input and Error Streams.
    #[test]
    fn reads_like_a_file() {
        as_bytes_io(b"hello world", "s.read(5)\n s.read(0)\n s.read()\n s.read()\n s.read(1)");
        as_bytes_io(b"hello", "s.read(None)\n s.read(None)");
        as_bytes_io(b"hello", "s.read(-1)\n s.read(-1)");
        as_bytes_io(b"hello", "s.read(2)\n s.read(99)");
        as_bytes_io(b"", "s.read()\n s.readline()\n s.readlines()\n list(s)");
    }

    #[test]
    fn reads_lines_like_a_file() {
        let body = b"one\ntwo\r\n\nlast";
        as_bytes_io(body, "s.readline()\n s.readline()\n s.readline()\n s.readline()\n s.readline()");
        as_bytes_io(body, "s.readline(2)\n s.readline(2)\n s.readline(0)\n s.readline(-1)\n s.readline(None)");
        as_bytes_io(body, "s.readlines()\n s.readlines()");
        as_bytes_io(body, "s.readlines(4)\n s.readlines(5)\n s.readlines(0)");
        as_bytes_io(body, "s.readlines(None)");
        as_bytes_io(body, "list(s)\n list(s)");
        as_bytes_io(body, "next(s)\n s.read(2)\n s.readline()\n s.read()");
    }

    #[test]
    fn lines_longer_than_a_chunk_stay_whole() {
        let long = [vec![b'a'; CHUNK_BYTES - 1], b"\n".to_vec(), vec![b'b'; 3 * CHUNK_BYTES], b"\nc".to_vec()].concat();
        as_bytes_io(&long, "s.readline()\n s.readline(20000)\n s.readline()\n s.readline()\n s.readline()");
        as_bytes_io(&long, "s.read(10)\n s.readline()\n s.read(10)\n s.readlines()");
    }

    #[test]
    fn a_wrong_size_is_a_type_error() {
        python();
        Python::attach(|py| {
            let input = Py::new(py, Input::new(Body::of_bytes(b"x"))).unwrap();
            let error = input.call_method1(py, "read", ("1",)).unwrap_err();
            assert!(error.is_instance_of::<pyo3::exceptions::PyTypeError>(py), "{error}");
        });
    }
}
