//! The path of the present run through the tree of all runs: what a search remembers of the tree.

use crate::search::not_deterministic;

#[derive(Debug)]
enum Node<S> {
    /// Who goes next.
    Schedule(S),
    /// A decision of the test.
    Branch { taken: u32, options: u32 },
}

/// Decisions about threads, each with what a search keeps of it, and the test's own.
#[derive(Debug)]
pub(crate) struct Path<S> {
    nodes: Vec<Node<S>>,
    depth: usize,
}

impl<S> Default for Path<S> {
    fn default() -> Path<S> {
        Path { nodes: Vec::new(), depth: 0 }
    }
}

impl<S> Path<S> {
    /// A run begins.
    pub(crate) fn begin(&mut self) {
        self.depth = 0;
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
    }

    /// Whether the next decision is none that was taken before.
    pub(crate) fn ends_here(&self) -> bool {
        self.depth == self.nodes.len()
    }

    /// Has a decision about threads follow, at the end of the path.
    pub(crate) fn push(&mut self, schedule: S) {
        self.nodes.push(Node::Schedule(schedule));
    }

    /// The next decision, which is about threads, and its place on the path.
    pub(crate) fn schedule(&mut self) -> (usize, &S) {
        let at = self.depth;
        self.depth += 1;
        match &self.nodes[at] {
            Node::Schedule(schedule) => (at, schedule),
            Node::Branch { .. } => not_deterministic(),
        }
    }

    /// The decision about threads at a place.
    pub(crate) fn at(&mut self, place: usize) -> Option<&mut S> {
        match self.nodes.get_mut(place) {
            Some(Node::Schedule(schedule)) => Some(schedule),
            _ => None,
        }
    }

    /// The next decision, which is the test's, among `options`.
    pub(crate) fn branch(&mut self, options: u32) -> u32 {
        if self.ends_here() {
            self.nodes.push(Node::Branch { taken: 0, options });
        }
        match self.nodes[self.depth] {
            Node::Branch { taken, options: then } if then == options => {
                self.depth += 1;
                taken
            }
            _ => not_deterministic(),
        }
    }

    /// Turns the last decision that has an option left to its next one; `next` does so for those about threads. False
    /// when all have been seen.
    pub(crate) fn turn(&mut self, mut next: impl FnMut(&mut S) -> bool) -> bool {
        while let Some(node) = self.nodes.last_mut() {
            let more = match node {
                Node::Schedule(schedule) => next(schedule),
                Node::Branch { taken, options } => {
                    *taken += 1;
                    *taken < *options
                }
            };
            if more {
                return true;
            }
            self.nodes.pop();
        }
        false
    }
}
