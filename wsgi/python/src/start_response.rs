//! `start_response` and the `write` that it returns (PEP 3333, "The start_response() Callable").

use std::sync::Arc;

use handwound_wsgi::http1::{BadResponse, ResponseHead};
use handwound_wsgi::{Call, StartError, WriteError};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use crate::chunk::{Habits, Once};
use crate::raw;

/// The two callables of one request, and then of the next.
pub struct StartResponse {
    /// `start_response` itself: the method of that name of `write`. CPython calls it without making a tuple of what it
    /// is given, as it would for an object with `__call__`: 300 instructions less.
    callable: Py<PyAny>,
    write: Py<Write>,
}

/// The callable that sends a piece of the body at once, for applications older than iterables.
#[pyclass(module = "handwound", name = "write")]
pub struct Write {
    /// `None` between two requests, when no application has it.
    turn: Option<Turn>,
}

/// The request that is answered.
struct Turn {
    call: Call,
    habits: Arc<Habits>,
}

impl StartResponse {
    /// Those of no call yet.
    ///
    /// # Errors
    /// None but Python's own lack of memory.
    pub fn new(py: Python<'_>) -> PyResult<StartResponse> {
        let write = Bound::new(py, Write { turn: None })?;
        let callable = write.getattr("start_response")?;
        Ok(StartResponse { callable: callable.unbind(), write: write.unbind() })
    }

    /// `start_response`, for an application.
    pub fn callable(&self) -> &Py<PyAny> {
        &self.callable
    }

    /// From here on they are those of this call.
    pub fn begin(&self, py: Python<'_>, call: Call, habits: Arc<Habits>) {
        self.write.borrow_mut(py).turn = Some(Turn { call, habits });
    }

    /// The call is over. False if the application has kept one of them: then both stay with this call, and refuse what
    /// comes late.
    pub fn end(&self, py: Python<'_>) -> bool {
        // The one has a reference to the other.
        let is_free = raw::is_alone(self.callable.bind(py), 1) && raw::is_alone(self.write.bind(py), 2);
        if is_free {
            self.write.borrow_mut(py).turn = None;
        }
        is_free
    }
}

#[pymethods]
impl Write {
    /// PEP 3333's `start_response`.
    #[pyo3(signature = (status, headers, exc_info = None, /))]
    fn start_response(
        slf: &Bound<'_, Write>,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<Write>> {
        let this = slf.borrow();
        let turn = this.turn()?;
        let outcome = match exc_info {
            None => turn.call.start(turn.checked_head(status, headers)?),
            Some(exc_info) => {
                let exc_info = checked_exc_info(exc_info)?;
                if turn.call.head_sent() {
                    return Err(raised(&exc_info)?);
                }
                match turn.call.restart(turn.checked_head(status, headers)?) {
                    Err(StartError::HeadSent) => return Err(raised(&exc_info)?),
                    outcome => outcome,
                }
            }
        };
        match outcome {
            Ok(()) => Ok(slf.clone().unbind()),
            Err(error) => Err(PyRuntimeError::new_err(error.to_string())),
        }
    }

    #[pyo3(signature = (data, /))]
    fn __call__(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let turn = self.turn()?;
        turn.habits.send(&turn.call, data)
    }
}

impl Write {
    fn turn(&self) -> PyResult<&Turn> {
        self.turn.as_ref().ok_or_else(|| PyRuntimeError::new_err(WriteError::Ended.to_string()))
    }
}

impl Turn {
    /// A head that no client may see closes the connection: nothing behind the 500 can be taken for what it held.
    fn checked_head(&self, status: &Bound<'_, PyAny>, headers: &Bound<'_, PyAny>) -> PyResult<ResponseHead> {
        self.head(status, headers).inspect_err(|error| {
            self.call.refuse_start();
            if error.is_instance_of::<PyValueError>(status.py()) {
                self.call.close_connection();
            }
        })
    }

    fn head(&self, status: &Bound<'_, PyAny>, headers: &Bound<'_, PyAny>) -> PyResult<ResponseHead> {
        let status = status.cast::<PyString>().map_err(|_| wrong("status must be str", status))?;
        let status = raw::latin1_bytes(status).ok_or_else(|| not_latin1("status", status))?;
        let mut head = self.call.new_head(status).map_err(broken)?;
        if let Ok(list) = headers.cast::<PyList>() {
            for header in list {
                self.push(&mut head, &header)?;
            }
        } else if let Ok(tuple) = headers.cast::<PyTuple>() {
            self.habits.warn(Once::HeadersTuple, || {
                "the headers given to start_response are a tuple; PEP 3333 asks for a list".to_owned()
            });
            for header in tuple {
                self.push(&mut head, &header)?;
            }
        } else {
            return Err(wrong("headers must be a list", headers));
        }
        Ok(head)
    }

    fn push(&self, head: &mut ResponseHead, header: &Bound<'_, PyAny>) -> PyResult<()> {
        let rule = "header must be a (str, str) tuple";
        let (name, value) = if let Ok(pair) = header.cast::<PyTuple>() {
            let [name, value] = pair.as_slice() else { return Err(wrong(rule, header)) };
            (name.clone(), value.clone())
        } else if let Some(pair) = header.cast::<PyList>().ok().filter(|pair| pair.len() == 2) {
            self.habits.warn(Once::HeaderList, || {
                format!("the header {} given to start_response is a list; PEP 3333 asks for a tuple", shown(header))
            });
            (pair.get_item(0)?, pair.get_item(1)?)
        } else {
            return Err(wrong(rule, header));
        };
        let name = name.cast::<PyString>().map_err(|_| wrong(rule, header))?;
        let value = value.cast::<PyString>().map_err(|_| wrong(rule, header))?;
        let name_bytes = raw::latin1_bytes(name).ok_or_else(|| not_latin1("header name", name))?;
        let value_bytes =
            raw::latin1_bytes(value).ok_or_else(|| not_latin1(&format!("value of header {}", shown(name)), value))?;
        head.push(name_bytes, value_bytes).map_err(broken)
    }
}

/// What `sys.exc_info()` gives, or a look-alike.
fn checked_exc_info<'py>(exc_info: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    match exc_info.cast::<PyTuple>() {
        Ok(tuple) if tuple.len() == 3 => Ok(tuple.clone()),
        _ => Err(wrong("exc_info must be a tuple as sys.exc_info() gives it", exc_info)),
    }
}

/// The exception in `exc_info`, with its own traceback: `raise exc_info[1].with_traceback(exc_info[2])`.
fn raised(exc_info: &Bound<'_, PyTuple>) -> PyResult<PyErr> {
    let value = exc_info.get_item(1)?.call_method1("with_traceback", (exc_info.get_item(2)?,))?;
    Ok(PyErr::from_value(value))
}

fn broken(rule: BadResponse) -> PyErr {
    PyValueError::new_err(rule.to_string())
}

/// `rule, not 5 (int)`, as Twisted puts it.
fn wrong(rule: &str, value: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!("{rule}, not {} ({})", shown(value), kind(value)))
}

fn not_latin1(what: &str, text: &Bound<'_, PyAny>) -> PyErr {
    PyValueError::new_err(format!("{what} {} has characters outside latin-1 (PEP 3333)", shown(text)))
}

/// The value as Python shows it, in at most some 80 characters.
pub(crate) fn shown(value: &Bound<'_, PyAny>) -> String {
    let repr = value.repr().map_or_else(|_| "?".to_owned(), |repr| repr.to_string_lossy().into_owned());
    match repr.char_indices().nth(80) {
        Some((cut, _)) => format!("{}…", &repr[..cut]),
        None => repr,
    }
}

pub(crate) fn kind(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string())
}
