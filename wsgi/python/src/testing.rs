//! Python applications in a simulation (feature `testing`): the container's workers are OS threads that pass a baton,
//! the interpreter's lock is part of the simulation, and the same seed makes the same run.
//!
//! ```
//! use handwound_python::testing;
//! use handwound_testkit::{explore, seeds};
//! use std::time::Duration;
//!
//! explore(seeds(5), |sim| {
//!     // `testing::application("shop:app")` imports one; this one is made here.
//!     let application = testing::application_of(
//!         r#"
//! from handwound.testing import sleep
//!
//! def application(environ, start_response):
//!     sleep(3600)      # an hour of the simulation's clock: other requests go on
//!     start_response('200 OK', [('Content-Type', 'text/plain')])
//!     return [environ['PATH_INFO'].encode('latin-1')]
//! "#,
//!     );
//!     let server = testing::serve(sim, 2, application);
//!     let (a, b) = (server.get(sim, "/a"), server.get(sim, "/b"));
//!     sim.advance(Duration::from_secs(3601));
//!     assert_eq!((&a.response().body()[..], &b.response().body()[..]), (&b"/a"[..], &b"/b"[..]));
//! });
//! ```
//!
//! What is simulated is what the container does: its gates, its clock, its network, and who has Python when. What the
//! application calls itself is not: `time.sleep` takes real time (and keeps all other workers from Python), threads
//! that it starts are no part of the simulation, and what it draws from `os.urandom` differs from run to run. The
//! order of strings in a set is the same in each run, and `random` is seeded anew by [`serve`].
//!
//! The test's own thread must not attach to Python while a worker may be in the middle of the application, that is
//! after [`Sim::step`] or [`Sim::run_task`]; after [`Sim::settle`] and [`Sim::advance`] it may.

use std::path::Path;
use std::sync::{Arc, Mutex, Once, PoisonError};

use handwound_testkit::{Backend, Sim};
use handwound_wsgi::SiteConfig;
use handwound_wsgi::testing::Server;
use pyo3::exceptions::PyNameError;
use pyo3::prelude::*;
use pyo3::types::PyModule;

use crate::application::traceback;
use crate::baton::{SimulatedLock, SimulatedWorkers, sleep};
use crate::import::{self, ImportFailure};
use crate::{PythonApplication, package, start};

/// Starts the Python that this was built with, once in a process; strings hash the same in each. `import` finds what
/// is in the current folder (for `cargo test`, the package's), and in the environment: `PYTHONPATH`, an activated
/// virtual environment. The module `handwound.testing` has the function `sleep(seconds)`.
///
/// # Panics
/// If Python does not start.
pub fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        if let Err(why) = start::initialise_for_tests() {
            panic!("Python does not start: {why}");
        }
        let installed = Python::attach(|py| -> PyResult<()> {
            start::prepare(py, &std::env::current_dir()?)?;
            package::install(py)?;
            let testing = PyModule::new(py, "handwound.testing")?;
            testing.add("__doc__", "For applications in a simulation.")?;
            testing.add_function(wrap_pyfunction!(sleep, &testing)?)?;
            py.import("handwound")?.setattr("testing", &testing)?;
            py.import("sys")?.getattr("modules")?.set_item("handwound.testing", testing)
        });
        installed.expect("a new interpreter takes modules");
    });
}

/// The application that `name` names, as on the command line: `module:attribute` or `module.attribute`. Its module is
/// run anew each time, so that nothing is left of an earlier run; modules that it imports are not.
///
/// # Panics
/// If there is none; the message says what may have been meant, or shows the traceback.
#[track_caller]
pub fn application(name: &str) -> PythonApplication {
    static IMPORTING: Mutex<()> = Mutex::new(());
    start();
    // Before attaching: who waits for this must not keep the one who has it from Python.
    let _alone = IMPORTING.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome = Python::attach(|py| {
        let module = name.split_once(':').or_else(|| name.rsplit_once('.')).map_or(name, |(module, _)| module);
        let modules = py.import("sys").and_then(|sys| sys.getattr("modules"));
        // It may not have been imported yet.
        let _ = modules.and_then(|modules| modules.del_item(module));
        match import::application(py, name) {
            Ok(callable) => PythonApplication::new(callable, name, false).map_err(|error| traceback(py, &error)),
            Err(ImportFailure::NotThere(why)) => Err(why),
            Err(ImportFailure::NotCallable(what)) => Err(format!("{name} cannot be called; it is {what}")),
            Err(ImportFailure::Raised(error)) => Err(traceback(py, &error)),
        }
    });
    outcome.unwrap_or_else(|why| panic!("{why}"))
}

/// Makes [`application`] find modules in `folder`.
///
/// # Panics
/// If Python does not start.
pub fn import_from(folder: impl AsRef<Path>) {
    start();
    let added = Python::attach(|py| start::prepare(py, folder.as_ref()));
    added.expect("sys.path is a list of folders");
}

/// The `application` that `code` defines, at the top level of a module of its own.
///
/// # Panics
/// If `code` raises, or defines no `application`; the message shows the traceback.
#[track_caller]
pub fn application_of(code: &str) -> PythonApplication {
    start();
    let outcome = Python::attach(|py| {
        // Not an imported module, of which there would be one for all tests.
        let made = || -> PyResult<PythonApplication> {
            let names = PyModule::new(py, "application")?.dict();
            let builtins = py.import("builtins")?;
            let compiled = builtins.call_method1("compile", (code, "application.py", "exec"))?;
            builtins.call_method1("exec", (compiled, &names))?;
            let missing = || PyNameError::new_err("the code defines no `application`");
            PythonApplication::new(names.get_item("application")?.ok_or_else(missing)?, "application", false)
        };
        made().map_err(|error| traceback(py, &error))
    });
    outcome.unwrap_or_else(|why| panic!("{why}"))
}

/// Serves `application` at the root of a server in `sim`, on this many workers. Each is an OS thread
/// ([`Backend::OsThreads`]), one of which at a time runs. The loop runs as the thread `reactor`.
///
/// # Panics
/// If the simulation has no threads left to give.
pub fn serve(sim: &Sim, workers: usize, application: PythonApplication) -> Server {
    let server = prepare(sim, workers, application, SiteConfig::default());
    server.run(sim);
    server.watch(sim);
    server
}

/// As [`serve`], with a site's own bounds, and the loop does not run yet; see [`Server::prepare`].
///
/// # Panics
/// If the simulation has no threads left to give.
pub fn prepare(sim: &Sim, workers: usize, application: PythonApplication, config: SiteConfig) -> Server {
    sim.set_backend(Backend::OsThreads);
    // Garbage of an earlier run is collected now, not in the middle of this one.
    let fresh = Python::attach(|py| -> PyResult<()> {
        py.import("gc")?.call_method0("collect")?;
        py.import("random")?.call_method1("seed", (0,)).map(drop)
    });
    fresh.expect("gc and random are part of Python");
    let server = Server::prepare(sim, workers, application, config);
    // Its workers begin when the simulation is driven; they will find this.
    server.pool.set_hook(Arc::new(SimulatedWorkers(Arc::new(SimulatedLock::new(sim.threads())))));
    server
}
