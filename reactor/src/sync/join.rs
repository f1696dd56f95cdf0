//! Threads whose end can be waited for.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::Result as Outcome;
use std::time::Duration;

use super::monitor::{Line, Monitor, Patience, wake};
use crate::{Threads, Time};

/// Starts a thread, whose outcome the handle gives.
///
/// # Errors
/// The system's, when it has no thread to give; `body` is dropped then.
#[track_caller]
pub fn spawn<T: Send + 'static>(
    threads: &impl Threads,
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let monitor =
        Arc::new(Monitor::new(threads, &format!("join {name}"), State { outcome: None, line: Line::default() }));
    let theirs = Arc::clone(&monitor);
    let run = move || {
        theirs.hold(true);
        let outcome = catch_unwind(AssertUnwindSafe(body));
        let mut state = theirs.enter();
        state.outcome = Some(outcome);
        let waiting = state.line.choose_all();
        drop(state);
        wake(waiting);
    };
    threads.spawn(name, Box::new(run))?;
    Ok(JoinHandle { monitor, name: name.to_owned() })
}

struct State<T> {
    outcome: Option<Outcome<T>>,
    line: Line,
}

impl<T> State<T> {
    fn ended(&self) -> usize {
        if self.outcome.is_some() { usize::MAX } else { 0 }
    }

    fn line(&mut self) -> &mut Line {
        &mut self.line
    }
}

/// A thread that was started by [`spawn`]. Dropping it lets the thread go on by itself.
pub struct JoinHandle<T> {
    monitor: Arc<Monitor<State<T>>>,
    name: String,
}

impl<T> JoinHandle<T> {
    /// The thread's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has ended; [`join`](JoinHandle::join) does not wait then.
    pub fn is_finished(&self) -> bool {
        self.monitor.enter().outcome.is_some()
    }

    /// Waits for the thread's end: what it returned, or what it panicked with.
    ///
    /// # Errors
    /// The panic's payload, as from [`std::thread::JoinHandle::join`].
    pub fn join(self) -> Outcome<T> {
        self.wait(Patience::Endless).expect("endless patience does not end")
    }

    /// Waits for the thread's end until `time` at the latest; gives the handle back if it has not come.
    ///
    /// # Errors
    /// The handle. Inside of `Ok`: as from [`join`](JoinHandle::join).
    pub fn join_until(self, time: Time) -> Result<Outcome<T>, JoinHandle<T>> {
        self.wait(Patience::Until(time)).ok_or(self)
    }

    /// Waits for the thread's end for `timeout` at the most; gives the handle back if it has not come.
    ///
    /// # Errors
    /// The handle. Inside of `Ok`: as from [`join`](JoinHandle::join).
    pub fn join_timeout(self, timeout: Duration) -> Result<Outcome<T>, JoinHandle<T>> {
        let until = self.monitor.threads.now() + timeout;
        self.join_until(until)
    }

    fn wait(&self, patience: Patience) -> Option<Outcome<T>> {
        let take = |state: &mut State<T>| (state.outcome.take(), None);
        let outcome = self.monitor.take(State::line, patience, State::ended, take)?;
        Some(outcome.expect("a handle is used up by taking the outcome"))
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinHandle({})", self.name)
    }
}
