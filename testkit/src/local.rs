//! UNIX sockets: what they do otherwise than TCP, as on Linux.
//!
//! Both ends are on one machine. Nothing is ever under way between them, so that latency, segments, partitions and
//! broken lines do not concern them; a connect succeeds or fails in the call; and each end knows at once when the
//! other has gone: its writes fail, with no reset in between. Only unread bytes that a close has thrown away are told,
//! once, to a read. `testkit/tests/unix.rs` holds all this against the system's sockets.

use std::io::{self, ErrorKind};

use handwound_reactor::{Address, Close, Sock};

use crate::network::{Link, Owner};
use crate::trace::What;
use crate::world::World;

impl World {
    /// Whether a connection is one of UNIX sockets.
    pub(crate) fn is_unix(&self, connection: u32) -> bool {
        matches!(self.net.connections[connection as usize].ends[1].local, Address::Unix(_))
    }

    /// The outcome of a reactor's connect, which has arrived already.
    pub(crate) fn connected_at_once(&mut self, reactor: u32, sock: Sock, connection: u32) -> io::Result<Sock> {
        let end = self.end_of(connection, 0);
        if end.link == Link::Up {
            return Ok(sock);
        }
        let why = end.failure;
        self.close(reactor, sock, Close::Graceful);
        Err(why.into())
    }

    /// Fails a connect for which the listener has no room (`EAGAIN`).
    pub(crate) fn try_again_later(&mut self, connection: u32) {
        self.end_of(connection, 1).dead = true;
        self.connect_failed(connection, ErrorKind::WouldBlock);
    }

    /// Lets go of an end that is up. The peer keeps what it has received, and is told at once; `reset`: and that bytes
    /// of its own were thrown away.
    pub(crate) fn hang_up(&mut self, connection: u32, side: u8, reset: bool) {
        self.touch_connection(connection);
        let end = self.end_of(connection, side);
        if end.dead {
            // The peer has gone before.
            end.owner = Owner::Gone;
            return self.retire(connection);
        }
        (end.owner, end.dead) = (Owner::Gone, true);
        end.inbox.clear();
        let peer = 1 - side;
        let number = self.number(connection, peer);
        let there = self.end_of(connection, peer);
        there.dead = true;
        if reset {
            there.error = Some(ErrorKind::ConnectionReset);
        } else {
            there.ended = true;
        }
        self.note(if reset { What::ArriveReset } else { What::ArriveEnd }, number, 0);
        self.readable(connection, peer);
        self.writable(connection, peer);
        self.retire(connection);
    }
}
