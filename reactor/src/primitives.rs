//! What the mailbox and the pool are made of. `model`, a module of the tests, gives them those of a model checker
//! instead.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize};
pub(crate) use std::sync::{Mutex, MutexGuard};

pub(crate) use crossbeam::queue::SegQueue;
