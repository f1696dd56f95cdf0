//! The files that an application is made of, for whoever wants to see it begin anew when one changes.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use handwound_cli::Sources;
use pyo3::exceptions::PySyntaxError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTraceback};

/// Files that an exception names, since a module that failed is among the modules no more, and scripts.
static FAILED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The files of all modules that have been imported, and of those that failed.
pub(crate) struct PythonSources;

impl Sources for PythonSources {
    fn files(&self) -> Vec<PathBuf> {
        let mut files = FAILED.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // What a module says of itself may be anything; what it does not say is not watched.
        let _ = Python::attach(|py| of_modules(py, &mut files));
        files
    }
}

/// Keeps a file that is run, and is no module.
pub(crate) fn note_file(file: &std::path::Path) {
    FAILED.lock().unwrap_or_else(PoisonError::into_inner).push(file.to_owned());
}

/// Keeps the files in which this exception was raised, and of which it complains.
pub(crate) fn note_failure(py: Python<'_>, error: &PyErr) {
    let mut files = Vec::new();
    let mut next = Some(error.clone_ref(py));
    // Its causes too; one may be its own cause.
    for _ in 0..16 {
        let Some(error) = next else { break };
        if let Some(traceback) = error.traceback(py) {
            let _ = of_traceback(traceback, &mut files);
        }
        if error.is_instance_of::<PySyntaxError>(py)
            && let Ok(file) = error.value(py).getattr("filename").and_then(|name| name.extract::<PathBuf>())
        {
            files.push(file);
        }
        next = error.cause(py);
    }
    // Such as `<frozen importlib._bootstrap>`.
    files.retain(|file| file.is_file());
    FAILED.lock().unwrap_or_else(PoisonError::into_inner).extend(files);
}

fn of_traceback(traceback: Bound<'_, PyTraceback>, files: &mut Vec<PathBuf>) -> PyResult<()> {
    let mut next = traceback.into_any();
    while !next.is_none() {
        files.push(next.getattr("tb_frame")?.getattr("f_code")?.getattr("co_filename")?.extract()?);
        next = next.getattr("tb_next")?;
    }
    Ok(())
}

fn of_modules(py: Python<'_>, files: &mut Vec<PathBuf>) -> PyResult<()> {
    // A copy: other threads may import meanwhile.
    let modules = py.import("sys")?.getattr("modules")?.call_method0("copy")?.cast_into::<PyDict>()?;
    for module in modules.values() {
        // Asking may run code of the module's own, which may raise.
        let file = module.getattr("__file__").and_then(|file| file.extract::<Option<PathBuf>>());
        files.extend(file.ok().flatten().filter(|file| file.is_file()));
    }
    Ok(())
}
