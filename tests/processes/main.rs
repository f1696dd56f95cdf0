//! Worker processes and their master, as people run and signal them: real processes, sockets and signals.
#![allow(clippy::unwrap_used)]

mod client;
mod ending;
mod harness;
mod living;
mod reloading;
mod surroundings;
