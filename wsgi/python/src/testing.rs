//! Python for unit tests.

use std::sync::Once;

/// Starts Python, the one that the tests were built with, once per test process.
pub fn python() {
    static STARTED: Once = Once::new();
    STARTED.call_once(pyo3::Python::initialize);
}
