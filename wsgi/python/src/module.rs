//! The error for whoever writes to a client that has left.

use pyo3::exceptions::PyConnectionError;
use pyo3::prelude::*;

pyo3::create_exception!(
    handwound,
    ClientDisconnected,
    PyConnectionError,
    "The client has left; nobody will read what is written. Raised by write() and by reads of wsgi.input."
);

/// The error for an application that reads from or writes to a client that has left.
pub fn client_left() -> PyErr {
    ClientDisconnected::new_err("the client has closed the connection")
}
