//! Deadlines in order. A heap whose entries know their place, so that cancelling leaves nothing behind.

use slab::Slab;

use crate::Time;

/// Names an entry; never its successor in the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerId {
    slot: usize,
    sequence: u64,
}

struct Entry<P> {
    deadline: Time,
    /// Order of insertion: decides between equal deadlines, and tells entries made in this turn from older ones.
    sequence: u64,
    place: usize,
    /// The sequence it was made with; `reset` gives a new sequence but keeps the name.
    name: u64,
    payload: P,
}

/// Entries ordered by (deadline, insertion).
pub(crate) struct Timers<P> {
    entries: Slab<Entry<P>>,
    heap: Vec<usize>,
    sequence: u64,
}

impl<P> Timers<P> {
    pub(crate) fn new() -> Timers<P> {
        Timers { entries: Slab::new(), heap: Vec::new(), sequence: 0 }
    }

    pub(crate) fn insert(&mut self, deadline: Time, payload: P) -> TimerId {
        let sequence = self.next_sequence();
        let place = self.heap.len();
        let slot = self.entries.insert(Entry { deadline, sequence, place, name: sequence, payload });
        self.heap.push(slot);
        self.sift_up(place);
        TimerId { slot, sequence }
    }

    pub(crate) fn cancel(&mut self, id: TimerId) -> Option<P> {
        self.contains(id).then(|| self.remove(id.slot))
    }

    /// Moves an entry, behind those that have the same deadline already. Says whether it was there.
    pub(crate) fn reset(&mut self, id: TimerId, deadline: Time) -> bool {
        if !self.contains(id) {
            return false;
        }
        let sequence = self.next_sequence();
        let entry = &mut self.entries[id.slot];
        entry.deadline = deadline;
        entry.sequence = sequence;
        let place = entry.place;
        let place = self.sift_up(place);
        self.sift_down(place);
        true
    }

    /// Takes the first entry that is due at `now` and older than `before` (see [`mark`](Timers::mark)).
    pub(crate) fn pop_due(&mut self, now: Time, before: u64) -> Option<P> {
        let &slot = self.heap.first()?;
        let entry = &self.entries[slot];
        (entry.deadline <= now && entry.sequence < before).then(|| self.remove(slot))
    }

    /// Entries made or reset from here on are not older than this mark.
    pub(crate) fn mark(&self) -> u64 {
        self.sequence
    }

    pub(crate) fn contains(&self, id: TimerId) -> bool {
        self.entries.get(id.slot).is_some_and(|entry| entry.name == id.sequence)
    }

    pub(crate) fn deadline(&self, id: TimerId) -> Option<Time> {
        self.contains(id).then(|| self.entries[id.slot].deadline)
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.heap.first().map(|&slot| self.entries[slot].deadline)
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// All entries, in the order in which they are due.
    pub(crate) fn in_order(&self) -> Vec<(Time, &P)> {
        let mut slots = self.heap.clone();
        slots.sort_by_key(|&slot| (self.entries[slot].deadline, self.entries[slot].sequence));
        slots.into_iter().map(|slot| (self.entries[slot].deadline, &self.entries[slot].payload)).collect()
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence - 1
    }

    fn remove(&mut self, slot: usize) -> P {
        let entry = self.entries.remove(slot);
        self.heap.swap_remove(entry.place);
        if let Some(&moved) = self.heap.get(entry.place) {
            self.entries[moved].place = entry.place;
            let place = self.sift_up(entry.place);
            self.sift_down(place);
        }
        entry.payload
    }

    fn earlier(&self, a: usize, b: usize) -> bool {
        let key = |place: usize| {
            let entry = &self.entries[self.heap[place]];
            (entry.deadline, entry.sequence)
        };
        key(a) < key(b)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.entries[self.heap[a]].place = a;
        self.entries[self.heap[b]].place = b;
    }

    fn sift_up(&mut self, mut place: usize) -> usize {
        while place > 0 && self.earlier(place, (place - 1) / 2) {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
        place
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let first_child = 2 * place + 1;
            if first_child >= self.heap.len() {
                return;
            }
            let second_child = first_child + 1;
            let child = if second_child < self.heap.len() && self.earlier(second_child, first_child) {
                second_child
            } else {
                first_child
            };
            if !self.earlier(child, place) {
                return;
            }
            self.swap(child, place);
            place = child;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn at(ms: u64) -> Time {
        Time::new(Duration::from_millis(ms))
    }

    #[test]
    fn equal_deadlines_keep_the_order_of_insertion() {
        let mut timers = Timers::new();
        for name in ["a", "b", "c"] {
            timers.insert(at(5), name);
        }
        let order: Vec<_> = std::iter::from_fn(|| timers.pop_due(at(5), u64::MAX)).collect();
        assert_eq!(order, ["a", "b", "c"]);
    }

    #[test]
    fn an_entry_made_after_the_mark_waits_for_the_next_turn() {
        let mut timers = Timers::new();
        timers.insert(at(0), "old");
        let mark = timers.mark();
        timers.insert(at(0), "new");
        assert_eq!(timers.pop_due(at(0), mark), Some("old"));
        assert_eq!(timers.pop_due(at(0), mark), None);
        assert_eq!(timers.pop_due(at(0), timers.mark()), Some("new"));
    }

    #[test]
    fn a_stale_name_does_not_cancel_the_successor() {
        let mut timers = Timers::new();
        let first = timers.insert(at(1), "first");
        assert_eq!(timers.cancel(first), Some("first"));
        let second = timers.insert(at(1), "second");
        assert_eq!(timers.cancel(first), None);
        assert!(timers.contains(second));
    }

    #[derive(Clone, Debug)]
    enum Act {
        Insert(u64),
        Cancel(usize),
        Reset(usize, u64),
        Pop(u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (0u64..50).prop_map(Act::Insert),
            (0usize..40).prop_map(Act::Cancel),
            (0usize..40, 0u64..50).prop_map(|(which, ms)| Act::Reset(which, ms)),
            (0u64..50).prop_map(Act::Pop),
        ]
    }

    proptest! {
        /// The heap behaves as a list that is sorted by (deadline, order) at every look.
        #[test]
        fn agrees_with_a_sorted_list(acts in proptest::collection::vec(act(), 0..200)) {
            let mut timers = Timers::new();
            let mut model: Vec<(u64, usize, usize)> = Vec::new();
            let mut ids = Vec::new();
            let mut order = 0;
            for act in acts {
                order += 1;
                match act {
                    Act::Insert(ms) => {
                        ids.push(timers.insert(at(ms), ids.len()));
                        model.push((ms, order, ids.len() - 1));
                    }
                    Act::Cancel(which) if which < ids.len() => {
                        let there = model.iter().position(|entry| entry.2 == which);
                        prop_assert_eq!(timers.cancel(ids[which]), there.map(|_| which));
                        there.map(|place| model.remove(place));
                    }
                    Act::Reset(which, ms) if which < ids.len() => {
                        let there = model.iter_mut().find(|entry| entry.2 == which);
                        prop_assert_eq!(timers.reset(ids[which], at(ms)), there.is_some());
                        if let Some(entry) = there {
                            (entry.0, entry.1) = (ms, order);
                        }
                    }
                    Act::Pop(ms) => {
                        model.sort();
                        let due = model.first().filter(|entry| entry.0 <= ms).map(|entry| entry.2);
                        prop_assert_eq!(timers.pop_due(at(ms), u64::MAX), due);
                        if due.is_some() {
                            model.remove(0);
                        }
                    }
                    _ => {}
                }
                prop_assert_eq!(timers.len(), model.len());
                prop_assert_eq!(timers.next_deadline(), model.iter().map(|entry| at(entry.0)).min());
            }
        }
    }
}
