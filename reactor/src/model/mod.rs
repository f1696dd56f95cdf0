//! The lock-free parts under a model checker, loom: every order of their steps, and every value that a load may give
//! under the memory model. A simulation has neither, as it changes threads at visible operations only and each of them
//! sees all that was done before.
//!
//! What is checked are `mailbox.rs` and `thread_pool` themselves, compiled once more with other primitives under them:
//! [`sound`]. The same files with primitives that have a defect show that the check would find it: [`weak`], [`torn`].
// The same files with other primitives are what this is about.
#![allow(clippy::duplicate_mod)]
#![allow(dead_code, unused_imports, clippy::unwrap_used)]

mod atomics;
mod calm_tests;
mod mailbox_tests;
mod pool_tests;
mod sound;
mod threads;
mod torn;
mod weak;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// All runs of `scenario` with so many changes of threads that no thread asked for.
fn check(preemptions_max: usize, scenario: impl Fn() + Send + Sync + 'static) {
    let mut checker = loom::model::Builder::new();
    checker.preemption_bound = Some(preemptions_max);
    checker.check(scenario);
}

/// What [`check`] says of a scenario that has a defect.
fn defect(preemptions_max: usize, scenario: impl Fn() + Send + Sync + 'static) -> String {
    let found = catch_unwind(AssertUnwindSafe(|| check(preemptions_max, scenario)));
    crate::mailbox::panic_text(&*found.expect_err("there is a defect to be found")).to_owned()
}
