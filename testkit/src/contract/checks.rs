//! The checks, one function each. All of them panic when the promise in their name is broken.

pub use super::closing::*;
pub use super::edges::*;
pub use super::naming::*;
pub use super::waking::*;
