//! Serves an application as the options say, from listening to the end of the last request.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use handwound_reactor::{
    Address, Endpoint, EventLoop, MioReactor, OsThreads, Phase, PoolConfig, Stopped, ThreadPool, WorkerHook,
};
use handwound_wsgi::{Application, RequestLimit, Resource, Site, WsgiResource};

use crate::args::{Processes, Serving};
use crate::endpoints::{FromSystemd, Prepared, prepare};
use crate::logging::{self, say};
use crate::place::enter;
use crate::signals::Signals;
use crate::supervisor::{News, Program, Sources, Worker, supervise, tell_service_manager};

/// How long a worker that is replaced keeps connections that wait for a request: who sends one in that time, not knowing,
/// gets an answer. Who sends one later finds the connection closed, and knows that the request has not been looked at.
const IDLE_BEFORE_REPLACED: Duration = Duration::from_secs(2);

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything that was under way has been finished.
    Clean,
    /// Time was up for some requests; their connections were cut, and their workers have ended.
    Cut,
    /// Some workers still run application code. Their threads cannot be ended but with the process.
    Stuck,
}

/// What is served: made once the event loop and its pool are there.
pub trait Content {
    /// The root of the resource tree. Runs on the thread that will be the reactor's, before it listens.
    ///
    /// # Errors
    /// One line that says what is wrong and what would be right.
    fn root(&mut self, event_loop: &EventLoop, pool: &ThreadPool) -> Result<Rc<dyn Resource>, String>;

    /// Which files it is made of, for whoever replaces it when one changes.
    fn sources(&self) -> Option<Arc<dyn Sources>> {
        None
    }

    /// What is called around the workers' turns, as the language of what is served may need.
    fn hook(&self) -> Option<Arc<dyn WorkerHook>> {
        None
    }
}

/// A WSGI application as all there is to serve.
pub struct Wsgi<A>(Option<A>);

impl<A: Application> Wsgi<A> {
    /// This application, for all paths.
    pub fn new(application: A) -> Wsgi<A> {
        Wsgi(Some(application))
    }
}

impl<A: Application> Content for Wsgi<A> {
    fn root(&mut self, event_loop: &EventLoop, pool: &ThreadPool) -> Result<Rc<dyn Resource>, String> {
        let application = self.0.take().ok_or("the application is served already")?;
        Ok(Rc::new(WsgiResource::new(event_loop, pool.clone(), application)))
    }
}

/// Serves until a signal says stop; says where it listens, and at the end what was cut or is stuck, on stderr.
///
/// # Errors
/// One line that says what is wrong and what to do: an endpoint in use, no permission, or what `content` says.
pub fn serve(options: &Serving, signals: &Signals, mut content: impl Content) -> Result<End, String> {
    options.check_https()?;
    enter(&options.processes)?;
    let worker = signals.worker();
    if worker.is_none() && options.processes.is_supervised() {
        signals.step_aside();
        let program = Program::own().map_err(|error| format!("cannot tell which program this is: {error}"))?;
        return supervise(options, program).map(|code| if code == 0 { End::Clean } else { End::Cut });
    }
    let endpoints = prepare(options)?;
    let mut reactor = MioReactor::new().map_err(|error| format!("cannot make a reactor: {error}"))?;
    inherit(&mut reactor, worker, &endpoints)?;
    let threads = OsThreads::beside(&reactor);
    let event_loop = EventLoop::new(reactor, threads);
    event_loop.suggest_thread_pool(PoolConfig::from(options.threads.min..=options.threads.max));
    let pool = event_loop.thread_pool();
    if let Some(hook) = content.hook() {
        pool.set_hook(hook);
    }
    if let (Some(worker), Some(sources)) = (worker, content.sources()) {
        worker.answer_from(sources);
    }
    let root = content.root(&event_loop, &pool).inspect_err(|_| {
        if let Some(worker) = worker {
            // Somebody may be about to mend them.
            worker.answer();
        }
    })?;
    let mut config = options.site_config()?;
    if let Some(worker) = worker {
        config.request_limit = request_limit(options, worker);
    }
    let site = Site::from_rc(root, config);
    let mut urls = Vec::new();
    for prepared in &endpoints {
        let listening = prepared.listen(&site, &event_loop);
        let listening = listening.map_err(|error| cannot_listen(&prepared.endpoint, &error))?;
        urls.push(prepared.endpoint.url(listening.local_address()));
        prepared.warnings(event_loop.wall_clock()).iter().for_each(|warning| tracing::warn!("{warning}"));
    }
    signals.serving(event_loop.remote().clone(), options.graceful_timeout);
    match worker {
        Some(worker) => be_a_worker(&event_loop, worker, &site, options),
        None => {
            let urls = urls.join(" and ");
            say(format_args!("handwound: listening on {urls} with {}; stop with Ctrl-C", options.threads));
            tell_service_manager("READY=1");
            event_loop.add_trigger(Phase::BeforeShutdown, |_| tell_service_manager("STOPPING=1"));
        }
    }
    let outcome = event_loop.run();
    signals.ended();
    // What it says at the end stands behind what was logged.
    logging::flush();
    let stopped = outcome.map_err(|error| format!("the event loop failed: {error}"))?;
    Ok(report(&stopped))
}

/// Takes over what the master listens at; without one, what systemd has opened.
fn inherit(reactor: &mut MioReactor, worker: Option<&Worker>, endpoints: &[Prepared]) -> Result<(), String> {
    let mut from_systemd = FromSystemd::default();
    for Prepared { endpoint, .. } in endpoints {
        let listener = match worker {
            Some(worker) => {
                worker.next_listener().ok_or_else(|| format!("the master gave no socket for {endpoint}"))?
            }
            None if endpoint.is_inherited() => from_systemd.take(endpoint)?,
            None => continue,
        };
        let inherited = reactor.inherit(endpoint.address().clone(), listener);
        inherited.map_err(|error| format!("cannot take over the socket for {endpoint}: {error}"))?;
    }
    Ok(())
}

/// Says that it serves, as soon as it does; and when it is replaced, has clients learn of it before it goes.
fn be_a_worker(event_loop: &EventLoop, worker: &Worker, site: &Site, options: &Serving) {
    let ready = worker.clone();
    event_loop.call_when_running(move |_| ready.tell_later(News::Ready));
    let (ending, site) = (worker.clone(), site.clone());
    // At the end of its patience the loop resets what is left, which nobody who only waits has deserved.
    let unused = IDLE_BEFORE_REPLACED.min(options.graceful_timeout / 2);
    // Who changes code wants to see the new one; a browser that loses a connection tries again.
    let idle = if options.processes.reload { Duration::ZERO } else { unused };
    event_loop.add_trigger(Phase::BeforeShutdown, move |_| {
        if ending.is_replaced() {
            site.keep_idle_when_stopping(idle, unused);
        }
    });
}

/// When this worker has served enough.
fn request_limit(options: &Serving, worker: &Worker) -> Option<RequestLimit> {
    let Processes { max_requests, max_requests_jitter, .. } = options.processes;
    if max_requests == 0 {
        return None;
    }
    // Some number that is not the same for all workers.
    let random = RandomState::new().hash_one(std::process::id());
    let requests = max_requests.saturating_add(random % max_requests_jitter.saturating_add(1));
    let worker = worker.clone();
    Some(RequestLimit::new(requests, move || worker.tell_later(News::Spent)))
}

pub(crate) fn cannot_listen(endpoint: &Endpoint, error: &io::Error) -> String {
    let is_path = matches!(endpoint.address(), Address::Unix(_));
    let (what, next) = match error.kind() {
        io::ErrorKind::AddrInUse if is_path => {
            ("address already in use", "stop what listens there, or choose another path")
        }
        io::ErrorKind::AddrInUse => ("address already in use", "stop what listens there, or choose another --port"),
        io::ErrorKind::AddrNotAvailable => ("this machine has no such address", "leave out interface= for all it has"),
        io::ErrorKind::PermissionDenied => ("permission denied", "ports below 1024 and some folders need privileges"),
        io::ErrorKind::NotFound => ("no such folder", "make it first"),
        _ => return format!("cannot listen on {endpoint}: {error}"),
    };
    format!("cannot listen on {endpoint}: {what}; {next}")
}

fn report(stopped: &Stopped) -> End {
    for busy in &stopped.stuck {
        say(format_args!("handwound: {} is stuck in {}; the process ends without it", busy.worker, busy.job));
    }
    if !stopped.stuck.is_empty() {
        return End::Stuck;
    }
    for busy in &stopped.late {
        say(format_args!("handwound: {} was not done in time with {}; its connection was cut", busy.worker, busy.job));
    }
    if stopped.late.is_empty() { End::Clean } else { End::Cut }
}
