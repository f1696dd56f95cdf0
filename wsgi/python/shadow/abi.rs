// What the library and the extension module say to each other. Included by both: numbers only, no pointers to keep.

/// What the module does for the library. They are called on threads that take part, and the library's functions do nothing
/// but call the real ones meanwhile.
#[repr(C)]
pub struct Hooks {
    /// Nanoseconds since the simulation began.
    pub now: extern "C" fn() -> u64,
    /// Nanoseconds since 1970, on the simulation's calendar.
    pub date: extern "C" fn() -> u64,
    /// The calling thread is about to wait for this object: who notifies it from now on wakes the thread.
    pub enlist: extern "C" fn(object: usize),
    /// The calling thread has a lock, or it has let go of it (0): for reports of who waits for whom.
    pub hold: extern "C" fn(object: usize, held: u32),
    /// Waits for what was enlisted, until a time ([`NEVER`] for without end). `how` is a [`Kind`] as a number.
    pub wait: extern "C" fn(how: u32, until: u64) -> u32,
    /// Wakes one of those who wait for this object, or all.
    pub notify: extern "C" fn(object: usize, all: u32),
    /// Starts a thread that calls `start(arg)`; its `pthread_t`, or 0 where there is none to be had.
    pub spawn: extern "C" fn(attributes: usize, start: usize, arg: usize) -> usize,
    /// Waits for the end of a thread: 0 done, 1 that is no thread of the simulation, 2 the simulation is over.
    pub join: extern "C" fn(thread: usize) -> u32,
    /// Nobody will wait for the end of a thread: 0 done, 1 that is no thread of the simulation.
    pub detach: extern "C" fn(thread: usize) -> u32,
    /// Others may go on before this thread does.
    pub pass: extern "C" fn(),
    /// Chance.
    pub random: extern "C" fn() -> u64,
}

/// What a thread waits for. The names are what traces show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// A semaphore: Python's locks.
    Lock,
    /// A mutex or condition of C: Python's own, its interpreter lock among them. Others let go of it on their way out.
    Essential,
    /// That time passes.
    Sleep,
    /// A descriptor to be ready.
    Ready,
}

/// No deadline.
pub const NEVER: u64 = u64::MAX;

/// Results of `wait`.
pub const WOKEN: u32 = 0;
pub const TIMED_OUT: u32 = 1;
/// The simulation is over: what is waited for will not come.
pub const OVER: u32 = 2;
