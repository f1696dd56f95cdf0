//! What a master is told, and what it has done: the words of [`Supervisor`](super::state::Supervisor).

use std::fmt;
use std::time::Duration;

/// A worker process. Numbers are given once, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u64);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}", self.0)
    }
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It serves.
    Ready(WorkerId),
    /// It has served what it was to serve at the most, and goes on until it is replaced.
    Spent(WorkerId),
    /// It finishes what is under way and ends, by itself: somebody else has sent it a signal.
    Leaving(WorkerId),
    /// It has ended, or could not be started.
    Ended(WorkerId, Fate),
    /// Somebody wants something of the master.
    Asked(Request),
    /// Nothing but that time has passed.
    Time,
}

impl Fate {
    /// The same of a worker that has not served.
    fn too_early(&self) -> String {
        match self {
            Fate::NotStarted(_) => self.to_string(),
            fate => format!("{fate} before it could serve"),
        }
    }
}

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// With this exit code.
    Code(i32),
    /// Of this signal.
    Signal(i32),
    /// The system did not start it.
    NotStarted(String),
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fate::Code(code) => write!(f, "ended with exit code {code}"),
            Fate::Signal(signal) => match signal_hook::low_level::signal_name(*signal) {
                Some(name) => write!(f, "was ended by {name}"),
                None => write!(f, "was ended by signal {signal}"),
            },
            Fate::NotStarted(why) => write!(f, "cannot be started: {why}"),
        }
    }
}

/// What a master can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// To end, in order; asked again: at once. With the number of the signal.
    Stop(i32),
    /// To replace all workers by new ones, which load the application anew.
    Reload,
    /// To have one worker more.
    More,
    /// To have one worker less.
    Fewer,
    /// To have all workers open their log files anew.
    ReopenLogs,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a process under this number. Its end is told in any case, also if it never began.
    Spawn(WorkerId),
    /// Have it take no further connection, finish what is under way and end. `is_replaced`: others go on, so that a client
    /// that still holds a connection has time to learn of it.
    Drain(WorkerId, IsReplaced),
    /// End it now.
    Kill(WorkerId),
    /// Have it open its log files anew.
    ReopenLogs(WorkerId),
    /// Tell people.
    Say(Said),
    /// End the master with this exit code. Nothing follows.
    End(u8),
}

/// Whether others go on serving where a worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsReplaced {
    /// They do.
    Yes,
    /// The server ends.
    No,
}

/// News for people, and for a service manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The first worker serves, and so does the server.
    Serving,
    /// A worker serves.
    Ready(WorkerId),
    /// The first worker there ever was did not come to serve: nor would others.
    CannotStart(WorkerId, Fate),
    /// The same, but whoever changes the application will see another try.
    WaitsForChange(WorkerId, Fate),
    /// A worker did not come to serve; there is another try.
    NotReady(WorkerId, Fate, Again),
    /// A worker ended that should not have.
    Lost(WorkerId, Fate, Again),
    /// New workers are started, to replace the old ones.
    Reloading,
    /// All workers are new.
    Reloaded,
    /// A new worker did not come to serve: the old ones go on.
    ReloadFailed(WorkerId, Fate),
    /// A worker has served what it was to serve at the most, and is replaced.
    Spent(WorkerId),
    /// A worker did not end in time.
    Late(WorkerId),
    /// The server ends, and has this long for it.
    Stopping {
        /// Which signal asked for it.
        signal: i32,
        /// How long what is under way may take.
        patience: Duration,
    },
    /// There are so many workers from here on.
    Wanted(usize),
}

/// When there is another try.
pub type Again = Duration;

impl Said {
    /// Whether something is wrong, and who logs only that should hear it.
    pub fn is_trouble(&self) -> bool {
        matches!(
            self,
            Said::CannotStart(..)
                | Said::WaitsForChange(..)
                | Said::NotReady(..)
                | Said::Lost(..)
                | Said::ReloadFailed(..)
                | Said::Late(_)
        )
    }

    /// One line; `name` says which process a worker is.
    pub fn line(&self, name: impl Fn(WorkerId) -> String) -> String {
        match self {
            Said::Serving => "serving".to_owned(),
            Said::Ready(id) => format!("{} serves", name(*id)),
            Said::CannotStart(id, fate) => {
                format!("{} {}; nothing is served", name(*id), fate.too_early())
            }
            Said::WaitsForChange(id, fate) => {
                format!("{} {}; waiting until a file is changed", name(*id), fate.too_early())
            }
            Said::NotReady(id, fate, again) => {
                format!("{} {}; the next one starts {}", name(*id), fate.too_early(), in_time(*again))
            }
            Said::Lost(id, fate, again) => format!("{} {fate}; the next one starts {}", name(*id), in_time(*again)),
            Said::Reloading => "starting new workers, which replace the old ones once they serve".to_owned(),
            Said::Reloaded => "all workers are new".to_owned(),
            Said::ReloadFailed(id, fate) => {
                format!("{} {}; the old workers go on", name(*id), fate.too_early())
            }
            Said::Spent(id) => format!("{} has served its --max-requests and is replaced", name(*id)),
            Said::Late(id) => format!("{} has not ended in time; it is killed", name(*id)),
            Said::Stopping { signal, patience } => format!(
                "{}: finishing what is under way, for at most {} s; another signal ends it at once",
                signal_hook::low_level::signal_name(*signal).unwrap_or("a signal"),
                patience.as_secs_f64()
            ),
            Said::Wanted(1) => "1 worker from here on".to_owned(),
            Said::Wanted(count) => format!("{count} workers from here on"),
        }
    }
}

fn in_time(after: Duration) -> String {
    match after {
        Duration::ZERO => "at once".to_owned(),
        after => format!("in {} s", after.as_secs_f64()),
    }
}
