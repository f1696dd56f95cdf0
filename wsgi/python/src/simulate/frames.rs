//! How CPython 3.11 came to run a frame. Its Python does not tell.

use pyo3::prelude::*;

/// Whether 3.11 runs this frame in the loop of the one below it: a Python function that Python code calls. When that
/// returns, nobody looks whether other threads want to go on. False on all other versions.
#[pyfunction]
pub(crate) fn is_inlined(frame: &Bound<'_, PyAny>) -> bool {
    #[cfg(all(Py_3_11, not(Py_3_12), target_pointer_width = "64"))]
    {
        // Include/internal/pycore_frame.h of 3.11, which is not changed any more: `f_frame` behind an object's head and
        // `f_back`; in it `is_entry` behind eight pointers and an int.
        const FRAME: usize = 24;
        const IS_ENTRY: usize = 68;
        // SAFETY: a frame object that runs has such a frame.
        unsafe {
            let inner = *frame.as_ptr().cast::<u8>().add(FRAME).cast::<*const u8>();
            *inner.add(IS_ENTRY) == 0
        }
    }
    #[cfg(not(all(Py_3_11, not(Py_3_12), target_pointer_width = "64")))]
    {
        let _ = frame;
        false
    }
}
