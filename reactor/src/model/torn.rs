//! The pool as if its claim to be the one that calls a standby were a look and then a store: a standby may reach its
//! first job in between, and then somebody is promised who will not come.

pub(crate) mod primitives {
    use loom::sync::atomic::Ordering;

    use super::super::sound::primitives::AtomicBool as Sound;
    pub(crate) use super::super::sound::primitives::{AtomicUsize, Mutex, MutexGuard};

    #[derive(Debug)]
    pub(crate) struct AtomicBool(Sound);

    impl AtomicBool {
        pub(crate) fn new(value: bool) -> AtomicBool {
            AtomicBool(Sound::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> bool {
            self.0.load(order)
        }

        pub(crate) fn store(&self, value: bool, order: Ordering) {
            self.0.store(value, order);
        }

        pub(crate) fn swap(&self, value: bool, order: Ordering) -> bool {
            let before = self.0.load(order);
            self.0.store(value, order);
            before
        }
    }
}

#[path = "../thread_pool/mod.rs"]
pub(crate) mod thread_pool;
