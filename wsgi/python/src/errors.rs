//! `wsgi.errors`: what an application writes there becomes log events.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// The stream. One serves all requests: it holds nothing back.
#[pyclass(frozen, module = "handwound", name = "Errors")]
pub struct Errors;

#[pymethods]
impl Errors {
    /// Logs one event with this text.
    fn write(&self, text: &Bound<'_, PyAny>) -> PyResult<usize> {
        let text = checked(text)?;
        log(&text.to_string_lossy());
        text.len()
    }

    /// Logs one event with all of these texts, joined.
    fn writelines(&self, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut joined = String::new();
        for line in lines.try_iter()? {
            joined.push_str(&checked(&line?)?.to_string_lossy());
        }
        log(&joined);
        Ok(())
    }

    /// Does nothing: nothing is held back.
    fn flush(&self) {}
}

fn checked<'a, 'py>(text: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyString>> {
    text.cast::<PyString>().map_err(|_| {
        let kind = text.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
        PyTypeError::new_err(format!("wsgi.errors takes str, not {kind}"))
    })
}

/// `print` writes its line end by itself: a line end alone is no event.
fn log(text: &str) {
    let text = text.trim_end_matches(['\r', '\n']);
    if !text.is_empty() {
        tracing::error!(target: "wsgi.errors", "{text}");
    }
}
