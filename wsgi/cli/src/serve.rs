//! Serves an application as the options say, from listening to the end of the last request.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use handwound_reactor::{Endpoint, EventLoop, MioReactor, OsThreads, PoolConfig, Stopped, ThreadPool, WorkerHook};
use handwound_wsgi::{Application, Resource, Site, WsgiResource};

use crate::args::{Serving, refuse_serving};
use crate::logging::{self, say};
use crate::place::enter;
use crate::signals::Signals;

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
    refuse_serving(options)?;
    enter(&options.processes)?;
    let reactor = MioReactor::new().map_err(|error| format!("cannot make a reactor: {error}"))?;
    let threads = OsThreads::beside(&reactor);
    let event_loop = EventLoop::new(reactor, threads);
    event_loop.suggest_thread_pool(PoolConfig::from(options.threads.min..=options.threads.max));
    let pool = event_loop.thread_pool();
    if let Some(hook) = content.hook() {
        pool.set_hook(hook);
    }
    let root = content.root(&event_loop, &pool)?;
    let site = Site::from_rc(root, options.site_config()?);
    let mut urls = Vec::new();
    for endpoint in options.endpoints() {
        let listening = site.listen(&event_loop, endpoint.address(), &endpoint.options());
        let listening = listening.map_err(|error| cannot_listen(&endpoint, &error))?;
        urls.push(endpoint.url(listening.local_address()));
    }
    signals.serving(event_loop.remote().clone(), options.graceful_timeout);
    say(format_args!("handwound: listening on {} with {}; stop with Ctrl-C", urls.join(" and "), options.threads));
    let outcome = event_loop.run();
    signals.ended();
    // What it says at the end stands behind what was logged.
    logging::flush();
    let stopped = outcome.map_err(|error| format!("the event loop failed: {error}"))?;
    Ok(report(&stopped))
}

fn cannot_listen(endpoint: &Endpoint, error: &io::Error) -> String {
    let (what, next) = match error.kind() {
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
