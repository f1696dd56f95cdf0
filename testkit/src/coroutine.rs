//! Coroutines: code that can be left in the middle and gone on with later, on one OS thread.
//!
//! The only file of this crate with `unsafe` in it. A fiber is driven by `resume`, and leaves itself by
//! `suspend`, from however deep in its stack. Who runs next is decided elsewhere.
#![allow(unsafe_code)]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

/// Address space per stack; only pages that are touched cost memory. A guard page lies below.
const STACK_BYTES: usize = 1 << 20;
/// How many stacks an OS thread keeps for the next fibers; a fresh one costs a hundred times a kept one.
const STACKS_KEPT_MAX: usize = 64;

/// How a fiber's body ended: by returning, or with a panic's payload.
pub(crate) type Ended = Result<(), Box<dyn Any + Send>>;

type Inner = Coroutine<(), (), Ended, DefaultStack>;

thread_local! {
    /// The yielder of the fiber that runs on this OS thread; null outside of any.
    static YIELDER: Cell<*const Yielder<(), ()>> = const { Cell::new(ptr::null()) };
    static STACKS: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
}

/// A body with a stack of its own.
pub(crate) struct Fiber(Inner);

impl Fiber {
    /// A fiber that has not begun.
    ///
    /// # Panics
    /// When the system has no memory for a stack.
    pub(crate) fn new(body: Box<dyn FnOnce()>) -> Fiber {
        let kept = STACKS.with_borrow_mut(Vec::pop);
        let stack = kept.unwrap_or_else(|| DefaultStack::new(STACK_BYTES).expect("memory for a coroutine's stack"));
        Fiber(Coroutine::with_stack(stack, move |yielder, ()| {
            YIELDER.set(yielder);
            catch_unwind(AssertUnwindSafe(body))
        }))
    }

    /// Runs the fiber until it suspends (`None`) or ends.
    pub(crate) fn resume(&mut self) -> Option<Ended> {
        let outer = YIELDER.replace(ptr::null());
        let result = self.0.resume(());
        YIELDER.set(outer);
        match result {
            CoroutineResult::Yield(()) => None,
            CoroutineResult::Return(ended) => Some(ended),
        }
    }

    /// Keeps the stack of a fiber that has ended for the next one.
    pub(crate) fn recycle(self) {
        let stack = self.0.into_stack();
        STACKS.with_borrow_mut(|kept| {
            if kept.len() < STACKS_KEPT_MAX {
                kept.push(stack);
            }
        });
    }
}

/// Leaves the fiber that is running; returns when it is resumed.
///
/// # Panics
/// Outside of a fiber.
pub(crate) fn suspend() {
    let yielder = YIELDER.get();
    assert!(!yielder.is_null(), "suspend is called in fibers only");
    // SAFETY: a yielder lives on its fiber's stack from before the body begins until after it ends. `YIELDER` is
    // set to it only while that fiber runs: `resume` clears it before and restores it after, and below it is set
    // again when this fiber goes on. So here it is the yielder of the very fiber that is executing this, whose
    // stack, being in use, is alive. Fibers never move between OS threads (`Coroutine` is not `Send`).
    unsafe { (*yielder).suspend(()) };
    YIELDER.set(yielder);
}
