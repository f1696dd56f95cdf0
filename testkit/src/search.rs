//! Depth-first search over schedules, without keeping states: every run begins anew and follows a prefix.
//!
//! Sleep sets leave out orders that differ only in how independent moves are arranged. A move's footprint is the
//! set of objects that it really touched when it ran; two moves are independent when their footprints are
//! disjoint. Once everything that begins with move `a` has been seen, `a` sleeps in the branches beside it until
//! a move runs that touches something `a` touched. A run in which all who could go are asleep repeats one that
//! has been seen; it is brought to its end in the plain order and counted as redundant.
//!
//! The start of a thread is no choice at first: it goes at once, as it mostly leads up to the first visible operation
//! and touches nothing. Where one does touch something (a socket, a client), the search begins anew, and from then on
//! starts are choices as all else.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::choices::Turn;
use crate::path::Path;

/// Goes through orders, one a run.
pub(crate) trait Search: fmt::Debug + Send + UnwindSafe + RefUnwindSafe {
    /// Which of `actors` goes next; `footprint` is what has been touched since the last call.
    fn schedule(&mut self, actors: &[u32], turn: Turn, footprint: u128) -> usize;
    /// Takes each of `options` in turn, over the runs.
    fn branch(&mut self, options: u32) -> u32;
    /// Ends a run and turns to the next; false when all have been seen.
    fn next_run(&mut self, footprint: u128) -> bool;
    /// Whether the present run repeats one that was seen, up to the order of independent moves.
    fn redundant(&self) -> bool;
    /// Whether moves that cannot matter to others are made at once.
    fn prunes(&self) -> bool;
    /// Whether states are compared.
    fn compares(&self) -> bool;
    /// The test itself has seen how far things are.
    fn barrier(&mut self);
}

/// A move that need not be tried now, and what it touched.
#[derive(Clone, Copy, Debug)]
struct Sleeper {
    actor: u32,
    footprint: u128,
}

/// Who goes next, and who went in other runs.
#[derive(Debug)]
struct Schedule {
    chosen: u32,
    rest: Vec<u32>,
    done: Vec<Sleeper>,
    /// What the running move has touched, in all runs through here.
    footprint: u128,
}

/// The tree of schedules, as far as it must be remembered: the path of the present run.
#[derive(Debug, Default)]
pub(crate) struct AllOrders {
    path: Path<Schedule>,
    sleep: Vec<Sleeper>,
    /// Where on the path the move was chosen that is running.
    running: Option<usize>,
    redundant: bool,
    sleep_sets: bool,
    /// Moves that are taken to touch nothing are no choices.
    prunes: bool,
    /// The running move is one of these.
    local: bool,
    /// One of them has touched something after all.
    mistaken: bool,
    /// Threads go in the plain order: only the test's choices are searched.
    plain_order: bool,
}

impl AllOrders {
    pub(crate) fn new(sleep_sets: bool) -> AllOrders {
        AllOrders { sleep_sets, prunes: sleep_sets, ..AllOrders::default() }
    }

    /// Every answer to the test's choices, in the plain order of threads.
    pub(crate) fn answers() -> AllOrders {
        AllOrders { plain_order: true, ..AllOrders::default() }
    }

    fn end_of_move(&mut self, touched: u128) {
        if let Some(schedule) = self.running.take().and_then(|place| self.path.at(place)) {
            schedule.footprint |= touched;
        }
        if std::mem::take(&mut self.local) && touched != 0 {
            self.mistaken = true;
            self.redundant = true;
        }
        self.sleep.retain(|sleeper| sleeper.footprint & touched == 0);
    }
}

impl Search for AllOrders {
    fn prunes(&self) -> bool {
        self.prunes
    }

    fn redundant(&self) -> bool {
        self.redundant
    }

    fn schedule(&mut self, actors: &[u32], turn: Turn, footprint: u128) -> usize {
        if self.plain_order {
            return 0;
        }
        self.end_of_move(footprint);
        self.local = turn.local;
        if self.redundant {
            return 0;
        }
        let asleep = |actor: &u32| self.sleep.iter().any(|sleeper| sleeper.actor == *actor);
        let mut awake = actors.iter().copied().filter(|actor| !asleep(actor));
        let Some(first) = awake.next() else {
            self.redundant = true;
            return 0;
        };
        let rest: Vec<u32> = awake.collect();
        let position = |actor| actors.iter().position(|&other| other == actor);
        if rest.is_empty() {
            return position(first).unwrap_or(0);
        }
        if self.path.ends_here() {
            self.path.push(Schedule { chosen: first, rest, done: Vec::new(), footprint: 0 });
        }
        let (place, Schedule { chosen, done, .. }) = self.path.schedule();
        if self.sleep_sets {
            self.sleep.extend(done);
        }
        self.running = Some(place);
        let position = position(*chosen);
        position.unwrap_or_else(|| not_deterministic())
    }

    fn branch(&mut self, options: u32) -> u32 {
        if self.redundant {
            return 0;
        }
        self.path.branch(options)
    }

    fn next_run(&mut self, footprint: u128) -> bool {
        self.end_of_move(footprint);
        self.path.begin();
        self.sleep.clear();
        self.redundant = false;
        if std::mem::take(&mut self.mistaken) {
            self.prunes = false;
            self.path.clear();
            return true;
        }
        self.path.turn(|Schedule { chosen, rest, done, footprint }| {
            let more = !rest.is_empty();
            if more {
                done.push(Sleeper { actor: *chosen, footprint: *footprint });
                *chosen = rest.remove(0);
                *footprint = 0;
            }
            more
        })
    }

    fn compares(&self) -> bool {
        false
    }

    fn barrier(&mut self) {
        // What sleeps was compared with moves only, not with what the test makes of where it has stopped.
        self.sleep.clear();
    }
}

pub(crate) fn not_deterministic() -> ! {
    panic!(
        "the same decisions led elsewhere this time: something in the test is left to chance \
         (a clock, a HashMap's order, an address, state kept from one run to the next)"
    );
}
