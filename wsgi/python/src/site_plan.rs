//! Until the package has sites: an object with an `application` stands for one.

use handwound_reactor::EventLoop;
use handwound_wsgi::{Site, WsgiResource};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::PythonApplication;

/// A site, as Python describes it.
pub struct SitePlan(PythonApplication);

/// The plan of a Python object.
pub fn plan_of(_py: Python<'_>, site: &Bound<'_, PyAny>) -> PyResult<SitePlan> {
    let application = site.getattr("application").map_err(|_| PyTypeError::new_err("a site is needed"))?;
    Ok(SitePlan(PythonApplication::new(application, "application", false)?))
}

impl SitePlan {
    /// The site itself, on the loop's thread.
    pub fn build(self, event_loop: &EventLoop) -> Result<Site, String> {
        Ok(Site::new(WsgiResource::new(event_loop, event_loop.thread_pool(), self.0)))
    }
}
