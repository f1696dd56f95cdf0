//! A log, and a server on a real socket, for unit tests.
#![allow(clippy::unwrap_used)]

use std::ffi::CString;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, Once, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use handwound_reactor::{Address, EventLoop, MioReactor, OsThreads, Remote};
use handwound_wsgi::{Site, WsgiResource};
use pyo3::prelude::*;
use pyo3::types::PyModule;

use crate::{AttachWorkers, PythonApplication, testing};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Starts Python, the one that the tests were built with, once per test process; log events are kept from here on.
pub fn python() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        testing::start();
        tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(|| LogWriter).init();
    });
}

struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How often the log of this process says `text`. Tests run side by side: choose a text of your own.
pub fn logged(text: &str) -> usize {
    String::from_utf8_lossy(&LOG.lock().unwrap()).matches(text).count()
}

/// An application on a socket. It is served until the value is dropped, which waits for the end.
pub struct Server {
    pub module: Py<PyModule>,
    address: SocketAddr,
    remote: Remote,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the `application` that `code` defines.
    pub fn start(code: &str) -> Server {
        Server::with(code, false)
    }

    /// As [`start`](Server::start), by the letter of PEP 3333 where `strict`.
    pub fn with(code: &str, strict: bool) -> Server {
        python();
        let (module, application) = Python::attach(|py| {
            let code = CString::new(code).unwrap();
            let module = PyModule::from_code(py, &code, c"app.py", c"app").unwrap();
            let callable = module.getattr("application").unwrap();
            (module.unbind(), PythonApplication::new(callable, "app.application", strict).unwrap())
        });
        let (ready, started) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let reactor = MioReactor::new().unwrap();
            let threads = OsThreads::beside(&reactor);
            let event_loop = EventLoop::new(reactor, threads);
            event_loop.suggest_thread_pool(1..=4);
            event_loop.thread_pool().set_hook(Arc::new(AttachWorkers));
            let site = Site::new(WsgiResource::new(&event_loop, event_loop.thread_pool(), application));
            let at = Address::Tcp((Ipv4Addr::LOCALHOST, 0).into());
            let listening = site.listen(&event_loop, &at, &Default::default()).unwrap();
            ready.send((listening.local_address().tcp().unwrap(), event_loop.remote().clone())).unwrap();
            event_loop.run().unwrap();
        });
        let (address, remote) = started.recv().unwrap();
        Server { module, address, remote, thread: Some(thread) }
    }

    /// A connection to it.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// The whole answer to `request`, up to the end of the connection, which the request had better ask for.
    pub fn ask(&self, request: impl AsRef<[u8]>) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(request.as_ref()).unwrap();
        let mut answer = Vec::new();
        // A cut connection is an end too.
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    /// The answer to a GET, as text.
    pub fn get(&self, target: &str) -> String {
        self.get_with(target, "")
    }

    /// The answer to a GET with more header lines, as text.
    pub fn get_with(&self, target: &str, headers: &str) -> String {
        let head = format!("GET {target} HTTP/1.1\r\nHost: test:80\r\n{headers}Connection: close\r\n\r\n");
        self.ask(head).iter().map(|byte| char::from(*byte)).collect()
    }

    /// The repr of an expression, evaluated among the names of the application's module.
    pub fn eval(&self, expression: &str) -> String {
        Python::attach(|py| {
            let names = self.module.bind(py).dict();
            py.eval(&CString::new(expression).unwrap(), Some(&names), None).unwrap().repr().unwrap().to_string()
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.remote.call_from_thread(|event_loop| event_loop.stop_within(Duration::ZERO).unwrap());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server's thread panicked");
        }
    }
}

/// The part of an answer behind its head.
pub fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("an answer has a head").1
}
