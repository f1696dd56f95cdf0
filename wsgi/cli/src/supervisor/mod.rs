//! A master process and its workers: who is started, watched, replaced and ended, and when.
//!
//! The master binds the endpoints and keeps them; workers get them as duplicates. So connections queue up in sockets that
//! belong to no worker, and none is lost when one of them ends, however it ends. The master runs no application and needs
//! no Python: each worker is the same program again, and loads the application itself. A reload therefore is new processes.
//!
//! [`state`] decides, and knows no process; [`master`], [`processes`] and [`worker`] do, and decide nothing.

mod events;
mod link;
mod master;
mod notify;
mod pid_file;
mod processes;
mod state;
#[cfg(test)]
mod state_properties;
#[cfg(test)]
mod state_tests;
mod watch;
mod worker;

pub use master::supervise;
pub use processes::Program;
pub use worker::{Sources, is_worker};

pub(crate) use link::{News, Order};
pub(crate) use notify::tell as tell_service_manager;
pub(crate) use worker::Worker;
