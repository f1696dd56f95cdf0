//! What workers are given to do, and how it is called while they do it.

use std::fmt;
use std::sync::Arc;

use super::Worker;
use crate::Place;

/// Work that is shared, not boxed: whoever submits it often reuses it.
pub trait Job: Send + Sync {
    /// Does the work. Runs on a worker; may block. A panic is logged, and the worker goes on.
    fn run(self: Arc<Self>, worker: &mut Worker<'_>);

    /// What it is, for people: named when it is stuck. Any thread.
    fn describe(&self) -> String;
}

/// What is to be done around a worker's turns: an interpreter's lock is taken for a whole run of jobs, and never
/// held while the worker waits. All calls come from the worker's own thread.
pub trait WorkerHook: Send + Sync {
    /// Before the worker looks for work, at its start and after each wait. May block.
    fn before_work(&self) {}
    /// Before the worker waits, or ends.
    fn before_park(&self) {}
    /// The worker ends; nothing of it runs after this.
    fn stopped(&self) {}
    /// Whether, between [`before_work`](WorkerHook::before_work) and [`before_park`](WorkerHook::before_park), only one
    /// worker at a time gets on, unless it waits for something: a second one is then called only where jobs are seen to
    /// wait. Always the same answer.
    fn one_at_a_time(&self) -> bool {
        false
    }
}

/// Why a job was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobRefused {
    /// The pool has been stopped.
    Stopped,
    /// [`PoolConfig::queued_jobs_max`](crate::PoolConfig::queued_jobs_max) jobs are waiting.
    Full,
    /// The pool has no threads: only an event loop can submit to it.
    NoThreads,
}

impl fmt::Display for JobRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JobRefused::Stopped => "the thread pool has been stopped and takes no work any more",
            JobRefused::Full => "the thread pool's queue is full; wait, or raise queued_jobs_max",
            JobRefused::NoThreads => {
                "the thread pool has no threads, and only its event loop can submit to it; give it one"
            }
        })
    }
}

impl std::error::Error for JobRefused {}

pub(super) enum Task {
    Call(Box<dyn FnOnce() + Send>, Place),
    Job(Arc<dyn Job>),
}

#[derive(Clone)]
pub(super) enum Running {
    Nothing,
    Call(Place),
    Job(Arc<dyn Job>),
}

impl Running {
    pub(super) fn of(task: &Task) -> Running {
        match task {
            Task::Call(_, place) => Running::Call(place),
            Task::Job(job) => Running::Job(job.clone()),
        }
    }

    pub(super) fn describe(&self) -> Option<String> {
        match self {
            Running::Nothing => None,
            Running::Call(place) => Some(format!("a call submitted at {place}")),
            Running::Job(job) => Some(job.describe()),
        }
    }
}
