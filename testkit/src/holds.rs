//! Who has what others wait for: locks, and threads that are joined.

use handwound_reactor::SharedId;

/// For diagnoses only: nothing is decided by it.
#[derive(Default)]
pub(crate) struct Holds {
    /// What is waited for, by gate.
    at: Vec<Option<SharedId>>,
    /// The thread that has it, by shared thing.
    holders: Vec<Option<u32>>,
}

impl Holds {
    /// Who parks at `gate` waits for `shared`.
    pub(crate) fn gate_is_at(&mut self, gate: u32, shared: Option<SharedId>) {
        let gate = gate as usize;
        if gate >= self.at.len() {
            if shared.is_none() {
                return;
            }
            self.at.resize(gate + 1, None);
        }
        self.at[gate] = shared;
    }

    /// `holder` has `shared` to itself; nobody, if `None`.
    pub(crate) fn hold(&mut self, shared: SharedId, holder: Option<u32>) {
        let index = shared.0 as usize;
        if index >= self.holders.len() {
            self.holders.resize(index + 1, None);
        }
        self.holders[index] = holder;
    }

    /// Who has what is waited for at `gate`.
    pub(crate) fn holder_at(&self, gate: u32) -> Option<u32> {
        let shared = (*self.at.get(gate as usize)?)?;
        *self.holders.get(shared.0 as usize)?
    }
}
