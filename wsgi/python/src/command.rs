//! The two functions that the launcher calls.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use handwound_cli::logging::say;
use handwound_cli::{
    Arguments, Command, Content, End, Program, Refusal, Served, Signals, Sources, Web, enter, is_worker, logging,
    serve, supervise,
};
use handwound_reactor::{EventLoop, ThreadPool, WorkerHook};
use handwound_wsgi::{Resource, WsgiResource};
use pyo3::prelude::*;

use crate::application::PythonApplication;
use crate::attach::AttachWorkers;
use crate::import::{self, ImportFailure};
use crate::sources::{self, PythonSources};
use crate::web as trees;
use crate::{environ, native, package, start};

/// How long the application's own threads and atexit functions may take at the end.
const FINISH_MAX: Duration = Duration::from_secs(5);

/// Says which build this is; the launcher refuses any but its own.
#[unsafe(no_mangle)]
pub extern "C" fn handwound_build() -> *const c_char {
    const BUILD: &str = concat!("handwound ", env!("CARGO_PKG_VERSION"), " for Python ", env!("HANDWOUND_ABI"), "\0");
    BUILD.as_ptr().cast()
}

/// Serves as the arguments say, with the Python at `interpreter`; returns the exit code.
///
/// # Safety
/// `argv` holds `argc` strings that end in a zero; `interpreter` is one more. Python's library has been opened so
/// that its symbols are global, and Python has not been started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn handwound_main(argc: c_int, argv: *const *const c_char, interpreter: *const c_char) -> c_int {
    // SAFETY: promised by the caller.
    let string = |text: *const c_char| unsafe { CStr::from_ptr(text) };
    let count = usize::try_from(argc).unwrap_or(0);
    // SAFETY: promised by the caller.
    let arguments = (0..count).map(|index| string(unsafe { *argv.add(index) }));
    let arguments: Vec<OsString> = arguments.map(|text| OsStr::from_bytes(text.to_bytes()).to_owned()).collect();
    let outcome = catch_unwind(AssertUnwindSafe(|| run(&arguments, Some(string(interpreter)))));
    // The panic's own report has been printed; the launcher must not be unwound.
    outcome.unwrap_or(101)
}

/// The command in a Python that runs already, as `python -m handwound` and a wheel's `handwound` start it. `argv` begins
/// with the name of the program. Returns the exit code; may end the process.
#[pyfunction]
pub fn main(py: Python<'_>, argv: Vec<OsString>) -> c_int {
    let web = match Arguments::read(&argv) {
        Ok(Arguments { command: Command::Web(web), .. }) if web.python.is_some() => {
            return fail(
                "--python is not for a handwound that was installed with pip: it runs in the Python that it was \
                         installed for; leave it out, or install handwound in the other environment",
            );
        }
        Ok(Arguments { command: Command::Web(web), .. }) => web,
        Err(Refusal::Asked(answer)) => {
            // Whoever closes the pipe early has read enough.
            let _ = io::stdout().write_all(answer.as_bytes());
            return 0;
        }
        Err(Refusal::Wrong(line)) => return fail(&line),
    };
    // From here on the signals are ours, as they are where Python is started by us: its own handlers would never run
    // while this thread serves.
    let dropped = || -> PyResult<()> {
        let signal = py.import("signal")?;
        signal.call_method1("signal", (signal.getattr("SIGINT")?, signal.getattr("SIG_DFL")?)).map(drop)
    };
    if let Err(error) = dropped() {
        return shown(py, &error);
    }
    if web.serving.processes.is_supervised() && !is_worker() {
        return watch_over_workers(py, &web, &argv);
    }
    let outcome = py.detach(|| catch_unwind(AssertUnwindSafe(|| run(&argv, None))));
    outcome.unwrap_or(101)
}

/// Has others serve, each of them this Python again, with the same arguments.
fn watch_over_workers(py: Python<'_>, web: &Web, argv: &[OsString]) -> c_int {
    let executable = py.import("sys").and_then(|sys| sys.getattr("executable")?.extract::<PathBuf>());
    let path = match executable {
        Ok(path) => path,
        Err(error) => return shown(py, &error),
    };
    let arguments = ["-m", "handwound"].map(OsString::from).into_iter().chain(argv.iter().skip(1).cloned()).collect();
    let supervised = enter(&web.serving.processes)
        .and_then(|()| logging::start(&web.serving.logs))
        .and_then(|()| py.detach(|| supervise(&web.serving, Program { path, arguments })));
    match supervised {
        Ok(code) => c_int::from(code),
        Err(why) => fail(&why),
    }
}

/// Without an interpreter, in a Python that runs already.
fn run(arguments: &[OsString], interpreter: Option<&CStr>) -> c_int {
    let mut web = match Arguments::read(arguments) {
        Ok(Arguments { command: Command::Web(web), .. }) => *web,
        // The launcher has read the same arguments with the same code.
        Err(refusal) => return fail(&format!("the arguments changed on the way: {refusal:?}")),
    };
    if interpreter.is_some() {
        // The launcher has gone there already.
        (web.serving.processes.chdir, web.serving.processes.umask) = (None, None);
    } else if let Err(why) = enter(&web.serving.processes) {
        return fail(&why);
    }
    if let Err(why) = logging::start(&web.serving.logs) {
        return fail(&why);
    }
    // Before Python runs any code: an import may take long, and Ctrl-C has to work.
    let signals = match Signals::watch() {
        Ok(signals) => signals,
        Err(error) => return fail(&format!("cannot watch for signals: {error}")),
    };
    if let Some(interpreter) = interpreter
        && let Err(why) = start::initialise(interpreter)
    {
        return fail(&format!("Python at '{}' does not start: {why}", interpreter.to_string_lossy()));
    }
    if web.serving.processes.workers > 1 {
        environ::serve_beside_others();
    }
    let end = serve(&web.serving, &signals, PythonContent { web: &web }).inspect_err(|_| native::has_failed());
    let end = match end {
        Ok(end) => end,
        // It has been said already.
        Err(why) if why.is_empty() => return 1,
        Err(why) => return fail(&why),
    };
    if end == End::Stuck {
        // Libraries' own clean-up would run beside the threads that still use them.
        start::leave(1);
    }
    start::finish_within(FINISH_MAX);
    logging::flush();
    c_int::from(end != End::Clean)
}

/// What the arguments name, with its workers attached to Python.
struct PythonContent<'a> {
    web: &'a Web,
}

impl Content for PythonContent<'_> {
    fn root(&mut self, event_loop: &EventLoop, pool: &ThreadPool) -> Result<Rc<dyn Resource>, String> {
        // What is imported may ask for the reactor at once.
        native::adopt(event_loop, pool, self.web.serving.graceful_timeout);
        match self.web.served()? {
            Served::Wsgi(name) => {
                let application = load(self.web, name).map_err(|_said| String::new())?;
                Ok(Rc::new(WsgiResource::new(event_loop, pool.clone(), application)))
            }
            served => {
                prepare(self.web).map_err(|_said| String::new())?;
                trees::root(served, &self.web.files, event_loop, pool)
            }
        }
    }

    fn sources(&self) -> Option<Arc<dyn Sources>> {
        Some(Arc::new(PythonSources))
    }

    fn hook(&self) -> Option<Arc<dyn WorkerHook>> {
        Some(Arc::new(AttachWorkers))
    }
}

/// Has Python import what is in the folder of the application, and our package; says what is in the way of it.
fn prepare(web: &Web) -> Result<(), c_int> {
    let app_dir = std::path::absolute(&web.app_dir).ok().filter(|folder| folder.is_dir());
    let Some(app_dir) = app_dir else {
        let folder = web.app_dir.display();
        return Err(fail(&format!("no folder '{folder}'; --app-dir names the folder of the application")));
    };
    if web.strict {
        trees::be_strict();
    }
    Python::attach(|py| {
        let ready = start::set_variables(py, &web.env);
        let ready = ready.and_then(|()| package::install(py)).and_then(|()| start::prepare(py, &app_dir));
        let ready = ready.and_then(|()| py.import("handwound._twisted")?.call_method0("install").map(drop));
        ready.map_err(|error| shown(py, &error))
    })
}

/// Imports the application of this name; where there is none, says why and gives the exit code.
fn load(web: &Web, name: &str) -> Result<PythonApplication, c_int> {
    prepare(web)?;
    Python::attach(|py| {
        let callable = import::application(py, name).map_err(|failure| match failure {
            ImportFailure::Raised(error) => shown(py, &error),
            ImportFailure::NotCallable(what) => {
                fail(&format!("{} is no WSGI application but {what}", import::quoted(py, name)))
            }
            ImportFailure::NotThere(why) => {
                fail(&why);
                say(format_args!("No such WSGI application: {}", import::quoted(py, name)));
                1
            }
        })?;
        PythonApplication::new(callable, name, web.strict).map_err(|error| shown(py, &error))
    })
}

/// Shows a Python exception as Python would.
fn shown(py: Python<'_>, error: &PyErr) -> c_int {
    sources::note_failure(py, error);
    error.display(py);
    1
}

fn fail(line: &str) -> c_int {
    say(format_args!("handwound: {}", logging::one_line(line)));
    1
}
