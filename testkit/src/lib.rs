//! A deterministic world for a whole server.
#![deny(unsafe_code)]

mod choices;
mod client;
mod coroutine;
mod diagnosis;
mod driver;
mod explore;
mod network;
mod reactor;
mod search;
mod sim;
mod sockets;
mod threads;
mod trace;
mod world;

pub use choices::{Choices, Family};
pub use client::{Client, Parting};
pub use diagnosis::{GateInfo, TaskInfo, TaskState};
pub use explore::{All, Report, explore, explore_all, seeds};
pub use network::NetworkOptions;
pub use reactor::MockReactor;
pub use sim::Sim;
pub use threads::SimThreads;
