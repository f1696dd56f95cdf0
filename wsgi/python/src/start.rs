//! Starts CPython inside this process, as `python3` would start, and ends it. Once per process.

use std::ffi::{CStr, OsString, c_char, c_int};
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use handwound_cli::logging::{self, say};
use pyo3::ffi;
use pyo3::prelude::*;

/// Starts Python so that it is, for everything it imports, the interpreter at `interpreter`: same prefix, same
/// site-packages, same `PYTHON*` variables. Signals stay ours. Afterwards no thread is attached.
///
/// # Errors
/// What CPython says about it; a prefix without a standard library, for one, ends the process in CPython itself.
pub fn initialise(interpreter: &CStr) -> Result<(), String> {
    initialise_as(|config| {
        // SAFETY: `initialise_as` gives a filled config, and the string outlives the call.
        unsafe { configure(config, interpreter) }
    })
}

/// Starts Python as it is found in the environment, with the same string hashes in each process. Afterwards no thread
/// is attached.
///
/// # Errors
/// What CPython says about it.
#[cfg(any(test, feature = "testing"))]
pub fn initialise_for_tests() -> Result<(), String> {
    initialise_as(|config| {
        // SAFETY: `initialise_as` gives a filled config.
        unsafe { ((*config).use_hash_seed, (*config).hash_seed) = (1, 0) };
        Ok(())
    })
}

/// Starts Python; `configure` says how.
fn initialise_as(configure: impl FnOnce(*mut ffi::PyConfig) -> Result<(), String>) -> Result<(), String> {
    let mut config = MaybeUninit::<ffi::PyConfig>::uninit();
    // SAFETY: Init fills all of `config`; the calls below get a filled one, and strings that outlive them. Python is
    // not running yet and this is the only thread that touches it.
    unsafe {
        let config = config.as_mut_ptr();
        ffi::PyConfig_InitPythonConfig(config);
        (*config).install_signal_handlers = 0;
        (*config).parse_argv = 0;
        let outcome = configure(config).and_then(|()| check(ffi::Py_InitializeFromConfig(config)));
        ffi::PyConfig_Clear(config);
        outcome?;
        // Starting left this thread attached; everything else attaches when it needs to.
        ffi::PyEval_SaveThread();
    }
    Ok(())
}

/// Says who Python is, and what its `sys.argv` holds.
///
/// # Safety
/// `config` has been filled by `PyConfig_InitPythonConfig`.
unsafe fn configure(config: *mut ffi::PyConfig, interpreter: &CStr) -> Result<(), String> {
    let mut argv: [*const c_char; 1] = [c"handwound".as_ptr()];
    // SAFETY: `config` is filled, and CPython copies the strings.
    unsafe {
        check(ffi::PyConfig_SetBytesString(config, &raw mut (*config).program_name, interpreter.as_ptr()))?;
        check(ffi::PyConfig_SetBytesArgv(config, 1, argv.as_mut_ptr()))
    }
}

fn check(status: ffi::PyStatus) -> Result<(), String> {
    // SAFETY: a status is a plain value; its message is a static string or null.
    unsafe {
        if ffi::PyStatus_Exception(status) == 0 {
            return Ok(());
        }
        match status.err_msg.is_null() {
            true => Err("it wants to exit".to_owned()),
            false => Err(CStr::from_ptr(status.err_msg).to_string_lossy().into_owned()),
        }
    }
}

/// Sets these variables of the environment, for Python and what it starts.
pub fn set_variables(py: Python<'_>, variables: &[(OsString, OsString)]) -> PyResult<()> {
    let environ = py.import("os")?.getattr("environ")?;
    variables.iter().try_for_each(|(name, value)| environ.set_item(name, value))
}

/// Puts `app_dir` first on `sys.path`, and has `print` show its lines at once also where stdout is a file or a pipe.
pub fn prepare(py: Python<'_>, app_dir: &Path) -> PyResult<()> {
    let sys = py.import("sys")?;
    sys.getattr("path")?.call_method1("insert", (0, app_dir.as_os_str()))?;
    // An application may run without a stdout, or under one of its own; then there is nothing to set.
    if let Ok(reconfigure) = sys.getattr("stdout").and_then(|stdout| stdout.getattr("reconfigure")) {
        let settings = pyo3::types::PyDict::new(py);
        settings.set_item("line_buffering", true)?;
        let _ = reconfigure.call((), Some(&settings));
    }
    Ok(())
}

/// Runs what Python programs leave for their end. Where that takes longer than `time_max`, the process ends without it.
pub fn finish_within(time_max: Duration) {
    let (done, watch) = mpsc::channel::<()>();
    let watchdog = std::thread::Builder::new().name("finish".to_owned()).spawn(move || {
        if watch.recv_timeout(time_max) == Err(mpsc::RecvTimeoutError::Timeout) {
            say(format_args!(
                "handwound: threads or atexit functions of the application take more than {} s; ended without them",
                time_max.as_secs_f64()
            ));
            leave(1);
        }
    });
    // Without a watchdog, better no end of the application's own than none at all.
    if watchdog.is_ok() {
        finish();
    }
    drop(done);
}

/// Ends the process here and now: nothing that is registered for its end is run.
pub fn leave(code: c_int) -> ! {
    logging::flush();
    signal_hook::low_level::exit(code)
}

/// Joins threads that are no daemons, runs atexit functions, flushes. Takes as long as they take.
fn finish() {
    Python::attach(|py| {
        let run = |module: &str, function: &str| -> PyResult<()> {
            py.import(module)?.getattr(function)?.call0()?;
            Ok(())
        };
        for (module, function) in [("threading", "_shutdown"), ("atexit", "_run_exitfuncs")] {
            if let Err(error) = run(module, function) {
                error.print(py);
            }
        }
        for stream in ["stdout", "stderr"] {
            // A closed pipe at the other end is no news at this point.
            let _ = py.import("sys").and_then(|sys| sys.getattr(stream)?.call_method0("flush"));
        }
    });
}
