//! What a simulated thread runs on: a coroutine of the driver's OS thread, or an OS thread of its own.
//!
//! Of all OS threads of a world one runs, the one that holds the baton. The driver hands it to a strand
//! (`resume`) and waits; the strand hands it back (`suspend`) and waits. So who runs is decided in the same place
//! for both kinds, and the same decisions make the same trace.

use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use crossbeam::sync::{Parker, Unparker};

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

/// What is to be done around each wait of an OS thread for its turn, and of the driver for it.
static AROUND: OnceLock<Around> = OnceLock::new();

type Around = (fn() -> u32, fn(u32));

/// Has `enter` called before an OS thread of a simulation, or its driver, really waits or starts a thread, and `leave`
/// with its result afterwards, on that thread: for whoever has put himself before the system's own functions, and must
/// not take these calls for the program's. Once in a process; a second call changes nothing.
pub fn around_switches(enter: fn() -> u32, leave: fn(u32)) {
    let _ = AROUND.set((enter, leave));
}

/// Does what really waits.
fn really<R>(act: impl FnOnce() -> R) -> R {
    let Some((enter, leave)) = AROUND.get() else { return act() };
    let before = enter();
    let result = act();
    leave(before);
    result
}

/// Leaves the strand that is running; returns when it is resumed.
pub(crate) fn suspend() {
    match BATON.with(|baton| baton.get().map(Arc::clone)) {
        Some(baton) => {
            really(|| {
                baton.give_back();
                baton.await_turn();
            });
        }
        None => coroutine::suspend(),
    }
}

thread_local! {
    /// On an OS thread of a simulation: how it takes part.
    static BATON: OnceCell<Arc<Baton>> = const { OnceCell::new() };
}

/// Between the driver and one OS thread.
pub(crate) struct Baton {
    world: Arc<Shared>,
    driver: Unparker,
    driver_token: u64,
    /// The OS thread runs, and the driver waits; or the other way round.
    strand_runs: AtomicBool,
    /// The OS thread is to end without having begun.
    is_called_off: AtomicBool,
    ended: Mutex<Option<Ended>>,
    /// Wakes the OS thread. It may be of another kind than those of `std`, which does not know its handle.
    waker: Unparker,
}

impl Baton {
    fn give_back(&self) {
        self.world.lend(self.driver_token);
        // Releases all that was done here to the driver, which acquires it when it sees this.
        self.strand_runs.store(false, Ordering::Release);
        self.driver.unpark();
    }

    fn await_turn(&self) {
        PARKER.with(|parker| {
            let Some(parker) = parker.get() else { return };
            while !self.strand_runs.load(Ordering::Acquire) {
                parker.park();
            }
        });
    }
}

thread_local! {
    /// Where an OS thread of a simulation, or its driver, waits for its turn. Not where `std` has threads park: the program
    /// that is simulated may be in the middle of that.
    static PARKER: OnceCell<Parker> = const { OnceCell::new() };
}

/// What an OS thread takes along into its simulation.
pub(crate) struct Entry {
    baton: Arc<Baton>,
    parker: Parker,
    token: u64,
}

impl Entry {
    /// Waits for its first turn, and runs `body` then; to be called on the OS thread itself, as all that it does.
    pub(crate) fn run(self, body: impl FnOnce()) {
        let Entry { baton, parker, token } = self;
        adopt(token);
        let _ = PARKER.with(|own| own.set(parker));
        BATON.with(|own| own.get_or_init(|| Arc::clone(&baton)).await_turn());
        let called_off = baton.is_called_off.load(Ordering::Relaxed);
        let ended = if called_off { Ok(()) } else { catch_unwind(AssertUnwindSafe(body)) };
        *baton.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
        baton.give_back();
    }
}

pub(crate) struct OsStrand {
    baton: Arc<Baton>,
    token: u64,
    /// Waits for the OS thread's end.
    join: Box<dyn FnOnce() + Send>,
}

impl OsStrand {
    fn new(world: Arc<Shared>, name: &str, body: Body) -> OsStrand {
        let (mut strand, entry) = OsStrand::waiting(world, driver_here(), Box::new(|| {}));
        let thread = really(|| thread::Builder::new().name(name.to_owned()).spawn(move || entry.run(body)))
            .unwrap_or_else(|error| panic!("the system has no OS thread for the simulated thread `{name}`: {error}"));
        strand.join = Box::new(move || {
            // It has caught what its body panicked with.
            let _ = thread.join();
        });
        strand
    }

    /// For an OS thread that somebody else starts, and that waits for its first turn by `Entry::run`. `driver` wakes
    /// the thread that drives the world, whose number this is.
    pub(crate) fn waiting(
        world: Arc<Shared>,
        (driver, driver_token): (Unparker, u64),
        join: Box<dyn FnOnce() + Send>,
    ) -> (OsStrand, Entry) {
        let parker = Parker::new();
        let baton = Arc::new(Baton {
            world,
            driver,
            driver_token,
            strand_runs: AtomicBool::new(false),
            is_called_off: AtomicBool::new(false),
            ended: Mutex::new(None),
            waker: parker.unparker().clone(),
        });
        let token = new_token();
        (OsStrand { baton: Arc::clone(&baton), token, join }, Entry { baton, parker, token })
    }

    fn resume(&mut self) -> Option<Ended> {
        let baton = &self.baton;
        baton.world.lend(self.token);
        really(|| {
            baton.strand_runs.store(true, Ordering::Release);
            baton.waker.unpark();
            PARKER.with(|own| {
                let parker = own.get_or_init(Parker::new);
                while baton.strand_runs.load(Ordering::Acquire) {
                    parker.park();
                }
            });
        });
        baton.ended.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Ends an OS thread that has not begun.
    pub(crate) fn call_off(mut self) {
        self.baton.is_called_off.store(true, Ordering::Relaxed);
        self.resume();
        self.join();
    }

    /// Also lets the thread's own destructors (of thread-local variables) run before anything else moves.
    fn join(self) {
        really(self.join);
    }
}

/// The driver of the world whose OS thread is calling, and its number.
pub(crate) fn driver_here() -> (Unparker, u64) {
    let of_strand = BATON.with(|baton| baton.get().map(|baton| (baton.driver.clone(), baton.driver_token)));
    of_strand.unwrap_or_else(|| (PARKER.with(|own| own.get_or_init(Parker::new).unparker().clone()), token()))
}
