//! Serves an application as the options say, from listening to the end of the last request.

use std::io;
use std::sync::Arc;

use handwound_reactor::{Endpoint, EventLoop, MioReactor, OsThreads, PoolConfig, Stopped, WorkerHook};
use handwound_wsgi::{Application, Site, WsgiResource};

use crate::args::Serving;
use crate::logging::say;
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

/// Serves until a signal says stop; says where it listens, and at the end what was cut or is stuck, on stderr.
///
/// `hook` is called around the workers' turns, as the application's language may need.
///
/// # Errors
/// One line that says what is wrong and what to do: an endpoint in use, no permission.
pub fn serve(
    options: &Serving,
    signals: &Signals,
    application: impl Application,
    hook: Option<Arc<dyn WorkerHook>>,
) -> Result<End, String> {
    let reactor = MioReactor::new().map_err(|error| format!("cannot make a reactor: {error}"))?;
    let threads = OsThreads::beside(&reactor);
    let event_loop = EventLoop::new(reactor, threads);
    event_loop.suggest_thread_pool(PoolConfig::from(options.threads.min..=options.threads.max));
    let pool = event_loop.thread_pool();
    if let Some(hook) = hook {
        pool.set_hook(hook);
    }
    let site = Site::with_config(WsgiResource::new(&event_loop, pool, application), options.http.site_config());
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
