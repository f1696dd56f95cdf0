//! Workers and the interpreter: one long-lived thread state per worker, attached while the worker has work.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use handwound_reactor::WorkerHook;
use pyo3::ffi;
use pyo3::prelude::*;

thread_local! {
    static ATTACHMENT: Cell<Attachment> = const { Cell::new(Attachment::None) };
    static BATON: RefCell<Option<Arc<dyn Baton>>> = const { RefCell::new(None) };
}

/// The interpreter's lock as a simulation sees it: taken before the real one, let go after it.
pub(crate) trait Baton: Send + Sync {
    /// Waits for it. Does nothing if this thread has it.
    fn acquire(&self);
    /// Does nothing unless this thread has it.
    fn release(&self);
}

/// From here on this thread [`detached`] lets go of `baton` too.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn carry(baton: Option<Arc<dyn Baton>>) {
    BATON.set(baton);
}

/// Runs `act`, which may wait, detached from Python.
pub(crate) fn detached<R: Send>(py: Python<'_>, act: impl FnOnce() -> R + Send) -> R {
    let baton = BATON.with_borrow(Option::clone);
    py.detach(|| {
        let _regained = baton.map(LetGo::of);
        act()
    })
}

/// Regains what it has let go, also in an unwinding.
struct LetGo(Arc<dyn Baton>);

impl LetGo {
    fn of(baton: Arc<dyn Baton>) -> LetGo {
        baton.release();
        LetGo(baton)
    }
}

impl Drop for LetGo {
    fn drop(&mut self) {
        self.0.acquire();
    }
}

/// What a worker has of Python.
#[derive(Clone, Copy)]
enum Attachment {
    /// No thread state yet.
    None,
    /// A thread state, in use by this thread.
    Attached(ffi::PyGILState_STATE),
    /// A thread state, at rest.
    Detached(ffi::PyGILState_STATE, *mut ffi::PyThreadState),
}

/// Attaches a worker for a run of jobs, so that each job's own attaching costs next to nothing, and detaches it before
/// it waits.
#[derive(Debug)]
pub struct AttachWorkers;

impl WorkerHook for AttachWorkers {
    fn before_work(&self) {
        let next = match ATTACHMENT.get() {
            // SAFETY: Python runs until the process ends. Ensure makes a thread state and attaches; it is released
            // in `stopped`, on this same thread, as all hooks run on the worker's own.
            Attachment::None => Attachment::Attached(unsafe { ffi::PyGILState_Ensure() }),
            Attachment::Detached(ensured, state) => {
                // SAFETY: the state is the one that was saved by this thread, and nothing has attached since.
                unsafe { ffi::PyEval_RestoreThread(state) };
                Attachment::Attached(ensured)
            }
            attached => attached,
        };
        ATTACHMENT.set(next);
    }

    fn before_park(&self) {
        if let Attachment::Attached(ensured) = ATTACHMENT.get() {
            // SAFETY: this thread is attached, by `before_work`.
            ATTACHMENT.set(Attachment::Detached(ensured, unsafe { ffi::PyEval_SaveThread() }));
        }
    }

    fn stopped(&self) {
        self.before_work();
        if let Attachment::Attached(ensured) = ATTACHMENT.replace(Attachment::None) {
            // SAFETY: attached, and the outermost Ensure of this thread: its state goes away.
            unsafe { ffi::PyGILState_Release(ensured) };
        }
    }

    /// With the interpreter's lock.
    fn one_at_a_time(&self) -> bool {
        !env!("HANDWOUND_ABI").ends_with('t')
    }
}
