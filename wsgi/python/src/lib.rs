//! The Python half of handwound: CPython in this process, and its WSGI applications as [`Application`]s.
//!
//! The command `handwound` finds a Python, opens its library, then this one, and calls `handwound_main`. The
//! reactor's thread never attaches to Python while it serves; workers do.
//!
//! [`Application`]: handwound_wsgi::Application

#![deny(unsafe_op_in_unsafe_fn)]

mod application;
mod attach;
#[cfg(any(test, feature = "testing"))]
mod baton;
mod body;
mod callbacks;
mod chunk;
mod command;
mod desk;
mod environ;
mod errors;
mod file_wrapper;
mod import;
mod input;
mod module;
mod names;
mod native;
mod numbers;
mod package;
mod raw;
mod shape;
#[cfg(all(feature = "simulation", target_os = "linux", target_env = "gnu"))]
mod simulate;
mod sources;
mod start;
mod start_response;
mod web;

#[cfg(test)]
mod environ_tests;
#[cfg(test)]
mod pep_tests;
#[cfg(test)]
mod response_tests;
#[cfg(test)]
mod socket_server;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use application::PythonApplication;
pub use attach::AttachWorkers;
pub use import::{ImportFailure, application};
pub use module::ClientDisconnected;
pub use package::install;
pub use start::initialise;
