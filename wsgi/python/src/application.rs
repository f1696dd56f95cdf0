//! A Python WSGI application as an [`Application`]: one call, its result sent, `close()` run, whatever happens.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use handwound_wsgi::{Application, Call, Failure};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::chunk::Habits;
use crate::desk::Desks;
use crate::environ::Path;
use crate::module::ClientDisconnected;
use crate::start_response::kind;

/// A Python callable that is served. Runs on workers; attaches to Python for each call, unless the worker is attached.
pub struct PythonApplication {
    callable: Py<PyAny>,
    desks: Arc<Desks>,
    habits: Arc<Habits>,
}

impl PythonApplication {
    /// Serves `callable`, which the log will call `name`.
    ///
    /// With `strict`, no `str` in a response body is let through.
    ///
    /// # Errors
    /// None but Python's own lack of memory.
    pub fn new(callable: Bound<'_, PyAny>, name: &str, strict: bool) -> PyResult<PythonApplication> {
        let desks = Desks::new(callable.py())?;
        let habits = Arc::new(Habits::new(name, strict));
        Ok(PythonApplication::sharing(callable, Arc::new(desks), habits))
    }

    /// As [`new`](PythonApplication::new), with what other applications use too.
    pub(crate) fn sharing(callable: Bound<'_, PyAny>, desks: Arc<Desks>, habits: Arc<Habits>) -> PythonApplication {
        PythonApplication { callable: callable.unbind(), desks, habits }
    }

    /// Serves a request as if its path were another one, in these two parts, decoded.
    ///
    /// # Errors
    /// As [`Application::call`].
    pub(crate) fn call_at(&self, call: &Call, script_name: &[u8], path_info: &[u8]) -> Result<(), Failure> {
        self.served(call, Some((script_name, path_info)))
    }

    fn served(&self, call: &Call, path: Path<'_>) -> Result<(), Failure> {
        Python::attach(|py| {
            self.respond(py, call, path).map_err(|error| match error.is_instance_of::<ClientDisconnected>(py) {
                true => Failure::ClientDisconnected,
                false => Failure::new(traceback(py, &error)),
            })
        })
    }

    fn respond(&self, py: Python<'_>, call: &Call, path: Path<'_>) -> PyResult<()> {
        let mut desk = self.desks.take(py)?;
        let environ = desk.environ(py, &self.desks, call, path)?;
        let answered = self.answer(py, call, &environ, desk.start_response(py, call, &self.habits));
        self.desks.give_back(desk, environ);
        answered
    }

    fn answer(
        &self,
        py: Python<'_>,
        call: &Call,
        environ: &Bound<'_, PyDict>,
        start_response: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let result = self.callable.bind(py).call1((environ, start_response))?;
        // Even a panic of ours does not spare the application its close().
        let sent = catch_unwind(AssertUnwindSafe(|| self.send(call, &result)));
        let closed = close(&result);
        match (sent.unwrap_or_else(|payload| resume_unwind(payload)), closed) {
            (Err(error), closed) => {
                // The log gets both; the response fails for the first.
                if let Err(second) = closed {
                    report(py, call, &second);
                }
                Err(error)
            }
            // The body was complete: the client need not suffer for what comes after it.
            (Ok(()), Err(error)) if call.is_started() => {
                report(py, call, &error);
                Ok(())
            }
            (Ok(()), closed) => closed,
        }
    }

    fn send(&self, call: &Call, result: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Some(only) = only_piece(result) {
            check_started(call)?;
            return self.habits.send_whole(call, &only);
        }
        for piece in pieces(result)? {
            let piece = piece?;
            // Nobody reads it any more: the application is asked for no further piece.
            if call.is_disconnected() {
                return Ok(());
            }
            self.habits.send(call, &piece)?;
        }
        check_started(call)
    }
}

impl Application for PythonApplication {
    fn call(&self, call: &Call) -> Result<(), Failure> {
        self.served(call, None)
    }
}

/// The piece of a body that has no other. Exact lists and tuples only: others may count wrongly, or change.
fn only_piece<'py>(result: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    if let Ok(list) = result.cast_exact::<PyList>() {
        return (list.len() == 1).then(|| list.get_item(0).ok()).flatten();
    }
    let tuple = result.cast_exact::<PyTuple>().ok()?;
    (tuple.len() == 1).then(|| tuple.get_item(0).ok()).flatten()
}

fn pieces<'py>(result: &Bound<'py, PyAny>) -> PyResult<Bound<'py, pyo3::types::PyIterator>> {
    let rule = "an application must return an iterable of bytes (PEP 3333)";
    if result.is_none() {
        return Err(PyTypeError::new_err(format!("{rule}, not None; is a return missing?")));
    }
    if result.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err(format!("{rule}, not a str; return [text.encode()]")));
    }
    result.try_iter().map_err(|error| match error.is_instance_of::<PyTypeError>(result.py()) {
        true if !has_iter(result) => PyTypeError::new_err(format!("{rule}, not {}", kind(result))),
        _ => error,
    })
}

fn has_iter(result: &Bound<'_, PyAny>) -> bool {
    ["__iter__", "__getitem__"].iter().any(|name| result.get_type().hasattr(*name).unwrap_or(false))
}

fn check_started(call: &Call) -> PyResult<()> {
    match call.is_started() {
        true => Ok(()),
        false => Err(PyRuntimeError::new_err("the application returned without calling start_response (PEP 3333)")),
    }
}

/// `close()` of the iterable, if it has one (PEP 3333, "Specification Details"). To be called once.
fn close(result: &Bound<'_, PyAny>) -> PyResult<()> {
    // Exact lists and tuples have none; they are what most applications return.
    if result.is_exact_instance_of::<PyList>() || result.is_exact_instance_of::<PyTuple>() {
        return Ok(());
    }
    match result.getattr_opt("close")? {
        Some(close) => close.call0().map(drop),
        None => Ok(()),
    }
}

fn report(py: Python<'_>, call: &Call, error: &PyErr) {
    if !error.is_instance_of::<ClientDisconnected>(py) {
        tracing::error!(request = %call.request(), "in close() of the application's iterable: {}", traceback(py, error));
    }
}

/// The whole of what Python would print for `error`, chained exceptions included.
pub(crate) fn traceback(py: Python<'_>, error: &PyErr) -> String {
    let lines = || -> PyResult<String> {
        let value = error.value(py);
        let arguments = (value.get_type(), value, error.traceback(py));
        let lines = py.import("traceback")?.call_method1("format_exception", arguments)?;
        PyString::new(py, "").call_method1("join", (lines,))?.extract()
    };
    lines().map_or_else(|_| error.to_string(), |text| text.trim_end().to_owned())
}
