//! Search through all orders with few preemptions: first those without any, then those with one, and so on.
//!
//! A preemption is a move of another thread while the one that went last could go on. What the network brings is
//! none. Sleep sets would be unsound here: the order they keep of those that are equivalent may need more
//! preemptions than the one they leave out. Instead states are remembered. Two runs whose moves so far have the same
//! causes (each thread the same moves, on the same versions of the same objects) are in the same state; where
//! one goes on with the same thread running, and no more preemptions left than the other had, it can see nothing new.

use std::collections::HashMap;

use handwound_reactor::Time;

use crate::chance::mix;
use crate::choices::Turn;
use crate::path::Path;
use crate::search::{Search, not_deterministic};
use crate::trace::{NETWORK, TEST};

/// After so many moves in a row, the thread that moved makes way, free of charge: it may be waiting by looking.
const BURST_MAX: u32 = 128;

/// Who may go next, each with the preemptions it costs; the first `taken` have been seen.
#[derive(Debug)]
struct Schedule {
    choices: Vec<(u32, u32)>,
    taken: usize,
}

/// The tree of schedules with at most `bound` preemptions.
#[derive(Debug)]
pub(crate) struct Bounded {
    bound: u32,
    bound_max: u32,
    /// Something was left out at this bound.
    cut: bool,
    path: Path<Schedule>,
    preemptions: u32,
    running: Option<u32>,
    burst: u32,
    redundant: bool,
    past: Past,
    /// Preemptions that were left, by state and thread that ran. `None`: states are not compared.
    seen: Option<HashMap<(u64, Option<u32>), u32>>,
}

impl Bounded {
    pub(crate) fn new(preemptions_max: u32, compares: bool) -> Bounded {
        Bounded {
            bound: 0,
            bound_max: preemptions_max,
            cut: false,
            path: Path::default(),
            preemptions: 0,
            running: None,
            burst: 0,
            redundant: false,
            past: Past::default(),
            seen: compares.then(HashMap::new),
        }
    }

    /// Those who may go within the bound, the one that goes on first.
    fn choices(&mut self, actors: &[u32]) -> Vec<(u32, u32)> {
        let going_on = self.running.filter(|running| actors.contains(running));
        let makes_way = self.burst >= BURST_MAX && actors.len() > 1;
        let left = self.bound - self.preemptions;
        let cost = |actor| u32::from(!makes_way && going_on.is_some() && going_on != Some(actor) && actor != NETWORK);
        let others = actors.iter().copied().filter(|&actor| going_on != Some(actor));
        let first = going_on.filter(|_| !makes_way);
        let all: Vec<_> = first.into_iter().chain(others).map(|actor| (actor, cost(actor))).collect();
        let within: Vec<_> = all.iter().copied().filter(|&(_, cost)| cost <= left).collect();
        self.cut |= within.len() < all.len();
        within
    }

    /// Whether this state was gone on from before, with as many preemptions left.
    fn seen_before(&mut self) -> bool {
        let left = self.bound - self.preemptions;
        let Some(seen) = &mut self.seen else { return false };
        let most = seen.entry((self.past.state(), self.running)).or_insert(u32::MAX);
        if *most != u32::MAX && *most >= left {
            return true;
        }
        *most = left;
        false
    }

    fn begin(&mut self) {
        self.path.begin();
        (self.preemptions, self.running, self.burst, self.redundant) = (0, None, 0, false);
        self.past = Past::default();
    }
}

impl Search for Bounded {
    fn schedule(&mut self, actors: &[u32], turn: Turn, footprint: u128) -> usize {
        if self.redundant {
            return 0;
        }
        self.past.end_of_move(footprint, turn.now);
        if turn.running == TEST {
            // The test has acted, or the clock: nobody is in the middle of anything.
            (self.running, self.burst) = (None, 0);
        }
        let chosen = if actors.len() == 1 {
            (actors[0], 0)
        } else {
            if self.path.ends_here() {
                if self.seen_before() {
                    self.redundant = true;
                    return 0;
                }
                let choices = self.choices(actors);
                self.path.push(Schedule { choices, taken: 0 });
            }
            let (_, Schedule { choices, taken }) = self.path.schedule();
            choices[*taken]
        };
        let (actor, cost) = chosen;
        self.preemptions += cost;
        self.past.begin_move(actor);
        if actor != NETWORK {
            self.burst = if self.running == Some(actor) { self.burst + 1 } else { 0 };
            self.running = Some(actor);
        }
        actors.iter().position(|&other| other == actor).unwrap_or_else(|| not_deterministic())
    }

    fn branch(&mut self, options: u32) -> u32 {
        if self.redundant {
            return 0;
        }
        let taken = self.path.branch(options);
        self.past.answer(taken);
        taken
    }

    fn next_run(&mut self, _: u128) -> bool {
        self.begin();
        let more = self.path.turn(|Schedule { choices, taken }| {
            *taken += 1;
            *taken < choices.len()
        });
        if more {
            return true;
        }
        if !self.cut || self.bound == self.bound_max {
            return false;
        }
        self.bound += 1;
        self.cut = false;
        if let Some(seen) = &mut self.seen {
            seen.clear();
        }
        true
    }

    fn redundant(&self) -> bool {
        self.redundant
    }

    fn prunes(&self) -> bool {
        false
    }

    fn compares(&self) -> bool {
        self.seen.is_some()
    }

    fn barrier(&mut self) {
        self.past.barrier = true;
    }
}

/// What has happened in a run, up to the order of moves that have nothing to do with each other.
///
/// A move's hash is over its thread's move before, and over the last moves on each object it touches. The set of
/// these hashes, as their sum, is the same for all equivalent orders; two different sets agree by accident only,
/// about once in 2^64.
#[derive(Debug)]
struct Past {
    sum: u64,
    /// All that was there when the clock moved last, or the test acted.
    epoch: u64,
    now: Time,
    barrier: bool,
    threads: HashMap<u32, u64>,
    objects: [u64; 128],
    moving: Option<u32>,
    answers: u64,
}

impl Default for Past {
    fn default() -> Past {
        Past {
            sum: 0,
            epoch: 0,
            now: Time::ZERO,
            barrier: false,
            threads: HashMap::new(),
            objects: [0; 128],
            moving: None,
            answers: 0,
        }
    }
}

impl Past {
    fn begin_move(&mut self, actor: u32) {
        self.moving = Some(actor);
    }

    /// A decision of the test, in the present move.
    fn answer(&mut self, option: u32) {
        self.answers = mix(self.answers ^ u64::from(option) ^ 0xa5a5_0000_0000);
    }

    fn end_of_move(&mut self, touched: u128, now: Time) {
        let actor = self.moving.take().unwrap_or(TEST);
        let mut hash = mix(self.threads.get(&actor).copied().unwrap_or(0) ^ u64::from(actor) << 32);
        hash = mix(hash ^ self.epoch) ^ std::mem::take(&mut self.answers);
        let mut bits = touched;
        while bits != 0 {
            let object = bits.trailing_zeros();
            bits &= bits - 1;
            hash = mix(hash.wrapping_add(self.objects[object as usize]) ^ u64::from(object));
        }
        hash = mix(hash);
        let mut bits = touched;
        while bits != 0 {
            self.objects[bits.trailing_zeros() as usize] = hash;
            bits &= bits - 1;
        }
        self.threads.insert(actor, hash);
        self.sum = self.sum.wrapping_add(hash);
        if std::mem::take(&mut self.barrier) || now != self.now {
            let time = now.since_start().as_nanos() as u64;
            self.epoch = mix(self.epoch ^ mix(self.sum ^ mix(time)));
            self.now = now;
        }
    }

    fn state(&self) -> u64 {
        mix(self.sum ^ self.epoch)
    }
}
