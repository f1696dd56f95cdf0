//! A run as its deviations from the plain one: what shrinking works on.
//!
//! A decision is known by its family, its label, who was asking, and how often that one had asked; so it keeps its
//! name when others are taken away. A schedule's decision is known by the thread that has just run and how often
//! it had, since the beginning or at this time by the clock, and holds the thread that goes next instead of a
//! position.

use std::collections::BTreeMap;

use crate::chance::{Random, split_mix};
use crate::coder::fnv;
use crate::family::Family;

/// A decision, by a name that does not shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) family: u8,
    label: u32,
    subject: u32,
    nth: u32,
}

impl Key {
    pub(crate) fn is(&self, family: Family) -> bool {
        self.family == family as u8
    }
}

/// A decision that was not the plain one: the option, or who went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) key: Key,
    /// The same decision, counted from when the clock moved last.
    pub(crate) timed: Key,
    pub(crate) value: u32,
}

impl Change {
    /// Who asked, or whom it was about: one number for each connection and side.
    pub(crate) fn subject(&self) -> u32 {
        self.key.subject
    }

    /// The same decision about another.
    pub(crate) fn about(mut self, subject: u32) -> Change {
        (self.key.subject, self.timed.subject) = (subject, subject);
        self
    }
}

/// Names the decisions of a run, and notes those that were not plain.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    counts: BTreeMap<(u8, u32, u32), u32>,
    changes: Vec<Change>,
}

impl Keeper {
    pub(crate) fn key(&mut self, family: Family, label: &[u8], subject: u32) -> Key {
        let (family, label) = (family as u8, fnv(label.iter().copied()) as u32);
        let count = self.counts.entry((family, label, subject)).or_insert(0);
        *count += 1;
        Key { family, label, subject, nth: *count - 1 }
    }

    pub(crate) fn note(&mut self, key: Key, timed: Key, value: u32) {
        self.changes.push(Change { key, timed, value });
    }

    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.changes
    }
}

/// Decisions to be taken otherwise than plainly.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    by_key: BTreeMap<Key, u32>,
    /// Schedules are known by time.
    timed: bool,
}

impl Edits {
    pub(crate) fn new(changes: &[Change], timed: bool) -> Edits {
        let key = |change: &Change| if timed { change.timed } else { change.key };
        Edits { by_key: changes.iter().map(|change| (key(change), change.value)).collect(), timed }
    }

    pub(crate) fn option(&self, key: Key, options: u32) -> u32 {
        self.by_key.get(&key).copied().filter(|&option| option < options).unwrap_or(0)
    }

    pub(crate) fn schedule(&self, key: Key, timed: Key, actors: &[u32]) -> usize {
        let wanted = self.by_key.get(if self.timed { &timed } else { &key });
        wanted.and_then(|wanted| actors.iter().position(|actor| actor == wanted)).unwrap_or(0)
    }
}

/// An order of threads that is tried while others of a run's decisions are given.
#[derive(Debug)]
pub(crate) enum Order {
    Chance(Random),
    Few(Few),
}

impl Order {
    pub(crate) fn schedule(&mut self, options: u32) -> u32 {
        match self {
            Order::Chance(random) => random.draw(Family::Schedule, options),
            Order::Few(few) => few.schedule(options),
        }
    }
}

/// The plain order but at a few decisions.
#[derive(Debug)]
pub(crate) struct Few {
    at: Vec<u64>,
    decision: u64,
    stream: u64,
}

impl Few {
    /// `count` of the decisions from `first` on, within the next `span`.
    pub(crate) fn new(seed: u64, count: u32, first: u64, span: u64) -> Few {
        let mut stream = seed ^ u64::from(count) << 32 ^ span << 40;
        let at = (0..count).map(|_| first + split_mix(&mut stream) % span.max(1)).collect();
        Few { at, decision: 0, stream }
    }

    fn schedule(&mut self, options: u32) -> u32 {
        let here = self.at.contains(&self.decision);
        self.decision += 1;
        if here { 1 + (split_mix(&mut self.stream) % u64::from(options - 1)) as u32 } else { 0 }
    }
}
