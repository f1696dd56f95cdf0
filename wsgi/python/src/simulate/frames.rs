//! Which Python functions are traced, up to 3.11: asked at the beginning of each of them, so not in Python.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::ffi;
use pyo3::prelude::*;

struct Tracing {
    /// Whether code is looked at.
    watched: Py<PyAny>,
    /// What traces a frame of such code.
    begin: Py<PyAny>,
    /// By code object, each of which is kept.
    known: HashMap<usize, bool>,
    /// Frames that are traced, and those of them that have just called a function without a look at its end.
    frames: HashSet<usize>,
    called: HashSet<usize>,
}

static TRACING: Mutex<Option<Tracing>> = Mutex::new(None);

fn tracing() -> MutexGuard<'static, Option<Tracing>> {
    TRACING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on [`trace`] has `begin(frame)` trace what `watched(code)` says is looked at.
#[pyfunction]
pub(crate) fn begin_tracing(watched: Py<PyAny>, begin: Py<PyAny>) {
    let (known, frames, called) = Default::default();
    *tracing() = Some(Tracing { watched, begin, known, frames, called });
}

/// For `sys.settrace`.
#[pyfunction]
pub(crate) fn trace<'py>(
    py: Python<'py>,
    frame: &Bound<'py, PyAny>,
    what: &Bound<'py, PyAny>,
    arg: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let _ = (what, arg);
    // SAFETY: attached, and this is called with frames; the code is a new reference.
    let code = unsafe { Bound::from_owned_ptr(py, ffi::PyFrame_GetCode(frame.as_ptr().cast()).cast()) };
    let key = code.as_ptr() as usize;
    let known = {
        let mut tracing = tracing();
        let Some(tracing) = &mut *tracing else { return Ok(None) };
        if let Some(caller) = inner::inlined_in(frame).filter(|caller| tracing.frames.contains(caller)) {
            tracing.called.insert(caller);
        }
        match tracing.known.get(&key) {
            Some(known) => Ok(*known),
            None => Err(tracing.watched.clone_ref(py)),
        }
    };
    let is_watched = match known {
        Ok(known) => known,
        Err(watched) => {
            let is_watched = watched.call1(py, (&code,))?.is_truthy(py)?;
            if let Some(tracing) = &mut *tracing() {
                tracing.known.insert(key, is_watched);
            }
            // Its address shall not become another's.
            std::mem::forget(code);
            is_watched
        }
    };
    if !is_watched {
        return Ok(None);
    }
    let begin = {
        let mut tracing = tracing();
        let Some(tracing) = &mut *tracing else { return Ok(None) };
        if let Some(frame) = inner::of(frame) {
            tracing.frames.insert(frame);
            tracing.called.remove(&frame);
        }
        tracing.begin.clone_ref(py)
    };
    begin.bind(py).call1((frame,)).map(Some)
}

/// Whether this frame has just called a function that 3.11 runs in the same loop: when that returns, nobody looks whether
/// other threads want to go on. Said once of each call.
#[pyfunction]
pub(crate) fn has_called(frame: &Bound<'_, PyAny>) -> bool {
    let Some(frame) = inner::of(frame) else { return false };
    tracing().as_mut().is_some_and(|tracing| tracing.called.remove(&frame))
}

/// This frame ends.
#[pyfunction]
pub(crate) fn forget_frame(frame: &Bound<'_, PyAny>) {
    let Some(frame) = inner::of(frame) else { return };
    if let Some(tracing) = &mut *tracing() {
        tracing.frames.remove(&frame);
        tracing.called.remove(&frame);
    }
}

/// What 3.11 does not tell of its frames: Include/internal/pycore_frame.h, which is not changed any more.
#[cfg(all(Py_3_11, not(Py_3_12), target_pointer_width = "64"))]
mod inner {
    use pyo3::prelude::*;

    /// In a frame object, behind its head and `f_back`.
    const FRAME: usize = 24;
    /// In a frame: behind six pointers, and behind eight and an int.
    const PREVIOUS: usize = 48;
    const IS_ENTRY: usize = 68;

    /// The frame that a frame object stands for.
    pub(super) fn of(frame: &Bound<'_, PyAny>) -> Option<usize> {
        // SAFETY: a frame object, as all callers have.
        Some(unsafe { *frame.as_ptr().cast::<u8>().add(FRAME).cast::<usize>() })
    }

    /// The frame in whose loop this one runs, if it is one that Python code has called.
    pub(super) fn inlined_in(frame: &Bound<'_, PyAny>) -> Option<usize> {
        let inner = of(frame)? as *const u8;
        // SAFETY: a frame that runs; its object says where it is.
        unsafe {
            let is_entry = *inner.add(IS_ENTRY) != 0;
            (!is_entry).then(|| *inner.add(PREVIOUS).cast::<usize>())
        }
    }
}

#[cfg(not(all(Py_3_11, not(Py_3_12), target_pointer_width = "64")))]
mod inner {
    use pyo3::prelude::*;

    pub(super) fn of(_frame: &Bound<'_, PyAny>) -> Option<usize> {
        None
    }

    pub(super) fn inlined_in(_frame: &Bound<'_, PyAny>) -> Option<usize> {
        None
    }
}
