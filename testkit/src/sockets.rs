//! What a simulated reactor's socket calls do. Their sockets, and what polls tell of them: see `slots`.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;

use handwound_reactor::{Address, Close, ListenOptions, Received, Sock};

use crate::addresses::{clash, port};
use crate::family::Family;
use crate::faults::Call;
use crate::network::{Link, Listener, Owner};
use crate::slots::Kind;
use crate::trace::{INTERRUPTED, What};
use crate::world::{HOSTS, World};

impl World {
    pub(crate) fn listen(&mut self, reactor: u32, at: &Address, options: &ListenOptions) -> io::Result<Sock> {
        self.touch(HOSTS);
        self.socket_fails(reactor, Call::Listen, at.tcp().is_none())?;
        let address = match at {
            Address::Tcp(at) if at.port() == 0 => Address::Tcp(SocketAddr::new(at.ip(), self.free_port())),
            Address::Unix(None) => return Err(ErrorKind::InvalidInput.into()),
            at => at.clone(),
        };
        let taken =
            |l: &Listener| l.open && clash(&l.address, &address) && (address.tcp().is_none() || !options.reuse_port);
        if self.net.listeners.iter().any(taken) {
            return Err(ErrorKind::AddrInUse.into());
        }
        let index = self.net.listeners.len() as u32;
        let sock = self.new_slot(reactor, Kind::Listener(index));
        self.note_name(What::Listen, self.net.reactors[reactor as usize].name, port(&address));
        self.net.listeners.push(Listener {
            address,
            reactor,
            slot: sock.slot,
            // Linux keeps one more than it was asked to.
            backlog_max: options.backlog as usize + 1,
            queue: VecDeque::new(),
            overflow: VecDeque::new(),
            open: true,
        });
        Ok(sock)
    }

    pub(crate) fn accept(&mut self, reactor: u32, sock: Sock) -> io::Result<(Sock, Address)> {
        let Kind::Listener(listener) = self.kind(reactor, sock)? else { return Err(ErrorKind::InvalidInput.into()) };
        self.touch_reactor(reactor);
        if self.net.listeners[listener as usize].queue.is_empty() {
            self.slot(reactor, sock.slot).read_armed = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        self.touch_plans();
        while let Some(error) = self.net.accept_fails.pop_front() {
            if error.kind() != ErrorKind::Interrupted {
                self.note(What::AcceptFail, 0, 0);
                return Err(error);
            }
            // Made again inside.
            self.note(What::CallFail, INTERRUPTED + Call::Accept as u32, 0);
        }
        let unix = self.net.listeners[listener as usize].address.tcp().is_none();
        self.socket_fails(reactor, Call::Accept, unix)?;
        if self.fickle(reactor, sock.slot, "accept") {
            self.queue_edge(reactor, sock.slot, true, false);
            return Err(ErrorKind::WouldBlock.into());
        }
        let queue = &mut self.net.listeners[listener as usize].queue;
        let connection = queue.pop_front().expect("not empty: looked above");
        self.admit(listener);
        let number = self.number(connection, 1);
        self.note(What::Accept, number >> 1, 0);
        // For whoever listens here.
        if let Some(place) = self.slot(reactor, sock.slot).made.place {
            self.trace.origins.at_place(place);
        }
        let accepted = self.new_slot(reactor, Kind::Stream { connection, side: 1 });
        self.end_of(connection, 1).owner = Owner::Reactor { reactor, slot: accepted.slot };
        self.writable(connection, 1);
        let end = self.end_of(connection, 1);
        if !end.inbox.is_empty() || end.ended || end.dead {
            self.readable(connection, 1);
        }
        Ok((accepted, self.end_of(connection, 0).local.clone()))
    }

    pub(crate) fn connect(&mut self, reactor: u32, to: &Address) -> io::Result<Sock> {
        self.touch(HOSTS);
        self.socket_fails(reactor, Call::Connect, to.tcp().is_none())?;
        if matches!(to, Address::Unix(_)) && self.listener_at(to).is_none() {
            // Who closes a listener takes the file along.
            return Err(ErrorKind::NotFound.into());
        }
        let from = self.peer_address(to);
        // The slot first: a connect that arrives at once reports to it.
        let sock = self.new_slot(reactor, Kind::Free);
        let connection = self.dial(Owner::Reactor { reactor, slot: sock.slot }, from, to);
        self.slot(reactor, sock.slot).kind = Kind::Stream { connection, side: 0 };
        if self.is_unix(connection) {
            return self.connected_at_once(reactor, sock, connection);
        }
        Ok(sock)
    }

    pub(crate) fn connect_result(&mut self, reactor: u32, sock: Sock) -> io::Result<bool> {
        let (connection, side) = self.stream(reactor, sock)?;
        self.touch_connection(connection);
        let end = self.end_of(connection, side);
        match end.link {
            Link::Pending => Ok(false),
            Link::Up => Ok(true),
            Link::Failed => Err(end.failure.into()),
        }
    }

    pub(crate) fn local_address(&mut self, reactor: u32, sock: Sock) -> io::Result<Address> {
        Ok(match self.kind(reactor, sock)? {
            Kind::Listener(listener) => self.net.listeners[listener as usize].address.clone(),
            Kind::Stream { connection, side } => self.end_of(connection, side).local.clone(),
            Kind::Free => return Err(ErrorKind::NotConnected.into()),
        })
    }

    pub(crate) fn read(&mut self, reactor: u32, sock: Sock, into: &mut [u8]) -> io::Result<Received> {
        let (connection, side) = self.stream(reactor, sock)?;
        self.touch_connection(connection);
        let (number, unix) = (self.number(connection, side), self.is_unix(connection));
        let end = self.end_of(connection, side);
        if into.is_empty() {
            return Ok(Received { bytes: 0, drained: false });
        }
        if end.link == Link::Failed {
            // Told each time: `MioReactor` keeps it.
            return Err(end.failure.into());
        }
        if end.inbox.is_empty() {
            // The end of the stream comes before what was told after it; at a UNIX socket the error does.
            if let Some(error) = if end.ended && !unix { None } else { end.error.take() } {
                return Err(error.into());
            }
            if end.ended || end.dead {
                self.note(What::ReadEnd, number, 0);
                return Ok(Received { bytes: 0, drained: false });
            }
            self.slot(reactor, sock.slot).read_armed = true;
            self.note(What::ReadNothing, number, 0);
            return Err(ErrorKind::WouldBlock.into());
        }
        if let Some(error) = self.call_fails(Call::Read, unix) {
            return Err(error);
        }
        if self.fickle(reactor, sock.slot, "read") {
            self.queue_edge(reactor, sock.slot, true, false);
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut bytes = self.end_of(connection, side).inbox.len().min(into.len());
        if self.network.short_reads {
            bytes = self.part_of_slot(reactor, sock.slot, bytes, "read");
        }
        let end = self.end_of(connection, side);
        end.inbox.take_into(&mut into[..bytes]);
        // Of a UNIX socket `MioReactor` never says so.
        let quiet = end.inbox.is_empty() && !end.ended && !end.dead && !unix;
        let drained =
            quiet && !(self.network.undrained && self.draw_about(Family::Readiness, number, 2, "undrained") == 1);
        if drained {
            self.slot(reactor, sock.slot).read_armed = true;
        }
        self.note(What::Read, number, bytes as u64);
        self.freed(connection, side);
        Ok(Received { bytes, drained })
    }

    pub(crate) fn write(&mut self, reactor: u32, sock: Sock, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let (connection, side) = self.stream(reactor, sock)?;
        self.touch_connection(connection);
        let unix = self.is_unix(connection);
        let end = self.end_of(connection, side);
        if end.link == Link::Pending {
            self.slot(reactor, sock.slot).write_armed = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        if end.link == Link::Failed {
            return Err(end.failure.into());
        }
        // At a UNIX socket only reads tell it.
        if !unix && let Some(error) = end.error.take() {
            return Err(error.into());
        }
        if end.dead || end.shut {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let number = self.number(connection, side);
        let asked: usize = from.iter().map(|slice| slice.len()).sum();
        if asked == 0 {
            return Ok(0);
        }
        let mut room = self.room(connection, side);
        if asked > room {
            self.press(connection, side);
        }
        room = room.min(asked);
        if room == 0 {
            self.slot(reactor, sock.slot).write_armed = true;
            self.note(What::WriteNothing, number, 0);
            return Err(ErrorKind::WouldBlock.into());
        }
        if let Some(error) = self.call_fails(Call::Write, unix) {
            return Err(error);
        }
        if self.fickle(reactor, sock.slot, "write") {
            self.queue_edge(reactor, sock.slot, false, true);
            return Err(ErrorKind::WouldBlock.into());
        }
        if self.network.short_writes {
            room = self.part_of_slot(reactor, sock.slot, room, "write");
        }
        self.note(What::Write, number, room as u64);
        let mut left = room;
        let slices = from.iter().map(|slice| {
            let slice = &slice[..slice.len().min(left)];
            left -= slice.len();
            slice
        });
        Ok(self.transmit(connection, side, slices))
    }

    pub(crate) fn shutdown_write(&mut self, reactor: u32, sock: Sock) -> io::Result<()> {
        let (connection, side) = self.stream(reactor, sock)?;
        self.touch_connection(connection);
        let peer = self.end_of(connection, 1 - side);
        let peer_knows = peer.things_under_way == 0 && !peer.end_waits;
        let unix = self.is_unix(connection);
        let end = self.end_of(connection, side);
        // Once both streams have ended, and both sides know, there is no connection left to end.
        let over = end.shut && end.ended && peer_knows;
        if (end.dead || end.link != Link::Up || over) && !unix {
            return Err(ErrorKind::NotConnected.into());
        }
        let number = self.number(connection, side);
        self.note(What::Shutdown, number, 0);
        self.shut(connection, side);
        Ok(())
    }

    pub(crate) fn close(&mut self, reactor: u32, sock: Sock, how: Close) {
        let Ok(kind) = self.kind(reactor, sock) else { return };
        self.touch_reactor(reactor);
        let state = &mut self.net.reactors[reactor as usize];
        let slot = &mut state.slots[sock.slot as usize];
        slot.kind = Kind::Free;
        slot.generation = slot.generation.wrapping_add(1);
        state.free.push(sock.slot);
        if std::mem::take(&mut slot.queued) {
            state.ready.retain(|&ready| ready != sock.slot);
        }
        match kind {
            Kind::Free => {}
            Kind::Listener(listener) => {
                self.touch(HOSTS);
                let state = &mut self.net.listeners[listener as usize];
                state.open = false;
                let port = port(&state.address);
                self.note_name(What::Unlisten, self.net.reactors[reactor as usize].name, port);
                self.turn_away(listener);
            }
            Kind::Stream { connection, side } => {
                let number = self.number(connection, side);
                self.note(if how == Close::Reset { What::Reset } else { What::Close }, number, 0);
                self.part(connection, side, how);
            }
        }
    }

    /// Closes everything a reactor has open.
    pub(crate) fn drop_reactor(&mut self, reactor: u32) {
        for slot in 0..self.net.reactors[reactor as usize].slots.len() as u32 {
            let generation = self.slot(reactor, slot).generation;
            self.close(reactor, Sock { slot, generation }, Close::Graceful);
        }
    }
}
