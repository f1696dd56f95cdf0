//! The mailbox and the pool as they are.

pub(crate) mod primitives {
    use loom::sync::atomic::{Ordering, fence};
    pub(crate) use loom::sync::{Mutex, MutexGuard};

    use super::super::atomics::{atomics, counters_and_queue};

    fn fenced<V>(order: Ordering, access: impl FnOnce() -> V) -> V {
        if order != Ordering::SeqCst {
            return access();
        }
        fence(Ordering::SeqCst);
        let value = access();
        fence(Ordering::SeqCst);
        value
    }

    atomics!(fenced, swap: AtomicBool(bool), AtomicU8(u8), AtomicUsize(usize));
    counters_and_queue!(fenced);
}

#[path = "../mailbox.rs"]
pub(crate) mod mailbox;

#[path = "../thread_pool/mod.rs"]
pub(crate) mod thread_pool;
