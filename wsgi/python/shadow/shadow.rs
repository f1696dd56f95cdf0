//! The functions of the C library by which a program waits, tells the time and draws chance, for an unmodified program
//! in a simulation. Preloaded (`LD_PRELOAD`), they come before the real ones.
//!
//! On threads that take part (`handwound_shadow_take_part`) they never block: what is there is taken, and what is not
//! is waited for in the simulation, where others go on meanwhile. On all other threads, and until somebody has installed
//! hooks, they are the real ones. State stays where it is in either case: a semaphore has its real value, a mutex its
//! real owner. Only the waiting is another.
//!
//! This file is a library of its own, and all there is of its kind: nothing depends on it, and what it does that the
//! compiler cannot check is done here and nowhere else. For Linux with glibc.
#![deny(unsafe_op_in_unsafe_fn)]
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_void};
use std::fs::File;
use std::mem::{ManuallyDrop, transmute};
use std::os::fd::FromRawFd;
use std::os::unix::fs::MetadataExt;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

include!("abi.rs");

const EAGAIN: c_int = 11;
const EINVAL: c_int = 22;
const EINPROGRESS: c_int = 115;
const ENETUNREACH: c_int = 101;
const ETIMEDOUT: c_int = 110;
/// What a wait for a descriptor fails with when the simulation is over. Not EINTR, at which Python waits again.
const ECANCELED: c_int = 125;
const PTHREAD_CREATE_JOINABLE: c_int = 0;
const PTHREAD_CREATE_DETACHED: c_int = 1;
const F_GETFL: c_int = 3;
const F_SETFL: c_int = 4;
const O_NONBLOCK: c_int = 0o4000;
const O_ACCMODE: c_int = 3;
const O_WRONLY: c_int = 1;
const POLLIN: i16 = 1;
const POLLOUT: i16 = 4;
const MSG_DONTWAIT: c_int = 0x40;
const MSG_WAITALL: c_int = 0x100;
/// So much can be written to whatever is ready for it.
const PIPE_BUF: usize = 4096;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const CLOCK_REALTIME: c_int = 0;
const CLOCK_REALTIME_COARSE: c_int = 5;
const CLOCK_TAI: c_int = 11;
const TIMER_ABSTIME: c_int = 1;
const SECOND: u64 = 1_000_000_000;
/// An object that stands for the readiness of every descriptor: whoever moved bytes may have made any of them ready.
const DESCRIPTORS: usize = 1;
/// An object that nobody notifies.
const NOTHING: usize = 2;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct timespec {
    seconds: i64,
    nanos: c_long,
}

#[repr(C)]
pub struct timeval {
    seconds: i64,
    micros: c_long,
}

#[repr(C)]
pub struct pollfd {
    fd: c_int,
    events: i16,
    revents: i16,
}

type Opaque = c_void;

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlvsym(handle: *mut c_void, name: *const c_char, version: *const c_char) -> *mut c_void;
    fn __errno_location() -> *mut c_int;
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    fn abort() -> !;
    fn getpid() -> c_int;
    fn sched_yield() -> c_int;
    fn pthread_attr_getdetachstate(attributes: *const c_void, state: *mut c_int) -> c_int;
    fn pthread_attr_setdetachstate(attributes: *mut c_void, state: c_int) -> c_int;
    fn pthread_mutex_trylock(mutex: *mut Opaque) -> c_int;
    fn pthread_rwlock_tryrdlock(lock: *mut Opaque) -> c_int;
    fn pthread_rwlock_trywrlock(lock: *mut Opaque) -> c_int;
    fn pthread_self() -> usize;
    fn getsockopt(fd: c_int, level: c_int, name: c_int, value: *mut c_void, length: *mut c_uint) -> c_int;
}

const RTLD_NEXT: *mut c_void = -1_isize as *mut c_void;

// Taking part.

static HOOKS: AtomicPtr<Hooks> = AtomicPtr::new(null_mut());
/// How many threads wait for anything, so that who lets go of a lock need not ask whether somebody wants it.
static WAITERS: AtomicUsize = AtomicUsize::new(0);

/// What this process was started with for its output: another process reads it, so that it gets room in real time only.
static OUTPUTS: OnceLock<[Option<(u64, u64)>; 2]> = OnceLock::new();

thread_local! {
    static PART: Cell<bool> = const { Cell::new(false) };
    /// It has signalled a condition, and not yet let go of the mutex.
    static SIGNALLED: Cell<bool> = const { Cell::new(false) };
}

/// Installs the hooks, which have to live as long as the process.
///
/// # Safety
/// `hooks` points to hooks that are never freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn handwound_shadow_install(hooks: *const Hooks) {
    let _ = OUTPUTS.set([1, 2].map(identity));
    HOOKS.store(hooks.cast_mut(), Ordering::Release);
}

/// The calling thread takes part from here on (1), or does no longer (0); whether it did before.
#[unsafe(no_mangle)]
pub extern "C" fn handwound_shadow_take_part(part: u32) -> u32 {
    u32::from(PART.with(|cell| cell.replace(part != 0)))
}

/// `start(arg)` on the calling thread, which takes part meanwhile.
///
/// # Safety
/// The two are what `pthread_create` was called with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn handwound_shadow_call(start: usize, arg: usize) {
    // SAFETY: by this function's own condition.
    let start: extern "C" fn(*mut c_void) -> *mut c_void = unsafe { transmute(start) };
    PART.with(|cell| cell.set(true));
    start(arg as *mut c_void);
    PART.with(|cell| cell.set(false));
}

/// Starts a thread with these attributes, for real, which calls `body(arg)`; its `pthread_t`, or 0.
///
/// # Safety
/// `attributes` is null or as for `pthread_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn handwound_shadow_start(attributes: usize, body: extern "C" fn(usize), arg: usize) -> usize {
    let mut thread = 0;
    // SAFETY: a C function with a pointer for its argument and result; what it gives back is not looked at. The thread
    // that calls this does not take part meanwhile, so that this is the real function. The attributes are as they were
    // afterwards; null ones are not detached.
    unsafe {
        let detached = handwound_shadow_is_detached(attributes) != 0;
        if detached {
            pthread_attr_setdetachstate(attributes as *mut c_void, PTHREAD_CREATE_JOINABLE);
        }
        let failed = pthread_create(&raw mut thread, attributes as *const c_void, body as usize, arg);
        if detached {
            pthread_attr_setdetachstate(attributes as *mut c_void, PTHREAD_CREATE_DETACHED);
        }
        if failed == 0 { thread } else { 0 }
    }
}

/// Whether a thread with these attributes would be detached (1).
///
/// # Safety
/// `attributes` is null or as for `pthread_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn handwound_shadow_is_detached(attributes: usize) -> u32 {
    let mut state = PTHREAD_CREATE_JOINABLE;
    if attributes != 0 {
        // SAFETY: by this function's own condition.
        unsafe { pthread_attr_getdetachstate(attributes as *const c_void, &raw mut state) };
    }
    u32::from(state == PTHREAD_CREATE_DETACHED)
}

/// The calling thread's number in the system.
#[unsafe(no_mangle)]
pub extern "C" fn handwound_shadow_number() -> i32 {
    // The C library has functions for this and the next from version 2.30 on.
    // SAFETY: has no conditions, and takes no arguments.
    unsafe { syscall(SYS_GETTID, null_mut(), 0, 0, null_mut(), null_mut(), 0) as i32 }
}

/// Waits, for real, until a thread has left: what it did for itself on its way out has been done then. It ends by itself
/// and soon; its `pthread_t` is its own until it is joined.
#[unsafe(no_mangle)]
pub extern "C" fn handwound_shadow_await_end(number: i32) {
    // SAFETY: signal 0 is none; it only tells whether the thread is there.
    unsafe {
        let process = getpid() as usize as *mut c_void;
        while syscall(SYS_TGKILL, process, number.into(), 0, null_mut(), null_mut(), 0) == 0 {
            sched_yield();
        }
    }
}

/// Joins such a thread, for real.
///
/// # Safety
/// It has not been joined.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn handwound_shadow_join(thread: usize) {
    // SAFETY: by this function's own condition.
    unsafe { pthread_join(thread, null_mut()) };
}

/// The calling thread's `pthread_t`.
#[unsafe(no_mangle)]
pub extern "C" fn handwound_shadow_self() -> usize {
    // SAFETY: has no conditions.
    unsafe { pthread_self() }
}

/// The hooks, while a thread that takes part does not: what is called from here on is real.
struct Inside {
    hooks: &'static Hooks,
}

impl Inside {
    #[inline]
    fn of_this_thread() -> Option<Inside> {
        if !PART.try_with(Cell::get).unwrap_or(false) {
            return None;
        }
        // SAFETY: whoever installed them keeps them for ever; null until then.
        let hooks = unsafe { HOOKS.load(Ordering::Acquire).as_ref() }?;
        PART.with(|cell| cell.set(false));
        Some(Inside { hooks })
    }

    // None of these three changes errno: neither do the functions of locks, in practice.

    fn enlist(&self, object: usize) {
        let error = errno();
        WAITERS.fetch_add(1, Ordering::Relaxed);
        (self.hooks.enlist)(object);
        fail(error);
    }

    fn wait(&self, kind: Kind, until: u64) -> u32 {
        let error = errno();
        let how = (self.hooks.wait)(kind as u32, until);
        WAITERS.fetch_sub(1, Ordering::Relaxed);
        fail(error);
        how
    }

    fn notify(&self, object: usize, all: bool) {
        if WAITERS.load(Ordering::Relaxed) > 0 {
            let error = errno();
            (self.hooks.notify)(object, u32::from(all));
            fail(error);
        }
    }

    fn now(&self) -> u64 {
        (self.hooks.now)()
    }

    /// Sleeps; false when the simulation ended first.
    fn sleep_until(&self, until: u64) -> bool {
        loop {
            self.enlist(NOTHING);
            match self.wait(Kind::Sleep, until) {
                OVER => return false,
                _ if self.now() >= until => return true,
                _ => {}
            }
        }
    }

    /// The time that `time` is on the clock of the simulation.
    fn instant(&self, clock: c_int, time: &timespec) -> u64 {
        let nanos = nanos_of(time);
        match is_calendar(clock) {
            true => nanos.saturating_sub((self.hooks.date)().saturating_sub(self.now())),
            false => nanos,
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        PART.with(|cell| cell.set(true));
    }
}

fn nanos_of(time: &timespec) -> u64 {
    u64::try_from(time.seconds)
        .unwrap_or(0)
        .saturating_mul(SECOND)
        .saturating_add(u64::try_from(time.nanos).unwrap_or(0))
}

fn timespec_of(nanos: u64) -> timespec {
    timespec { seconds: (nanos / SECOND) as i64, nanos: (nanos % SECOND) as c_long }
}

fn is_calendar(clock: c_int) -> bool {
    matches!(clock, CLOCK_REALTIME | CLOCK_REALTIME_COARSE | CLOCK_TAI)
}

/// CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID and those of other threads, whose numbers are negative.
fn is_processor_time(clock: c_int) -> bool {
    clock == 2 || clock == 3 || clock < 0
}

fn fail(error: c_int) -> c_int {
    // SAFETY: the C library gives each thread its own, valid for the thread's life.
    unsafe { *__errno_location() = error };
    -1
}

fn errno() -> c_int {
    // SAFETY: as in `fail`.
    unsafe { *__errno_location() }
}

// The real functions.

/// The next function of this name after ours, looked for once.
fn real(cell: &AtomicUsize, name: &CStr) -> usize {
    let known = cell.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    // Conditions have an older version with the same name on x86-64, which a plain lookup may give.
    let version = name.to_bytes().starts_with(b"pthread_cond_");
    // SAFETY: names and version are C strings.
    let found = unsafe {
        let found = if version { dlvsym(RTLD_NEXT, name.as_ptr(), c"GLIBC_2.3.2".as_ptr()) } else { null_mut() };
        if found.is_null() { dlsym(RTLD_NEXT, name.as_ptr()) } else { found }
    } as usize;
    if found == 0 {
        std::process::abort();
    }
    cell.store(found, Ordering::Relaxed);
    found
}

/// Defines functions of the C library. In each body `inside` is the hooks on a thread that takes part (elsewhere the
/// real function has been called already), and `real` is the real function.
macro_rules! shadows {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty => |$inside:ident, $real:ident| $body:block)*) => {$(
        $(#[$doc])*
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> $result {
            static REAL: AtomicUsize = AtomicUsize::new(0);
            const NAME: &CStr = match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => panic!("a name has no zero in it"),
            };
            // SAFETY: the C library's function of this name has this type.
            let $real: unsafe extern "C" fn($($type),*) -> $result = unsafe { transmute(real(&REAL, NAME)) };
            let Some($inside) = Inside::of_this_thread() else {
                // SAFETY: the caller keeps the conditions of the real function.
                return unsafe { $real($($arg),*) };
            };
            $body
        }
    )*};
}

// Time.

shadows! {
    fn clock_gettime(clock: c_int, time: *mut timespec) -> c_int => |inside, real| {
        if is_processor_time(clock) {
            // How long a computation takes is left to chance: in a simulation it takes no time.
            // SAFETY: the caller gives a place for a time.
            unsafe { *time = timespec_of(0) };
            return 0;
        }
        let _ = real;
        let nanos = if is_calendar(clock) { (inside.hooks.date)() } else { inside.now() };
        // SAFETY: as above.
        unsafe { *time = timespec_of(nanos) };
        0
    }

    fn gettimeofday(time: *mut timeval, zone: *mut c_void) -> c_int => |inside, real| {
        let _ = (real, zone);
        let nanos = (inside.hooks.date)();
        // SAFETY: the caller gives a place for a time, or none.
        if let Some(time) = unsafe { time.as_mut() } {
            *time = timeval { seconds: (nanos / SECOND) as i64, micros: (nanos % SECOND / 1000) as c_long };
        }
        0
    }

    fn time(place: *mut i64) -> i64 => |inside, real| {
        let _ = real;
        let seconds = ((inside.hooks.date)() / SECOND) as i64;
        // SAFETY: the caller gives a place for a time, or none.
        if let Some(place) = unsafe { place.as_mut() } {
            *place = seconds;
        }
        seconds
    }

    fn times(place: *mut [c_long; 4]) -> c_long => |inside, real| {
        const TICK: u64 = SECOND / 100;
        let _ = real;
        // SAFETY: the caller gives a place for four times, or none.
        if let Some(place) = unsafe { place.as_mut() } {
            // As the clocks of the processor.
            *place = [0; 4];
        }
        (inside.now() / TICK) as c_long
    }

    fn nanosleep(time: *const timespec, left: *mut timespec) -> c_int => |inside, real| {
        let _ = (real, left);
        // SAFETY: the caller gives a time.
        let until = inside.now().saturating_add(nanos_of(unsafe { &*time }));
        inside.sleep_until(until);
        0
    }

    fn clock_nanosleep(clock: c_int, flags: c_int, time: *const timespec, left: *mut timespec) -> c_int => |inside, real| {
        let _ = (real, left);
        // SAFETY: the caller gives a time.
        let time = unsafe { &*time };
        let until = match flags & TIMER_ABSTIME {
            0 => inside.now().saturating_add(nanos_of(time)),
            _ => inside.instant(clock, time),
        };
        inside.sleep_until(until);
        0
    }

    fn usleep(micros: c_uint) -> c_int => |inside, real| {
        let _ = real;
        inside.sleep_until(inside.now().saturating_add(u64::from(micros) * 1000));
        0
    }

    fn sleep(seconds: c_uint) -> c_uint => |inside, real| {
        let _ = real;
        inside.sleep_until(inside.now().saturating_add(u64::from(seconds) * SECOND));
        0
    }
}

// Semaphores: Python's locks.

fn await_semaphore(inside: &Inside, semaphore: *mut Opaque, until: u64) -> c_int {
    loop {
        // SAFETY: the caller of the function that this stands for gave a semaphore. It never blocks.
        if unsafe { sem_trywait(semaphore) } == 0 {
            (inside.hooks.hold)(semaphore as usize, 1);
            return 0;
        }
        if inside.now() >= until {
            return fail(ETIMEDOUT);
        }
        inside.enlist(semaphore as usize);
        if inside.wait(Kind::Lock, until) == OVER {
            // As if a deadline had come, also where there is none: Python's lock then says that it was not acquired, and
            // the thread, which was told to end, does not get far with that.
            return fail(ETIMEDOUT);
        }
    }
}

shadows! {
    fn sem_trywait(semaphore: *mut Opaque) -> c_int => |inside, real| {
        // SAFETY: the caller gives a semaphore.
        let result = unsafe { real(semaphore) };
        if result == 0 {
            (inside.hooks.hold)(semaphore as usize, 1);
        }
        result
    }

    fn sem_wait(semaphore: *mut Opaque) -> c_int => |inside, real| {
        let _ = real;
        await_semaphore(&inside, semaphore, NEVER)
    }

    fn sem_timedwait(semaphore: *mut Opaque, time: *const timespec) -> c_int => |inside, real| {
        let _ = real;
        // SAFETY: the caller gives a time.
        let until = inside.instant(CLOCK_REALTIME, unsafe { &*time });
        await_semaphore(&inside, semaphore, until)
    }

    fn sem_clockwait(semaphore: *mut Opaque, clock: c_int, time: *const timespec) -> c_int => |inside, real| {
        let _ = real;
        // SAFETY: the caller gives a time.
        let until = inside.instant(clock, unsafe { &*time });
        await_semaphore(&inside, semaphore, until)
    }

    fn sem_post(semaphore: *mut Opaque) -> c_int => |inside, real| {
        // SAFETY: the caller gives a semaphore.
        let result = unsafe { real(semaphore) };
        (inside.hooks.hold)(semaphore as usize, 0);
        inside.notify(semaphore as usize, false);
        result
    }
}

// Mutexes and conditions: Python's interpreter lock, and what libraries have.

fn lock_mutex(inside: &Inside, mutex: *mut Opaque, until: u64) -> c_int {
    lock_by(inside, mutex, until, pthread_mutex_trylock)
}

/// Locks something by the function that tries to.
fn lock_by(
    inside: &Inside,
    lock: *mut Opaque,
    until: u64,
    attempt: unsafe extern "C" fn(*mut Opaque) -> c_int,
) -> c_int {
    const EBUSY: c_int = 16;
    loop {
        // SAFETY: the caller of the function that this stands for gave such a lock. It never blocks.
        match unsafe { attempt(lock) } {
            EBUSY => {}
            result => return result,
        }
        if until != NEVER && inside.now() >= until {
            return ETIMEDOUT;
        }
        inside.enlist(lock as usize);
        // Essential: it is OVER only where nobody goes on who could let go of it.
        inside.wait(Kind::Essential, until);
    }
}

/// Waits at a condition: enlisted before the mutex is free, so that no signal comes in between.
fn await_condition(inside: &Inside, condition: *mut Opaque, mutex: *mut Opaque, until: u64) -> c_int {
    inside.enlist(condition as usize);
    // SAFETY: the caller of the function that this stands for has locked this mutex. On this thread the library is
    // inside, so this is the real function.
    unsafe { pthread_mutex_unlock(mutex) };
    inside.notify(mutex as usize, false);
    let how = inside.wait(Kind::Essential, until);
    lock_mutex(inside, mutex, NEVER);
    if how == TIMED_OUT { ETIMEDOUT } else { 0 }
}

/// The clock of a condition is not told with the wait. A time in the thousands of days can only be the calendar's.
fn clock_of(time: &timespec) -> c_int {
    const CLOCK_MONOTONIC: c_int = 1;
    if time.seconds > 500_000_000 { CLOCK_REALTIME } else { CLOCK_MONOTONIC }
}

shadows! {
    fn pthread_mutex_lock(mutex: *mut Opaque) -> c_int => |inside, real| {
        let _ = real;
        lock_mutex(&inside, mutex, NEVER)
    }

    fn pthread_mutex_timedlock(mutex: *mut Opaque, time: *const timespec) -> c_int => |inside, real| {
        let _ = real;
        // SAFETY: the caller gives a time.
        let until = inside.instant(CLOCK_REALTIME, unsafe { &*time });
        lock_mutex(&inside, mutex, until)
    }

    fn pthread_mutex_clocklock(mutex: *mut Opaque, clock: c_int, time: *const timespec) -> c_int => |inside, real| {
        let _ = real;
        // SAFETY: the caller gives a time.
        let until = inside.instant(clock, unsafe { &*time });
        lock_mutex(&inside, mutex, until)
    }

    fn pthread_mutex_unlock(mutex: *mut Opaque) -> c_int => |inside, real| {
        // SAFETY: the caller gives a mutex.
        let result = unsafe { real(mutex) };
        inside.notify(mutex as usize, false);
        if SIGNALLED.with(|cell| cell.replace(false)) {
            (inside.hooks.pass)();
        }
        result
    }

    fn pthread_cond_wait(condition: *mut Opaque, mutex: *mut Opaque) -> c_int => |inside, real| {
        let _ = real;
        await_condition(&inside, condition, mutex, NEVER)
    }

    fn pthread_cond_timedwait(condition: *mut Opaque, mutex: *mut Opaque, time: *const timespec) -> c_int => |inside, real| {
        let _ = real;
        // SAFETY: the caller gives a time.
        let time = unsafe { &*time };
        await_condition(&inside, condition, mutex, inside.instant(clock_of(time), time))
    }

    fn pthread_cond_clockwait(condition: *mut Opaque, mutex: *mut Opaque, clock: c_int, time: *const timespec) -> c_int => |inside, real| {
        let _ = real;
        // SAFETY: the caller gives a time.
        let until = inside.instant(clock, unsafe { &*time });
        await_condition(&inside, condition, mutex, until)
    }

    fn pthread_cond_signal(condition: *mut Opaque) -> c_int => |inside, real| {
        // SAFETY: the caller gives a condition.
        let result = unsafe { real(condition) };
        inside.notify(condition as usize, false);
        // What is free now others may take first, also those that do not wait for it yet. This is how CPython lets go of
        // the interpreter; it still holds the mutex.
        SIGNALLED.with(|cell| cell.set(true));
        result
    }

    fn pthread_cond_broadcast(condition: *mut Opaque) -> c_int => |inside, real| {
        // SAFETY: the caller gives a condition.
        let result = unsafe { real(condition) };
        inside.notify(condition as usize, true);
        result
    }
}

// Locks of readers and writers.

shadows! {
    fn pthread_rwlock_rdlock(lock: *mut Opaque) -> c_int => |inside, real| {
        let _ = real;
        lock_by(&inside, lock, NEVER, pthread_rwlock_tryrdlock)
    }

    fn pthread_rwlock_wrlock(lock: *mut Opaque) -> c_int => |inside, real| {
        let _ = real;
        lock_by(&inside, lock, NEVER, pthread_rwlock_trywrlock)
    }

    fn pthread_rwlock_timedrdlock(lock: *mut Opaque, time: *const timespec) -> c_int => |inside, real| {
        let _ = real;
        // SAFETY: the caller gives a time.
        let until = inside.instant(CLOCK_REALTIME, unsafe { &*time });
        lock_by(&inside, lock, until, pthread_rwlock_tryrdlock)
    }

    fn pthread_rwlock_timedwrlock(lock: *mut Opaque, time: *const timespec) -> c_int => |inside, real| {
        let _ = real;
        // SAFETY: the caller gives a time.
        let until = inside.instant(CLOCK_REALTIME, unsafe { &*time });
        lock_by(&inside, lock, until, pthread_rwlock_trywrlock)
    }

    fn pthread_rwlock_unlock(lock: *mut Opaque) -> c_int => |inside, real| {
        // SAFETY: the caller gives a lock.
        let result = unsafe { real(lock) };
        // Readers go in together.
        inside.notify(lock as usize, true);
        result
    }
}

// Futexes: what Rust's own locks wait at.

/// Numbers of system calls: futex, getrandom, gettid, tgkill.
#[cfg(target_arch = "x86_64")]
const SYS_NUMBERS: [c_long; 4] = [202, 318, 186, 234];
#[cfg(target_arch = "aarch64")]
const SYS_NUMBERS: [c_long; 4] = [98, 278, 178, 131];
const SYS_FUTEX: c_long = SYS_NUMBERS[0];
const SYS_GETRANDOM: c_long = SYS_NUMBERS[1];
const SYS_GETTID: c_long = SYS_NUMBERS[2];
const SYS_TGKILL: c_long = SYS_NUMBERS[3];
const FUTEX_WAIT: c_long = 0;
const FUTEX_WAKE: c_long = 1;
const FUTEX_WAIT_BITSET: c_long = 9;
const FUTEX_WAKE_BITSET: c_long = 10;
const FUTEX_PRIVATE: c_long = 128;
const FUTEX_CLOCK_REALTIME: c_long = 256;

fn await_futex(
    inside: &Inside,
    word: *mut c_void,
    operation: c_long,
    expected: u32,
    time: Option<&timespec>,
) -> c_long {
    // SAFETY: the caller of the function that this stands for gave a futex word.
    let now = unsafe { (*word.cast::<std::sync::atomic::AtomicU32>()).load(Ordering::SeqCst) };
    if now != expected {
        return fail(EAGAIN).into();
    }
    let until = match time {
        None => NEVER,
        Some(time) if operation & !(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME) == FUTEX_WAIT => {
            inside.now().saturating_add(nanos_of(time))
        }
        Some(time) => inside.instant(if operation & FUTEX_CLOCK_REALTIME == 0 { 1 } else { CLOCK_REALTIME }, time),
    };
    if inside.now() >= until {
        return fail(ETIMEDOUT).into();
    }
    inside.enlist(word as usize);
    match inside.wait(Kind::Essential, until) {
        TIMED_OUT => fail(ETIMEDOUT).into(),
        _ => 0,
    }
}

shadows! {
    fn syscall(number: c_long, first: *mut c_void, second: c_long, third: c_long, fourth: *mut c_void, fifth: *mut c_void, sixth: c_long) -> c_long => |inside, real| {
        let operation = second & !(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME);
        match number {
            SYS_FUTEX if operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET => {
                // SAFETY: the caller gives a time, or none.
                let time = unsafe { fourth.cast::<timespec>().as_ref() };
                await_futex(&inside, first, second, third as u32, time)
            }
            SYS_FUTEX if operation == FUTEX_WAKE || operation == FUTEX_WAKE_BITSET => {
                inside.notify(first as usize, third > 1);
                // Those who wait for real, too.
                // SAFETY: the caller keeps the conditions of the real function.
                unsafe { real(number, first, second, third, fourth, fifth, sixth) }
            }
            SYS_GETRANDOM => {
                fill(&inside, first.cast(), second as usize);
                second
            }
            // SAFETY: as above.
            _ => unsafe { real(number, first, second, third, fourth, fifth, sixth) },
        }
    }
}

// Threads.

shadows! {
    fn pthread_create(thread: *mut usize, attributes: *const c_void, start: usize, arg: usize) -> c_int => |inside, real| {
        let _ = real;
        let id = (inside.hooks.spawn)(attributes as usize, start, arg);
        if id == 0 {
            return EAGAIN;
        }
        // SAFETY: the caller gives a place for the thread's id.
        unsafe { *thread = id };
        0
    }

    fn pthread_join(thread: usize, result: *mut *mut c_void) -> c_int => |inside, real| {
        match (inside.hooks.join)(thread) {
            // SAFETY: the caller gives a thread of its own, and a place or none.
            1 => unsafe { real(thread, result) },
            _ => {
                // SAFETY: as above.
                if let Some(result) = unsafe { result.as_mut() } {
                    *result = null_mut();
                }
                0
            }
        }
    }

    fn pthread_detach(thread: usize) -> c_int => |inside, real| {
        match (inside.hooks.detach)(thread) {
            // SAFETY: the caller gives a thread of its own.
            1 => unsafe { real(thread) },
            _ => 0,
        }
    }
}

// Descriptors. Bytes move for real; only the waiting for them is the simulation's.

fn is_ready(fd: c_int, events: i16) -> bool {
    let mut one = pollfd { fd, events, revents: 0 };
    // SAFETY: one entry; a timeout of 0 does not wait. The real function, as the library is inside.
    unsafe { poll(&raw mut one, 1, 0) != 0 }
}

/// The flags of a descriptor that blocks.
fn blocking(fd: c_int) -> Option<c_int> {
    // SAFETY: reads the flags of a descriptor; a wrong one gives -1, whose bits are all set.
    Some(unsafe { fcntl(fd, F_GETFL) }).filter(|flags| flags & O_NONBLOCK == 0)
}

/// Whether nothing can ever be read from it, which is an error and no wait.
fn is_for_writing(flags: c_int) -> bool {
    flags & O_ACCMODE == O_WRONLY
}

/// The file that a descriptor stands for.
fn identity(fd: c_int) -> Option<(u64, u64)> {
    // SAFETY: it is not closed here; a wrong one is an error.
    let file = ManuallyDrop::new(unsafe { File::from_raw_fd(fd) });
    file.metadata().ok().map(|file| (file.dev(), file.ino()))
}

/// Whether it leads out of the simulation: to whoever reads what this process writes.
fn leads_out(fd: c_int) -> bool {
    let outputs = OUTPUTS.get().map_or([None; 2], |outputs| *outputs);
    identity(fd).is_some_and(|file| outputs.contains(&Some(file)))
}

/// Waits for real, so long at the most (negative: without end).
fn await_really(fd: c_int, events: i16, millis: c_int) {
    let mut one = pollfd { fd, events, revents: 0 };
    // SAFETY: one entry. The real function, as the library is inside.
    unsafe { poll(&raw mut one, 1, millis) };
}

/// Waits for descriptors; false when the simulation is over.
fn await_descriptors(inside: &Inside, until: u64) -> bool {
    inside.enlist(DESCRIPTORS);
    inside.wait(Kind::Ready, until) != OVER
}

/// Waits until something can be read from a descriptor that blocks; false when the simulation is over.
fn await_readable(inside: &Inside, fd: c_int) -> bool {
    while !is_ready(fd, POLLIN) && blocking(fd).is_some_and(|flags| !is_for_writing(flags)) {
        if !await_descriptors(inside, NEVER) {
            return false;
        }
    }
    true
}

/// Calls a function that may have made descriptors ready.
fn moving(inside: &Inside, result: isize) -> isize {
    if result >= 0 {
        inside.notify(DESCRIPTORS, true);
    }
    result
}

/// Asks again and again, as a poll with a timeout does; `ask` does not wait.
fn await_any(inside: &Inside, until: u64, mut ask: impl FnMut() -> c_int) -> c_int {
    loop {
        let found = ask();
        if found != 0 || inside.now() >= until {
            return found;
        }
        if !await_descriptors(inside, until) {
            return fail(ECANCELED);
        }
    }
}

/// Writes up to `count` bytes by `put`, which is told how many it has written already, until at least `enough` have been.
/// Where the descriptor does not block it is called once, as the real function.
fn write_parts(inside: &Inside, fd: c_int, count: usize, enough: usize, mut put: impl FnMut(usize) -> isize) -> isize {
    let Some(flags) = blocking(fd) else {
        return moving(inside, put(0));
    };
    if count <= PIPE_BUF && is_ready(fd, POLLOUT) {
        return moving(inside, put(0));
    }
    write_until(inside, fd, enough, |done| {
        // Nobody else runs meanwhile who could see that it does not block.
        // SAFETY: sets flags of a descriptor.
        unsafe { fcntl(fd, F_SETFL, flags | O_NONBLOCK) };
        let part = put(done);
        let error = errno();
        // SAFETY: as above.
        unsafe { fcntl(fd, F_SETFL, flags) };
        fail(error);
        part
    })
}

/// The same for sockets, where `put`, which is told of flags too, need not wait if they say so.
fn send_parts(
    inside: &Inside,
    fd: c_int,
    flags: c_int,
    enough: usize,
    mut put: impl FnMut(usize, c_int) -> isize,
) -> isize {
    if flags & MSG_DONTWAIT != 0 || blocking(fd).is_none() {
        return moving(inside, put(0, flags));
    }
    write_until(inside, fd, enough, |done| put(done, flags | MSG_DONTWAIT))
}

/// Calls `put`, which does not wait, until at least `enough` bytes have been written.
fn write_until(inside: &Inside, fd: c_int, enough: usize, mut put: impl FnMut(usize) -> isize) -> isize {
    let mut done = 0;
    loop {
        match usize::try_from(put(done)) {
            Ok(part) => {
                moving(inside, 0);
                done += part;
                if done >= enough || part == 0 {
                    return done as isize;
                }
            }
            Err(_) if errno() == EAGAIN => {
                if leads_out(fd) {
                    await_really(fd, POLLOUT, -1);
                } else if !await_descriptors(inside, NEVER) {
                    return if done > 0 { done as isize } else { fail(ECANCELED) as isize };
                }
            }
            Err(_) => return if done > 0 { done as isize } else { -1 },
        }
    }
}

fn after(inside: &Inside, millis: c_int) -> u64 {
    u64::try_from(millis).map_or(NEVER, |millis| inside.now().saturating_add(millis * 1_000_000))
}

macro_rules! reads {
    ($($name:ident($fd:ident: c_int $(, $arg:ident: $type:ty)*), $waits:expr;)*) => {shadows! {$(
        fn $name($fd: c_int $(, $arg: $type)*) -> isize => |inside, real| {
            if $waits && !await_readable(&inside, $fd) {
                return fail(ECANCELED) as isize;
            }
            // SAFETY: the caller keeps the conditions of the real function.
            moving(&inside, unsafe { real($fd $(, $arg)*) })
        }
    )*}};
}

reads! {
    read(fd: c_int, buffer: *mut c_void, count: usize), count > 0;
    readv(fd: c_int, slices: *const c_void, count: c_int), count > 0;
    recvfrom(fd: c_int, buffer: *mut c_void, count: usize, flags: c_int, from: *mut c_void, length: *mut c_uint), flags & MSG_DONTWAIT == 0;
    recvmsg(fd: c_int, message: *mut c_void, flags: c_int), flags & MSG_DONTWAIT == 0;
}

shadows! {
    fn recv(fd: c_int, buffer: *mut c_void, count: usize, flags: c_int) -> isize => |inside, real| {
        let waits_for_all = flags & MSG_WAITALL != 0 && flags & MSG_DONTWAIT == 0 && blocking(fd).is_some();
        let mut done = 0;
        loop {
            if flags & MSG_DONTWAIT == 0 && !await_readable(&inside, fd) {
                return if done > 0 { done as isize } else { fail(ECANCELED) as isize };
            }
            // SAFETY: the caller gives room for `count` bytes, of which `done` have come.
            let part = unsafe { real(fd, buffer.byte_add(done), count - done, flags & !MSG_WAITALL) };
            moving(&inside, part);
            match usize::try_from(part) {
                Ok(part) if waits_for_all && part > 0 && done + part < count => done += part,
                Ok(part) => return (done + part) as isize,
                Err(_) => return if done > 0 { done as isize } else { part },
            }
        }
    }

    fn write(fd: c_int, buffer: *const c_void, count: usize) -> isize => |inside, real| {
        // SAFETY: the caller gives so many bytes.
        write_parts(&inside, fd, count, count, |done| unsafe { real(fd, buffer.byte_add(done), count - done) })
    }

    fn send(fd: c_int, buffer: *const c_void, count: usize, flags: c_int) -> isize => |inside, real| {
        // SAFETY: as above.
        let put = |done, flags| unsafe { real(fd, buffer.byte_add(done), count - done, flags) };
        send_parts(&inside, fd, flags, count, put)
    }

    fn sendto(fd: c_int, buffer: *const c_void, count: usize, flags: c_int, to: *const c_void, length: c_uint) -> isize => |inside, real| {
        // SAFETY: as above.
        let put = |done, flags| unsafe { real(fd, buffer.byte_add(done), count - done, flags, to, length) };
        send_parts(&inside, fd, flags, count, put)
    }

    // These as much as goes at once, at least something: who calls them goes on with what is left.

    fn sendmsg(fd: c_int, message: *const c_void, flags: c_int) -> isize => |inside, real| {
        // SAFETY: the caller keeps the conditions of the real function.
        send_parts(&inside, fd, flags, 1, |_, flags| unsafe { real(fd, message, flags) })
    }

    fn writev(fd: c_int, slices: *const c_void, count: c_int) -> isize => |inside, real| {
        // SAFETY: as above.
        write_parts(&inside, fd, usize::MAX, 1, |_| unsafe { real(fd, slices, count) })
    }

    fn sendfile(fd: c_int, from: c_int, offset: *mut i64, count: usize) -> isize => |inside, real| {
        // SAFETY: as above.
        write_parts(&inside, fd, usize::MAX, 1, |_| unsafe { real(fd, from, offset, count) })
    }

    fn sendfile64(fd: c_int, from: c_int, offset: *mut i64, count: usize) -> isize => |inside, real| {
        // SAFETY: as above.
        write_parts(&inside, fd, usize::MAX, 1, |_| unsafe { real(fd, from, offset, count) })
    }

    // The C library's own functions call none of those above by their names.

    fn eventfd_read(fd: c_int, value: *mut u64) -> c_int => |inside, real| {
        if !await_readable(&inside, fd) {
            return fail(ECANCELED);
        }
        // SAFETY: the caller keeps the conditions of the real function.
        moving(&inside, unsafe { real(fd, value) } as isize) as c_int
    }

    fn eventfd_write(fd: c_int, value: u64) -> c_int => |inside, real| {
        // SAFETY: has no conditions.
        write_parts(&inside, fd, usize::MAX, 0, |_| unsafe { real(fd, value) } as isize) as c_int
    }
}

// The same for programs that were compiled with checks of their buffers' lengths.

fn check(needed: usize, room: usize) {
    if needed > room {
        // SAFETY: has no conditions.
        unsafe { abort() }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __read_chk(fd: c_int, buffer: *mut c_void, count: usize, room: usize) -> isize {
    check(count, room);
    // SAFETY: the caller keeps the conditions of the function.
    unsafe { read(fd, buffer, count) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __recv_chk(fd: c_int, buffer: *mut c_void, count: usize, room: usize, flags: c_int) -> isize {
    check(count, room);
    // SAFETY: the caller keeps the conditions of the function.
    unsafe { recv(fd, buffer, count, flags) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __poll_chk(entries: *mut pollfd, count: u64, millis: c_int, room: usize) -> c_int {
    check((count as usize).saturating_mul(size_of::<pollfd>()), room);
    // SAFETY: the caller keeps the conditions of the function.
    unsafe { poll(entries, count, millis) }
}

/// Connects by `dial`, which may wait for the other side to accept somebody before.
fn connect_to(inside: &Inside, fd: c_int, dial: impl Fn() -> c_int) -> c_int {
    // In real time, for TCP: within it the other side's system answers, or has no room, and says nothing.
    const ANSWER_MILLIS: c_int = 30;
    const AF_UNSPEC: [u16; 8] = [0; 8];
    let Some(flags) = blocking(fd) else { return dial() };
    loop {
        // SAFETY: sets flags of a descriptor; nobody else runs meanwhile.
        unsafe { fcntl(fd, F_SETFL, flags | O_NONBLOCK) };
        let result = dial();
        let error = errno();
        // SAFETY: as above.
        unsafe { fcntl(fd, F_SETFL, flags) };
        if result == 0 || !matches!(error, EAGAIN | EINPROGRESS) {
            fail(error);
            return result;
        }
        if error == EINPROGRESS {
            await_really(fd, POLLOUT, ANSWER_MILLIS);
            if is_ready(fd, POLLOUT) {
                return match error_of(fd) {
                    0 => 0,
                    error => fail(error),
                };
            }
            // Its system would ask again after a second of real time. It forgets that, and asks when there may be room.
            // SAFETY: an address of the family that is none.
            unsafe { connect(fd, AF_UNSPEC.as_ptr().cast(), size_of_val(&AF_UNSPEC) as c_uint) };
            error_of(fd);
        }
        if !await_descriptors(inside, NEVER) {
            return fail(ECANCELED);
        }
    }
}

/// The error that a socket has to tell of, which is told once.
fn error_of(fd: c_int) -> c_int {
    const SOL_SOCKET: c_int = 1;
    const SO_ERROR: c_int = 4;
    let (mut error, mut length) = (0, size_of::<c_int>() as c_uint);
    // SAFETY: the two are places of this length, and for it.
    match unsafe { getsockopt(fd, SOL_SOCKET, SO_ERROR, (&raw mut error).cast(), &raw mut length) } {
        0 => error,
        _ => errno(),
    }
}

shadows! {
    fn accept(fd: c_int, address: *mut c_void, length: *mut c_uint) -> c_int => |inside, real| {
        if !await_readable(&inside, fd) {
            return fail(ECANCELED);
        }
        // SAFETY: the caller keeps the conditions of the real function.
        moving(&inside, unsafe { real(fd, address, length) } as isize) as c_int
    }

    fn accept4(fd: c_int, address: *mut c_void, length: *mut c_uint, flags: c_int) -> c_int => |inside, real| {
        if !await_readable(&inside, fd) {
            return fail(ECANCELED);
        }
        // SAFETY: the caller keeps the conditions of the real function.
        moving(&inside, unsafe { real(fd, address, length, flags) } as isize) as c_int
    }

    fn connect(fd: c_int, address: *const c_void, length: c_uint) -> c_int => |inside, real| {
        // To this machine only, where it is done at once. A program in Python has heard of it in its own words before.
        // SAFETY: the caller gives an address.
        if !unsafe { is_here(address, length) } {
            return fail(ENETUNREACH);
        }
        // SAFETY: the caller keeps the conditions of the real function.
        let result = connect_to(&inside, fd, || unsafe { real(fd, address, length) });
        inside.notify(DESCRIPTORS, true);
        result
    }

    fn flock(fd: c_int, operation: c_int) -> c_int => |inside, real| {
        const WITHOUT_WAITING: c_int = 4;
        loop {
            // SAFETY: has no conditions.
            let result = unsafe { real(fd, operation | WITHOUT_WAITING) };
            if result == 0 || errno() != EAGAIN || operation & WITHOUT_WAITING != 0 {
                // Whoever waits for it looks again, as at what has become ready.
                return moving(&inside, result as isize) as c_int;
            }
            if !await_descriptors(&inside, NEVER) {
                return fail(ECANCELED);
            }
        }
    }

    fn shutdown(fd: c_int, how: c_int) -> c_int => |inside, real| {
        // SAFETY: the caller keeps the conditions of the real function.
        moving(&inside, unsafe { real(fd, how) } as isize) as c_int
    }

    fn close(fd: c_int) -> c_int => |inside, real| {
        // SAFETY: the caller keeps the conditions of the real function.
        moving(&inside, unsafe { real(fd) } as isize) as c_int
    }

    // What the other descriptor stood for is closed by these.

    fn dup2(fd: c_int, other: c_int) -> c_int => |inside, real| {
        // SAFETY: the caller keeps the conditions of the real function.
        moving(&inside, unsafe { real(fd, other) } as isize) as c_int
    }

    fn dup3(fd: c_int, other: c_int, flags: c_int) -> c_int => |inside, real| {
        // SAFETY: as above.
        moving(&inside, unsafe { real(fd, other, flags) } as isize) as c_int
    }

    fn poll(entries: *mut pollfd, count: u64, millis: c_int) -> c_int => |inside, real| {
        // SAFETY: the caller gives the entries.
        await_any(&inside, after(&inside, millis), || unsafe { real(entries, count, 0) })
    }

    fn ppoll(entries: *mut pollfd, count: u64, time: *const timespec, mask: *const c_void) -> c_int => |inside, real| {
        static AT_ONCE: timespec = timespec { seconds: 0, nanos: 0 };
        // SAFETY: the caller gives a time, or none.
        let until = unsafe { time.as_ref() }.map_or(NEVER, |time| inside.now().saturating_add(nanos_of(time)));
        // SAFETY: the caller gives the entries.
        await_any(&inside, until, || unsafe { real(entries, count, &raw const AT_ONCE, mask) })
    }

    fn select(count: c_int, reads: *mut [u64; 16], writes: *mut [u64; 16], others: *mut [u64; 16], time: *mut timeval) -> c_int => |inside, real| {
        // SAFETY: the caller gives a time, or none, and sets, or none.
        let (until, asked) = unsafe {
            let until = time.as_ref().map_or(NEVER, |time| {
                let nanos = (time.seconds.max(0) as u64).saturating_mul(SECOND) + time.micros.max(0) as u64 * 1000;
                inside.now().saturating_add(nanos)
            });
            (until, [reads, writes, others].map(|set| set.as_ref().copied()))
        };
        if count == 0 && until != NEVER {
            // How Python sleeps up to 3.10.
            return if inside.sleep_until(until) { 0 } else { fail(ECANCELED) };
        }
        await_any(&inside, until, || {
            let mut at_once = timeval { seconds: 0, micros: 0 };
            // SAFETY: as above; the sets are as they were at first, each time.
            unsafe {
                for (set, asked) in [reads, writes, others].into_iter().zip(&asked) {
                    if let (Some(set), Some(asked)) = (set.as_mut(), asked) {
                        *set = *asked;
                    }
                }
                real(count, reads, writes, others, &raw mut at_once)
            }
        })
    }

    fn epoll_wait(epoll: c_int, events: *mut c_void, count: c_int, millis: c_int) -> c_int => |inside, real| {
        // SAFETY: the caller gives a place for events.
        await_any(&inside, after(&inside, millis), || unsafe { real(epoll, events, count, 0) })
    }

    fn epoll_pwait(epoll: c_int, events: *mut c_void, count: c_int, millis: c_int, mask: *const c_void) -> c_int => |inside, real| {
        // SAFETY: the caller gives a place for events.
        await_any(&inside, after(&inside, millis), || unsafe { real(epoll, events, count, 0, mask) })
    }
}

// Names and addresses.

/// Whether an address is this machine's own.
///
/// # Safety
/// `address` points to `length` bytes, or is null.
unsafe fn is_here(address: *const c_void, length: c_uint) -> bool {
    if address.is_null() {
        return true;
    }
    // SAFETY: by this function's own condition.
    let bytes = unsafe { std::slice::from_raw_parts(address.cast::<u8>(), length as usize) };
    let family = bytes.first_chunk().map(|&family| u16::from_ne_bytes(family));
    match (family, bytes.get(4..8), bytes.get(8..24)) {
        (Some(AF_INET), Some(host), _) => host[0] == 127 || host == [0; 4],
        (Some(AF_INET6), _, Some(host)) => {
            let mapped = host[..10] == [0; 10] && host[10..12] == [0xff; 2] && host[12] == 127;
            mapped || host[..15] == [0; 15] && host[15] <= 1
        }
        _ => true,
    }
}

/// How looking up names of other machines fails.
const EAI_ELSEWHERE: c_int = -1000;
const EAI_NONAME: c_int = -2;

/// `struct addrinfo`: its flags, and all else.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub struct addrinfo {
    flags: c_int,
    others: [c_int; 11],
}

shadows! {
    fn getaddrinfo(node: *const c_char, service: *const c_char, hints: *const addrinfo, found: *mut *mut c_void) -> c_int => |inside, real| {
        const AI_NUMERICHOST: c_int = 4;
        let _ = inside;
        // SAFETY: the caller gives a C string or nothing.
        let name = (!node.is_null()).then(|| unsafe { CStr::from_ptr(node) }.to_bytes());
        if name.is_none_or(|name| name == b"localhost" || name.is_empty()) {
            // SAFETY: the caller keeps the conditions of the real function.
            return unsafe { real(node, service, hints, found) };
        }
        // An address needs no looking up; what is none is refused.
        // SAFETY: the caller gives hints or nothing.
        let mut numeric = unsafe { hints.as_ref() }.copied().unwrap_or(addrinfo { flags: 0, others: [0; 11] });
        numeric.flags |= AI_NUMERICHOST;
        // SAFETY: as above, with hints that are the caller's but for one flag.
        match unsafe { real(node, service, &raw const numeric, found) } {
            EAI_NONAME => EAI_ELSEWHERE,
            result => result,
        }
    }

    fn gai_strerror(error: c_int) -> *const c_char => |inside, real| {
        let _ = &inside;
        match error {
            EAI_ELSEWHERE => c"a simulation has no network but this machine's own: serve a stand-in on 127.0.0.1".as_ptr(),
            // SAFETY: has no conditions.
            _ => unsafe { real(error) },
        }
    }
}

// Chance.

fn fill(inside: &Inside, buffer: *mut u8, count: usize) {
    for at in 0..count {
        // SAFETY: the caller of the function that this stands for gave room for so many.
        unsafe { *buffer.add(at) = (inside.hooks.random)() as u8 };
    }
}

shadows! {
    fn getrandom(buffer: *mut c_void, count: usize, flags: c_uint) -> isize => |inside, real| {
        let _ = (real, flags);
        fill(&inside, buffer.cast(), count);
        count as isize
    }

    fn getentropy(buffer: *mut c_void, count: usize) -> c_int => |inside, real| {
        let _ = real;
        if count > 256 {
            return fail(EINVAL);
        }
        fill(&inside, buffer.cast(), count);
        0
    }
}
