//! `handwound._native`: what Python sees of this library. The same module in the command and in a wheel.

use pyo3::prelude::*;

/// The compiled part of the package. Programs use the modules around it.
///
/// Nothing in it relies on the global interpreter lock: its classes are frozen, and what changes is behind locks.
#[pymodule(gil_used = false)]
pub mod _native {
    use super::*;

    #[pymodule_export]
    use crate::module::ClientDisconnected;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
