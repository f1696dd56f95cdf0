//! The module `handwound` that applications can import while they are served.

use pyo3::exceptions::PyConnectionError;
use pyo3::prelude::*;
use pyo3::types::PyModule;

pyo3::create_exception!(
    handwound,
    ClientDisconnected,
    PyConnectionError,
    "The client has left; nobody will read what is written. Raised by write() and by reads of wsgi.input."
);

/// Puts the module `handwound` into `sys.modules`: `ClientDisconnected` and `__version__`.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let module = PyModule::new(py, "handwound")?;
    module.add("__doc__", "What the server that runs this application offers to it.")?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("ClientDisconnected", py.get_type::<ClientDisconnected>())?;
    py.import("sys")?.getattr("modules")?.set_item("handwound", module)
}

/// The error for an application that reads from or writes to a client that has left.
pub fn client_left() -> PyErr {
    ClientDisconnected::new_err("the client has closed the connection")
}
