//! What scripted clients are and do in the world.

use std::fmt;
use std::io::ErrorKind;
use std::panic::Location;

use handwound_reactor::{Address, Close};

use crate::buffer::Buffer;
use crate::client::Parting;
use crate::network::{Link, Owner};
use crate::pace::Pacing;
use crate::trace::{What, end_number};
use crate::transcript::Transcript;
use crate::trouble::Gap;
use crate::world::World;

/// What a client does with what it receives.
pub(crate) struct Script {
    pub(crate) answers: Box<Answers>,
    /// What it wants to send; here for its memory.
    pub(crate) send: Vec<u8>,
}

pub(crate) type Answers = dyn FnMut(&[u8], &mut Vec<u8>) -> usize + Send;

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

#[derive(Debug)]
pub(crate) struct ClientState {
    pub(crate) connection: u32,
    /// Everything received, and how much of it has been taken.
    pub(crate) received: Vec<u8>,
    pub(crate) taken: usize,
    pub(crate) outbox: Buffer,
    /// When it sends a short segment next.
    pub(crate) short: Gap,
    /// Reads as soon as something comes.
    pub(crate) eager: bool,
    pub(crate) writes: Option<Pacing>,
    pub(crate) reads: Option<Pacing>,
    /// To end its stream once the outbox is empty.
    pub(crate) finishing: bool,
    pub(crate) finished: bool,
    /// How it ended, once the client itself has left.
    pub(crate) left: Option<Parting>,
    /// It has left, but what it sent before is still to go out.
    pub(crate) lingering: bool,
    /// Answers what comes; see `Client::script`.
    pub(crate) script: Option<Box<Script>>,
    /// The number by which traces know its connection.
    pub(crate) serial: u32,
    pub(crate) transcript: Transcript,
    /// Where in the test it was made.
    pub(crate) place: Option<&'static Location<'static>>,
    /// The test still has it.
    pub(crate) held: bool,
    /// Nothing will happen to it any more: another may take its place.
    pub(crate) spent: bool,
}

/// How many clients are kept that are over and that nobody holds: for traces of what they have said.
const SPENT_MAX: usize = 64;

impl World {
    pub(crate) fn client_connect(&mut self, to: &Address) -> u32 {
        let index = self.client_place();
        let from = self.peer_address(to);
        let [writes, reads] = self.drawn_paces().map(|drawn| drawn.map(Pacing::new));
        let state = ClientState {
            // Dialling gives the number.
            connection: u32::MAX,
            received: Vec::new(),
            taken: 0,
            outbox: Buffer::default(),
            short: Gap::default(),
            eager: reads.is_none(),
            writes,
            reads,
            finishing: false,
            finished: false,
            left: None,
            lingering: false,
            script: None,
            serial: self.net.next_serial(),
            transcript: self.net.new_transcript(),
            place: self.trace.origins.take_place(),
            held: true,
            spent: false,
        };
        match self.net.clients.get_mut(index as usize) {
            Some(place) => *place = state,
            None => self.net.clients.push(state),
        }
        let at = self.now;
        self.net.clients[index as usize].transcript.mark(at, "connects");
        let connection = self.dial(Owner::Client(index), from, to);
        if let Some((way, byte, how)) = self.drawn_break() {
            self.break_line(connection, way.to(), byte, how);
        }
        index
    }

    /// Where the next client goes.
    fn client_place(&mut self) -> u32 {
        if self.net.spent_clients.len() > SPENT_MAX
            && let Some(index) = self.net.spent_clients.pop_front()
        {
            return index;
        }
        self.net.clients.len() as u32
    }

    /// Whether nobody holds this client: it will do nothing of its own accord any more.
    pub(crate) fn client_is_left_alone(&self, client: u32) -> bool {
        self.net.clients.get(client as usize).is_some_and(|state| !state.held)
    }

    /// The connection of a client that nobody holds will be another's: what the client had still to send, nobody waits
    /// for.
    pub(crate) fn client_over(&mut self, client: u32) {
        let parting = self.client_parting(client);
        let state = &mut self.net.clients[client as usize];
        (state.left, state.lingering) = (Some(parting), false);
        state.outbox.clear();
    }

    /// Notes that a client is over, once it is.
    pub(crate) fn client_spent(&mut self, client: u32) {
        let state = &self.net.clients[client as usize];
        // A tick of its own would find another in its place.
        let ticks = state.writes.is_some() || state.reads.is_some();
        let connection = self.net.connections.get(state.connection as usize);
        let connected = connection.is_some_and(|connection| connection.ends[0].owner == Owner::Client(client));
        if state.held || state.spent || state.lingering || ticks || connected {
            return;
        }
        self.net.clients[client as usize].spent = true;
        self.net.spent_clients.push_back(client);
    }

    /// The connection of a client that has not left.
    pub(crate) fn client_connection(&self, client: u32) -> Option<u32> {
        let state = &self.net.clients[client as usize];
        state.left.is_none().then_some(state.connection)
    }

    pub(crate) fn client_can_send(&self, client: u32) -> bool {
        let state = &self.net.clients[client as usize];
        !state.finishing && state.left.is_none()
    }

    pub(crate) fn client_send(&mut self, client: u32, bytes: &[u8]) {
        if !self.client_can_send(client) {
            return;
        }
        let connection = self.net.clients[client as usize].connection;
        self.touch_connection(connection);
        let number = self.number(connection, 0);
        self.note(What::ClientSend, number, bytes.len() as u64);
        if self.passes_at_once(client, bytes.len()) {
            let at = self.now;
            self.net.clients[client as usize].transcript.sent(at, bytes);
            self.transmit(connection, 0, std::iter::once(bytes));
            return;
        }
        self.net.clients[client as usize].outbox.extend(bytes);
        self.client_flush(client);
    }

    /// Whether a client's bytes go out in one piece, as they are: most do, and need no outbox.
    fn passes_at_once(&mut self, client: u32, bytes: usize) -> bool {
        let state = &self.net.clients[client as usize];
        let [mine, theirs] = &self.net.connections[state.connection as usize].ends;
        bytes > 0
            && state.outbox.is_empty()
            && state.writes.is_none()
            && mine.link == Link::Up
            && !mine.dead
            && theirs.room() >= bytes
            && !(self.network.short_writes && bytes > 1 && !self.net.clients[client as usize].short.passes())
    }

    /// Sends what waits and finds room. Called whenever there may be some.
    pub(crate) fn client_flush(&mut self, client: u32) {
        let state = &self.net.clients[client as usize];
        if state.left.is_some() && !state.lingering {
            return;
        }
        let connection = state.connection;
        let has_nothing = state.outbox.is_empty() && !state.finishing && !state.lingering;
        self.touch_connection(connection);
        if has_nothing {
            return;
        }
        let (link, dead) = (self.end_of(connection, 0).link, self.end_of(connection, 0).dead);
        if dead {
            self.net.clients[client as usize].outbox.clear();
        }
        // Not to be entered again from the arrival of what it sends.
        let mut outbox = std::mem::take(&mut self.net.clients[client as usize].outbox);
        while link == Link::Up && !outbox.is_empty() {
            let mut room = self.room(connection, 0);
            if room == 0 {
                self.press(connection, 0);
            }
            if room == 0 || self.end_of(connection, 0).dead {
                break;
            }
            let asked = self.may_write(client).min(outbox.len());
            if asked == 0 {
                break;
            }
            if asked > room {
                self.press(connection, 0);
            }
            room = room.min(asked);
            let segment = if self.network.short_writes { self.segment_of(client, room) } else { room };
            let at = self.now;
            self.net.clients[client as usize].transcript.sent(at, &outbox.as_slice()[..segment]);
            self.transmit(connection, 0, std::iter::once(&outbox.as_slice()[..segment]));
            outbox.take(segment);
            let now = self.now;
            if let Some(pacing) = &mut self.net.clients[client as usize].writes {
                pacing.done(now);
            }
        }
        let state = &mut self.net.clients[client as usize];
        let empty = outbox.is_empty();
        state.outbox = outbox;
        if empty && link == Link::Up && state.finishing && !std::mem::replace(&mut state.finished, true) {
            self.shut(connection, 0);
        }
        if (empty || dead) && std::mem::take(&mut self.net.clients[client as usize].lingering) {
            self.part(connection, 0, Close::Graceful);
            self.client_spent(client);
        }
    }

    fn segment_of(&mut self, client: u32, room: usize) -> usize {
        let state = &mut self.net.clients[client as usize];
        if room <= 1 || state.short.passes() {
            return room;
        }
        let (mut gap, subject) = (state.short, end_number(state.serial, 0));
        let segment = self.part_of(&mut gap, subject, room, "segment");
        self.net.clients[client as usize].short = gap;
        segment
    }

    pub(crate) fn client_finish(&mut self, client: u32) {
        let Some(connection) = self.client_connection(client) else { return };
        if !std::mem::replace(&mut self.net.clients[client as usize].finishing, true) {
            let number = self.number(connection, 0);
            self.note(What::ClientEnd, number, 0);
            let at = self.now;
            self.net.clients[client as usize].transcript.mark(at, "ends its stream");
            self.client_flush(client);
        }
    }

    pub(crate) fn client_leave(&mut self, client: u32, how: Close) {
        let Some(connection) = self.client_connection(client) else { return };
        let number = self.number(connection, 0);
        self.note(if how == Close::Reset { What::ClientReset } else { What::ClientClose }, number, 0);
        let parting = self.client_parting(client);
        let pending = self.end_of(connection, 0).link == Link::Pending;
        let at = self.now;
        let state = &mut self.net.clients[client as usize];
        state.transcript.mark(at, if how == Close::Reset { "resets" } else { "closes" });
        state.left = Some(parting);
        if how == Close::Graceful && !state.outbox.is_empty() || pending && state.finishing {
            state.lingering = true;
            return;
        }
        state.outbox.clear();
        self.part(connection, 0, how);
    }

    pub(crate) fn client_parting(&mut self, client: u32) -> Parting {
        if let Some(parting) = self.net.clients[client as usize].left {
            return parting;
        }
        let connection = self.net.clients[client as usize].connection;
        let end = self.end_of(connection, 0);
        match end {
            _ if end.link == Link::Failed && end.failure == ErrorKind::TimedOut => Parting::Unanswered,
            _ if end.link == Link::Failed => Parting::Refused,
            _ if !end.inbox.is_empty() => Parting::Open,
            _ if end.ended => Parting::Finished,
            _ if end.dead && end.failure == ErrorKind::TimedOut => Parting::Unanswered,
            _ if end.dead => Parting::Reset,
            _ => Parting::Open,
        }
    }

    pub(crate) fn client_read(&mut self, client: u32, bytes: usize) -> usize {
        let Some(connection) = self.client_connection(client) else { return 0 };
        let count = self.end_of(connection, 0).inbox.len().min(bytes);
        if count == 0 {
            return 0;
        }
        self.touch_connection(connection);
        if !self.net.clients[client as usize].eager {
            let number = self.number(connection, 0);
            self.note(What::ClientRead, number, count as u64);
        }
        let at = self.now;
        let inbox = &mut self.net.connections[connection as usize].ends[0].inbox;
        let state = &mut self.net.clients[client as usize];
        state.received.extend_from_slice(&inbox.as_slice()[..count]);
        state.transcript.received(at, &inbox.as_slice()[..count]);
        inbox.take(count);
        self.client_parted(client);
        self.freed(connection, 0);
        self.client_script(client);
        count
    }

    /// Lets a client's script answer, as long as it takes something.
    pub(crate) fn client_script(&mut self, client: u32) {
        let Some(mut script) = self.net.clients[client as usize].script.take() else { return };
        loop {
            let state = &mut self.net.clients[client as usize];
            let taken = (script.answers)(&state.received, &mut script.send);
            state.received.drain(..taken);
            if !script.send.is_empty() {
                self.client_send(client, &script.send);
                script.send.clear();
            }
            if taken == 0 || self.net.clients[client as usize].received.is_empty() {
                break;
            }
        }
        self.net.clients[client as usize].script = Some(script);
    }

    /// Something has come for a client.
    pub(crate) fn client_readable(&mut self, client: u32) {
        if !self.client_receive(client) {
            self.client_parted(client);
        }
    }

    /// Whether it has looked how the server has parted.
    pub(crate) fn client_receive(&mut self, client: u32) -> bool {
        let state = &self.net.clients[client as usize];
        if state.left.is_some() {
            return false;
        }
        if state.eager {
            return self.client_read(client, usize::MAX) > 0;
        }
        let connection = state.connection;
        while state_reads(self, client) && !self.end_of(connection, 0).inbox.is_empty() {
            let bytes = self.may_read(client);
            if bytes == 0 {
                break;
            }
            self.client_read(client, bytes);
            let now = self.now;
            if let Some(pacing) = &mut self.net.clients[client as usize].reads {
                pacing.done(now);
            }
        }
        false
    }

    /// Writes down how the server has parted, once it has.
    fn client_parted(&mut self, client: u32) {
        if self.net.clients[client as usize].left.is_none() {
            let (at, parting) = (self.now, self.client_parting(client));
            self.net.clients[client as usize].transcript.parting(at, parting);
        }
    }
}

/// Whether it reads by itself, slowly.
fn state_reads(world: &World, client: u32) -> bool {
    world.net.clients[client as usize].reads.is_some()
}
