//! A reactor that is a parameter: an event loop, timers, transports and a thread pool, written once above a
//! narrow seam, on real sockets and threads or on simulated ones.
#![forbid(unsafe_code)]

mod seam;
mod time;

pub use seam::{
    Address, Close, Event, Gate, ListenOptions, Parking, Reactor, Received, SharedId, Sock, Threads, Unparked, Wake,
    Waker,
};
pub use time::Time;
