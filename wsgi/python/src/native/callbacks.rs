//! `_native.Callbacks`: the calls that a reactor makes on one Python thread.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{io, thread};

use handwound_reactor::{OsThreads, Time};
use pyo3::exceptions::{PyException, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use super::log_somewhere;
use crate::application::traceback;
use crate::attach::detached;
use crate::callbacks::{Callbacks, Name, Next, Refused, WAITING_MAX};

/// One call.
pub enum Call {
    /// Of a function.
    Function { function: Py<PyAny>, args: Py<PyTuple>, kwargs: Option<Py<PyDict>> },
    /// Of `func(*args, **kw)` of an object that stands for the call.
    Delayed(Py<PyAny>),
}

impl Call {
    /// Without arguments.
    pub fn of(function: Bound<'_, PyAny>) -> Call {
        let args = PyTuple::empty(function.py()).unbind();
        Call::Function { function: function.unbind(), args, kwargs: None }
    }

    fn make(self, py: Python<'_>) -> PyResult<()> {
        let (function, args, kwargs) = match self {
            Call::Function { function, args, kwargs } => {
                (function.into_bound(py), args.into_bound(py), kwargs.map(|kwargs| kwargs.into_bound(py)))
            }
            Call::Delayed(delayed) => {
                let delayed = delayed.bind(py);
                let (args, kwargs) = (delayed.getattr("args")?, delayed.getattr("kw")?);
                (delayed.getattr("func")?, args.cast_into()?, Some(kwargs.cast_into()?))
            }
        };
        function.call(args, kwargs.as_ref()).map(drop)
    }
}

/// Calls that are made in order on the one thread that calls run(). All other methods may be called from any thread.
#[pyclass(frozen, module = "handwound._native", name = "Callbacks")]
pub struct PyCallbacks {
    pub calls: Arc<Callbacks<Call>>,
    /// What the wall clock said when the calls' own clock started.
    epoch: Duration,
    running: AtomicBool,
}

#[pymethods]
impl PyCallbacks {
    #[new]
    fn new() -> PyCallbacks {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        PyCallbacks { calls: Arc::new(Callbacks::new(OsThreads::new())), epoch, running: AtomicBool::new(false) }
    }

    /// The time in seconds since 1970, by a clock that never goes back.
    fn seconds(&self) -> f64 {
        self.seconds_of(self.calls.now())
    }

    /// Has function(*args, **kwargs) called. Says whether it will be: not after the end.
    #[pyo3(signature = (function, args, kwargs=None))]
    fn post(&self, function: Py<PyAny>, args: Py<PyTuple>, kwargs: Option<Py<PyDict>>) -> PyResult<bool> {
        Ok(taken(self.calls.post(Call::Function { function, args, kwargs }))?.is_some())
    }

    /// Has delayed.func(*delayed.args, **delayed.kw) called in `delay` seconds. Returns a name for it and the time when
    /// it is due; None after the end.
    fn post_later(&self, delay: f64, delayed: Py<PyAny>) -> PyResult<Option<(Name, f64)>> {
        let deadline = self.calls.now() + duration(delay)?;
        let name = taken(self.calls.post_at(deadline, Call::Delayed(delayed)))?;
        Ok(name.map(|name| (name, self.seconds_of(deadline))))
    }

    /// Takes a call back. Says whether that was possible.
    fn cancel(&self, name: Name) -> bool {
        self.calls.cancel(name).is_some()
    }

    /// Makes a call due `delay` seconds from now. Returns when that is; None if it waits no more.
    fn reset(&self, name: Name, delay: f64) -> PyResult<Option<f64>> {
        let deadline = self.calls.now() + duration(delay)?;
        Ok(self.calls.move_to(name, |_| deadline).map(|time| self.seconds_of(time)))
    }

    /// Makes a call due so many seconds later than it is, or earlier. Returns when that is; None if it waits no more.
    fn delay(&self, name: Name, seconds: f64) -> PyResult<Option<f64>> {
        let by = duration(seconds.abs())?;
        let moved = self.calls.move_to(name, |old| match seconds < 0.0 {
            true => Time::new(old.since_start().saturating_sub(by)),
            false => old + by,
        });
        Ok(moved.map(|time| self.seconds_of(time)))
    }

    /// Whether a call waits.
    fn is_waiting(&self, name: Name) -> bool {
        self.calls.deadline(name).is_some()
    }

    /// The delayed calls that wait, the next one first.
    fn delayed(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        let all = self.calls.timed(|call| match call {
            Call::Delayed(delayed) => Some(delayed.clone_ref(py)),
            Call::Function { .. } => None,
        });
        all.into_iter().flatten().collect()
    }

    /// Makes calls until end(). An exception of a call is logged, and the next call made; but what is no Exception, as
    /// KeyboardInterrupt, ends run(), which may then be called again.
    ///
    /// With `signals`, and on the main thread, handlers of signals run also while nothing is to be called.
    fn run(&self, py: Python<'_>, signals: bool) -> PyResult<()> {
        log_somewhere();
        if self.running.swap(true, Ordering::AcqRel) {
            return Err(PyRuntimeError::new_err("another thread makes these calls already"));
        }
        let watch = if signals { Signals::watch(py, &self.calls) } else { Ok(None) };
        let outcome = watch.and_then(|signals| {
            let outcome = self.make_calls(py);
            outcome.and(signals.map_or(Ok(()), |signals| signals.end(py)))
        });
        self.running.store(false, Ordering::Release);
        outcome
    }

    /// A reactor that nobody has any more may be referred to by its own calls only. What cannot be looked at now is kept.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.calls.peek(|call| match call {
            Call::Function { function, args, kwargs } => {
                visit.call(function)?;
                visit.call(args)?;
                kwargs.iter().try_for_each(|kwargs| visit.call(kwargs))
            }
            Call::Delayed(delayed) => visit.call(delayed),
        })
    }

    fn __clear__(&self) {
        self.end();
    }

    /// Calls nothing from here on; ends run().
    fn end(&self) {
        // Attached, so what the calls hold may go now.
        drop(self.calls.end());
    }
}

impl PyCallbacks {
    fn make_calls(&self, py: Python<'_>) -> PyResult<()> {
        loop {
            match self.calls.next() {
                Next::Call(call) => call.make(py).or_else(|error| survive(py, error))?,
                Next::Nothing(until) => {
                    // What comes before this look is seen by it, and what comes after it wakes the thread: looking after
                    // the wait would leave a signal alone that came before there was anything to wake it.
                    py.check_signals().or_else(|error| survive(py, error))?;
                    detached(py, || self.calls.wait(until));
                }
                Next::Ended => return Ok(()),
            }
        }
    }

    fn seconds_of(&self, time: Time) -> f64 {
        (self.epoch + time.since_start()).as_secs_f64()
    }
}

/// Logs an `Exception`; gives back anything else.
pub fn survive(py: Python<'_>, error: PyErr) -> PyResult<()> {
    if !error.is_instance_of::<PyException>(py) {
        return Err(error);
    }
    tracing::error!(target: "handwound.reactor", "a call raised; the next one is made:\n{}", traceback(py, &error));
    Ok(())
}

fn taken<T>(outcome: Result<T, (Refused, Call)>) -> PyResult<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err((Refused::Ended, _)) => Ok(None),
        Err((Refused::Full, _)) => Err(PyRuntimeError::new_err(format!("{WAITING_MAX} calls wait already"))),
    }
}

/// A span of time as Python gives it, in seconds.
pub fn duration(seconds: f64) -> PyResult<Duration> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err(format!("a span of time is a number of seconds from 0 on, not {seconds}")));
    }
    // Longer than any clock runs: for ever.
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// Wakes the thread that makes the calls when Python has caught a signal, so that it runs the signal's handler.
struct Signals {
    /// Python writes a byte for each signal; with this its end, the watching thread ends.
    _writer: UnixStream,
    before: Py<PyAny>,
}

impl Signals {
    /// `None` where this thread is not the one that Python runs handlers on.
    fn watch(py: Python<'_>, calls: &Arc<Callbacks<Call>>) -> PyResult<Option<Signals>> {
        let (writer, reader) = UnixStream::pair()?;
        writer.set_nonblocking(true)?;
        let calls = Arc::clone(calls);
        thread::Builder::new().name("wakeup".to_owned()).spawn(move || {
            // One byte or many: the handlers look at what has come.
            while io::Read::read(&mut &reader, &mut [0; 64]).is_ok_and(|bytes| bytes > 0) {
                calls.wake();
            }
        })?;
        let options = PyDict::new(py);
        options.set_item("warn_on_full_buffer", false)?;
        let set = py.import("signal")?.getattr("set_wakeup_fd")?;
        match set.call((writer.as_raw_fd(),), Some(&options)) {
            Ok(before) => Ok(Some(Signals { _writer: writer, before: before.unbind() })),
            Err(error) if error.is_instance_of::<PyValueError>(py) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn end(self, py: Python<'_>) -> PyResult<()> {
        py.import("signal")?.call_method1("set_wakeup_fd", (self.before.bind(py),)).map(drop)
    }
}
