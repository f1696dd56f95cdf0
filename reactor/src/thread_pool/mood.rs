//! How a pool spends its workers: eager, it has a standby come for whatever waits; calm, one worker does it all.
//!
//! ```text
//!              an event loop submits ┌───────────────────────────────────────────┐ needless: the jobs are long,
//!                                    ▼                                           │ and none of them waits
//!   eager ─────────────────────────► calm ── jobs wait, too few are taken ──► on trial: a standby has been called
//!     ▲      250 ms after the last    │                                          │
//!     │      sign of a job that waits │ jobs from elsewhere, a stop,             │ needed: it came to work while
//!     └───────────────────────────────┴ the loop looks no more                   │ the other was in its job still
//!     └──────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Where workers exclude each other ([`WorkerHook::one_at_a_time`](super::WorkerHook::one_at_a_time)), a second one is of
//! use only while the first waits for something. Else it waits for the interpreter's lock, to find nothing left: on short
//! jobs 3,200 changes of threads a second and worker, 3 % of all time; on jobs of 70 µs all workers came to fight for that
//! lock, and the slowest hundredth of responses took 78 ms where half took 4.
//!
//! In a calm pool the worker that was woken is the *runner*. It stays what a standby is, the one that answers for all
//! that comes, until it has found the queue empty. A runner that is stuck in a job calls nobody, so somebody must look
//! after a calm pool while jobs wait in it: the event loop that submits to it ([`Attendant`](super::attendant::Attendant)).
//! No calm pool has jobs that no loop looks after.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::roster::{Phase, Roster, Slot};
use super::{Pool, ThreadPool};
use crate::Time;

/// How long a pool stays eager after a job that waited for something: the next one of its kind is likely not far.
const EAGER: Duration = Duration::from_millis(250);

/// Part of the roster.
#[derive(Default)]
pub(super) struct Mood {
    /// Never before the pool's workers are known to exclude each other.
    calm: bool,
    /// The number of the worker that answers for the queue; of none: zero. Only in a calm pool.
    runner: usize,
    trial: Option<Trial>,
    /// Not calm before then.
    eager_until: Time,
    /// Jobs have come that no loop looks after: not calm for a while from when a loop comes next.
    is_unattended: bool,
    /// Long jobs are known to wait for nothing until then, so that their number says nothing.
    patient_until: Time,
    /// Jobs taken, and jobs after which a worker has left the rest to the runner, ever.
    steps: usize,
    /// How often the last one was.
    emptied: usize,
}

/// A standby has been called, and will show by when it comes to work whether jobs wait for something.
struct Trial {
    /// Whom it is to relieve.
    runner: usize,
    /// [`Mood::steps`] when it was called.
    steps: usize,
}

/// A pool as a loop sees it that looks after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glance {
    pub(super) calm: bool,
    pub(super) on_trial: bool,
    pub(super) is_patient: bool,
    pub(super) queued: usize,
    pub(super) steps: usize,
    pub(super) emptied: usize,
}

impl Mood {
    pub(super) fn is_calm(&self) -> bool {
        self.calm
    }

    /// Whether the queue is another's than this worker's.
    pub(super) fn is_left_to_another(&self, slot: &Slot) -> bool {
        self.runner != 0 && self.runner != slot.number
    }

    /// A worker that has done its job leaves the queue to the runner.
    pub(super) fn note_left(&mut self) {
        self.steps = self.steps.wrapping_add(1);
    }

    pub(super) fn is_runner(&self, slot: &Slot) -> bool {
        self.runner == slot.number
    }

    pub(super) fn run_by(&mut self, slot: &Slot) {
        self.runner = slot.number;
    }

    pub(super) fn note_taken(&mut self, left: usize) {
        self.steps = self.steps.wrapping_add(1);
        self.emptied = self.emptied.wrapping_add(usize::from(left == 0));
    }

    /// This worker has found nothing to do.
    pub(super) fn note_idle(&mut self, slot: &Slot) {
        if self.is_runner(slot) {
            self.runner = 0;
        }
        if self.trial.take_if(|trial| trial.runner == slot.number).is_some() {
            // It was done sooner than somebody could come.
            self.acquit();
        }
    }

    /// A standby has come to work. One that was called on trial finds the other still in its job, or in the next, if that
    /// has let it in by waiting; where nothing waits, it was let in after some milliseconds of many jobs, and goes again.
    pub(super) fn end_trial(&mut self) {
        let Some(trial) = self.trial.take() else { return };
        if self.steps.wrapping_sub(trial.steps) > 1 {
            self.acquit();
            self.runner = trial.runner;
        }
    }

    /// Jobs are long, or there was no time for them.
    fn acquit(&mut self) {
        self.calm = true;
        self.patient_until = self.eager_until;
        self.eager_until = Time::ZERO;
    }

    /// Whether there was a runner, who is not to be relied on from here on.
    fn excite(&mut self) -> bool {
        (self.calm, self.trial) = (false, None);
        std::mem::take(&mut self.runner) != 0
    }
}

impl Roster {
    fn glance(&self, now: Time) -> Glance {
        let mood = &self.mood;
        Glance {
            calm: mood.calm,
            on_trial: mood.trial.is_some(),
            is_patient: now < mood.patient_until,
            queued: self.queue.len(),
            steps: mood.steps,
            emptied: mood.emptied,
        }
    }
}

impl Pool {
    /// From here on a standby comes for whatever waits; whoever says so calls the first.
    pub(super) fn become_eager(&self, roster: &mut Roster) {
        if roster.mood.excite() {
            // It was the runner's. Under the lock: nobody else can have it.
            self.standby.store(false, Ordering::SeqCst);
        }
    }

    /// Jobs are in the queue that no loop looks after.
    pub(super) fn be_unattended(&self) {
        if !self.may_be_calm.load(Ordering::Relaxed) {
            return;
        }
        self.watched_roster.visit();
        let mut roster = self.roster();
        self.become_eager(&mut roster);
        roster.mood.is_unattended = true;
    }
}

/// For the loop that looks after a pool.
impl ThreadPool {
    /// Whether the caller is to look after this pool from here on, and what it looks like. Calms it, if it is time.
    pub(super) fn attend(&self, now: Time) -> Option<Glance> {
        let pool = &*self.0;
        if !pool.may_be_calm.load(Ordering::Relaxed) {
            return None;
        }
        pool.watched_roster.visit();
        let mut roster = pool.roster();
        let running = roster.phase == Phase::Running;
        let mood = &mut roster.mood;
        if std::mem::take(&mut mood.is_unattended) {
            mood.eager_until = now + EAGER;
        }
        if running && !mood.calm && mood.trial.is_none() && now >= mood.eager_until {
            mood.calm = true;
        }
        (mood.calm || mood.trial.is_some()).then(|| roster.glance(now))
    }

    pub(super) fn glance(&self, now: Time) -> Glance {
        self.0.watched_roster.visit();
        self.0.roster().glance(now)
    }

    /// Whether jobs wait, for looks without a lock.
    pub(super) fn has_queued(&self) -> bool {
        self.0.queued() > 0
    }

    /// Jobs do not get on. Another worker is called, on trial: whether there is one to relieve.
    pub(super) fn relieve(&self, now: Time) -> bool {
        self.0.watched_roster.visit();
        let on_trial = {
            let mut roster = self.0.roster();
            let Mood { runner, steps, .. } = roster.mood;
            // Without a runner somebody is on the way, or all have a job.
            if runner != 0 {
                self.0.become_eager(&mut roster);
                roster.mood.eager_until = now + EAGER;
                roster.mood.trial = Some(Trial { runner, steps });
            }
            runner != 0
        };
        self.0.call_standby();
        on_trial
    }

    /// Nobody looks after this pool any more: it is eager, for good or until somebody comes again.
    pub(super) fn leave(&self) {
        let mut roster = self.0.roster();
        self.0.become_eager(&mut roster);
    }
}
