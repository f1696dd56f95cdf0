//! Who may touch a world: one OS thread at a time, the one that holds its baton.
//!
//! No lock: a world belongs to the OS thread that made it, which may lend it to one of the OS threads that the
//! simulation has started ([`Backend::OsThreads`](crate::Backend::OsThreads)) and gets it back. Any other that
//! calls is told so by a panic, and so is the test.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell, UnsafeCell};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::choices::Choices;
use crate::world::World;

static TOKENS: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The number of this OS thread; 0 until it needs one.
    static TOKEN: Cell<u64> = const { Cell::new(0) };
    /// Worlds that nobody uses any more, for the next ones: their memory is warm.
    static SPARE: RefCell<Vec<Arc<Shared>>> = const { RefCell::new(Vec::new()) };
}

const SPARE_MAX: usize = 4;

/// This OS thread's number, never used again for another.
pub(crate) fn token() -> u64 {
    let token = TOKEN.get();
    if token != 0 {
        return token;
    }
    let token = new_token();
    TOKEN.set(token);
    token
}

/// A number for an OS thread that is about to begin.
pub(crate) fn new_token() -> u64 {
    TOKENS.fetch_add(1, Ordering::Relaxed)
}

/// Gives this OS thread, which has just begun, a number from [`new_token`].
pub(crate) fn adopt(token: u64) {
    TOKEN.set(token);
}

/// A world, as gates, wakers, reactors and clients hold it. Never in use while a task is switched.
pub(crate) struct Shared {
    /// The OS thread that may use what follows.
    holder: AtomicU64,
    busy: Cell<bool>,
    world: UnsafeCell<World>,
    /// An OS thread that is no part of this world has called.
    trespassed: AtomicBool,
    trespasser: Mutex<String>,
}

// SAFETY: `busy` and `world` are touched only by the OS thread whose number `holder` is (`enter` checks), and
// `holder` is changed only by that thread (`lend`). A thread sees its own number there only if it
// was given it: by a hand-over that synchronises (`strand`), or by itself. `World` is `Send`, which the mutex-like
// use here needs, and the other fields are `Sync`.
unsafe impl Sync for Shared where World: Send {}

/// Ends a use, also by a panic.
struct Leave<'a>(&'a Cell<bool>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Shared {
    /// A world of this OS thread.
    pub(crate) fn new(choices: Choices) -> Arc<Shared> {
        if let Some(spare) = SPARE.with_borrow_mut(Vec::pop) {
            spare.with(|w| w.begin(choices));
            return spare;
        }
        Arc::new(Shared {
            holder: AtomicU64::new(token()),
            busy: Cell::new(false),
            world: UnsafeCell::new(World::new(choices)),
            trespassed: AtomicBool::new(false),
            trespasser: Mutex::default(),
        })
    }

    /// Empties a world that is over, and keeps it for the next test if nobody else has it.
    pub(crate) fn recycle(world: &Arc<Shared>) {
        let unused = Arc::strong_count(world) == 1 && Arc::weak_count(world) == 0;
        if !unused || world.trespassed.load(Ordering::Relaxed) || world.holder.load(Ordering::Relaxed) != token() {
            return;
        }
        // What users have left in it is dropped outside: it may call back.
        drop(world.with(World::empty));
        // At the end of the OS thread there is no next test.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARE_MAX {
                spare.push(Arc::clone(world));
            }
        });
    }

    /// Uses the world; nothing in here may use it again, or wait.
    ///
    /// # Panics
    /// On an OS thread that is no part of it.
    pub(crate) fn with<R>(&self, use_it: impl FnOnce(&mut World) -> R) -> R {
        if self.holder.load(Ordering::Relaxed) != token() {
            self.refuse();
        }
        assert!(
            !self.busy.replace(true),
            "a client's script runs inside the world and cannot call into it: it answers by its second argument, and \
             what it needs beside the bytes is looked up before and captured"
        );
        let _leave = Leave(&self.busy);
        // SAFETY: this OS thread is the holder, so no other has a reference; and `busy` was false, so this one
        // has none either. `_leave` clears it when this reference is gone.
        use_it(unsafe { &mut *self.world.get() })
    }

    /// As [`with`](Shared::with), for destructors: does nothing where the world cannot be used.
    pub(crate) fn try_with(&self, use_it: impl FnOnce(&mut World)) {
        if TOKEN.try_with(Cell::get) == Ok(self.holder.load(Ordering::Relaxed)) && !self.busy.get() {
            self.with(use_it);
        }
    }

    /// The world is another OS thread's from here on. Only the holder may call this, and has to tell the other
    /// in a way that synchronises.
    pub(crate) fn lend(&self, token: u64) {
        self.holder.store(token, Ordering::Relaxed);
    }

    /// Whether an OS thread that is no part of this world has called, and what to say about it.
    pub(crate) fn trespasser(&self) -> Option<String> {
        let seen = self.trespassed.load(Ordering::Acquire);
        seen.then(|| self.trespasser.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    #[cold]
    fn refuse(&self) -> ! {
        let thread = thread::current();
        let text = format!(
            "the OS thread `{}` calls into a simulated world of which it is no part; when it does so is left to \
             chance. Start it with the simulation's own threads (Sim::threads, Sim::spawn), and use each Sim on one \
             OS thread only",
            thread.name().unwrap_or("(unnamed)")
        );
        *self.trespasser.lock().unwrap_or_else(PoisonError::into_inner) = text.clone();
        self.trespassed.store(true, Ordering::Release);
        panic!("{text}");
    }
}
