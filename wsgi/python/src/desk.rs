//! What a call under way needs for itself, and leaves to the next: nothing of it is made anew, nor freed, for each
//! request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use handwound_wsgi::Call;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyDict;

use crate::chunk::Habits;
use crate::environ::{Common, Environs, Path};
use crate::start_response::StartResponse;

/// The desks of an application, or of several. There come to be as many as there have been calls under way at once.
pub struct Desks {
    common: Common,
    free: Mutex<Vec<Desk>>,
}

/// One call at a time works at it.
pub struct Desk {
    environs: Box<Environs>,
    start_response: StartResponse,
}

impl Desks {
    /// None yet.
    ///
    /// # Errors
    /// None but Python's own lack of memory.
    pub fn new(py: Python<'_>) -> PyResult<Desks> {
        Ok(Desks { common: Common::new(py)?, free: Mutex::default() })
    }

    /// A desk that is free: the one that was last in use, as what it remembers is at hand.
    ///
    /// # Errors
    /// None but Python's own lack of memory.
    pub fn take(&self, py: Python<'_>) -> PyResult<Desk> {
        match self.free(py).pop() {
            Some(desk) => Ok(desk),
            None => Ok(Desk { environs: Box::new(Environs::new()), start_response: StartResponse::new(py)? }),
        }
    }

    /// The call for which the desk was taken is over; this was its environ.
    pub fn give_back(&self, mut desk: Desk, environ: Bound<'_, PyDict>) {
        let py = environ.py();
        desk.environs.take_back(&self.common, environ);
        if !desk.start_response.end(py) {
            // Without memory for others the desk goes too.
            let Ok(others) = StartResponse::new(py) else { return };
            desk.start_response = others;
        }
        self.free(py).push(desk);
    }

    fn free(&self, py: Python<'_>) -> MutexGuard<'_, Vec<Desk>> {
        self.free.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// The environ of this call.
    ///
    /// # Errors
    /// None but Python's own lack of memory.
    pub fn environ<'py>(
        &mut self,
        py: Python<'py>,
        desks: &Desks,
        call: &Call,
        path: Path<'_>,
    ) -> PyResult<Bound<'py, PyDict>> {
        self.environs.make(py, &desks.common, call, path)
    }

    /// The `start_response` of this call.
    pub fn start_response<'py>(&self, py: Python<'py>, call: &Call, habits: &Arc<Habits>) -> &Bound<'py, PyAny> {
        self.start_response.begin(py, call.clone(), habits.clone());
        self.start_response.callable().bind(py)
    }
}
