//! Where a thread is in its Python code, and where it may be left in the middle.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use handwound_testkit::Waited;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use super::bridge::{self, ForReal, take_part};

thread_local! {
    /// Events until this thread passes the next point at which it may be left; 0: it has not been told yet.
    static COUNTDOWN: Cell<u32> = const { Cell::new(0) };
    /// Events since it last waited.
    static BUSY: Cell<u32> = const { Cell::new(0) };
    static LEFT_AT: RefCell<Option<String>> = const { RefCell::new(None) };
    /// It is being told that the run is over.
    static IS_INTERRUPTED: Cell<bool> = const { Cell::new(false) };
    /// It is a thread of the simulation, and not the test's own.
    static IS_SIMULATED: Cell<bool> = const { Cell::new(false) };
}

/// How many events to let go by. The first is the plain choice: all of them.
const GAPS: [u32; 8] = [u32::MAX, 1, 2, 3, 5, 11, 37, 211];
/// So many events without a wait are taken for a loop that waits for others.
const BUSY_MAX: u32 = 20_000;

static OVER: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Says which exception ends a thread whose simulation is over.
#[pyfunction]
pub(crate) fn set_over(py: Python<'_>, over: Bound<'_, PyType>) {
    let _ = OVER.set(py, over.unbind());
}

/// The interpreter has been asked to call [`raise_over`].
static IS_PENDING: AtomicBool = AtomicBool::new(false);

/// Called by the interpreter on its main thread, which is the test's own.
extern "C" fn raise_over(_: *mut c_void) -> c_int {
    IS_PENDING.store(false, Ordering::Relaxed);
    // SAFETY: the interpreter calls this attached.
    let Some(over) = OVER.get(unsafe { Python::assume_attached() }) else { return 0 };
    // SAFETY: attached, and an exception class.
    unsafe { ffi::PyErr_SetNone(over.as_ptr()) };
    -1
}

/// Has the Python code of the calling thread raise, as soon as it goes on.
pub(super) fn interrupt() {
    if IS_INTERRUPTED.replace(true) {
        // What is called below has been refused as well.
        return;
    }
    // Attaching may have to wait for the interpreter, which is a wait of the simulation's.
    let before = take_part(true);
    // SAFETY: a thread state of this thread is attached by Ensure, unless it is: C code may have detached it without a
    // word to PyO3, which would take it for attached. `over` is an exception class, and lives as long as the process.
    unsafe {
        if !ffi::PyGILState_GetThisThreadState().is_null() {
            let ensured = ffi::PyGILState_Ensure();
            if !is_simulated() {
                // Some waits in C, as `Thread.join` of 3.13, begin again until such a call fails.
                if !IS_PENDING.swap(true, Ordering::Relaxed) {
                    ffi::Py_AddPendingCall(Some(raise_over), std::ptr::null_mut());
                }
            } else if let Some(over) = OVER.get(Python::assume_attached()) {
                ffi::PyThreadState_SetAsyncExc(bridge::ident() as _, over.as_ptr());
            }
            ffi::PyGILState_Release(ensured);
        }
    }
    take_part(before);
    IS_INTERRUPTED.set(false);
}

/// The calling thread is one of the simulation, from its beginning.
pub(super) fn thread_begins() {
    COUNTDOWN.set(0);
    BUSY.set(0);
    IS_SIMULATED.set(true);
}

/// Where the thread is in the application, if that is why it lets go of the interpreter.
pub(super) fn left_at() -> Option<String> {
    LEFT_AT.take()
}

/// Whether the calling thread is one of the simulation, and not the test's own.
pub(super) fn is_simulated() -> bool {
    IS_SIMULATED.get()
}

/// It waits, or ends.
pub(super) fn waits() {
    BUSY.set(0);
}

/// Something happened at which CPython may change threads: in `code`, at the instruction `offset`.
#[pyfunction]
pub(crate) fn event(py: Python<'_>, code: &Bound<'_, PyAny>, offset: i32) {
    if !IS_SIMULATED.get() {
        return;
    }
    let left = COUNTDOWN.get();
    let busy = BUSY.get() + 1;
    BUSY.set(busy);
    if left > 1 && busy < BUSY_MAX {
        // One that never comes is not counted down.
        if left != u32::MAX {
            COUNTDOWN.set(left - 1);
        }
        return;
    }
    pass(py, code, offset, left, busy >= BUSY_MAX);
}

#[cold]
fn pass(py: Python<'_>, code: &Bound<'_, PyAny>, offset: i32, left: u32, is_busy: bool) {
    if is_busy {
        BUSY.set(0);
    }
    if !bridge::is_under_way() {
        // It would go round for ever: what it waits for does not come any more.
        if is_busy {
            interrupt();
        }
        return;
    }
    let text = where_is(code, offset);
    if is_busy {
        let waited = py.detach(|| {
            let _for_real = ForReal::now();
            bridge::at_place(|_, place| {
                let until = place.now() + std::time::Duration::from_millis(1);
                place.wait(&format!("others, busily, at {text}"), Some(until), false)
            })
        });
        if waited == Some(Waited::Over) {
            interrupt();
        }
        return;
    }
    if left == 1 {
        // Letting go of the interpreter is where others may go on; all that is new here is that it has a name.
        LEFT_AT.set(Some(text));
        py.detach(|| ());
        LEFT_AT.take();
    }
    let _for_real = ForReal::now();
    let gap = bridge::at_place(|_, place| place.draw(GAPS.len() as u32, "gap")).unwrap_or(0);
    COUNTDOWN.set(GAPS[gap as usize % GAPS.len()]);
}

/// `shop.py:12 (save)`.
fn where_is(code: &Bound<'_, PyAny>, offset: i32) -> String {
    // SAFETY: a code object, as all callers have.
    let line = unsafe { ffi::PyCode_Addr2Line(code.as_ptr().cast(), offset) };
    let text = |name| code.getattr(name).and_then(|value| value.extract::<String>()).unwrap_or_default();
    let (file, function) = (text("co_filename"), text("co_name"));
    let file = file.rsplit('/').next().unwrap_or(&file);
    format!("{file}:{line} ({function})")
}
