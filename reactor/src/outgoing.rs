//! Bytes on their way out: short ones copied into one buffer, long ones left where their owner has them.
//!
//! ```text
//!   copied:  HTTP/1.1 200 … 4000\r\n │ \r\n4000\r\n │ \r\n0\r\n\r\n
//!   kept:                            └ 16 KiB       └ 16 KiB
//! ```
//!
//! Where nothing is kept, which is the usual case, it is a vector and an offset, and costs no more than these.

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// How many slices one write gets at the most: what waits of a chunked response, 256 KiB in pieces of 16, is 33. At 32 the
/// two bytes left over cost a packet of their own.
pub(crate) const SLICES_MAX: usize = 64;

/// Bytes in order, some of them [`Bytes`] that are not copied.
#[derive(Default)]
pub struct Outgoing {
    copied: Vec<u8>,
    /// Bytes at the start of `copied` that are gone.
    gone: usize,
    kept: VecDeque<Kept>,
    /// Bytes of all in `kept`.
    kept_bytes: usize,
}

/// A piece that is kept.
struct Kept {
    /// It stands before this byte of `copied`.
    at: usize,
    bytes: Bytes,
}

/// Some bytes off the front of an [`Outgoing`].
pub enum Part<'a> {
    /// Bytes that had been copied.
    Copied(&'a [u8]),
    /// A piece that had been kept.
    Kept(Bytes),
}

impl Outgoing {
    /// Nothing yet; no allocation.
    pub fn new() -> Outgoing {
        Outgoing::default()
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.copied.len() - self.gone + self.kept_bytes
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that it holds, used or not; those of kept pieces are their owners' too.
    pub fn memory_bytes(&self) -> usize {
        self.copied.capacity() + self.kept_bytes
    }

    /// Adds a copy of `bytes`.
    pub fn copy(&mut self, bytes: &[u8]) {
        self.copied.extend_from_slice(bytes);
    }

    /// Adds `bytes` and leaves them empty. The two buffers change places where that spares copying.
    pub fn append_vec(&mut self, bytes: &mut Vec<u8>) {
        if self.copied.is_empty() {
            std::mem::swap(&mut self.copied, bytes);
        } else {
            self.copied.append(bytes);
        }
    }

    /// Adds `bytes` without copying them: they live until they have gone out.
    pub fn keep(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.kept_bytes += bytes.len();
            self.kept.push_back(Kept { at: self.copied.len(), bytes });
        }
    }

    /// Drops all there is; the buffer stays.
    pub fn clear(&mut self) {
        self.copied.clear();
        self.gone = 0;
        if self.kept_bytes > 0 {
            self.kept.clear();
            self.kept_bytes = 0;
        }
    }

    /// The bytes at the front that lie side by side.
    pub(crate) fn front(&self) -> &[u8] {
        match self.kept.front() {
            None => &self.copied[self.gone..],
            Some(kept) if kept.at > self.gone => &self.copied[self.gone..kept.at],
            Some(kept) => &kept.bytes,
        }
    }

    /// Up to `bytes_max` bytes of the front side by side, copied into `room` where they do not lie so: for a cipher, which
    /// makes records of what it is given and copies in any case.
    pub(crate) fn gather<'a>(&'a self, bytes_max: usize, room: &'a mut Vec<u8>) -> &'a [u8] {
        let front = self.front();
        if front.len() >= bytes_max.min(self.len()) {
            return &front[..front.len().min(bytes_max)];
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = self.slices(&mut slices);
        for slice in &slices[..count] {
            let left = bytes_max - room.len();
            room.extend_from_slice(&slice[..slice.len().min(left)]);
        }
        room
    }

    /// Whether all of it lies side by side.
    pub(crate) fn is_copied(&self) -> bool {
        self.kept.is_empty()
    }

    /// The front as slices for one write; how many there are.
    pub(crate) fn slices<'a>(&'a self, into: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
        let (mut count, mut from) = (0, self.gone);
        let mut push = |bytes: &'a [u8]| {
            let fits = count < SLICES_MAX;
            if fits && !bytes.is_empty() {
                into[count] = IoSlice::new(bytes);
                count += 1;
            }
            fits
        };
        for kept in &self.kept {
            if !push(&self.copied[from..kept.at]) || !push(&kept.bytes) {
                return SLICES_MAX;
            }
            from = kept.at;
        }
        push(&self.copied[from..]);
        count
    }

    /// The first `bytes` are gone; there are as many.
    pub(crate) fn advance(&mut self, mut bytes: usize) {
        while let Some(kept) = self.kept.front_mut() {
            let copied = bytes.min(kept.at - self.gone);
            self.gone += copied;
            bytes -= copied;
            if bytes == 0 {
                return;
            }
            let of_kept = bytes.min(kept.bytes.len());
            kept.bytes.advance(of_kept);
            self.kept_bytes -= of_kept;
            bytes -= of_kept;
            if kept.bytes.is_empty() {
                self.kept.pop_front();
            }
        }
        self.gone += bytes;
    }

    /// Forgets what is gone, if that is more than this: a queue that is never empty must not grow for ever.
    pub(crate) fn forget_gone_above(&mut self, bytes_max: usize) {
        if self.gone > bytes_max {
            self.copied.drain(..self.gone);
            for kept in &mut self.kept {
                kept.at -= self.gone;
            }
            self.gone = 0;
        }
    }

    /// Takes the next bytes off the front, as many as lie side by side.
    pub fn pop(&mut self) -> Option<Part<'_>> {
        let until = self.kept.front().map_or(self.copied.len(), |kept| kept.at);
        if until > self.gone {
            let from = std::mem::replace(&mut self.gone, until);
            return Some(Part::Copied(&self.copied[from..until]));
        }
        let kept = self.kept.pop_front()?;
        self.kept_bytes -= kept.bytes.len();
        Some(Part::Kept(kept.bytes))
    }

    /// Drops all there is, and takes out the buffer.
    pub(crate) fn take_buffer(&mut self) -> Vec<u8> {
        self.clear();
        if self.kept.capacity() > 0 {
            self.kept = VecDeque::new();
        }
        std::mem::take(&mut self.copied)
    }

    /// An empty one gives a buffer back that is larger than this.
    pub fn shrink_to(&mut self, bytes_max: usize) {
        if self.is_empty() && self.copied.capacity() > bytes_max {
            (self.copied, self.gone) = (Vec::new(), 0);
        }
        if self.kept.is_empty() && self.kept.capacity() > 0 {
            self.kept = VecDeque::new();
        }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("bytes", &self.len()).field("kept_bytes", &self.kept_bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Copy(Vec<u8>),
        AppendVec(Vec<u8>),
        Keep(Vec<u8>),
        Advance(usize),
        Pop,
        Forget(usize),
        Shrink,
    }

    fn step() -> impl Strategy<Value = Step> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..6);
        prop_oneof![
            bytes().prop_map(Step::Copy),
            bytes().prop_map(Step::AppendVec),
            bytes().prop_map(Step::Keep),
            (0_usize..12).prop_map(Step::Advance),
            Just(Step::Pop),
            (0_usize..4).prop_map(Step::Forget),
            Just(Step::Shrink),
        ]
    }

    fn all(outgoing: &Outgoing) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = outgoing.slices(&mut slices);
        slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    proptest! {
        /// Whatever is copied and what is kept, it is one queue of bytes.
        #[test]
        fn it_is_a_queue_of_bytes(steps in proptest::collection::vec(step(), 0..30)) {
            let (mut outgoing, mut model) = (Outgoing::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Copy(bytes) => {
                        outgoing.copy(&bytes);
                        model.extend(bytes);
                    }
                    Step::AppendVec(bytes) => {
                        let mut given = bytes.clone();
                        outgoing.append_vec(&mut given);
                        prop_assert!(given.is_empty());
                        model.extend(bytes);
                    }
                    Step::Keep(bytes) => {
                        outgoing.keep(Bytes::from(bytes.clone()));
                        model.extend(bytes);
                    }
                    Step::Advance(bytes) => {
                        let bytes = bytes.min(model.len());
                        outgoing.advance(bytes);
                        model.drain(..bytes);
                    }
                    Step::Pop => {
                        let popped = match outgoing.pop() {
                            None => Vec::new(),
                            Some(Part::Copied(bytes)) => bytes.to_vec(),
                            Some(Part::Kept(bytes)) => bytes.to_vec(),
                        };
                        prop_assert_eq!(popped.is_empty(), model.is_empty());
                        let rest = model.split_off(popped.len());
                        prop_assert_eq!(&popped, &model);
                        model = rest;
                    }
                    Step::Forget(bytes) => outgoing.forget_gone_above(bytes),
                    Step::Shrink => outgoing.shrink_to(2),
                }
                prop_assert_eq!(outgoing.len(), model.len());
                prop_assert_eq!(&all(&outgoing), &model);
                let mut room = Vec::new();
                prop_assert_eq!(outgoing.gather(3, &mut room), &model[..model.len().min(3)]);
                prop_assert!(model.starts_with(outgoing.front()));
                prop_assert_eq!(outgoing.front().is_empty(), model.is_empty());
            }
        }
    }

    #[test]
    fn a_kept_piece_is_not_copied() {
        let owned = Bytes::from(vec![b'x'; 1000]);
        let mut outgoing = Outgoing::new();
        outgoing.copy(b"head");
        outgoing.keep(owned.clone());
        outgoing.advance(5);
        assert_eq!(outgoing.front().as_ptr(), owned[1..].as_ptr());
        assert_eq!(outgoing.memory_bytes() - outgoing.copied.capacity(), 999);
    }

    #[test]
    fn more_pieces_than_one_write_takes_go_out_in_several() {
        let mut outgoing = Outgoing::new();
        for piece in 0..SLICES_MAX as u8 {
            outgoing.copy(&[piece]);
            outgoing.keep(Bytes::copy_from_slice(&[piece, piece]));
        }
        let first = all(&outgoing);
        assert_eq!(first.len(), 3 * SLICES_MAX / 2);
        outgoing.advance(first.len());
        assert_eq!(all(&outgoing)[..2], [SLICES_MAX as u8 / 2; 2]);
    }
}
