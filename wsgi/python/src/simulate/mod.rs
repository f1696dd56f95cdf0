//! Unmodified Python applications in a simulation (`handwound.testing`): this process is an ordinary `python3` that was
//! started with the library of `shadow/` before the C library.
//!
//! The container's workers, and the threads that the application starts, are threads of the simulation, on OS threads of
//! their own; what blocks them in C blocks them in the simulation. The interpreter's lock is one of these things: no code
//! of its own stands for it.

mod bridge;
mod frames;
mod place;
mod world;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use handwound_reactor::WorkerHook;
use handwound_testkit::{Backend, Choices, Exploration, Failure, NetworkOptions, Sim, panic_text};
use handwound_wsgi::SiteConfig;
use handwound_wsgi::testing::Server;
use pyo3::exceptions::{PyAssertionError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

pub(crate) use self::frames::{begin_tracing, forget_frame, has_called, trace};
pub(crate) use self::place::{event, set_over};
pub(crate) use self::world::{SimulatedClient, World};

use self::bridge::{ForReal, Run, take_part};
use crate::application::traceback;
use crate::{AttachWorkers, PythonApplication};

/// The library that is preloaded, as a file.
const SHADOW: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libhandwound_shadow.so"));

/// The library to preload into a process that simulates, as the bytes of a file.
#[pyfunction]
pub(crate) fn shadow_library(py: Python<'_>) -> Bound<'_, PyBytes> {
    PyBytes::new(py, SHADOW)
}

/// Finds the preloaded library.
///
/// Raises RuntimeError where this process was started without it.
#[pyfunction]
pub(crate) fn install_shadow() -> PyResult<()> {
    bridge::install().map_err(PyRuntimeError::new_err)
}

scoped_tls::scoped_thread_local!(static SIM: Sim);

thread_local! {
    static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
}

/// Does something with the simulation that is under way, on the test's own thread; the interpreter is free meanwhile.
fn with_sim<R: Send>(py: Python<'_>, act: impl FnOnce(&Sim) -> R + Send) -> PyResult<R> {
    if !SIM.is_set() {
        return Err(PyRuntimeError::new_err(
            "no simulation is under way on this thread: it belongs to the test function, while that runs",
        ));
    }
    let done = py.detach(|| {
        let _for_real = ForReal::now();
        catch_unwind(AssertUnwindSafe(|| SIM.with(act))).map_err(|payload| panic_text(payload.as_ref()))
    });
    done.map_err(PyAssertionError::new_err)
}

thread_local! {
    static HAS_BEGUN: Cell<bool> = const { Cell::new(false) };
}

/// The workers of the container, each of which is a simulated thread.
struct Workers;

impl WorkerHook for Workers {
    fn before_work(&self) {
        let begins = !HAS_BEGUN.replace(true);
        if begins {
            place::thread_begins();
        }
        take_part(true);
        AttachWorkers.before_work();
        if begins {
            trace_this_thread();
        }
    }

    fn before_park(&self) {
        AttachWorkers.before_park();
        take_part(false);
    }

    fn stopped(&self) {
        take_part(true);
        AttachWorkers.stopped();
        take_part(false);
    }

    /// Workers that would be called only when time has passed could not overtake each other.
    fn one_at_a_time(&self) -> bool {
        false
    }
}

/// Calls a function that waits, and tells the time, for real.
#[pyfunction]
pub(crate) fn for_real<'py>(function: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let _for_real = ForReal::now();
    function.call0()
}

static TRACER: Mutex<Option<Py<PyAny>>> = Mutex::new(None);

/// Has workers that begin from now on call `sys.settrace(tracer)` first; `None`: not any more.
#[pyfunction]
pub(crate) fn trace_threads(tracer: Option<Py<PyAny>>) {
    *TRACER.lock().unwrap_or_else(PoisonError::into_inner) = tracer;
}

fn trace_this_thread() {
    Python::attach(|py| {
        let tracer = TRACER.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|tracer| tracer.clone_ref(py));
        if let Some(tracer) = tracer {
            let _ = py.import("sys").and_then(|sys| sys.call_method1("settrace", (tracer,)));
        }
    });
}

fn serve(sim: &Sim, workers: usize, application: PythonApplication) {
    let server = Server::prepare(sim, workers, application, SiteConfig::default());
    server.pool.set_hook(Arc::new(Workers));
    server.run(sim);
    server.watch(sim);
    SERVER.set(Some(server));
}

/// Stops the server, so that its workers give back their thread states.
fn stop(sim: &Sim) {
    if let Some(server) = SERVER.take() {
        let _ = server.event_loop.call_from_thread(|event_loop| {
            let _ = event_loop.stop();
        });
        // What hangs is unwound, or told, with the simulation.
        let _ = catch_unwind(AssertUnwindSafe(|| sim.settle_now()));
    }
}

/// A test in Python.
struct Test<'a> {
    application: Option<&'a Py<PyAny>>,
    workers: usize,
    test: &'a Py<PyAny>,
    /// The network is as the choices say, and not calm.
    rough: bool,
}

/// So often a run that fails, but not the same way again, is looked for.
const ATTEMPTS_MAX: u32 = 4;

/// What programs do the first time only (imports, caches) is done before it can make a difference between runs.
const WARM_UP_RUNS: usize = 2;

impl Test<'_> {
    /// Also by the run of a seed, which goes where the run that is to be had again went.
    fn warm_up(&self, seed: Option<u64>) {
        let calm = (0..WARM_UP_RUNS).map(|_| Choices::calm());
        for choices in calm.chain(seed.map(|seed| Choices::seed(seed).unrecorded())) {
            let sim = Sim::new(choices);
            // How it ends does not matter yet.
            let _ = catch_unwind(AssertUnwindSafe(|| self.run(&sim)));
        }
    }

    fn run(&self, sim: &Sim) {
        sim.set_backend(Backend::OsThreads);
        if !self.rough {
            sim.set_network(NetworkOptions::calm());
        }
        let run = Run::begin(sim.threads());
        let failed = catch_unwind(AssertUnwindSafe(|| self.run_in(sim)));
        // What has failed is shown as it is: nobody ends in order before.
        if matches!(failed, Ok(None)) {
            stop(sim);
        } else {
            SERVER.take();
        }
        let broken = run.end();
        match (failed, broken) {
            (_, Some(payload)) | (Err(payload), None) => resume_unwind(payload),
            (Ok(Some(message)), None) => resume_unwind(Box::new(message)),
            (Ok(None), None) => {}
        }
    }

    fn run_in(&self, sim: &Sim) -> Option<String> {
        SIM.set(sim, || {
            Python::attach(|py| {
                if let Some(application) = self.application {
                    match PythonApplication::new(application.bind(py).clone(), "app", false) {
                        Ok(application) => serve(sim, self.workers, application),
                        Err(error) => return Some(traceback(py, &error)),
                    }
                }
                take_part(true);
                let outcome = self.test.call1(py, (World,));
                take_part(false);
                match outcome.and_then(|told| told.extract::<Option<String>>(py)) {
                    Ok(told) => told,
                    Err(error) => Some(traceback(py, &error)),
                }
            })
        })
    }
}

/// Runs `test(world)` over and over, as `how` says, and gives back what there is to say. It returns None where it passes,
/// and else why not: in its first line what is compared when a failure is made small.
///
/// `how`: `random`, `pct`, `bounded`, `all`, `answers`, `replay`. Raises ValueError for another.
#[pyfunction]
#[pyo3(signature = (test, app, workers, how, seeds, depth, replay, runs_max, shrink_runs_max, twice, rough))]
#[allow(clippy::too_many_arguments, reason = "one call from one place, with names")]
pub(crate) fn explore<'py>(
    py: Python<'py>,
    test: Py<PyAny>,
    app: Option<Py<PyAny>>,
    workers: usize,
    how: &str,
    seeds: Vec<u64>,
    depth: u32,
    replay: &str,
    runs_max: u64,
    shrink_runs_max: u64,
    twice: bool,
    rough: bool,
) -> PyResult<Bound<'py, PyDict>> {
    bridge::install().map_err(PyRuntimeError::new_err)?;
    // Its thread is the process's, and not one of whichever run is the first to log.
    crate::native::log_somewhere();
    if !["random", "pct", "bounded", "all", "answers", "replay"].contains(&how) {
        return Err(PyValueError::new_err(format!("no such search: {how:?}")));
    }
    let (seed, replay) = warm_replay(replay);
    let test = Test { application: app.as_ref(), workers, test: &test, rough };
    // The interpreter is free where the world is driven, and at the end of a run.
    let outcome = py.detach(|| {
        test.warm_up(seed);
        let mut seeds = seeds;
        let mut skipped = 0;
        for attempt in 1.. {
            let exploration = match how {
                "random" => Exploration::random(seeds.clone()),
                "pct" => Exploration::pct(depth, seeds.clone()),
                "bounded" => Exploration::bounded(depth),
                "all" => Exploration::all(),
                "answers" => Exploration::answers(),
                _ => Exploration::replay(replay),
            };
            let exploration = exploration.runs_max(runs_max).shrink_runs_max(shrink_runs_max);
            let exploration = if twice { exploration.twice() } else { exploration };
            let mut outcome = exploration.check(|sim| test.run(sim));
            let Err(failure) = &mut outcome else { return outcome };
            failure.run += skipped;
            // Where it went the first time the program did what it does once only (an import, a cache), so that the same
            // choices lead elsewhere now: it is looked for again from there.
            if attempt == ATTEMPTS_MAX || failure.notes.is_empty() {
                return outcome;
            }
            if how == "replay" {
                test.warm_up(seed);
            }
            if how == "random" {
                let before = usize::try_from(failure.run - skipped - 1).unwrap_or(0).min(seeds.len());
                seeds.drain(..before);
                skipped += before as u64;
            }
        }
        unreachable!("the last attempt has returned");
    });
    let found = PyDict::new(py);
    match outcome {
        Ok(report) => {
            found.set_item("runs", report.runs)?;
            found.set_item("moves_max", report.moves_max)?;
        }
        Err(failure) => {
            describe(&found, &failure)?;
            // A replay is had in another process, which has to go to the same places first.
            let found_by = failure.origin.strip_prefix("seed ").and_then(|rest| rest.split([' ', ',']).next());
            let seed = if how == "random" { found_by.map(str::to_owned) } else { seed.map(|seed| seed.to_string()) };
            if !failure.replay.is_empty() {
                if let Some(seed) = seed {
                    found.set_item("replay", format!("{seed}@{}", failure.replay))?;
                }
                // Once more, to be looked at.
                let timeline = py.detach(|| timeline_of(&test, &failure.replay));
                found.set_item("timeline", timeline)?;
            }
        }
    }
    Ok(found)
}

/// A replay, and the seed of the run that it was made of.
fn warm_replay(text: &str) -> (Option<u64>, &str) {
    match text.split_once('@') {
        Some((seed, line)) if seed.parse::<u64>().is_ok() => (seed.parse().ok(), line),
        _ => (None, text),
    }
}

/// The run of a replay, as a page for a browser.
fn timeline_of(test: &Test<'_>, replay: &str) -> Option<String> {
    let page = RefCell::new(None);
    let again = Exploration::replay(replay).shrink_runs_max(0).check(|sim| {
        let failed = catch_unwind(AssertUnwindSafe(|| test.run(sim)));
        *page.borrow_mut() = Some(sim.timeline_html());
        if let Err(payload) = failed {
            resume_unwind(payload);
        }
    });
    again.is_err().then(|| page.take()).flatten()
}

fn describe(found: &Bound<'_, PyDict>, failure: &Failure) -> PyResult<()> {
    found.set_item("runs", failure.run)?;
    found.set_item("origin", &failure.origin)?;
    found.set_item("message", &failure.message)?;
    found.set_item("choices", failure.choices)?;
    found.set_item("shrunk_choices", failure.shrunk_choices)?;
    found.set_item("shrink_runs", failure.shrink_runs)?;
    found.set_item("replay", &failure.replay)?;
    found.set_item("diagram", &failure.diagram)?;
    found.set_item("waits", &failure.waits)?;
    found.set_item("notes", failure.notes.clone())
}
