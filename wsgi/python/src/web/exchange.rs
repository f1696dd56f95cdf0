//! `handwound._native.Exchange`: a request and its response, as `handwound.web.server.Request` uses them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use handwound_reactor::{Address, ThreadPool};
use handwound_wsgi::http1::ResponseHead;
use handwound_wsgi::{Application, Call, Failure, OpenCall, WriteError};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use super::answer::{Dressed, SendFile, SendListing, on_foreign_pool};
use super::plan::WsgiApplication;
use crate::application::traceback;
use crate::attach::detached;
use crate::module;
use crate::native::{self, pool_of};

/// Header fields, names and values.
pub(super) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// A request and its response. Any thread may use it.
#[pyclass(frozen, module = "handwound._native")]
pub struct Exchange {
    call: Call,
    pool: ThreadPool,
    /// Whose `callFromThread` runs calls in order.
    reactor: Py<PyAny>,
    phase: Mutex<Phase>,
}

/// How far the response is, besides what has been sent of it.
enum Phase {
    /// The resource is being asked; the response ends when that returns, unless it is kept open.
    Rendering,
    /// The resource is being asked, and this is how the response will end.
    Decided(Result<(), Failure>),
    /// The resource has returned, and somebody has the request.
    Open(OpenCall),
    /// The response has ended, or another one answers.
    Over,
}

impl Exchange {
    /// For a call whose resource is asked on this thread, a worker of `pool`.
    pub fn new(call: Call, pool: ThreadPool, reactor: Py<PyAny>) -> Exchange {
        Exchange { call, pool, reactor, phase: Mutex::new(Phase::Rendering) }
    }

    /// The resource has been asked: what is to be returned for it.
    pub fn rendered(&self) -> Result<(), Failure> {
        let mut phase = self.phase();
        match std::mem::replace(&mut *phase, Phase::Over) {
            Phase::Decided(outcome) => outcome,
            Phase::Rendering => {
                *phase = Phase::Open(self.call.keep_open());
                drop(phase);
                // A client that leaves is noticed and its socket closed, whether or not the resource wants to know: it
                // may keep the request for long.
                self.call.on_disconnect(Box::new(|| {}));
                Ok(())
            }
            Phase::Over => Ok(()),
            // Asked a second time.
            open @ Phase::Open(_) => {
                *phase = open;
                Ok(())
            }
        }
    }

    /// Never held while Python runs.
    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, outcome: Result<(), Failure>) {
        let mut phase = self.phase();
        match std::mem::replace(&mut *phase, Phase::Over) {
            Phase::Rendering => *phase = Phase::Decided(outcome),
            Phase::Decided(first) => *phase = Phase::Decided(first),
            Phase::Open(open) => {
                drop(phase);
                match outcome {
                    Ok(()) => open.finish(),
                    Err(failure) => open.fail(failure),
                }
            }
            Phase::Over => {}
        }
    }

    /// From here on `application` answers, with `call`, on a worker of `pool`.
    fn pass_on(&self, call: &Call, pool: &ThreadPool, application: Arc<dyn Application>) {
        let mut phase = self.phase();
        match std::mem::replace(&mut *phase, Phase::Over) {
            Phase::Rendering => {
                // Under the lock: what follows a call is known before it returns.
                call.hand_over(pool, application);
            }
            Phase::Open(open) => {
                drop(phase);
                call.hand_over(pool, application);
                open.finish();
            }
            decided => *phase = decided,
        }
    }

    /// The same, on a pool that is no pool of ours.
    fn pass_to_stranger(&self, pool: &Bound<'_, PyAny>, call: Call, application: Arc<dyn Application>) -> PyResult<()> {
        let open = match std::mem::replace(&mut *self.phase(), Phase::Over) {
            Phase::Rendering => self.call.keep_open(),
            Phase::Open(open) => open,
            _ => return Ok(()),
        };
        on_foreign_pool(pool, move || run(&*application, &call, open))
    }
}

/// Runs what answers, and ends the response.
fn run(application: &dyn Application, call: &Call, open: OpenCall) {
    match application.call(call) {
        Ok(()) => open.finish(),
        Err(failure) => open.fail(failure),
    }
}

#[pymethods]
impl Exchange {
    /// GET, HEAD, POST, or whatever the client said.
    #[getter]
    fn method<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.call.request().method())
    }

    /// What was asked for, as it came.
    #[getter]
    fn target<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.call.request().raw_uri())
    }

    /// The path, as it came.
    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.call.request().head().path())
    }

    /// How many segments of the path have been walked before Python was asked.
    #[getter]
    fn walked(&self) -> usize {
        self.call.request().prepath().len()
    }

    /// `HTTP/1.1` or `HTTP/1.0`.
    #[getter]
    fn version<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.call.request().protocol().as_bytes())
    }

    /// `http` or `https`.
    #[getter]
    fn scheme(&self) -> &'static str {
        self.call.request().url_scheme()
    }

    /// The header fields in order.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let fields = self.call.request().headers();
        PyList::new(
            py,
            fields.map(|(name, value)| (PyBytes::new(py, name), PyBytes::new(py, value))).collect::<Vec<_>>(),
        )
    }

    /// Who is at the other end: host and port, or the path of a UNIX socket.
    #[getter]
    fn peer<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        address(py, self.call.request().peer())
    }

    /// This end.
    #[getter]
    fn local<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        address(py, self.call.request().local())
    }

    /// Bytes of the request's body.
    #[getter]
    fn body_length(&self) -> u64 {
        self.call.body_len()
    }

    /// At most `length` bytes of the request's body, from `offset` on.
    fn read_body<'py>(&self, py: Python<'py>, offset: u64, length: usize) -> PyResult<Bound<'py, PyBytes>> {
        let rest = usize::try_from(self.call.body_len().saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(rest)];
        let read = detached(py, || {
            let mut filled = 0;
            while filled < bytes.len() {
                match self.call.read_body_at(offset + filled as u64, &mut bytes[filled..])? {
                    0 => break,
                    more => filled += more,
                }
            }
            Ok::<_, std::io::Error>(filled)
        });
        match read {
            Ok(filled) => Ok(PyBytes::new(py, &bytes[..filled])),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => Err(module::client_left()),
            Err(error) => Err(error.into()),
        }
    }

    /// Begins the response.
    ///
    /// Raises `ValueError` for a status or a field that breaks a rule, and `RuntimeError` for a second call.
    fn start(&self, code: u16, reason: Vec<u8>, fields: Fields) -> PyResult<()> {
        let broken = |rule: handwound_wsgi::http1::BadResponse| PyValueError::new_err(rule.to_string());
        let mut status = code.to_string().into_bytes();
        status.push(b' ');
        status.extend_from_slice(&reason);
        let mut head: ResponseHead = self.call.new_head(status).map_err(broken)?;
        // Those that a resource sets are meant.
        head.keep_date_and_server(true);
        for (name, value) in &fields {
            match Framing::of(name) {
                Framing::None => head.push(name, value).map_err(broken)?,
                Framing::Connection if value.eq_ignore_ascii_case(b"close") => self.call.close_connection(),
                // How the connection is kept and cut into messages is the server's.
                Framing::Connection | Framing::Other => {}
            }
        }
        self.call.start(head).map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }

    /// Sends `data`. Waits while the client is slow.
    ///
    /// Raises `ClientDisconnected`.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        let bytes = data.as_bytes();
        match self.call.try_write(bytes) {
            Ok(false) => detached(py, || self.call.write(bytes)),
            outcome => outcome.map(drop),
        }
        .map_err(write_error)
    }

    /// Sends `data` if that takes no waiting. Whether it did.
    ///
    /// Raises `ClientDisconnected`.
    fn try_write(&self, data: &Bound<'_, PyBytes>) -> PyResult<bool> {
        self.call.try_write(data.as_bytes()).map_err(write_error)
    }

    /// The response is complete.
    fn finish(&self) {
        self.end(Ok(()));
    }

    /// The response cannot be completed: a 500, or, if part of it is out, a cut. `text` goes to the log.
    fn fail(&self, text: String) {
        self.end(Err(Failure::new(text)));
    }

    /// Whether the client has left.
    fn is_disconnected(&self) -> bool {
        self.call.is_disconnected()
    }

    /// Has `tell` called, as calls of the reactor are, when the client leaves before the response has ended.
    fn on_disconnect(&self, py: Python<'_>, tell: Py<PyAny>) -> PyResult<()> {
        let reactor = self.reactor.bind(py);
        if let Some(need_thread) = reactor.getattr_opt("_need_thread")? {
            // That of a command starts its thread for calls when there is a first one.
            need_thread.call0()?;
        }
        if let Some(calls) = native::callbacks_of(reactor) {
            let call = native::Call::of(tell.into_bound(py));
            self.call.on_disconnect(Box::new(move || {
                // Refused only after the callbacks' own end.
                let _ = calls.post(call);
            }));
            return Ok(());
        }
        let (reactor, pool) = (reactor.clone().unbind(), self.pool.clone());
        self.call.on_disconnect(Box::new(move || {
            // The reactor's thread does not attach to Python; a worker does, and passes it on.
            let _ = pool.submit(move || {
                Python::attach(|py| {
                    let passed = reactor.call_method1(py, "callFromThread", (tell,));
                    report(py, passed.map(drop));
                });
            });
        }));
        Ok(())
    }

    /// Calls `call` on a worker.
    ///
    /// Raises `RuntimeError` if the pool takes no work any more.
    fn call_in_thread(&self, call: Py<PyAny>) -> PyResult<()> {
        let submitted = self.pool.submit(move || {
            Python::attach(|py| report(py, call.call0(py).map(drop)));
        });
        submitted.map_err(|refused| PyRuntimeError::new_err(refused.to_string()))
    }

    /// Calls `call` as the reactor calls what `callFromThread` gave it.
    #[pyo3(signature = (call, *arguments))]
    fn call_from_thread(&self, py: Python<'_>, call: Py<PyAny>, arguments: &Bound<'_, PyTuple>) -> PyResult<()> {
        let mut all = vec![call];
        all.extend(arguments.iter().map(Bound::unbind));
        self.reactor.call_method1(py, "callFromThread", PyTuple::new(py, all)?).map(drop)
    }

    /// Has a WSGI application answer, on a thread of `pool`, or of this site's pool if that is None.
    fn hand_over(
        &self,
        application: &Bound<'_, WsgiApplication>,
        pool: &Bound<'_, PyAny>,
        prepath: usize,
        script_name: Vec<u8>,
        path_info: Vec<u8>,
        fields: Fields,
    ) -> PyResult<()> {
        let call = self.call.below(prepath);
        let request = call.request();
        let is_moved = request.script_name() != script_name || request.path_info() != path_info;
        let path = is_moved.then_some((script_name, path_info));
        let application = Dressed::at(application.get().application.clone(), path);
        if !fields.is_empty() {
            call.add_fields(fields);
        }
        if pool.is_none() {
            self.pass_on(&call, &self.pool, application);
            return Ok(());
        }
        match pool_of(pool) {
            Some(pool) => self.pass_on(&call, &pool, application),
            None => self.pass_to_stranger(pool, call, application)?,
        }
        Ok(())
    }

    /// Has the server send a file.
    fn send_file(&self, path: std::path::PathBuf, content_type: String, fields: Fields) {
        self.call.add_fields(fields);
        self.pass_on(&self.call, &self.pool, Arc::new(SendFile::new(path, content_type)));
    }

    /// Has the server send the list of what is in a folder.
    fn send_listing(&self, path: std::path::PathBuf, fields: Fields) {
        self.call.add_fields(fields);
        self.pass_on(&self.call, &self.pool, Arc::new(SendListing(path)));
    }
}

/// What a field says about messages on the connection.
enum Framing {
    None,
    Connection,
    Other,
}

impl Framing {
    fn of(name: &[u8]) -> Framing {
        const OTHER: [&[u8]; 6] =
            [b"keep-alive", b"te", b"trailers", b"transfer-encoding", b"upgrade", b"proxy-connection"];
        match name {
            _ if name.eq_ignore_ascii_case(b"connection") => Framing::Connection,
            _ if OTHER.iter().any(|other| name.eq_ignore_ascii_case(other)) => Framing::Other,
            _ => Framing::None,
        }
    }
}

fn write_error(error: WriteError) -> PyErr {
    match error {
        WriteError::ClientDisconnected => module::client_left(),
        WriteError::NotStarted | WriteError::Ended => PyRuntimeError::new_err(error.to_string()),
    }
}

fn report(py: Python<'_>, outcome: PyResult<()>) {
    if let Err(error) = outcome {
        tracing::error!("in a call on a worker: {}", traceback(py, &error));
    }
}

fn address<'py>(py: Python<'py>, address: &Address) -> PyResult<Bound<'py, PyAny>> {
    match address {
        Address::Tcp(tcp) => {
            let ip = match tcp.ip() {
                std::net::IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(|| v6.to_string(), |v4| v4.to_string()),
                v4 => v4.to_string(),
            };
            (ip, tcp.port()).into_pyobject(py).map(Bound::into_any)
        }
        Address::Unix(path) => Ok(path.as_ref().into_pyobject(py)?.into_any()),
    }
}
