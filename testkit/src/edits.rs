//! A run as its deviations from the plain one: what shrinking works on.
//!
//! A decision is known by its family, its label, who was asking, and how often that one had asked; so it keeps its
//! name when others are taken away. A schedule's decision is known by the thread that has just run and how often
//! it had, and holds the thread that goes next instead of a position.

use std::collections::BTreeMap;

use crate::choices::Family;
use crate::coder::fnv;

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
    pub(crate) value: u32,
}

/// Names the decisions of a run, and notes those that were not plain.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    counts: BTreeMap<(u8, u32, u32), u32>,
    changes: Vec<Change>,
}

impl Keeper {
    pub(crate) fn key(&mut self, family: Family, label: &str, subject: u32) -> Key {
        let (family, label) = (family as u8, fnv(label.bytes()) as u32);
        let count = self.counts.entry((family, label, subject)).or_insert(0);
        *count += 1;
        Key { family, label, subject, nth: *count - 1 }
    }

    pub(crate) fn note(&mut self, key: Key, value: u32) {
        self.changes.push(Change { key, value });
    }

    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.changes
    }
}

/// Decisions to be taken otherwise than plainly.
#[derive(Debug, Default)]
pub(crate) struct Edits(BTreeMap<Key, u32>);

impl Edits {
    pub(crate) fn new(changes: &[Change]) -> Edits {
        Edits(changes.iter().map(|change| (change.key, change.value)).collect())
    }

    pub(crate) fn option(&self, key: Key, options: u32) -> u32 {
        self.0.get(&key).copied().filter(|&option| option < options).unwrap_or(0)
    }

    pub(crate) fn schedule(&self, key: Key, actors: &[u32]) -> usize {
        let wanted = self.0.get(&key);
        wanted.and_then(|wanted| actors.iter().position(|actor| actor == wanted)).unwrap_or(0)
    }
}
