//! The mailbox as if no access were stronger than `Acquire` and `Release`: what the loop says, that it will sleep, may
//! be seen only after it has looked into the queue.

pub(crate) mod primitives {
    use loom::sync::Mutex;
    use loom::sync::atomic::Ordering;

    use super::super::atomics::{atomics, counters_and_queue};

    fn unfenced<V>(_order: Ordering, access: impl FnOnce() -> V) -> V {
        access()
    }

    atomics!(unfenced, store: AtomicBool(bool), AtomicU8(u8), AtomicUsize(usize));
    counters_and_queue!(unfenced);
}

#[path = "../mailbox.rs"]
pub(crate) mod mailbox;
