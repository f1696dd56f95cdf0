//! What a test in Python has of its simulation. The module `handwound.testing` puts words around it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use handwound_testkit::{Break, NetworkOptions, Parting, Trouble, Way};
use handwound_wsgi::testing::HttpClient;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::bridge::{self, ForReal};
use super::{SERVER, SIM, with_sim};

fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("wanted a number of seconds that is not negative, not {seconds}")))
}

/// Labels are few, and the simulation keeps them for good.
fn kept(label: String) -> &'static str {
    static LABELS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut labels = LABELS.lock().unwrap_or_else(PoisonError::into_inner);
    match labels.get(label.as_str()) {
        Some(label) => label,
        None => {
            let label: &'static str = label.leak();
            labels.insert(label);
            label
        }
    }
}

fn families(trouble: &mut Trouble) -> [(&'static str, &mut bool); 9] {
    [
        ("accepts", &mut trouble.accepts),
        ("sockets", &mut trouble.sockets),
        ("breaks", &mut trouble.breaks),
        ("peers", &mut trouble.peers),
        ("starts", &mut trouble.starts),
        ("date", &mut trouble.date),
        ("signals", &mut trouble.signals),
        ("transfers", &mut trouble.transfers),
        ("connects", &mut trouble.connects),
    ]
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

    /// Threads of the program may ask too.
    fn now(&self, py: Python<'_>) -> PyResult<f64> {
        let on_another_thread = || {
            let _for_real = ForReal::now();
            bridge::at_place(|_, place| place.now())
        };
        match SIM.is_set() {
            true => with_sim(py, |sim| sim.now()),
            false => on_another_thread().ok_or_else(|| PyRuntimeError::new_err("no simulation is under way")),
        }
        .map(|now| now.since_start().as_secs_f64())
    }

    fn trace(&self, py: Python<'_>) -> PyResult<String> {
        with_sim(py, |sim| sim.trace())
    }

    fn trace_hash(&self, py: Python<'_>) -> PyResult<u64> {
        with_sim(py, |sim| sim.trace_hash())
    }

    /// One of so many options, for the search to choose.
    fn choose(&self, py: Python<'_>, label: String, options: u32) -> PyResult<u32> {
        let label = kept(label);
        with_sim(py, |sim| sim.choose(label, options))
    }

    /// Of the families that are named, those that strike in this run.
    fn allow_trouble(&self, py: Python<'_>, names: Vec<String>) -> PyResult<Vec<&'static str>> {
        let mut allowed = Trouble::none();
        for name in &names {
            let Some(at) = families(&mut allowed).iter().position(|(known, _)| known == name) else {
                let known = families(&mut allowed).map(|(name, _)| name).join(", ");
                return Err(PyValueError::new_err(format!("no such trouble: {name:?}; there are {known}")));
            };
            *families(&mut allowed)[at].1 = true;
        }
        let mut on = with_sim(py, |sim| sim.allow_trouble(allowed))?;
        Ok(families(&mut on).into_iter().filter(|(_, on)| **on).map(|(name, _)| name).collect())
    }

    fn accept_fails_once(&self, py: Python<'_>, errno: i32) -> PyResult<()> {
        with_sim(py, |sim| sim.accept_fails_once(std::io::Error::from_raw_os_error(errno)))
    }

    fn spawn_fails_once(&self, py: Python<'_>) -> PyResult<()> {
        with_sim(py, |sim| sim.spawn_fails_once())
    }

    /// The date jumps by so many seconds, ahead or back; clocks that only tell durations do not.
    fn date_jumps(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        let by = duration(seconds.abs())?;
        with_sim(py, |sim| if seconds < 0.0 { sim.date_jumps_back(by) } else { sim.date_jumps_ahead(by) })
    }

    fn set_network(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let options = match name {
            "calm" => NetworkOptions::calm(),
            "rough" => NetworkOptions::rough(),
            _ => return Err(PyValueError::new_err(format!("a network is calm or rough, not {name:?}"))),
        };
        with_sim(py, |sim| sim.set_network(options))
    }

    fn set_steps_max(&self, py: Python<'_>, steps: u64) -> PyResult<()> {
        with_sim(py, |sim| sim.set_steps_max(steps))
    }

    fn run_task(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        with_sim(py, |sim| sim.run_task(name))
    }

    /// Threads that have not ended: name, and what they are at.
    fn tasks(&self, py: Python<'_>) -> PyResult<Vec<(String, String)>> {
        with_sim(py, |sim| {
            let tasks = sim.tasks().into_iter();
            tasks.map(|task| (task.name.clone(), format!("{:?}", task.state))).collect()
        })
    }

    fn assert_clean(&self, py: Python<'_>) -> PyResult<()> {
        with_sim(py, |sim| sim.assert_clean())
    }

    fn diagram(&self, py: Python<'_>) -> PyResult<String> {
        with_sim(py, |sim| sim.diagram())
    }

    fn timeline_html(&self, py: Python<'_>) -> PyResult<String> {
        with_sim(py, |sim| sim.timeline_html())
    }

    fn perfetto_json(&self, py: Python<'_>) -> PyResult<String> {
        with_sim(py, |sim| sim.perfetto_json())
    }

    fn report_deadlock(&self, py: Python<'_>) -> PyResult<Option<String>> {
        with_sim(py, |sim| sim.report_deadlock())
    }

    /// A client of the server.
    fn connect(&self, py: Python<'_>) -> PyResult<SimulatedClient> {
        let address = SERVER
            .with_borrow(|server| server.as_ref().map(|server| server.address.clone()))
            .ok_or_else(|| PyRuntimeError::new_err("nothing is served: `simulate` was given no application"))?;
        with_sim(py, |sim| SERVER.with_borrow(|server| server.as_ref().map(|server| server.connect(sim))))?
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
    fn send(&self, py: Python<'_>, bytes: Vec<u8>) -> PyResult<()> {
        with_sim(py, |_| drop(self.client.send(bytes)))
    }

    fn received<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.client.received())
    }

    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        with_sim(py, |_| self.client.finish())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        with_sim(py, |_| self.client.close())
    }

    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        with_sim(py, |_| self.client.reset())
    }

    /// It writes so many bytes at a time, one lot in so many seconds.
    fn write_in(&self, py: Python<'_>, bytes: usize, every: f64) -> PyResult<()> {
        let period = duration(every)?;
        with_sim(py, |_| drop(self.client.write_in(bytes).every(period)))
    }

    /// The same for what it reads.
    fn read_in(&self, py: Python<'_>, bytes: usize, every: f64) -> PyResult<()> {
        let period = duration(every)?;
        with_sim(py, |_| drop(self.client.read_in(bytes).every(period)))
    }

    /// It takes so many bytes and no more, until it reads.
    fn window(&self, py: Python<'_>, bytes: usize) -> PyResult<()> {
        with_sim(py, |_| self.client.window(bytes))
    }

    fn read(&self, py: Python<'_>, bytes: usize) -> PyResult<usize> {
        with_sim(py, |_| self.client.read(bytes))
    }

    fn read_eagerly(&self, py: Python<'_>) -> PyResult<()> {
        with_sim(py, |_| self.client.read_eagerly())
    }

    /// The connection breaks at this byte, counted from its beginning: of what the client sends, or of what it gets.
    fn break_at(&self, py: Python<'_>, byte: u64, how: &str, to_server: bool) -> PyResult<()> {
        let how = match how {
            "reset" => Break::Reset,
            "cut" => Break::Cut,
            "stall" => Break::Stall,
            _ => return Err(PyValueError::new_err(format!("a connection breaks by reset, cut or stall, not {how:?}"))),
        };
        let way = if to_server { Way::ToServer } else { Way::ToClient };
        with_sim(py, |_| drop(self.client.break_at(way, byte, how)))
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
