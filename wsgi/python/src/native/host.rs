//! The command that serves this program, as the default reactor sees it: its event loop, its pool, and when it begins
//! and ends.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use handwound_reactor::{EventLoop, Phase, Remote, ThreadPool};
use pyo3::prelude::*;

use super::callbacks::{Call, PyCallbacks};
use crate::attach::detached;
use crate::callbacks::Callbacks;

static HOST: Mutex<Option<Host>> = Mutex::new(None);
/// Told when serving begins, or ends before it has begun.
static BEGUN: Condvar = Condvar::new();

thread_local! {
    /// On the command's loop thread: its loop.
    static LOOP: RefCell<Option<EventLoop>> = const { RefCell::new(None) };
}

struct Host {
    remote: Remote,
    pool: ThreadPool,
    patience: Duration,
    stage: Stage,
    has_served: bool,
    /// What is called when it begins to stop, and when everything has ended.
    told: Option<Told>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Starting,
    Serving,
    Stopping,
    Ended,
}

struct Told {
    calls: Arc<Callbacks<Call>>,
    on_stop: Option<Call>,
    on_end: Option<Call>,
}

/// From here on the default reactor of this process is `event_loop`, which the command runs on this thread, and `pool`
/// its pool. A stop that Python asks for has `patience`. To be called before any module of the user's is imported.
pub fn adopt(event_loop: &EventLoop, pool: &ThreadPool, patience: Duration) {
    let remote = event_loop.remote().clone();
    LOOP.set(Some(event_loop.clone()));
    let (pool, stage) = (pool.clone(), Stage::Starting);
    *host() = Some(Host { remote, pool, patience, stage, has_served: false, told: None });
    event_loop.add_trigger(Phase::AfterStartup, |_| come_to(Stage::Serving));
    event_loop.add_trigger(Phase::BeforeShutdown, |_| come_to(Stage::Stopping));
    event_loop.add_trigger(Phase::AfterShutdown, |_| come_to(Stage::Ended));
}

/// The command will serve nothing, or nothing more. Threads that wait for it go on.
pub fn has_failed() {
    come_to(Stage::Ended);
}

fn come_to(stage: Stage) {
    if let Some(host) = &mut *host() {
        host.has_served |= stage == Stage::Serving;
        host.stage = stage;
        host.tell();
    }
    BEGUN.notify_all();
}

impl Host {
    /// Posts what is due at this stage. Touches no Python, and posting takes no lock but the calls' own.
    fn tell(&mut self) {
        let Some(told) = &mut self.told else { return };
        let on_stop = told.on_stop.take_if(|_| self.stage >= Stage::Stopping);
        let on_end = told.on_end.take_if(|_| self.stage >= Stage::Ended);
        for call in on_stop.into_iter().chain(on_end) {
            // Refused only after the callbacks' own end.
            let _ = told.calls.post(call);
        }
    }
}

/// The command's loop and pool, if a command serves this program.
pub fn hosting() -> Option<(Remote, ThreadPool)> {
    host().as_ref().map(|host| (host.remote.clone(), host.pool.clone()))
}

/// How long a stop may take; `None` without a command.
pub fn patience() -> Option<Duration> {
    host().as_ref().map(|host| host.patience)
}

/// The command's loop, on its own thread only.
pub fn event_loop() -> Option<EventLoop> {
    LOOP.with_borrow(Clone::clone)
}

/// Whether `remote` is the command's and this its thread.
pub fn is_my_loop(remote: &Remote) -> bool {
    event_loop().is_some_and(|event_loop| event_loop.remote().is(remote))
}

/// Whether the command serves already.
pub fn is_serving() -> bool {
    host().as_ref().is_some_and(|host| host.stage >= Stage::Serving && host.stage < Stage::Ended)
}

/// Waits until the command serves; says False where it ends without having served. Has `callbacks` call `on_stop` when it
/// begins to stop, and `on_end` when all connections and workers have ended.
#[pyfunction]
pub fn wait_for_command(
    py: Python<'_>,
    callbacks: &Bound<'_, PyCallbacks>,
    on_stop: Bound<'_, PyAny>,
    on_end: Bound<'_, PyAny>,
) -> bool {
    let calls = Arc::clone(&callbacks.get().calls);
    let told = Told { calls, on_stop: Some(Call::of(on_stop)), on_end: Some(Call::of(on_end)) };
    detached(py, move || {
        let waiting = |host: &mut Option<Host>| host.as_ref().is_some_and(|host| host.stage == Stage::Starting);
        let mut host = BEGUN.wait_while(host(), waiting).unwrap_or_else(PoisonError::into_inner);
        match &mut *host {
            Some(host) if host.has_served => {
                host.told = Some(told);
                host.tell();
                true
            }
            _ => false,
        }
    })
}

fn host() -> MutexGuard<'static, Option<Host>> {
    HOST.lock().unwrap_or_else(PoisonError::into_inner)
}
