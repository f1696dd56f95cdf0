//! The command line of handwound, for applications in any language: arguments, logging, signals, serving.
//!
//! Nothing here knows Python. The command `handwound` reads its arguments with [`Arguments`], finds Python and
//! hands over to `handwound-python`, which comes back here to serve what it has imported.

#![forbid(unsafe_code)]

pub mod args;
pub mod values;

pub use args::{Arguments, Command, Refusal, Web};
