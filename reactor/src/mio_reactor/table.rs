//! Sockets by number. A slot is used again, a `(slot, generation)` pair never.

use std::io;

use crate::Sock;

/// A table of things named by [`Sock`].
pub(super) struct Table<S> {
    slots: Vec<Slot<S>>,
    /// Slots to use again, the most recently freed last: it is the one still in the processor's cache.
    free: Vec<u32>,
}

struct Slot<S> {
    generation: u32,
    held: Option<S>,
}

impl<S> Table<S> {
    pub(super) fn new() -> Table<S> {
        Table { slots: Vec::new(), free: Vec::new() }
    }

    /// The name that the next [`fill`](Table::fill) will give. A socket is registered with the system under it
    /// before it goes into the table, so that a failed registration leaves no trace here.
    pub(super) fn vacant(&mut self) -> Sock {
        if self.free.is_empty() {
            let slot = u32::try_from(self.slots.len()).expect("memory and descriptors end long before slots do");
            self.slots.push(Slot { generation: 0, held: None });
            self.free.push(slot);
        }
        let slot = *self.free.last().expect("pushed above if there was none");
        Sock { slot, generation: self.slots[slot as usize].generation }
    }

    /// Puts `held` where [`vacant`](Table::vacant) has just said.
    pub(super) fn fill(&mut self, held: S) -> Sock {
        let sock = self.vacant();
        self.free.pop();
        self.slots[sock.slot as usize].held = Some(held);
        sock
    }

    /// Takes a thing out. Its name is spent for good.
    pub(super) fn remove(&mut self, sock: Sock) -> Option<S> {
        let slot = self.slots.get_mut(sock.slot as usize).filter(|slot| slot.generation == sock.generation)?;
        let held = slot.held.take()?;
        // A slot that has been through all its generations is retired: wrapping round would name a stranger.
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            self.free.push(sock.slot);
        }
        Some(held)
    }

    /// The thing in a slot, whatever its generation, with its full name.
    pub(super) fn in_slot(&mut self, slot: u32) -> Option<(Sock, &mut S)> {
        let entry = self.slots.get_mut(slot as usize)?;
        let sock = Sock { slot, generation: entry.generation };
        entry.held.as_mut().map(|held| (sock, held))
    }

    pub(super) fn get(&self, sock: Sock) -> io::Result<&S> {
        self.slots
            .get(sock.slot as usize)
            .filter(|slot| slot.generation == sock.generation)
            .and_then(|slot| slot.held.as_ref())
            .ok_or_else(gone)
    }

    pub(super) fn get_mut(&mut self, sock: Sock) -> io::Result<&mut S> {
        self.slots
            .get_mut(sock.slot as usize)
            .filter(|slot| slot.generation == sock.generation)
            .and_then(|slot| slot.held.as_mut())
            .ok_or_else(gone)
    }
}

/// Contract clause 4. No allocation: it is an everyday answer to an event that came late.
fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_slot_is_used_again_under_another_name() {
        let mut table = Table::new();
        let first = table.fill('a');
        assert_eq!(table.remove(first), Some('a'));
        let second = table.fill('b');
        assert_eq!((first.slot, first.generation + 1), (second.slot, second.generation));
        assert_eq!(table.get(first).unwrap_err().kind(), io::ErrorKind::NotConnected);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get(second).unwrap(), &'b');
    }

    #[test]
    fn vacant_tells_the_name_that_fill_gives_and_takes_nothing() {
        let mut table = Table::new();
        let promised = table.vacant();
        assert_eq!(table.vacant(), promised);
        assert!(table.get(promised).is_err());
        assert_eq!(table.fill('a'), promised);
        assert_ne!(table.vacant(), promised);
    }

    #[test]
    fn a_slot_out_of_generations_is_retired() {
        let mut table = Table::new();
        let first = table.fill('a');
        table.slots[0].generation = u32::MAX;
        let last = Sock { generation: u32::MAX, ..first };
        assert_eq!(table.remove(last), Some('a'));
        assert_eq!(table.fill('b').slot, 1);
        assert!(table.get(last).is_err());
    }
}
