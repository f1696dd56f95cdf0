//! A Python application on simulated workers, each an OS thread of its own: the same seed, the same run.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::collections::VecDeque;
use std::ffi::CString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handwound_reactor::{Address, EventLoop, Gate, SharedId, Threads, WorkerHook};
use handwound_testkit::{Backend, Choices, NetworkOptions, Sim, SimThreads};
use handwound_wsgi::{Site, WsgiResource};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyModule, PyTuple};

use crate::testing::python;
use crate::{AttachWorkers, PythonApplication};

thread_local! {
    static HOLDS: Cell<bool> = const { Cell::new(false) };
}

/// The interpreter's lock as the simulation sees it. A worker that is left in the middle keeps the real lock, so
/// the next one must wait at a gate, where others can go on, and not for the real one, where none could. Held a
/// little longer than the real one: also by a worker that waits for its client to read.
struct SimulatedLock {
    threads: SimThreads,
    id: SharedId,
    state: Mutex<(bool, VecDeque<Gate>)>,
}

impl SimulatedLock {
    fn new(threads: SimThreads) -> SimulatedLock {
        SimulatedLock { id: threads.shared("interpreter"), threads, state: Mutex::default() }
    }

    fn acquire(&self) {
        if HOLDS.replace(true) {
            return;
        }
        self.threads.visit(self.id);
        let gate = {
            let (held, waiting) = &mut *self.state.lock().unwrap();
            if !std::mem::replace(held, true) {
                return;
            }
            let gate = self.threads.gate("interpreter");
            waiting.push_back(gate.clone());
            gate
        };
        // Whoever lets go hands it over.
        gate.park();
    }

    /// Python's `pause(ms)`: blocks on the clock of the simulation, and lets other workers have Python meanwhile.
    fn pause<'py>(self: &Arc<SimulatedLock>, py: Python<'py>) -> Bound<'py, PyCFunction> {
        let lock = Arc::clone(self);
        let pause = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| -> PyResult<()> {
            let ms: u64 = arguments.get_item(0)?.extract()?;
            arguments.py().detach(|| {
                lock.release();
                lock.threads.sleep(Duration::from_millis(ms));
                lock.acquire();
            });
            Ok(())
        };
        PyCFunction::new_closure(py, None, None, pause).unwrap()
    }

    fn release(&self) {
        if !HOLDS.replace(false) {
            return;
        }
        self.threads.visit(self.id);
        let next = {
            let (held, waiting) = &mut *self.state.lock().unwrap();
            let next = waiting.pop_front();
            *held = next.is_some();
            next
        };
        if let Some(next) = next {
            next.unpark();
        }
    }
}

impl WorkerHook for SimulatedLock {
    fn before_work(&self) {
        self.acquire();
        AttachWorkers.before_work();
    }

    fn before_park(&self) {
        AttachWorkers.before_park();
        self.release();
    }

    fn stopped(&self) {
        self.acquire();
        AttachWorkers.stopped();
        self.release();
    }
}

const CODE: &str = r#"
import threading
counts = {}

def application(environ, start_response):
    me = threading.get_ident()
    counts[me] = counts.get(me, 0) + 1
    path = environ['PATH_INFO']
    if path == '/written':
        write = start_response('200 OK', [('Content-Type', 'text/plain')])
        write(b'a' * 100_000)
        write(b'b' * 100_000)
        return []
    if path == '/fails':
        raise ValueError('asked to')
    body = environ['wsgi.input'].read()
    pause(50)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return (piece for piece in (path.encode(), b' ', body))
"#;

struct Outcome {
    hash: u64,
    answers: Vec<String>,
    threads: usize,
}

fn run(seed: u64, backend: Backend) -> Outcome {
    python();
    let sim = Sim::new(Choices::seed(seed));
    sim.set_network(NetworkOptions::rough());
    sim.set_backend(backend);
    let lock = Arc::new(SimulatedLock::new(sim.threads()));
    let (module, application) = Python::attach(|py| {
        let module = PyModule::from_code(py, &CString::new(CODE).unwrap(), c"app.py", c"app").unwrap();
        module.setattr("pause", lock.pause(py)).unwrap();
        let callable = module.getattr("application").unwrap();
        (module.unbind(), PythonApplication::new(callable, "app.application", false).unwrap())
    });
    let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
    event_loop.suggest_thread_pool(3..=3);
    let pool = event_loop.thread_pool();
    pool.set_hook(lock);
    let site = Site::new(WsgiResource::new(&event_loop, pool, application));
    let at = Address::Tcp("127.0.0.1:80".parse().unwrap());
    site.listen(&event_loop, &at, &Default::default()).unwrap();
    let remote = event_loop.remote().clone();
    sim.spawn("reactor", move || drop(event_loop.run().unwrap()));

    let clients: Vec<_> = ["/one", "/written", "/two", "/fails", "/written", "/three"]
        .into_iter()
        .map(|path| {
            let client = sim.connect(&at);
            client.send(format!("POST {path} HTTP/1.0\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"));
            client
        })
        .collect();
    // This one leaves while its answer is being written, or before.
    sim.advance(Duration::from_millis(sim.choose("patience in ms", 300).into()));
    clients[4].reset();
    sim.advance(Duration::from_secs(30));
    let answers = clients.iter().map(|client| client.received_text()).collect();
    remote.call_from_thread(|event_loop| event_loop.stop().unwrap()).unwrap();
    sim.settle();
    sim.assert_clean();
    let threads = Python::attach(|py| module.bind(py).getattr("counts").unwrap().len().unwrap());
    Outcome { hash: sim.trace_hash(), answers, threads }
}

#[test]
fn a_python_application_runs_the_same_twice() {
    let mut threads_max = 0;
    for seed in 0..12 {
        let (first, second) = (run(seed, Backend::OsThreads), run(seed, Backend::OsThreads));
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_eq!(first.answers, second.answers, "seed {seed}");
        for (answer, path) in [(0, "/one"), (2, "/two"), (5, "/three")] {
            let answer = &first.answers[answer];
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with(&format!("{path} body")), "{answer}");
        }
        assert!(first.answers[1].ends_with(&("a".repeat(100_000) + &"b".repeat(100_000))), "seed {seed}");
        assert!(first.answers[3].starts_with("HTTP/1.1 500 "), "{}", first.answers[3]);
        threads_max = threads_max.max(first.threads);
    }
    assert!(threads_max > 1, "Python has seen one thread only");
}
