//! What a test in Python has of its simulation. The module `handwound.testing` puts words around it.

use std::time::Duration;

use handwound_testkit::Parting;
use handwound_wsgi::testing::HttpClient;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::{SERVER, with_sim};

fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("wanted a number of seconds that is not negative, not {seconds}")))
}

/// The simulation that is under way on this thread.
#[pyclass(frozen)]
pub(crate) struct World;

#[pymethods]
impl World {
    fn settle(&self, py: Python<'_>) -> PyResult<()> {
        with_sim(py, |sim| sim.settle())
    }

    fn settle_now(&self, py: Python<'_>) -> PyResult<()> {
        with_sim(py, |sim| sim.settle_now())
    }

    fn step(&self, py: Python<'_>) -> PyResult<bool> {
        with_sim(py, |sim| sim.step())
    }

    fn advance(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        let by = duration(seconds)?;
        with_sim(py, |sim| sim.advance(by))
    }

    fn now(&self, py: Python<'_>) -> PyResult<f64> {
        with_sim(py, |sim| sim.now().since_start().as_secs_f64())
    }

    fn trace(&self, py: Python<'_>) -> PyResult<String> {
        with_sim(py, |sim| sim.trace())
    }

    fn trace_hash(&self, py: Python<'_>) -> PyResult<u64> {
        with_sim(py, |sim| sim.trace_hash())
    }

    fn report_deadlock(&self, py: Python<'_>) -> PyResult<Option<String>> {
        with_sim(py, |sim| sim.report_deadlock())
    }

    /// A client of the server.
    fn connect(&self, py: Python<'_>) -> PyResult<SimulatedClient> {
        let address = SERVER
            .with_borrow(|server| server.as_ref().map(|server| server.address.clone()))
            .ok_or_else(|| PyRuntimeError::new_err("nothing is served: `simulate` was given no application"))?;
        with_sim(py, |sim| {
            SERVER.with_borrow(|server| server.as_ref().map(|server| server.connect(sim)))
        })?
        .map(|client| SimulatedClient { client })
        .ok_or_else(|| PyRuntimeError::new_err(format!("nobody listens at {address}")))
    }
}

/// A client, as the world has it.
#[pyclass(frozen)]
pub(crate) struct SimulatedClient {
    client: HttpClient,
}

#[pymethods]
impl SimulatedClient {
    fn send(&self, py: Python<'_>, bytes: Vec<u8>) {
        py.detach(|| {
            let _for_real = super::ForReal::now();
            self.client.send(bytes);
        });
    }

    fn received<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.client.received())
    }

    fn finish(&self) {
        self.client.finish();
    }

    fn close(&self) {
        self.client.close();
    }

    fn reset(&self) {
        self.client.reset();
    }

    /// How the server has parted: `open`, `finished`, `reset`, `refused` or `unanswered`.
    fn parting(&self) -> &'static str {
        match self.client.closing() {
            Parting::Open => "open",
            Parting::Finished => "finished",
            Parting::Reset => "reset",
            Parting::Refused => "refused",
            Parting::Unanswered => "unanswered",
        }
    }

    /// The final responses that have come whole.
    fn responses<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for response in self.client.whole_responses() {
            let one = PyDict::new(py);
            one.set_item("status", response.status().as_u16())?;
            let headers: Vec<(String, String)> = response
                .headers()
                .iter()
                .map(|(name, value)| (name.to_string(), value.as_bytes().iter().map(|&byte| byte as char).collect()))
                .collect();
            one.set_item("headers", headers)?;
            let body: &[u8] = response.body();
            one.set_item("body", PyBytes::new(py, body))?;
            list.append(one)?;
        }
        Ok(list)
    }
}
