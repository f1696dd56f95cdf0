//! Atomics and a queue that loom can look into.
//!
//! Loom takes `SeqCst` for `AcqRel`, but knows sequentially consistent fences: so an access that is to be `SeqCst` has
//! one before and one after it. Nor does it know that nothing comes between an exchange and the store whose value that
//! has taken: it would let a thread see an exchange in place of a store that came after both. So a store is an exchange
//! too, as it is on x86. Both make an access somewhat stronger than the language promises, for accesses of which not all
//! are `SeqCst`; of ours, those that matter are.

/// Atomics whose accesses are made by `$fence`, and whose stores are made by `$store`.
macro_rules! atomics {
    ($fence:ident, $store:ident: $($name:ident($value:ty)),*) => {$(
        #[derive(Debug)]
        pub(crate) struct $name(loom::sync::atomic::$name);

        impl $name {
            pub(crate) fn new(value: $value) -> $name {
                $name(loom::sync::atomic::$name::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                $fence(order, || self.0.load(order))
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                $fence(order, || {
                    self.0.$store(value, order);
                });
            }

            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                $fence(order, || self.0.swap(value, order))
            }
        }
    )*};
}

/// Counters, and crossbeam's queue as it looks from outside: who asks whether it is empty takes no lock. How it does
/// that is crossbeam's to check.
macro_rules! counters_and_queue {
    ($fence:ident) => {
        impl AtomicUsize {
            pub(crate) fn fetch_add(&self, more: usize, order: Ordering) -> usize {
                $fence(order, || self.0.fetch_add(more, order))
            }

            pub(crate) fn fetch_sub(&self, less: usize, order: Ordering) -> usize {
                $fence(order, || self.0.fetch_sub(less, order))
            }

            pub(crate) fn fetch_update(
                &self,
                set: Ordering,
                fetch: Ordering,
                next: impl FnMut(usize) -> Option<usize>,
            ) -> Result<usize, usize> {
                $fence(set, || self.0.fetch_update(set, fetch, next))
            }
        }

        pub(crate) struct SegQueue<T> {
            entries: Mutex<std::collections::VecDeque<T>>,
            pushed: AtomicUsize,
            popped: AtomicUsize,
        }

        impl<T> SegQueue<T> {
            pub(crate) fn new() -> SegQueue<T> {
                let (pushed, popped) = (AtomicUsize::new(0), AtomicUsize::new(0));
                SegQueue { entries: Mutex::default(), pushed, popped }
            }

            pub(crate) fn push(&self, entry: T) {
                self.entries.lock().unwrap().push_back(entry);
                self.pushed.fetch_add(1, Ordering::SeqCst);
            }

            pub(crate) fn pop(&self) -> Option<T> {
                if self.is_empty() {
                    return None;
                }
                let entry = self.entries.lock().unwrap().pop_front()?;
                self.popped.fetch_add(1, Ordering::SeqCst);
                Some(entry)
            }

            pub(crate) fn len(&self) -> usize {
                self.pushed.load(Ordering::SeqCst) - self.popped.load(Ordering::SeqCst)
            }

            pub(crate) fn is_empty(&self) -> bool {
                self.len() == 0
            }
        }
    };
}

pub(super) use {atomics, counters_and_queue};
