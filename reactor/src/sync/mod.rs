//! Blocking building blocks for code that runs on real and on simulated threads: [`channel`](bounded), [`Mutex`],
//! [`Condvar`], [`Semaphore`], and threads that can be joined ([`spawn`]).
//!
//! They do what those of the standard library do, on the clock and the gates of a [`Threads`](crate::Threads): with
//! [`OsThreads`](crate::OsThreads) they block the thread, in a simulation they let others run, time out on virtual
//! time, and each access is a point where the simulation may switch. All have names, which diagnoses show.
//!
//! Threads are served in the order in which they came to wait, and nobody overtakes one that was woken: what was
//! released is handed over. Fair, the same in each run, and slower under contention than locks that let others barge
//! in; for short critical sections that never wait inside, [`std::sync::Mutex`] is right in a simulation too.
//!
//! ```
//! use handwound_reactor::{OsThreads, sync};
//!
//! let threads = OsThreads::new();
//! let (sender, receiver) = sync::bounded(&threads, "numbers", 2);
//! let adder = sync::spawn(&threads, "adder", move || receiver.iter().sum::<u32>())?;
//! for number in 1..=10 {
//!     sender.send(number)?;
//! }
//! drop(sender);
//! assert_eq!(adder.join().expect("it does not panic"), 55);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod channel;
mod condvar;
mod join;
mod monitor;
mod mutex;
mod semaphore;

pub use channel::{Iter, Receiver, Sender, TryIter, bounded, unbounded};
pub use condvar::Condvar;
pub use join::{JoinHandle, spawn};
pub use mutex::{Mutex, MutexGuard};
pub use semaphore::{Permit, Semaphore};

/// The errors of channels, as the standard library has them.
pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
