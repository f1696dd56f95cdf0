//! The master process: binds, starts workers, and lets the [state machine](super::state) decide about everything else.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use handwound_reactor::{Bound, Endpoint, Time};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use super::events::{Action, Event, Fate, IsReplaced, Request, Said, WorkerId};
use super::link::{News, Order};
use super::notify;
use super::pid_file::PidFile;
use super::processes::{Processes, Program};
use super::state::{Config, Supervisor};
use super::watch::Watch;
use crate::args::{LogLevel, Serving};
use crate::endpoints::{FromSystemd, Prepared, prepare};
use crate::logging;
use crate::serve::cannot_listen;

/// How often files are looked at, where somebody wants to know of their changes.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Serves through workers, until a signal says stop; returns the exit code.
///
/// Binds the endpoints of `options`, and runs `program` once for each worker, which shares them and has to come to
/// [`serve`](crate::serve) with the same options. SIGTERM and SIGINT end all in order, the second time at once; SIGHUP
/// replaces all workers without losing a request; SIGTTIN and SIGTTOU make them one more or one less; SIGUSR1 is passed on.
///
/// # Errors
/// One line that says what is wrong and what to do: an endpoint in use, no permission, another master that runs.
pub fn supervise(options: &Serving, program: Program) -> Result<u8, String> {
    let mut master = Master::new(options, program)?;
    loop {
        master.act();
        if let Some(code) = master.ended {
            logging::flush();
            return Ok(code);
        }
        master.wait().map_err(|error| format!("cannot wait for workers: {error}"))?;
    }
}

type Signals = SignalDelivery<UnixStream, SignalOnly>;

struct Master<'a> {
    options: &'a Serving,
    program: Program,
    epoch: Instant,
    supervisor: Supervisor,
    processes: Processes,
    endpoints: Vec<Endpoint>,
    /// Dropped when a stop begins: from then on nobody can connect.
    listeners: Vec<Bound>,
    signals: Signals,
    watch: Watch,
    /// When files are looked at next.
    look_at: Option<Instant>,
    pid_file: Option<PidFile>,
    ended: Option<u8>,
}

impl Master<'_> {
    fn new(options: &Serving, program: Program) -> Result<Master<'_>, String> {
        // First of all: from here on nobody ends this process without its workers.
        let signals = watch_signals().map_err(|error| format!("cannot watch for signals: {error}"))?;
        let mut from_systemd = FromSystemd::default();
        // Their certificates are for the workers; but what is wrong with one is told now.
        let bind = |prepared: Prepared| bind(&prepared.endpoint, &mut from_systemd);
        let endpoints = options.endpoints();
        let listeners = prepare(options)?.into_iter().map(bind).collect::<Result<_, _>>()?;
        let processes = &options.processes;
        let pid_file = processes.pid.as_deref().map(PidFile::write).transpose()?;
        let config = Config {
            workers: processes.workers,
            patience: options.graceful_timeout,
            waits_for_changes: processes.reload,
            ..Config::default()
        };
        let epoch = Instant::now();
        Ok(Master {
            options,
            program,
            epoch,
            supervisor: Supervisor::new(config, Time::ZERO),
            processes: Processes::default(),
            endpoints,
            listeners,
            signals,
            watch: Watch::default(),
            look_at: processes.reload.then(|| epoch + WATCH_INTERVAL),
            pid_file,
            ended: None,
        })
    }

    /// Does what has been decided.
    fn act(&mut self) {
        while let Some(action) = self.supervisor.poll_action() {
            match action {
                Action::Spawn(id) => self.spawn(id),
                Action::Drain(id, IsReplaced::Yes) => self.processes.order(id, Order::BeReplaced),
                Action::Drain(id, IsReplaced::No) => self.processes.order(id, Order::Stop),
                Action::Kill(id) => self.processes.kill(id),
                Action::ReopenLogs(id) => self.processes.order(id, Order::ReopenLogs),
                Action::Say(said) => self.say(&said),
                Action::End(code) => self.ended = Some(code),
            }
        }
        self.processes.forget_ended();
    }

    fn spawn(&mut self, id: WorkerId) {
        if let Err(error) = self.processes.spawn(id, &self.program, &self.listeners) {
            let why = format!("'{}': {error}", self.program.path.display());
            self.tell(Event::Ended(id, Fate::NotStarted(why)));
        }
    }

    /// Waits until something has happened, and takes it in.
    fn wait(&mut self) -> io::Result<()> {
        let timeout = self.next_due().map(|due| due.saturating_duration_since(Instant::now()));
        // What is due in less than the system's clock can tell is due.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut fds = vec![PollFd::new(self.signals.get_read(), PollFlags::IN)];
        fds.extend(self.processes.poll_fds());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        drop(fds);
        // In this order: what a worker has said counts even if its end is known already.
        for (id, news) in self.processes.news() {
            self.hear(id, news);
        }
        let signals: Vec<_> = self.signals.pending().collect();
        for signal in signals {
            self.signalled(signal);
        }
        if self.look_at.is_some_and(|at| at <= Instant::now()) {
            self.look_at_files();
        }
        self.tell(Event::Time);
        Ok(())
    }

    fn next_due(&self) -> Option<Instant> {
        let decisions = self.supervisor.deadline().map(|deadline| self.epoch + deadline.since_start());
        decisions.into_iter().chain(self.look_at).min()
    }

    fn tell(&mut self, event: Event) {
        self.supervisor.handle(event, Time::new(self.epoch.elapsed()));
    }

    fn hear(&mut self, id: WorkerId, news: News) {
        match news {
            News::Ready => self.tell(Event::Ready(id)),
            News::Spent => self.tell(Event::Spent(id)),
            News::Leaving => self.tell(Event::Leaving(id)),
            News::Files(files) => self.watch.add(files),
        }
    }

    fn signalled(&mut self, signal: i32) {
        let request = match signal {
            SIGTERM | SIGINT => Request::Stop(signal),
            SIGHUP => Request::Reload,
            SIGTTIN => Request::More,
            SIGTTOU => Request::Fewer,
            SIGUSR1 => {
                logging::reopen();
                Request::ReopenLogs
            }
            SIGUSR2 => {
                // Unwatched it would end the master, and gunicorn's users send it to upgrade.
                let advice = "SIGUSR2 does nothing here; SIGHUP starts workers of the program that is there now";
                return logging::note(format_args!("handwound: {advice}"));
            }
            _ => {
                for (id, last, fate) in self.processes.ended() {
                    last.into_iter().for_each(|news| self.hear(id, news));
                    self.tell(Event::Ended(id, fate));
                }
                return;
            }
        };
        self.tell(Event::Asked(request));
    }

    fn look_at_files(&mut self) {
        self.look_at = Some(Instant::now() + WATCH_INTERVAL);
        if let Some(file) = self.watch.changed() {
            self.mention(format_args!("'{}' has changed", file.display()));
            self.tell(Event::Asked(Request::Reload));
        }
        self.processes.ask_for_files();
    }

    fn say(&mut self, said: &Said) {
        match said {
            Said::Serving => {
                notify::tell("READY=1");
                return self.say_serving();
            }
            Said::Reloading => notify::tell_reloading(),
            Said::Reloaded | Said::ReloadFailed(..) => notify::tell("READY=1"),
            Said::Stopping { .. } => {
                notify::tell("STOPPING=1");
                self.listeners.clear();
            }
            _ => {}
        }
        let line = said.line(|id| self.name(id));
        match said.is_trouble() || matches!(said, Said::Stopping { .. }) {
            true => logging::note(format_args!("handwound: {line}")),
            false => self.mention(format_args!("{line}")),
        }
    }

    fn say_serving(&self) {
        let local = self.endpoints.iter().zip(&self.listeners);
        let urls: Vec<_> = local.map(|(endpoint, bound)| endpoint.url(bound.local_address())).collect();
        let workers = match self.options.processes.workers {
            1 => "1 worker".to_owned(),
            count => format!("{count} workers"),
        };
        let threads = self.options.threads;
        logging::note(format_args!(
            "handwound: listening on {} with {workers} of {threads}; stop with Ctrl-C",
            urls.join(" and ")
        ));
    }

    /// What only those want to know who log what goes well.
    fn mention(&self, line: std::fmt::Arguments<'_>) {
        if !matches!(self.options.logs.log_level, LogLevel::Error | LogLevel::Warn) {
            logging::note(format_args!("handwound: {line}"));
        }
    }

    fn name(&self, id: WorkerId) -> String {
        match self.processes.pid(id) {
            Some(pid) => format!("{id} (process {pid})"),
            None => id.to_string(),
        }
    }
}

impl Drop for Master<'_> {
    fn drop(&mut self) {
        // Before the process ends, and with it what the file names.
        self.pid_file = None;
    }
}

fn watch_signals() -> io::Result<Signals> {
    let (read, write) = UnixStream::pair()?;
    let all = [SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2];
    SignalDelivery::with_pipe(read, write, SignalOnly, all)
}

fn bind(endpoint: &Endpoint, from_systemd: &mut FromSystemd) -> Result<Bound, String> {
    let bound = match endpoint.is_inherited() {
        true => Bound::adopt(from_systemd.take(endpoint)?),
        false => Bound::new(endpoint.address(), &endpoint.options()),
    };
    bound.map_err(|error| cannot_listen(endpoint, &error))
}
