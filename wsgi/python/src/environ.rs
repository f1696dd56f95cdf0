//! The environ of a request (PEP 3333, "environ Variables"), from a template and what was remembered of earlier ones.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use handwound_wsgi::Call;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::body::Body;
use crate::errors::Errors;
use crate::file_wrapper::FileWrapper;
use crate::input::Input;
use crate::names::{Entry, Names};
use crate::raw;

/// What every environ has, set from the request.
const KEYS: [&str; 15] = [
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "RAW_URI",
    "REQUEST_URI",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "wsgi.url_scheme",
    "wsgi.input",
];

/// Makes environs. One serves all workers of an application.
pub struct Environs {
    template: Py<PyDict>,
    input: Py<PyString>,
    raw_uri: [Py<PyString>; 2],
    /// What requests without a body share: there is nothing to read, so nothing to keep apart.
    no_input: Py<Input>,
    memory: Mutex<Memory>,
}

/// What is remembered; held for the moment of making one environ, in which no other Python code runs.
struct Memory {
    method: Entry,
    script_name: Entry,
    path_info: Entry,
    query: Entry,
    content_length: Entry,
    server_name: Entry,
    server_port: Entry,
    protocol: Entry,
    remote_addr: Entry,
    /// Whose text `remote_addr` has; no address at all on a UNIX socket.
    remote_ip: Option<Option<IpAddr>>,
    remote_port: Entry,
    scheme: Entry,
    names: Names,
}

/// Other processes serve the same application. A fact of this process, not of one of its applications.
static BESIDE_OTHERS: AtomicBool = AtomicBool::new(false);

/// Other processes serve the same applications from here on (`wsgi.multiprocess` of PEP 3333).
pub(crate) fn serve_beside_others() {
    BESIDE_OTHERS.store(true, Ordering::Relaxed);
}

impl Environs {
    /// With what is the same for every request.
    pub fn new(py: Python<'_>) -> PyResult<Environs> {
        let template = PyDict::new(py);
        let others = BESIDE_OTHERS.load(Ordering::Relaxed);
        for (key, value) in [("wsgi.multithread", true), ("wsgi.multiprocess", others), ("wsgi.run_once", false)] {
            template.set_item(PyString::intern(py, key), value)?;
        }
        template.set_item("wsgi.version", PyTuple::new(py, [1, 0])?)?;
        template.set_item("wsgi.errors", Bound::new(py, Errors)?)?;
        template.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
        template.set_item("wsgi.input_terminated", true)?;
        // CONTENT_TYPE and CONTENT_LENGTH are there also without a body. The others only hold their places: the copies
        // are then large enough for all that each request adds.
        for key in KEYS {
            template.set_item(PyString::intern(py, key), PyString::intern(py, ""))?;
        }
        let entry = |key| Entry::new(py, key);
        Ok(Environs {
            template: template.unbind(),
            input: PyString::intern(py, "wsgi.input").unbind(),
            raw_uri: ["RAW_URI", "REQUEST_URI"].map(|key| PyString::intern(py, key).unbind()),
            no_input: Py::new(py, Input::new(Body::Empty))?,
            memory: Mutex::new(Memory {
                method: entry("REQUEST_METHOD"),
                script_name: entry("SCRIPT_NAME"),
                path_info: entry("PATH_INFO"),
                query: entry("QUERY_STRING"),
                content_length: entry("CONTENT_LENGTH"),
                server_name: entry("SERVER_NAME"),
                server_port: entry("SERVER_PORT"),
                protocol: entry("SERVER_PROTOCOL"),
                remote_addr: entry("REMOTE_ADDR"),
                remote_ip: None,
                remote_port: entry("REMOTE_PORT"),
                scheme: entry("wsgi.url_scheme"),
                names: Names::new(py),
            }),
        })
    }

    /// The environ of this request.
    pub fn make<'py>(&self, py: Python<'py>, call: &Call) -> PyResult<Bound<'py, PyDict>> {
        let environ = raw::copy(py, &self.template)?;
        match call.body_len() {
            0 => raw::set(&environ, &self.input, self.no_input.bind(py))?,
            _ => raw::set(&environ, &self.input, &Bound::new(py, Input::new(Body::OfCall(call.clone())))?)?,
        }
        self.fill(&environ, call)?;
        Ok(environ)
    }

    fn fill(&self, environ: &Bound<'_, PyDict>, call: &Call) -> PyResult<()> {
        let py = environ.py();
        let request = call.request();
        let uri = raw::latin1(py, request.raw_uri())?;
        for key in &self.raw_uri {
            raw::set(environ, key, &uri)?;
        }
        // An error in the middle leaves each entry whole.
        let mut memory = self.memory.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        memory.method.set(environ, request.method())?;
        memory.script_name.set(environ, request.script_name())?;
        memory.path_info.set(environ, request.path_info())?;
        memory.query.set(environ, request.query_string())?;
        memory.protocol.set(environ, request.protocol().as_bytes())?;
        memory.scheme.set(environ, request.url_scheme().as_bytes())?;
        memory.server_name.set(environ, request.server_name().as_bytes())?;
        let remote_ip = request.peer().tcp().map(|peer| peer.ip());
        if memory.remote_ip == Some(remote_ip) {
            memory.remote_addr.repeat(environ)?;
        } else {
            memory.remote_addr.set(environ, request.remote_addr().as_bytes())?;
            memory.remote_ip = Some(remote_ip);
        }
        let mut digits = itoa::Buffer::new();
        memory.server_port.set(environ, digits.format(request.server_port()).as_bytes())?;
        let remote_port = request.remote_port().map_or("", |port| digits.format(port));
        memory.remote_port.set(environ, remote_port.as_bytes())?;
        // Also behind a chunked body: the application reads what was decoded.
        if request.head().is_chunked() || request.head().content_length().is_some() {
            memory.content_length.set(environ, digits.format(call.body_len()).as_bytes())?;
        }
        if let Some(secured) = request.secured() {
            // As in Apache: PEP 3333 asks for them by these names.
            let all = [("HTTPS", "on"), ("SSL_PROTOCOL", secured.protocol()), ("SSL_CIPHER", secured.cipher())];
            for (key, value) in all {
                environ.set_item(PyString::intern(py, key), PyString::intern(py, value))?;
            }
        }
        for (name, value) in request.headers() {
            memory.names.add(environ, name, value)?;
        }
        Ok(())
    }
}
