//! Copying less, and keeping less: bodies that do not pass through the input, buffers that an idle connection gives away.

use handwound_reactor::Time;

use super::{Connection, Receiving};

/// Of fewer bytes a body is not looked for, see [`Connection::first_part`].
const LENT_BYTES_MIN: usize = 4 << 10;

impl Connection {
    /// Instead of [`receive`](Self::receive), for what `bytes` begin with: the part that belongs to a body of known length,
    /// if all before it has been polled. It is the caller's, as an [`Event::Body`](crate::http1::Event::Body) would be, and has not been copied;
    /// `bytes` are what is left to be received. Poll events afterwards, and not in between: a peer that has sent a part of
    /// its body need not be told to [continue](https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1).
    pub fn lend_body<'a>(&mut self, bytes: &mut &'a [u8], now: Time) -> &'a [u8] {
        let Receiving::Counted(left) = self.receiving else { return &[] };
        if self.is_deaf() || !self.unused().is_empty() || self.pending.is_some() || bytes.is_empty() {
            return &[];
        }
        let taken = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let (body, rest) = bytes.split_at(taken);
        *bytes = rest;
        self.timing.now = now;
        self.timing.body_received(taken);
        self.receiving = if taken as u64 == left { Receiving::End } else { Receiving::Counted(left - taken as u64) };
        body
    }

    /// How many of `bytes` are worth [receiving](Self::receive) before the next event is polled: those of a head, if it is
    /// all there and what follows may be a long body that can be [lent](Self::lend_body); else all.
    pub fn first_part(&self, bytes: &[u8]) -> usize {
        let awaits_head = matches!(self.receiving, Receiving::Head) && self.unused().is_empty();
        // Copying less costs less than looking for a head's end.
        if bytes.len() < LENT_BYTES_MIN || !awaits_head {
            return bytes.len();
        }
        memchr::memmem::find(bytes, b"\r\n\r\n").map_or(bytes.len(), |end| end + 4)
    }

    /// Whether a head is about to be read, and would have to allocate: a moment to [`recycle`](Self::recycle) one.
    pub fn wants_head(&self) -> bool {
        matches!(self.receiving, Receiving::Head) && self.spare.is_none() && self.has_input() && !self.head.has_begun()
    }

    /// How large the buffer of the input is, if there is nothing in it.
    pub fn spare_bytes(&self) -> usize {
        if self.has_input() { 0 } else { self.input.capacity() }
    }

    /// Takes out the buffer of the input if there is nothing in it: an idle connection need not have one. The next input
    /// goes into a new one, or into that of [`give_buffer`](Self::give_buffer).
    pub fn take_buffer(&mut self) -> Vec<u8> {
        if self.has_input() {
            return Vec::new();
        }
        self.used = 0;
        std::mem::take(&mut self.input)
    }

    /// Whether it has no buffer for its input.
    pub fn wants_buffer(&self) -> bool {
        self.input.capacity() == 0
    }

    /// A buffer for the input, of which only the allocation is used.
    pub fn give_buffer(&mut self, mut buffer: Vec<u8>) {
        if self.wants_buffer() {
            buffer.clear();
            self.input = buffer;
        }
    }
}
