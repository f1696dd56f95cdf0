//! `_native.ThreadPool`: a pool of threads that run Python.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use handwound_cli::logging::{self, say};
use handwound_reactor::{JobRefused, OsThreads, PoolConfig, ThreadPool};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::log_somewhere;
use crate::application::traceback;
use crate::attach::{AttachWorkers, detached};
use crate::start;

pyo3::create_exception!(handwound.python.threadpool, AlreadyQuit, PyRuntimeError, "The pool has been stopped.");
pyo3::create_exception!(handwound.python.threadpool, QueueFull, PyRuntimeError, "Too many calls wait for a thread.");

/// Pools that run, for the end of the process.
static RUNNING: Mutex<Vec<ThreadPool>> = Mutex::new(Vec::new());

/// How long pools that nobody has stopped may take at the end of the process.
const LEFT_MAX: Duration = Duration::from_secs(5);

thread_local! {
    /// The pool whose call this thread makes.
    static MINE: RefCell<Option<ThreadPool>> = const { RefCell::new(None) };
}

/// A pool of threads. Its methods may be called from any thread.
#[pyclass(frozen, module = "handwound._native", name = "ThreadPool")]
pub struct PyThreadPool {
    pool: ThreadPool,
}

impl PyThreadPool {
    /// A handle on `pool`, whose workers have [`AttachWorkers`] for a hook.
    pub fn of(pool: ThreadPool) -> PyThreadPool {
        PyThreadPool { pool }
    }

    /// The pool itself.
    pub fn pool(&self) -> &ThreadPool {
        &self.pool
    }
}

#[pymethods]
impl PyThreadPool {
    #[new]
    fn new(min: usize, max: usize, name: &str) -> PyResult<PyThreadPool> {
        let mut config = PoolConfig::from(checked(min, max)?);
        config.name = name.to_owned();
        let pool = ThreadPool::new(OsThreads::new(), config);
        pool.set_hook(Arc::new(AttachWorkers));
        Ok(PyThreadPool { pool })
    }

    /// Starts the threads; calls that wait are made now.
    fn start(&self, py: Python<'_>) -> PyResult<()> {
        log_somewhere();
        running().push(self.pool.clone());
        Ok(detached(py, || self.pool.start())?)
    }

    /// Takes no further calls, makes those that wait, and waits until all threads have ended.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        if MINE.with_borrow(|mine| mine.as_ref().is_some_and(|mine| mine.is(&self.pool))) {
            return Err(PyRuntimeError::new_err("a thread of the pool cannot wait for the pool's end"));
        }
        // A wait without end, as the deadline is beyond all clocks.
        let _ = detached(py, || self.pool.stop(Duration::MAX));
        running().retain(|pool| !pool.is(&self.pool));
        Ok(())
    }

    /// Other numbers of threads.
    fn resize(&self, py: Python<'_>, min: usize, max: usize) -> PyResult<()> {
        let threads = checked(min, max)?;
        detached(py, || self.pool.resize(threads));
        Ok(())
    }

    /// The least and the largest number of threads.
    fn bounds(&self) -> (usize, usize) {
        let bounds = self.pool.bounds();
        (*bounds.start(), *bounds.end())
    }

    /// How many threads there are, how many of them make a call, and how many calls wait.
    fn counts(&self) -> (usize, usize, usize) {
        let counts = self.pool.counts();
        (counts.threads, counts.busy, counts.queued)
    }

    /// Has function(*args, **kwargs) called on a thread, and on_result(success, result) with what came of it, on the
    /// same one. Without on_result, an exception is logged.
    #[pyo3(signature = (on_result, function, args, kwargs=None))]
    fn submit(
        &self,
        on_result: Option<Py<PyAny>>,
        function: Py<PyAny>,
        args: Py<PyTuple>,
        kwargs: Option<Py<PyDict>>,
    ) -> PyResult<()> {
        let pool = self.pool.clone();
        let job = move || {
            MINE.replace(Some(pool));
            Python::attach(|py| work(py, on_result, &function, args, kwargs));
            MINE.take();
        };
        self.pool.submit(job).map_err(|refused| match refused {
            JobRefused::Stopped | JobRefused::NoThreads => AlreadyQuit::new_err(refused.to_string()),
            JobRefused::Full => QueueFull::new_err(refused.to_string()),
        })
    }
}

fn work(
    py: Python<'_>,
    on_result: Option<Py<PyAny>>,
    function: &Py<PyAny>,
    args: Py<PyTuple>,
    kwargs: Option<Py<PyDict>>,
) {
    let outcome = function.bind(py).call(args.bind(py), kwargs.as_ref().map(|kwargs| kwargs.bind(py)));
    let outcome = match (outcome, on_result) {
        (Ok(_), None) => return,
        (Ok(result), Some(on_result)) => on_result.bind(py).call1((true, result)).map(drop),
        (Err(error), Some(on_result)) => on_result.bind(py).call1((false, error.into_value(py))).map(drop),
        (Err(error), None) => Err(error),
    };
    // No exception ends more than the call, SystemExit included, as in threads of Python's own.
    if let Err(error) = outcome {
        tracing::error!(target: "handwound.threadpool", "a call on a thread raised:\n{}", traceback(py, &error));
    }
}

fn checked(min: usize, max: usize) -> PyResult<std::ops::RangeInclusive<usize>> {
    if max == 0 || min > max {
        return Err(PyValueError::new_err(format!("a thread pool of {min} to {max} threads can do no work")));
    }
    Ok(min..=max)
}

fn running() -> std::sync::MutexGuard<'static, Vec<ThreadPool>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the pools that nobody has stopped: threads may not be in Python when it ends. Those that stay there end the
/// process. Waits for what was logged to be written.
#[pyfunction]
pub fn at_exit(py: Python<'_>) {
    let pools = std::mem::take(&mut *running());
    let stuck = detached(py, || {
        let end = Instant::now() + LEFT_MAX;
        pools.iter().for_each(|pool| pool.begin_stop(|| {}));
        let left = |pool: &ThreadPool| pool.stop(end.saturating_duration_since(Instant::now())).err();
        pools.iter().filter_map(left).flatten().collect::<Vec<_>>()
    });
    detached(py, logging::flush);
    if stuck.is_empty() {
        return;
    }
    for busy in stuck {
        say(format_args!("handwound: {} is stuck in {}; the process ends without it", busy.worker, busy.job));
    }
    start::leave(1);
}
