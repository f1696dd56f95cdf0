//! What a call under way needs for itself, and leaves to the next: nothing of it is made anew, nor freed, for each
//! request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use handwound_wsgi::Call;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyDict;

use crate::chunk::Habits;
use crate::environ::{Common, Environs};
use crate::start_response::StartResponse;

/// The desks of an application, or of several. There come to be as many as there have been calls under way at once.
pub struct Desks {
    common: Common,
    free: Mutex<Vec<Desk>>,
}

/// One call at a time works at it.
pub struct Desk {
    pub environs: Box<Environs>,
    start_response: Option<Py<StartResponse>>,
}

impl Desks {
    /// None yet.
    ///
    /// # Errors
    /// None but Python's own lack of memory.
    pub fn new(py: Python<'_>) -> PyResult<Desks> {
        Ok(Desks { common: Common::new(py)?, free: Mutex::default() })
    }

    /// What the environs of all have in common.
    pub fn common(&self) -> &Common {
        &self.common
    }

    /// A desk that is free: the one that was last in use, as what it remembers is at hand.
    pub fn take(&self, py: Python<'_>) -> Desk {
        let desk = self.free(py).pop();
        desk.unwrap_or_else(|| Desk { environs: Box::new(Environs::new()), start_response: None })
    }

    /// Frees a desk.
    pub fn give_back(&self, py: Python<'_>, desk: Desk) {
        self.free(py).push(desk);
    }

    fn free(&self, py: Python<'_>) -> MutexGuard<'_, Vec<Desk>> {
        self.free.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// The `start_response` of this call.
    ///
    /// # Errors
    /// None but Python's own lack of memory.
    pub fn start_response<'py>(
        &mut self,
        py: Python<'py>,
        call: &Call,
        habits: &Arc<Habits>,
    ) -> PyResult<Bound<'py, StartResponse>> {
        let (call, habits) = (call.clone(), habits.clone());
        match self.start_response.take() {
            Some(last) => {
                last.get().begin(py, call, habits);
                Ok(last.into_bound(py))
            }
            None => Bound::new(py, StartResponse::new(py, call, habits)?),
        }
    }

    /// The call is over.
    pub fn clear(&mut self, common: &Common, environ: Bound<'_, PyDict>, start_response: Bound<'_, StartResponse>) {
        self.environs.take_back(common, environ);
        self.start_response = StartResponse::end(&start_response).then(|| start_response.unbind());
    }
}
