//! How much room there is in a connection, who waits for it, and what has not been sent for want of it.
//!
//! A full pipe is one half at the reader and one half in the buffer of the writer's system. That matters only once a
//! writer has found no room: before, all of it is the reader's.

use crate::network::{Cargo, End};
use crate::world::World;

impl End {
    /// Whether the peer's system still has some of what was written here: until a half of what is the reader's is free.
    pub(crate) fn crowded(&self) -> bool {
        self.pressed && self.inbox.len() > self.room_max / 4
    }

    /// A reset drops what the peer's system has not sent yet for want of room.
    pub(crate) fn drop_unsent(&mut self) {
        if self.crowded() && !self.dead {
            self.inbox.keep(self.room_max / 2);
        }
        self.end_waits = false;
    }
}

impl World {
    /// How many bytes `side` could write now.
    pub(crate) fn room(&mut self, connection: u32, side: u8) -> usize {
        let peer = self.end_of(connection, 1 - side);
        peer.room_max.saturating_sub(peer.inbox.len() + peer.under_way.len())
    }

    /// After bytes were taken from the inbox of `side`: lets its peer write again.
    pub(crate) fn freed(&mut self, connection: u32, side: u8) {
        let writer = 1 - side;
        let room = self.room(connection, writer);
        let room_max = self.end_of(connection, side).room_max;
        // Systems wait until a notable part is free, so that writers are not woken for every byte.
        let notable = if self.is_unix(connection) { room_max - room_max / 4 } else { room_max.div_ceil(3) };
        if room >= notable {
            self.writable(connection, writer);
        }
        let end = self.end_of(connection, side);
        let empty = end.inbox.is_empty() && end.under_way.is_empty();
        end.pressed &= !empty;
        if end.end_waits && !end.crowded() {
            end.end_waits = false;
            self.post(connection, side, Cargo::End);
        }
    }

    /// Notes that `side` has found no room, at which what it wrote last is still in its own system's buffer.
    pub(crate) fn press(&mut self, connection: u32, side: u8) {
        self.end_of(connection, 1 - side).pressed = !self.is_unix(connection);
    }
}
