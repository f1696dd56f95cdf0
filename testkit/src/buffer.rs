//! Bytes that are added behind and taken in front, in one piece.

/// A queue of bytes whose content is always one slice. What has been taken is reclaimed when it is emptied, and
/// when as much has been taken as is left: each byte moves twice at the most.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    taken: usize,
}

impl Buffer {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.taken = 0;
    }

    /// Forgets the first `count` bytes.
    ///
    /// # Panics
    /// When there are fewer.
    pub(crate) fn take(&mut self, count: usize) {
        assert!(count <= self.len(), "no more is taken than there is");
        self.taken += count;
        if self.is_empty() {
            self.clear();
        } else if self.taken >= self.len() {
            self.bytes.copy_within(self.taken.., 0);
            self.bytes.truncate(self.bytes.len() - self.taken);
            self.taken = 0;
        }
    }

    /// Forgets what is behind the first `count` bytes.
    pub(crate) fn keep(&mut self, count: usize) {
        self.bytes.truncate(self.taken + count);
        if self.is_empty() {
            self.clear();
        }
    }

    /// Takes as many bytes as fit `into`, which holds no more than there is.
    pub(crate) fn take_into(&mut self, into: &mut [u8]) {
        into.copy_from_slice(&self.as_slice()[..into.len()]);
        self.take(into.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn it_is_a_queue_of_bytes(acts in proptest::collection::vec((any::<bool>(), 0_usize..40), 0..200)) {
            let (mut buffer, mut model) = (Buffer::default(), VecDeque::new());
            for (turn, (adds, count)) in acts.into_iter().enumerate() {
                if adds {
                    let bytes: Vec<u8> = (0..count).map(|at| (turn + at) as u8).collect();
                    buffer.extend(&bytes);
                    model.extend(bytes);
                } else {
                    let count = count.min(model.len());
                    let mut taken = vec![0; count];
                    buffer.take_into(&mut taken);
                    prop_assert_eq!(taken, model.drain(..count).collect::<Vec<_>>());
                }
                prop_assert_eq!(buffer.as_slice(), model.make_contiguous() as &[u8]);
            }
        }
    }
}
