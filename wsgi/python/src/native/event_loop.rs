//! `_native.EventLoop`: sockets, served by a thread that never runs Python.
//!
//! The thread is made with the loop, and waits for orders: what listens is bound at once, so that whoever asked hears
//! of a port in use. With `start` it serves, and takes orders from the mailbox.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use handwound_reactor::{
    Address, EventLoop, ListenOptions, Listening, MioReactor, OsThreads, PoolConfig, Remote, Stopped, ThreadPool,
};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use super::callbacks::{Call, PyCallbacks, duration};
use super::pool::PyThreadPool;
use super::{host, log_somewhere};
use crate::attach::{AttachWorkers, detached};
use crate::web::{SitePlan, plan_of};

/// What the loop's thread is to do.
type Order = Box<dyn FnOnce(&EventLoop) + Send>;

/// The pool of a loop of its own has as many threads as Twisted's: none at first, ten at the most.
const THREADS: std::ops::RangeInclusive<usize> = 0..=10;

enum Stage {
    /// The thread takes orders here, until it is told to run.
    Waiting(Sender<Order>),
    /// It runs, or has run.
    Running,
}

thread_local! {
    /// What listens, on the loop's thread; closed by number.
    static LISTENING: RefCell<BTreeMap<u64, Listening>> = const { RefCell::new(BTreeMap::new()) };
}

/// An event loop on a thread of its own, or that of the command which serves this program. Its methods may be called
/// from any thread.
#[pyclass(frozen, module = "handwound._native", name = "EventLoop")]
pub struct PyEventLoop {
    remote: Remote,
    pool: ThreadPool,
    stage: Mutex<Stage>,
}

#[pymethods]
impl PyEventLoop {
    #[new]
    fn new(py: Python<'_>) -> PyResult<PyEventLoop> {
        log_somewhere();
        let (orders, to_do) = mpsc::channel();
        let (made, answer) = mpsc::channel();
        thread::Builder::new().name("reactor".to_owned()).spawn(move || run(&made, &to_do))?;
        let outcome = detached(py, move || answer.recv()).map_err(|_| gone())?;
        let (remote, pool) = outcome?;
        Ok(PyEventLoop { remote, pool, stage: Mutex::new(Stage::Waiting(orders)) })
    }

    /// The loop of the command that serves this program; None where there is none.
    #[staticmethod]
    fn of_command() -> Option<PyEventLoop> {
        let (remote, pool) = host::hosting()?;
        Some(PyEventLoop { remote, pool, stage: Mutex::new(Stage::Running) })
    }

    /// The loop's own pool: its threads start with the loop, and end with it.
    fn pool(&self) -> PyThreadPool {
        PyThreadPool::of(self.pool.clone())
    }

    /// Serves from here on. When the loop has ended, `callbacks` calls `on_end`.
    fn start(&self, callbacks: &PyCallbacks, on_end: Bound<'_, PyAny>) -> PyResult<()> {
        let (calls, on_end) = (Arc::clone(&callbacks.calls), Call::of(on_end));
        let run: Order = Box::new(move |event_loop| {
            match event_loop.run() {
                Ok(stopped) => report(&stopped),
                Err(error) => tracing::error!(%error, "the event loop failed"),
            }
            // Refused only after the callbacks' own end, when nobody waits for this; a Python object is then dropped
            // where Python runs next.
            let _ = calls.post(on_end);
        });
        let mut stage = self.stage();
        let Stage::Waiting(orders) = &*stage else {
            return Err(PyRuntimeError::new_err("this event loop has been started already"));
        };
        orders.send(run).map_err(|_| gone())?;
        *stage = Stage::Running;
        Ok(())
    }

    /// Stops in an orderly way: takes no connection, finishes what is under way, cuts off what is not done in
    /// `patience` seconds; with None, in the loop's own time.
    fn stop(&self, patience: Option<f64>) -> PyResult<()> {
        let patience = patience.map(duration).transpose()?;
        // A loop that has ended needs no stop.
        let _ = self.remote.call_from_thread(move |event_loop| {
            let patience = patience.or_else(host::patience).unwrap_or(event_loop.config().stop_max);
            let _ = event_loop.stop_within(patience);
        });
        Ok(())
    }

    /// Whether it is the loop of a command that serves already.
    fn is_serving(&self) -> bool {
        host::is_serving()
    }

    /// Serves `site` on a TCP port, 0 for any that is free; returns the number of what listens, its host and its port.
    fn listen_tcp(
        &self,
        py: Python<'_>,
        site: &Bound<'_, PyAny>,
        interface: &str,
        port: u16,
        backlog: u32,
    ) -> PyResult<(u64, String, u16)> {
        let plan = plan_of(py, site)?;
        let at = Address::from(resolved(py, interface, port)?);
        let (number, local) = self.listen(py, plan, at, backlog, None)?;
        let local = local.tcp().expect("what listens on TCP has an IP address");
        Ok((number, local.ip().to_string(), local.port()))
    }

    /// Serves `site` on a UNIX socket with these permissions; returns the number of what listens.
    fn listen_unix(
        &self,
        py: Python<'_>,
        site: &Bound<'_, PyAny>,
        path: PathBuf,
        mode: Option<u32>,
        backlog: u32,
    ) -> PyResult<u64> {
        let plan = plan_of(py, site)?;
        Ok(self.listen(py, plan, Address::Unix(Some(path)), backlog, mode)?.0)
    }

    /// Takes no further connection there. Does nothing the second time.
    fn stop_listening(&self, py: Python<'_>, number: u64) {
        // A loop that has ended listens to nothing.
        let _ = self.ask(py, move |event_loop| {
            if let Some(listening) = LISTENING.with_borrow_mut(|all| all.remove(&number)) {
                listening.close(event_loop);
            }
        });
    }
}

impl PyEventLoop {
    fn listen(
        &self,
        py: Python<'_>,
        plan: SitePlan,
        at: Address,
        backlog: u32,
        unix_mode: Option<u32>,
    ) -> PyResult<(u64, Address)> {
        let mut options = ListenOptions::default();
        (options.backlog, options.unix_mode) = (backlog, unix_mode);
        let outcome = self.ask(py, move |event_loop| {
            let site = plan.build(event_loop).map_err(PyValueError::new_err)?;
            let listening = site.listen(event_loop, &at, &options).map_err(system_error)?;
            let local = listening.local_address().clone();
            let number = LISTENING.with_borrow_mut(|all| {
                let number = all.keys().next_back().map_or(0, |last| last + 1);
                all.insert(number, listening);
                number
            });
            PyResult::Ok((number, local))
        });
        outcome?
    }

    /// Has the loop's thread do something, and waits for it.
    fn ask<T: Send + 'static>(
        &self,
        py: Python<'_>,
        order: impl FnOnce(&EventLoop) -> T + Send + 'static,
    ) -> PyResult<T> {
        if host::is_my_loop(&self.remote)
            && let Some(event_loop) = host::event_loop()
        {
            return Ok(order(&event_loop));
        }
        let (sender, answer) = mpsc::channel();
        let order = move |event_loop: &EventLoop| {
            // Whoever asked may have been unwound.
            let _ = sender.send(order(event_loop));
        };
        match &*self.stage() {
            Stage::Waiting(orders) => orders.send(Box::new(order)).map_err(|_| gone())?,
            Stage::Running => {
                self.remote.call_from_thread(order).map_err(|error| PyRuntimeError::new_err(error.to_string()))?
            }
        }
        detached(py, move || answer.recv()).map_err(|_| gone())
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The system's error, with its number where there is one, by which Python chooses the class.
fn system_error(error: io::Error) -> PyErr {
    let Some(code) = error.raw_os_error() else { return error.into() };
    let text = error.to_string();
    let text = text.strip_suffix(&format!(" (os error {code})")).unwrap_or(&text);
    PyOSError::new_err((code, text.to_owned()))
}

fn gone() -> PyErr {
    PyRuntimeError::new_err("the event loop has ended")
}

/// The loop's thread, from the first order to the end.
fn run(made: &Sender<io::Result<(Remote, ThreadPool)>>, orders: &Receiver<Order>) {
    let reactor = match MioReactor::new() {
        Ok(reactor) => reactor,
        Err(error) => return drop(made.send(Err(error))),
    };
    let threads = OsThreads::beside(&reactor);
    let event_loop = EventLoop::new(reactor, threads);
    event_loop.suggest_thread_pool(PoolConfig::from(THREADS));
    let pool = event_loop.thread_pool();
    pool.set_hook(Arc::new(AttachWorkers));
    if made.send(Ok((event_loop.remote().clone(), pool))).is_err() {
        return;
    }
    // The last order is to run, after which the other end is gone.
    for order in orders {
        order(&event_loop);
    }
}

fn report(stopped: &Stopped) {
    for busy in &stopped.stuck {
        tracing::warn!("{} is stuck in {}", busy.worker, busy.job);
    }
    for busy in stopped.late.iter().filter(|late| !stopped.stuck.contains(late)) {
        tracing::warn!("{} was not done in time with {}; its connection was cut", busy.worker, busy.job);
    }
}

/// The address of an interface as Twisted names it: '' is all of IPv4, '::' all of IPv6, or an address, or a name.
fn resolved(py: Python<'_>, interface: &str, port: u16) -> PyResult<SocketAddr> {
    if interface.is_empty() {
        return Ok((Ipv4Addr::UNSPECIFIED, port).into());
    }
    if let Ok(ip) = interface.parse::<IpAddr>() {
        return Ok((ip, port).into());
    }
    let found = detached(py, || (interface, port).to_socket_addrs()).map_err(system_error)?.next();
    found.ok_or_else(|| PyValueError::new_err(format!("the name '{interface}' has no address")))
}
