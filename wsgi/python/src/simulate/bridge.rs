//! Between the preloaded library (`shadow/shadow.rs`) and the simulation: what its hooks do.
//!
//! One simulation at a time in a process. Hooks are called on threads of it, and on the test's own, by C code that cannot
//! be unwound: no panic leaves one. What is told here in numbers is explained in `shadow/abi.rs`.
#![allow(unsafe_code)]

use std::any::Any;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};

use handwound_reactor::{SharedId, Threads as _, Time};
use handwound_testkit::{Foreign, Newcomer, SimThreads, Waited, around_switches, split_mix};
use libloading::os::unix::Library;

use super::place;

mod abi {
    #![allow(dead_code, missing_docs)]
    include!("../../shadow/abi.rs");
}

use abi::{Hooks, Kind, NEVER, OVER, TIMED_OUT, WOKEN};

/// The library's functions.
struct Shadow {
    take_part: extern "C" fn(u32) -> u32,
    call: unsafe extern "C" fn(usize, usize),
    start: unsafe extern "C" fn(usize, extern "C" fn(usize), usize) -> usize,
    is_detached: unsafe extern "C" fn(usize) -> u32,
    join: unsafe extern "C" fn(usize),
    number: extern "C" fn() -> i32,
    await_end: extern "C" fn(i32),
    me: extern "C" fn() -> usize,
}

static SHADOW: OnceLock<Shadow> = OnceLock::new();

static HOOKS: Hooks = Hooks { now, date, enlist, hold, wait, notify, spawn, join, detach, pass, random };

/// Finds the library among what this process was started with, and tells it the hooks.
///
/// # Errors
/// When it was not preloaded.
pub(super) fn install() -> Result<(), String> {
    if SHADOW.get().is_some() {
        return Ok(());
    }
    let this = Library::this();
    let missing = |error: libloading::Error| format!("this process was not started for a simulation ({error})");
    // SAFETY: these are the library's functions, and their types are those in its source, which is built with this.
    unsafe {
        let install = *this.get::<unsafe extern "C" fn(*const Hooks)>(b"handwound_shadow_install").map_err(missing)?;
        let shadow = Shadow {
            take_part: *this.get(b"handwound_shadow_take_part").map_err(missing)?,
            call: *this.get(b"handwound_shadow_call").map_err(missing)?,
            start: *this.get(b"handwound_shadow_start").map_err(missing)?,
            is_detached: *this.get(b"handwound_shadow_is_detached").map_err(missing)?,
            join: *this.get(b"handwound_shadow_join").map_err(missing)?,
            number: *this.get(b"handwound_shadow_number").map_err(missing)?,
            await_end: *this.get(b"handwound_shadow_await_end").map_err(missing)?,
            me: *this.get(b"handwound_shadow_self").map_err(missing)?,
        };
        // A static lives as long as the process.
        install(&raw const HOOKS);
        let _ = SHADOW.set(shadow);
    }
    // The simulation's own waiting is no waiting of the program.
    around_switches(
        || u32::from(take_part(false)),
        |before| {
            take_part(before != 0);
        },
    );
    // What stands in the program itself is never unloaded; neither is this handle to it.
    std::mem::forget(this);
    Ok(())
}

/// The calling thread waits in the simulation from here on, or for real; gives back what it did before.
pub(super) fn take_part(part: bool) -> bool {
    SHADOW.get().is_some_and(|shadow| (shadow.take_part)(u32::from(part)) != 0)
}

/// The calling thread, as Python names it too (`threading.get_ident`).
pub(super) fn ident() -> usize {
    SHADOW.get().map_or(0, |shadow| (shadow.me)())
}

/// Until it is dropped the calling thread waits for real: the simulation itself may.
pub(super) struct ForReal(bool);

impl ForReal {
    pub(super) fn now() -> ForReal {
        ForReal(take_part(false))
    }
}

impl Drop for ForReal {
    fn drop(&mut self) {
        take_part(self.0);
    }
}

/// One run.
pub(super) struct Run {
    pub(super) threads: SimThreads,
    /// Stands for all that Python code may share: a thread passes here before it is left in the middle.
    pub(super) python: SharedId,
    is_over: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By object, in the order in which they came.
    waiting: HashMap<usize, VecDeque<Arc<Foreign>>>,
    started: u32,
    /// Locks that somebody has waited for, and who has a lock.
    locks: HashMap<usize, SharedId>,
    holders: HashMap<usize, Arc<Foreign>>,
    chance: u64,
    /// What broke off on the test's own thread, inside of C code.
    broken: Option<Box<dyn Any + Send>>,
}

/// A thread that was started by `pthread_create`.
#[derive(Default)]
struct Started {
    has_ended: bool,
    /// Its OS thread is no more.
    has_left: bool,
    /// The program has joined or detached it.
    is_let_go: bool,
    waiting: Vec<Arc<Foreign>>,
}

/// By their `pthread_t`, until the program has let go of them: from then on the system gives it to others. Not of one run:
/// a program may keep a thread, and join it in another.
static STARTED: LazyLock<Mutex<HashMap<usize, Started>>> = LazyLock::new(Mutex::default);

static CURRENT: Mutex<Option<Arc<Run>>> = Mutex::new(None);

thread_local! {
    static ME: RefCell<Option<Me>> = const { RefCell::new(None) };
}

/// A thread's place in the run.
struct Me {
    run: Arc<Run>,
    place: Arc<Foreign>,
    /// For what it is enlisted.
    object: usize,
    /// How often it has asked for the time without waiting.
    looks: u32,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    /// Begins a run, which is the process's until [`Run::end`].
    pub(super) fn begin(threads: SimThreads) -> Arc<Run> {
        let python = threads.shared("Python");
        let run = Arc::new(Run { threads, python, is_over: AtomicBool::new(false), state: Mutex::default() });
        *locked(&CURRENT) = Some(Arc::clone(&run));
        run
    }

    /// Ends it; what broke off on the way. Its threads end after this, and wait for each other until they have: it stays
    /// the process's until the next begins.
    pub(super) fn end(&self) -> Option<Box<dyn Any + Send>> {
        ME.take();
        self.is_over.store(true, Ordering::Relaxed);
        locked(&self.state).broken.take()
    }
}

/// Does something as the calling thread, which gets a place if it has none; `otherwise` where there is no run, and where
/// it panics.
fn as_me<R>(otherwise: R, act: impl FnOnce(&Arc<Run>, &Arc<Foreign>) -> R) -> R {
    let place = || {
        let current = locked(&CURRENT).clone()?;
        ME.with_borrow_mut(|me| {
            if !me.as_ref().is_some_and(|me| Arc::ptr_eq(&me.run, &current)) {
                let place = Arc::new(current.threads.foreign());
                *me = Some(Me { run: Arc::clone(&current), place, object: 0, looks: 0 });
            }
            me.as_ref().map(|me| (Arc::clone(&me.run), Arc::clone(&me.place)))
        })
    };
    match catch_unwind(AssertUnwindSafe(|| place().map(|(run, place)| act(&run, &place)))) {
        Ok(Some(result)) => result,
        Ok(None) => otherwise,
        Err(payload) => {
            if let Some(run) = locked(&CURRENT).clone() {
                locked(&run.state).broken.get_or_insert(payload);
            }
            // The test's own wait cannot end: its Python code must.
            place::interrupt();
            otherwise
        }
    }
}

/// As [`as_me`], for the interpreter: at a place in Python code.
pub(super) fn at_place<R>(act: impl FnOnce(&Run, &Foreign) -> R) -> Option<R> {
    as_me(None, |run, place| Some(act(run, place)))
}

/// Whether there is a run, and it is not over.
pub(super) fn is_under_way() -> bool {
    locked(&CURRENT).as_ref().is_some_and(|run| !run.is_over.load(Ordering::Relaxed))
}

fn nanos(time: Time) -> u64 {
    u64::try_from(time.since_start().as_nanos()).unwrap_or(NEVER)
}

/// Who looks at the clock so often without a wait waits for it to move on.
const LOOKS_MAX: u32 = 2_000;
/// Does so again after so many more, unless it has waited meanwhile.
const LOOKS_MORE: u32 = 50;
/// And goes on after so many nanoseconds.
const LOOKING_NANOS: u64 = 1_000_000;

extern "C" fn now() -> u64 {
    as_me(0, |_, place| {
        let looks = ME.with_borrow_mut(|me| {
            me.as_mut().map_or(0, |me| {
                me.looks += 1;
                me.looks
            })
        });
        let now = nanos(place.now());
        if looks < LOOKS_MAX {
            return now;
        }
        looked_up(LOOKS_MAX - LOOKS_MORE);
        let until = now + LOOKING_NANOS;
        let deadline = Some(Time::ZERO + std::time::Duration::from_nanos(until));
        if place.wait("the clock, again and again", deadline, false) == Waited::Over {
            place::interrupt();
        }
        until
    })
}

fn looked_up(looks: u32) {
    ME.with_borrow_mut(|me| {
        if let Some(me) = me {
            me.looks = looks;
        }
    });
}

extern "C" fn date() -> u64 {
    let since_1970 = nanos(Time::ZERO + as_me(std::time::Duration::ZERO, |_, place| place.date()));
    // Who looks at the date looks at the clock.
    now();
    since_1970
}

extern "C" fn enlist(object: usize) {
    as_me((), |run, place| {
        ME.with_borrow_mut(|me| {
            if let Some(me) = me {
                me.object = object;
            }
        });
        locked(&run.state).waiting.entry(object).or_default().push_back(Arc::clone(place));
    });
}

extern "C" fn wait(how: u32, until: u64) -> u32 {
    looked_up(0);
    place::waits();
    as_me(OVER, |run, place| {
        let what = match how {
            how if how == Kind::Lock as u32 => "a lock",
            how if how == Kind::Sleep as u32 => "time",
            how if how == Kind::Ready as u32 => "a descriptor",
            _ => "the interpreter",
        };
        let deadline = (until != NEVER).then(|| Time::ZERO + std::time::Duration::from_nanos(until));
        let object = ME.with_borrow(|me| me.as_ref().map_or(0, |me| me.object));
        if how == Kind::Lock as u32 {
            let known = locked(&run.state).locks.get(&object).copied();
            let shared = known.unwrap_or_else(|| run.threads.shared(what));
            let holder = {
                let mut state = locked(&run.state);
                state.locks.insert(object, shared);
                state.holders.get(&object).cloned()
            };
            place.awaits(Some((shared, holder.as_deref())));
        } else {
            place.awaits(None);
        }
        let waited = place.wait(what, deadline, how == Kind::Essential as u32);
        let mut state = locked(&run.state);
        if let Some(waiting) = state.waiting.get_mut(&object) {
            // Who was notified has been taken off; who was not must not be.
            waiting.retain(|waiting| !Arc::ptr_eq(waiting, place));
            if waiting.is_empty() {
                state.waiting.remove(&object);
            }
        }
        drop(state);
        match waited {
            Waited::Woken => WOKEN,
            Waited::TimedOut => TIMED_OUT,
            Waited::Over => {
                place::interrupt();
                OVER
            }
        }
    })
}

extern "C" fn hold(object: usize, held: u32) {
    as_me((), |run, place| {
        let mut state = locked(&run.state);
        match held {
            0 => drop(state.holders.remove(&object)),
            _ => drop(state.holders.insert(object, Arc::clone(place))),
        }
        let waited_for = state.locks.get(&object).copied();
        drop(state);
        if let Some(shared) = waited_for {
            place.holds(shared, held != 0);
        }
    });
}

extern "C" fn notify(object: usize, all: u32) {
    as_me((), |run, _| {
        let woken: Vec<_> = match locked(&run.state).waiting.get_mut(&object) {
            Some(waiting) if all != 0 => waiting.drain(..).collect(),
            Some(waiting) => waiting.pop_front().into_iter().collect(),
            None => return,
        };
        woken.iter().for_each(|place| place.wake());
    });
}

/// What a new OS thread is given.
struct Newborn {
    newcomer: Newcomer,
    /// Its number in the system.
    number: Arc<AtomicI32>,
    start: usize,
    arg: usize,
}

extern "C" fn spawn(attributes: usize, start: usize, arg: usize) -> usize {
    as_me(0, |run, _| {
        let Some(shadow) = SHADOW.get() else { return 0 };
        let count = {
            let mut state = locked(&run.state);
            state.started += 1;
            state.started
        };
        let number = Arc::new(AtomicI32::new(0));
        let id = Arc::new(Mutex::new(0));
        let leaves = {
            let (number, id) = (Arc::clone(&number), Arc::clone(&id));
            move || left(shadow, number.load(Ordering::Acquire), *locked(&id))
        };
        let Ok(newcomer) = run.threads.adopt(&format!("thread-{count}"), leaves) else { return 0 };
        let newborn = Box::new(Newborn { newcomer, number, start, arg });
        // SAFETY: the attributes are what `pthread_create` was called with.
        let (thread, is_let_go) = unsafe {
            let thread = (shadow.start)(attributes, begun, Box::into_raw(newborn) as usize);
            (thread, (shadow.is_detached)(attributes) != 0)
        };
        if thread == 0 {
            // There is a thread in the simulation, which nothing will ever run: the run is as good as over.
            panic!("the system has no thread for the simulated thread `thread-{count}`");
        }
        *locked(&id) = thread;
        locked(&STARTED).insert(thread, Started { is_let_go, ..Started::default() });
        thread
    })
}

/// A thread that was started by `pthread_create`, from its beginning to its end.
extern "C" fn begun(newborn: usize) {
    // SAFETY: `spawn` made it of a box, for this thread alone.
    let newborn = unsafe { Box::from_raw(newborn as *mut Newborn) };
    let Newborn { newcomer, number, start, arg } = *newborn;
    let Some(shadow) = SHADOW.get() else { return };
    number.store((shadow.number)(), Ordering::Release);
    newcomer.run(|| {
        place::thread_begins();
        // SAFETY: `start` and `arg` are what `pthread_create` was called with.
        unsafe { (shadow.call)(start, arg) };
        let waiting = locked(&STARTED).get_mut(&(shadow.me)()).map(|started| {
            started.has_ended = true;
            std::mem::take(&mut started.waiting)
        });
        waiting.iter().flatten().for_each(|place| place.wake());
        ME.take();
    });
}

/// Waits until a thread that has had its last turn is no more.
fn left(shadow: &Shadow, number: i32, thread: usize) {
    if number != 0 {
        (shadow.await_end)(number);
    }
    let mut all = locked(&STARTED);
    let is_let_go = all.get_mut(&thread).is_some_and(|started| {
        (started.has_ended, started.has_left) = (true, true);
        started.is_let_go
    });
    if is_let_go {
        all.remove(&thread);
        // SAFETY: what the program has done to it was only noted.
        unsafe { (shadow.join)(thread) };
    }
}

/// The program does not name this thread any more.
fn let_go(thread: usize) {
    let mut all = locked(&STARTED);
    let Some(started) = all.get_mut(&thread) else { return };
    started.is_let_go = true;
    if started.has_left {
        all.remove(&thread);
        if let Some(shadow) = SHADOW.get() {
            // SAFETY: as in `left`.
            unsafe { (shadow.join)(thread) };
        }
    }
}

extern "C" fn join(thread: usize) -> u32 {
    as_me(2, |_, place| {
        loop {
            match locked(&STARTED).get_mut(&thread) {
                None => return 1,
                Some(started) if started.has_ended => break,
                Some(started) => started.waiting.push(Arc::clone(place)),
            }
            if place.wait("the end of a thread", None, false) == Waited::Over {
                place::interrupt();
                let_go(thread);
                return 2;
            }
        }
        let_go(thread);
        0
    })
}

extern "C" fn detach(thread: usize) -> u32 {
    as_me(0, |_, _| {
        if !locked(&STARTED).contains_key(&thread) {
            return 1;
        }
        let_go(thread);
        0
    })
}

extern "C" fn pass() {
    // Nobody overtakes the test itself.
    if place::is_simulated() {
        as_me((), |run, place| match place::left_at() {
            Some(text) => place.pass(run.python, &text),
            None => place.visit(run.python),
        });
    }
}

extern "C" fn random() -> u64 {
    as_me(0, |run, _| split_mix(&mut locked(&run.state).chance))
}
