//! Who made what, and who answered whom last. Kept for diagnoses only: nothing that happens depends on it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use handwound_reactor::{Outstanding, Place, Time};

use crate::trace::What;

/// When something was made, and by whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    pub(crate) at: Time,
    /// A task, the test or the network.
    pub(crate) by: u32,
    /// Where in the code.
    pub(crate) place: Option<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Gate {
    made: Made,
    /// Who unparked it last, and when.
    answered: Option<(Time, u32)>,
}

/// The book of origins of a world. Its size is that of the world: gates' numbers are used again.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    gates: Vec<Option<Gate>>,
    tasks: Vec<Made>,
    /// The last to unpark a gate of this name, or to wake a reactor of this name.
    by_name: Vec<Option<u32>>,
    /// What the test has said about who answers a gate.
    declared: BTreeMap<String, String>,
    /// Where in the code the next thing is made.
    place: Option<Place>,
    pools: Pools,
}

/// Pools that have made themselves known, to be asked what they have still to do.
#[derive(Default)]
pub(crate) struct Pools(Vec<Weak<dyn Outstanding + Send + Sync>>);

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pools({})", self.0.len())
    }
}

impl Origins {
    /// Forgets all; keeps the memory.
    pub(crate) fn reset(&mut self) {
        self.gates.clear();
        self.tasks.clear();
        self.by_name.clear();
        self.declared.clear();
        self.place = None;
        self.pools.0.clear();
    }

    pub(crate) fn enlist(&mut self, pool: Weak<dyn Outstanding + Send + Sync>) {
        self.pools.0.push(pool);
    }

    /// Pools that there still are. To be asked outside of the world: they may look at it.
    pub(crate) fn pools(&self) -> Vec<Arc<dyn Outstanding + Send + Sync>> {
        self.pools.0.iter().filter_map(Weak::upgrade).collect()
    }

    /// The next thing is made there.
    pub(crate) fn at_place(&mut self, place: Place) {
        self.place = Some(place);
    }

    pub(crate) fn take_place(&mut self) -> Option<Place> {
        self.place.take()
    }

    pub(crate) fn gate_made(&mut self, gate: u32, at: Time, by: u32) {
        let index = gate as usize;
        if self.gates.len() <= index {
            self.gates.resize(index + 1, None);
        }
        let place = self.place.take();
        self.gates[index] = Some(Gate { made: Made { at, by, place }, answered: None });
    }

    /// Called for each event.
    #[inline]
    pub(crate) fn seen(&mut self, at: Time, actor: u32, what: What, object: u32, value: u64) {
        match what {
            What::Unpark => {
                if let Some(Some(gate)) = self.gates.get_mut(value as usize) {
                    gate.answered = Some((at, actor));
                }
                self.answers(object, actor);
            }
            What::Wake => self.answers(object, actor),
            What::Spawn => {
                self.tasks.truncate(value as usize);
                self.tasks.push(Made { at, by: actor, place: self.place.take() });
            }
            _ => {}
        }
    }

    fn answers(&mut self, name: u32, actor: u32) {
        let index = name as usize;
        if self.by_name.len() <= index {
            self.by_name.resize(index + 1, None);
        }
        self.by_name[index] = Some(actor);
    }

    pub(crate) fn gate(&self, gate: u32) -> Option<Made> {
        Some(self.gates.get(gate as usize)?.as_ref()?.made)
    }

    /// Who unparked this very gate last, and when.
    pub(crate) fn last_unpark(&self, gate: u32) -> Option<(Time, u32)> {
        self.gates.get(gate as usize)?.as_ref()?.answered
    }

    /// Who answered last under this name: another gate of it perhaps.
    pub(crate) fn last_answer(&self, name: u32) -> Option<u32> {
        *self.by_name.get(name as usize)?
    }

    pub(crate) fn task(&self, task: u32) -> Option<Made> {
        self.tasks.get(task as usize).copied()
    }

    pub(crate) fn declare(&mut self, gate: &str, thread: &str) {
        self.declared.insert(gate.to_owned(), thread.to_owned());
    }

    /// The thread that is said to answer gates of this name.
    pub(crate) fn declared(&self, gate: &str) -> Option<&str> {
        self.declared.get(gate).map(String::as_str)
    }
}
