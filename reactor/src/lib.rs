//! A reactor that is a parameter: an event loop, timers, transports and a thread pool, written once above a
//! narrow seam, on real sockets and threads or on simulated ones.
#![forbid(unsafe_code)]

mod calls;
mod config;
mod connections;
mod endpoint;
mod event_loop;
mod filter;
mod mailbox;
mod memory;
mod mio_reactor;
#[cfg(test)]
mod model;
mod os_threads;
mod outgoing;
mod outstanding;
mod primitives;
mod seam;
mod shutdown;
pub mod sync;
mod table;
mod thread_pool;
mod threads;
mod time;
mod timers;
mod transport;

pub use calls::{DelayedCall, NotActive};
pub use config::LoopConfig;
pub use connections::Listening;
#[cfg(unix)]
pub use endpoint::SystemdSockets;
pub use endpoint::{Endpoint, EndpointError, TlsFiles};
pub use event_loop::{EventLoop, Expectation};
pub use filter::{Filter, Filters, Passed, Session};
pub use mailbox::{CallRefused, ConnectionId, Notifier, Remote};
pub use memory::{Kept, Memory};
pub use mio_reactor::{Bound, MioReactor};
pub use os_threads::OsThreads;
pub use outgoing::{Outgoing, Part};
pub use outstanding::{Outstanding, Pending, Place};
pub use seam::{
    Address, Close, Event, Gate, ListenOptions, Parking, Reactor, Received, SharedId, Sock, Threads, Unparked, Wake,
    Waker,
};
pub use shutdown::{LifecycleError, Phase, Stopped};
pub use thread_pool::{Busy, Counts, Job, JobRefused, PoolConfig, ThreadPool, Worker, WorkerHook};
pub use threads::{AnyThreads, Watched};
pub use time::Time;
pub use transport::{Closed, Protocol, Transport};
