//! What connections keep in memory, for those who watch that it stays within the bounds.

use std::collections::BTreeMap;

use crate::EventLoop;

/// What the connections of a loop keep in memory: allocated bytes, used or not, by what they are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    purposes: BTreeMap<&'static str, Kept>,
}

/// What is kept for one purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// By all connections, in bytes.
    pub bytes: usize,
    /// By the one that keeps most, in bytes.
    pub largest_bytes: usize,
}

impl Memory {
    /// What is kept for this purpose: `"output"` is what waits to be written; others are named by the connections'
    /// protocols ([`Protocol::memory`](crate::Protocol::memory)). Zero for what nobody has named.
    pub fn of(&self, purpose: &str) -> Kept {
        self.purposes.get(purpose).copied().unwrap_or_default()
    }

    /// All purposes that have been named, in alphabetical order.
    pub fn purposes(&self) -> impl Iterator<Item = (&'static str, Kept)> {
        self.purposes.iter().map(|(&purpose, &kept)| (purpose, kept))
    }

    /// All of it, in bytes.
    pub fn bytes(&self) -> usize {
        self.purposes.values().map(|kept| kept.bytes).sum()
    }

    fn add(&mut self, connection: &BTreeMap<&'static str, usize>) {
        for (&purpose, &bytes) in connection {
            let kept = self.purposes.entry(purpose).or_default();
            kept.bytes += bytes;
            kept.largest_bytes = kept.largest_bytes.max(bytes);
        }
    }
}

impl EventLoop {
    /// What its connections keep in memory now. Looks at each of them; a connection that is in the middle of a call is
    /// left out, so ask between turns.
    pub fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        let mut one = BTreeMap::new();
        self.0.table.each_connection(|connection| {
            one.clear();
            // One purpose may have several allocations.
            connection.memory(&mut |purpose, bytes| *one.entry(purpose).or_default() += bytes);
            memory.add(&one);
        });
        memory
    }
}
