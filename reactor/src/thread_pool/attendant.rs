//! The event loop's look after pools that are calm: about each millisecond, while jobs wait in one of them.

use std::time::Duration;

use super::ThreadPool;
use super::mood::Glance;
use crate::Time;

/// How often it looks. A job that waits for something keeps others waiting for so long.
const LOOK: Duration = Duration::from_millis(1);
/// More than this for each job, with always another one waiting, is a sign that jobs wait for something.
const JOB_MAX: Duration = Duration::from_micros(125);
/// After so many looks in a row at a standby that does not come, nobody waits for it: a job may keep the interpreter's
/// lock for an hour.
const VAIN_LOOKS_MAX: u32 = 10;

/// The calm pools of a loop.
#[derive(Default)]
pub(crate) struct Attendant {
    pools: Vec<Attended>,
}

struct Attended {
    pool: ThreadPool,
    /// The last look, and when that was.
    seen: Glance,
    at: Time,
    vain_looks: u32,
}

impl Attended {
    fn note(&mut self, seen: Glance, now: Time) {
        (self.seen, self.at) = (seen, now);
    }

    fn is_due(&self, now: Time) -> bool {
        now >= self.at + LOOK
    }

    /// Whether jobs have waited since the last look, and fewer were taken than short ones would have been.
    fn is_stuck(&self, glance: &Glance, now: Time) -> bool {
        if self.seen.queued == 0 || glance.queued == 0 || self.seen.emptied != glance.emptied {
            return false;
        }
        let steps = u32::try_from(glance.steps.wrapping_sub(self.seen.steps)).unwrap_or(u32::MAX);
        steps == 0 || !glance.is_patient && JOB_MAX.saturating_mul(steps) < now - self.at
    }

    /// Looks; whether that is still to be done.
    fn look(&mut self, now: Time) -> bool {
        let mut glance = self.pool.glance(now);
        if !glance.calm && !glance.on_trial {
            return false;
        }
        if glance.on_trial {
            self.vain_looks += 1;
        } else if self.is_stuck(&glance, now) {
            self.vain_looks = if self.pool.relieve(now) { 0 } else { self.vain_looks + 1 };
            glance = self.pool.glance(now);
        } else {
            self.vain_looks = 0;
        }
        self.note(glance, now);
        self.vain_looks < VAIN_LOOKS_MAX
    }
}

impl Attendant {
    /// Jobs have been queued: wakes a worker for them, if none is at it.
    pub(crate) fn wake(&mut self, pool: &ThreadPool, now: Time) {
        let known = self.pools.iter().position(|attended| attended.pool.is(pool));
        match (pool.attend(now), known) {
            (Some(seen), Some(at)) => {
                let attended = &mut self.pools[at];
                // What it was before these jobs came says nothing of them.
                if attended.seen.queued == 0 || attended.seen.emptied != seen.emptied {
                    attended.note(seen, now);
                }
            }
            (Some(seen), None) => {
                self.pools.push(Attended { pool: pool.clone(), seen, at: now, vain_looks: 0 });
            }
            (None, Some(at)) => drop(self.pools.swap_remove(at)),
            (None, None) => {}
        }
        pool.call_standby();
    }

    /// Looks at those whose time has come.
    pub(crate) fn look(&mut self, now: Time) {
        self.pools.retain_mut(|attended| {
            let stays = !attended.is_due(now) || attended.look(now);
            if !stays {
                attended.pool.leave();
                attended.pool.call_standby();
            }
            stays
        });
    }

    /// When it is to look again, if nothing comes meanwhile.
    pub(crate) fn next_look(&self) -> Option<Time> {
        let waits = |attended: &&Attended| attended.seen.on_trial || attended.pool.has_queued();
        self.pools.iter().filter(waits).map(|attended| attended.at + LOOK).min()
    }

    /// The loop is about to sleep until something comes, with no [`next_look`](Attendant::next_look): there is nothing
    /// to look after.
    pub(crate) fn rest(&mut self) {
        self.pools.clear();
    }

    /// The loop ends, and looks no more.
    pub(crate) fn end(&mut self) {
        for attended in self.pools.drain(..) {
            attended.pool.leave();
            attended.pool.call_standby();
        }
    }
}

/// A loop that is dropped without its end.
impl Drop for Attendant {
    fn drop(&mut self) {
        for attended in &self.pools {
            attended.pool.leave();
        }
    }
}
