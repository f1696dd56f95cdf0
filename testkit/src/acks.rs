//! What is sent and never acknowledged: systems send it again for some minutes, and then give the connection up.
//!
//! Acknowledgements themselves are no part of this network; what lies at a partition, or behind a line that has fallen
//! silent, is what nobody acknowledges.

use std::io::ErrorKind;

use crate::line::Tick;
use crate::network::{Cargo, RETIRED};
use crate::trace::What;
use crate::world::World;

impl World {
    /// What side `from` has sent does not arrive. If that lasts, it gives the connection up.
    pub(crate) fn unacknowledged(&mut self, connection: u32, from: u8) {
        let (due, serial) = (self.now + self.network.send_timeout, self.net.connections[connection as usize].serial);
        let end = self.end_of(connection, from);
        if !end.dead && !std::mem::replace(&mut end.unacknowledged, true) {
            self.tick(due, Tick::SendGivesUp(connection, serial, from));
        }
    }

    pub(crate) fn send_gives_up(&mut self, connection: u32, serial: u32, from: u8) {
        let there = &self.net.connections[connection as usize];
        // Both may have left meanwhile: then nobody is there to be told, and the place is another's or nobody's.
        let current = there.serial == serial && there.ends[0].owner != RETIRED;
        let end = self.end_of(connection, from);
        if !current || !end.unacknowledged || end.dead {
            return;
        }
        // The peer is not told; whoever sends here later is.
        (end.dead, end.silent, end.unacknowledged) = (true, true, false);
        (end.error, end.failure) = (Some(ErrorKind::TimedOut), ErrorKind::TimedOut);
        self.touch_connection(connection);
        self.note(What::GiveUp, serial, 0);
        let to = 1 - from;
        let held = self.net.held.len();
        self.net.held.retain(|held| (held.connection, held.side) != (connection, to));
        let gone = (held - self.net.held.len()) as u32;
        let peer = self.end_of(connection, to);
        peer.things_under_way -= gone;
        peer.under_way.clear();
        self.readable(connection, from);
        self.writable(connection, from);
        self.retire(connection);
    }

    /// What was held back goes on its way: those who wait for its arrival wait no longer.
    pub(crate) fn acknowledged_again(&mut self) {
        for index in 0..self.net.held.len() {
            let (connection, to) = (self.net.held[index].connection, self.net.held[index].side);
            let silent = self.end_of(connection, to).line.is_silent();
            self.end_of(connection, 1 - to).unacknowledged &= silent;
        }
        let connections = &self.net.connections;
        let waits = |cargo| match cargo {
            Cargo::Tick(Tick::SendGivesUp(connection, _, from)) => {
                connections[connection as usize].ends[from as usize].unacknowledged
            }
            _ => true,
        };
        self.net.deliveries.retain(|delivery| waits(delivery.0.cargo));
    }
}
