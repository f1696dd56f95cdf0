//! The Python half of handwound: CPython in this process, and its WSGI applications as [`Application`]s.
//!
//! The command `handwound` finds a Python, opens its library, then this one, and calls `handwound_main`. The
//! reactor's thread never attaches to Python; workers do.
//!
//! [`Application`]: handwound_wsgi::Application

mod command;
pub mod import;
pub mod start;
#[cfg(test)]
mod testing;
