//! `handwound._native`: what Python sees of this library. The same module in the command and in a wheel.

mod callbacks;
mod event_loop;
mod host;
mod pool;

use std::sync::{Arc, Once};

use handwound_cli::args::{LogLevel, Logs};
use handwound_cli::logging;
use handwound_reactor::ThreadPool;
use pyo3::prelude::*;

pub use self::callbacks::Call;
use self::callbacks::PyCallbacks;
pub use self::host::{adopt, has_failed};
use self::pool::PyThreadPool;
use crate::callbacks::Callbacks;

/// The compiled part of the package. Programs use the modules around it.
///
/// Nothing in it relies on the global interpreter lock: its classes are frozen, and what changes is behind locks.
#[pymodule(gil_used = false)]
pub mod _native {
    use super::*;

    #[pymodule_export]
    use super::callbacks::PyCallbacks;
    #[pymodule_export]
    use super::event_loop::PyEventLoop;
    #[pymodule_export]
    use super::host::wait_for_command;
    #[pymodule_export]
    use super::pool::{AlreadyQuit, PyThreadPool, QueueFull, at_exit};
    #[pymodule_export]
    use super::{log_error, log_info};
    #[pymodule_export]
    use crate::command::main;
    #[pymodule_export]
    use crate::module::ClientDisconnected;
    #[cfg(all(feature = "simulation", target_os = "linux", target_env = "gnu"))]
    #[pymodule_export]
    use crate::simulate::{
        SimulatedClient, World, begin_tracing, event, explore, for_real, forget_frame, has_called, install_shadow,
        set_over, shadow_library, trace, trace_threads,
    };
    #[pymodule_export]
    use crate::web::{Exchange, WsgiApplication};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        // Threads may not be in the interpreter when it ends. Last in, first out: what a program registers comes first.
        let at_exit = module.getattr("at_exit")?;
        module.py().import("atexit")?.call_method1("register", (at_exit,)).map(drop)
    }
}

/// The pool behind a `handwound.python.threadpool.ThreadPool`; `None` for an object of another kind.
#[allow(dead_code, reason = "for sites and resources")]
pub fn pool_of(pool: &Bound<'_, PyAny>) -> Option<ThreadPool> {
    let native = pool.getattr("_native").ok()?;
    Some(native.cast::<PyThreadPool>().ok()?.get().pool().clone())
}

/// The calls of a `handwound.internet.base.Reactor`; `None` for an object of another kind.
///
/// [`Callbacks::post`] takes a [`Call`] on any thread, the reactor's too: it does not touch Python.
#[allow(dead_code, reason = "for sites and resources")]
pub fn callbacks_of(reactor: &Bound<'_, PyAny>) -> Option<Arc<Callbacks<Call>>> {
    let native = reactor.getattr("_callbacks").ok()?;
    Some(Arc::clone(&native.cast::<PyCallbacks>().ok()?.get().calls))
}

/// Where nobody has set up a log, as the command does, warnings and errors go to stderr.
pub(crate) fn log_somewhere() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let logs = Logs { logfile: None, access_logformat: None, error_logfile: None, log_level: LogLevel::Warn };
        if let Err(why) = logging::start(&logs) {
            logging::say(format_args!("handwound: {why}"));
        }
    });
}

/// Logs an error.
#[pyfunction]
fn log_error(text: &str) {
    log_somewhere();
    tracing::error!(target: "handwound", "{text}");
}

/// Logs what is good to know.
#[pyfunction]
fn log_info(text: &str) {
    log_somewhere();
    tracing::info!(target: "handwound", "{text}");
}
