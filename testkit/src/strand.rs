//! What a simulated thread runs on: a coroutine of the driver's OS thread, or an OS thread of its own.
//!
//! Of all OS threads of a world one runs, the one that holds the baton. The driver hands it to a strand
//! (`resume`) and waits; the strand hands it back (`suspend`) and waits. So who runs is decided in the same place
//! for both kinds, and the same decisions make the same trace.

use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};

use crate::coroutine::{self, Ended, Fiber};
use crate::shared::{Shared, adopt, new_token, token};
use crate::world::Body;

/// What threads started by [`SimThreads`](crate::SimThreads) run on. The same choices make the same trace on both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// Coroutines on the test's OS thread: a switch costs nanoseconds. Thread-local variables are shared by all of
    /// them, and a lock that looks at the OS thread cannot tell them apart.
    #[default]
    Coroutines,
    /// OS threads, of which one at a time runs: a switch costs microseconds. For code that needs real threads, as
    /// CPython does. What [`Sim::spawn`](crate::Sim::spawn) starts need not be `Send`, and stays on the test's OS
    /// thread.
    OsThreads,
}

pub(crate) enum Strand {
    Fiber(Fiber),
    Os(OsStrand),
}

impl Strand {
    /// A strand that has not begun.
    pub(crate) fn new(backend: Backend, world: &Arc<Shared>, name: &str, body: Body) -> Strand {
        match backend {
            Backend::Coroutines => Strand::Fiber(Fiber::new(body)),
            Backend::OsThreads => Strand::Os(OsStrand::new(Arc::clone(world), name, body)),
        }
    }

    /// Runs it until it suspends (`None`) or ends.
    pub(crate) fn resume(&mut self) -> Option<Ended> {
        match self {
            Strand::Fiber(fiber) => fiber.resume(),
            Strand::Os(strand) => strand.resume(),
        }
    }

    /// Tidies up after a strand that has ended.
    pub(crate) fn recycle(self) {
        match self {
            Strand::Fiber(fiber) => fiber.recycle(),
            Strand::Os(strand) => strand.join(),
        }
    }
}

/// Leaves the strand that is running; returns when it is resumed.
pub(crate) fn suspend() {
    match BATON.with(|baton| baton.get().map(Arc::clone)) {
        Some(baton) => {
            baton.give_back();
            baton.await_turn();
        }
        None => coroutine::suspend(),
    }
}

thread_local! {
    /// On an OS thread of a simulation: how it takes part.
    static BATON: OnceCell<Arc<Baton>> = const { OnceCell::new() };
}

/// Between the driver and one OS thread.
struct Baton {
    world: Arc<Shared>,
    driver: Thread,
    driver_token: u64,
    /// The OS thread runs, and the driver waits; or the other way round.
    strand_runs: AtomicBool,
    ended: Mutex<Option<Ended>>,
}

impl Baton {
    fn give_back(&self) {
        self.world.lend(self.driver_token);
        // Releases all that was done here to the driver, which acquires it when it sees this.
        self.strand_runs.store(false, Ordering::Release);
        self.driver.unpark();
    }

    fn await_turn(&self) {
        while !self.strand_runs.load(Ordering::Acquire) {
            thread::park();
        }
    }
}

pub(crate) struct OsStrand {
    baton: Arc<Baton>,
    token: u64,
    thread: JoinHandle<()>,
}

impl OsStrand {
    fn new(world: Arc<Shared>, name: &str, body: Body) -> OsStrand {
        let baton = Arc::new(Baton {
            world,
            driver: thread::current(),
            driver_token: token(),
            strand_runs: AtomicBool::new(false),
            ended: Mutex::new(None),
        });
        let (mine, token) = (Arc::clone(&baton), new_token());
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                adopt(token);
                BATON.with(|baton| baton.get_or_init(|| Arc::clone(&mine)).await_turn());
                let ended = catch_unwind(AssertUnwindSafe(body));
                *mine.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
                mine.give_back();
            })
            .unwrap_or_else(|error| panic!("the system has no OS thread for the simulated thread `{name}`: {error}"));
        OsStrand { baton, token, thread }
    }

    fn resume(&mut self) -> Option<Ended> {
        let baton = &self.baton;
        baton.world.lend(self.token);
        baton.strand_runs.store(true, Ordering::Release);
        self.thread.thread().unpark();
        while baton.strand_runs.load(Ordering::Acquire) {
            thread::park();
        }
        baton.ended.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Also lets the thread's own destructors (of thread-local variables) run before anything else moves.
    fn join(self) {
        // It has caught what its body panicked with.
        let _ = self.thread.join();
    }
}
