//! What answers in place of a Python resource, on a worker: an application, a file, a folder's list.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use handwound_wsgi::files::{FilesConfig, send_file, send_listing};
use handwound_wsgi::{Application, Call, Failure};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use crate::PythonApplication;
use crate::attach::detached;

/// An application that is told of another path than that of the request: resources on the way have changed it.
pub struct Dressed {
    application: Arc<PythonApplication>,
    script_name: Vec<u8>,
    path_info: Vec<u8>,
}

impl Dressed {
    /// The application itself where there is no other path.
    pub fn at(application: Arc<PythonApplication>, path: Option<(Vec<u8>, Vec<u8>)>) -> Arc<dyn Application> {
        match path {
            None => application,
            Some((script_name, path_info)) => Arc::new(Dressed { application, script_name, path_info }),
        }
    }
}

impl Application for Dressed {
    fn call(&self, call: &Call) -> Result<(), Failure> {
        self.application.call_at(call, &self.script_name, &self.path_info)
    }
}

/// Sends a file, detached from Python.
pub struct SendFile {
    path: PathBuf,
    config: FilesConfig,
}

impl SendFile {
    pub fn new(path: PathBuf, content_type: String) -> SendFile {
        let mut config = FilesConfig::default();
        config.content_type = Some(content_type);
        SendFile { path, config }
    }
}

impl Application for SendFile {
    fn call(&self, call: &Call) -> Result<(), Failure> {
        Python::attach(|py| detached(py, || send_file(call, &self.path, &self.config)))
    }
}

/// Sends the list of what is in a folder, detached from Python.
pub struct SendListing(pub PathBuf);

impl Application for SendListing {
    fn call(&self, call: &Call) -> Result<(), Failure> {
        Python::attach(|py| detached(py, || send_listing(call, &self.0, &FilesConfig::default())))
    }
}

/// Has a pool that is no pool of ours run `job`, by its `callInThread`.
pub fn on_foreign_pool(pool: &Bound<'_, PyAny>, job: impl FnOnce() + Send + 'static) -> PyResult<()> {
    let job = Mutex::new(Some(job));
    let run = move |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
        if let Some(job) = job.lock().unwrap_or_else(PoisonError::into_inner).take() {
            job();
        }
    };
    pool.call_method1("callInThread", (PyCFunction::new_closure(pool.py(), None, None, run)?,)).map(drop)
}
