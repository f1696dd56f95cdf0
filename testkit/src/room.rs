//! How much room there is in a connection, who waits for it, and what has not been sent for want of it.
//!
//! A full pipe is one half at the reader and one half in the buffer of the writer's system. That matters only once a
//! writer has found no room: before, all of it is the reader's.

use crate::network::{Cargo, End};
use crate::world::World;

impl End {
    /// How many bytes its peer could write now.
    pub(crate) fn room(&self) -> usize {
        self.room_max.saturating_sub(self.inbox.len() + self.under_way.len())
    }

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
        self.end_of(connection, 1 - side).room()
    }

    /// After bytes were taken from the inbox of `side`: lets its peer write again.
    pub(crate) fn freed(&mut self, connection: u32, side: u8) {
        let is_unix = self.is_unix(connection);
        let end = self.end_of(connection, side);
        let room = end.room();
        // Systems wait until a notable part is free, so that writers are not woken for every byte.
        let notable = if is_unix { end.room_max - end.room_max / 4 } else { end.room_max.div_ceil(3) };
        if room >= notable {
            self.writable(connection, 1 - side);
        }
        let end = self.end_of(connection, side);
        if !end.pressed && !end.end_waits {
            return;
        }
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
