//! The network between reactors and scripted clients: connections, what is under way in them, and its arrival.
//!
//! A connection is two one-way pipes, each with a bounded buffer at the receiving end. What has been written is
//! first under way, in order, and then in the inbox. Ends and resets travel the same way, behind the bytes.
//! Where Linux and others differ (a reset and unread bytes, the errors after it), this does as Linux does.
//!
//! All of this is TCP. UNIX sockets lead through no network: see `local`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{self, ErrorKind};

use handwound_reactor::{Address, Close, Time};

use crate::buffer::Buffer;
use crate::client_state::ClientState;
use crate::line::{Line, Tick};
use crate::slots::ReactorState;
use crate::trace::{What, end_number};
use crate::transcript::Transcript;
use crate::world::{UNDER_WAY, World};

/// Who holds an end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Nobody yet: it waits in a listener's queue.
    Queue(u32),
    Reactor {
        reactor: u32,
        slot: u32,
    },
    Client(u32),
    /// Nobody any more.
    Gone,
}

/// Each has some 100 KiB at the most.
const SPARE_TRANSCRIPTS_MAX: usize = 16;

/// Whose a connection's first end is once the connection is free for another.
pub(crate) const RETIRED: Owner = Owner::Client(u32::MAX);

/// How far a connect has come; only the connecting side asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Pending,
    Up,
    Failed,
}

#[derive(Debug)]
pub(crate) struct End {
    pub(crate) owner: Owner,
    /// Where it is, for partitions; also when its owner has gone.
    pub(crate) host: Option<u32>,
    /// The way here.
    pub(crate) line: Line,
    pub(crate) link: Link,
    pub(crate) local: Address,
    /// Arrived, not yet read.
    pub(crate) inbox: Buffer,
    /// On the way here.
    pub(crate) under_way: Buffer,
    pub(crate) room_max: usize,
    /// When the last thing on the way here arrives: nothing overtakes it.
    pub(crate) last_due: Time,
    pub(crate) things_under_way: u32,
    /// The peer's stream has ended, after what is in the inbox.
    pub(crate) ended: bool,
    /// Told once to the next call that asks.
    pub(crate) error: Option<ErrorKind>,
    /// Why the connect has failed, once it has.
    pub(crate) failure: ErrorKind,
    /// Reset by either side, or refused: nothing comes or goes any more.
    pub(crate) dead: bool,
    /// Our stream has ended.
    pub(crate) shut: bool,
    /// What we have sent does not arrive; there is a limit to that.
    pub(crate) unacknowledged: bool,
    /// We have given up, and the peer does not know.
    pub(crate) silent: bool,
    /// The peer has found no room here, and not all of what it wrote has been read since.
    pub(crate) pressed: bool,
    /// The end of the peer's stream waits for room.
    pub(crate) end_waits: bool,
}

/// Side 0 of a connection has connected, side 1 accepts.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) serial: u32,
    pub(crate) object: u32,
    pub(crate) ends: [End; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cargo {
    Connect,
    Established,
    Refused,
    Bytes(usize),
    End,
    Reset,
    /// A reset that the other end sees after this one.
    Break,
    /// Nothing that arrives anywhere.
    Tick(Tick),
}

/// Something on its way to one end. Ordered by arrival, then by departure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Delivery {
    pub(crate) due: Time,
    sequence: u64,
    pub(crate) connection: u32,
    pub(crate) side: u8,
    pub(crate) cargo: Cargo,
}

#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) address: Address,
    pub(crate) reactor: u32,
    pub(crate) slot: u32,
    /// How many there may be in the queue.
    pub(crate) backlog_max: usize,
    /// Established, not yet accepted.
    pub(crate) queue: VecDeque<u32>,
    /// Waiting for room in the queue.
    pub(crate) overflow: VecDeque<u32>,
    pub(crate) open: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) reactors: Vec<ReactorState>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) clients: Vec<ClientState>,
    /// Of these, those whose place another may take.
    pub(crate) spent_clients: VecDeque<u32>,
    /// Empty ones, of an earlier world's clients: for their memory.
    spare_transcripts: Vec<Transcript>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) free: Vec<u32>,
    pub(crate) deliveries: BinaryHeap<Reverse<Delivery>>,
    /// What partitions keep back, in order.
    pub(crate) held: Vec<Delivery>,
    pub(crate) partitions: Vec<(u32, u32)>,
    sequence: u64,
    pub(crate) serials: u32,
    pub(crate) ports: u16,
    pub(crate) accept_fails: VecDeque<io::Error>,
}

impl Network {
    /// When the next thing arrives.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.deliveries.peek().map(|Reverse(next)| next.due)
    }

    /// A new client's, still empty.
    pub(crate) fn new_transcript(&mut self) -> Transcript {
        self.spare_transcripts.pop().unwrap_or_default()
    }

    /// Keeps the memory of an earlier world's transcripts: else the system hands it out anew for each world, page by page.
    pub(crate) fn keep_transcripts_of(&mut self, old: &mut Network) {
        self.spare_transcripts = std::mem::take(&mut old.spare_transcripts);
        let room = SPARE_TRANSCRIPTS_MAX.saturating_sub(self.spare_transcripts.len());
        self.spare_transcripts.extend(old.clients.iter_mut().take(room).map(|client| client.transcript.emptied()));
    }

    /// The number that the next connection will have.
    pub(crate) fn next_serial(&self) -> u32 {
        self.serials
    }
}

impl World {
    pub(crate) fn end_of(&mut self, connection: u32, side: u8) -> &mut End {
        &mut self.net.connections[connection as usize].ends[side as usize]
    }

    /// The number by which traces know an end.
    pub(crate) fn number(&self, connection: u32, side: u8) -> u32 {
        end_number(self.net.connections[connection as usize].serial, side)
    }

    pub(crate) fn touch_connection(&mut self, connection: u32) {
        let object = self.net.connections[connection as usize].object;
        self.touch(object);
    }

    // What each side does.

    /// Puts bytes on their way from `side`; how many there was room for.
    pub(crate) fn transmit<'a>(&mut self, connection: u32, side: u8, from: impl Iterator<Item = &'a [u8]>) -> usize {
        let to = 1 - side;
        let immediate = self.immediate(connection, to);
        let peer = &mut self.net.connections[connection as usize].ends[to as usize];
        let mut room = peer.room();
        if immediate && peer.line.is_sound() {
            // Most of what is sent: it is there at once, all that there is room for.
            let before = room;
            for bytes in from {
                let bytes = &bytes[..bytes.len().min(room)];
                self.trace.moves(bytes);
                peer.inbox.extend(bytes);
                room -= bytes.len();
            }
            let sent = before - room;
            peer.line.entered += sent as u64;
            if sent > 0 {
                self.touch_connection(connection);
                self.arrive_bytes(connection, to, sent, true);
            }
            return sent;
        }
        // What a break swallows: the sender is not told.
        let lost = peer.line.is_broken();
        let mut whole = peer.line.whole();
        let stalled = !peer.line.passes(Cargo::Reset);
        let into = if immediate && !lost { &mut peer.inbox } else { &mut peer.under_way };
        let (mut sent, mut passed) = (0, 0);
        for bytes in from {
            let bytes = &bytes[..bytes.len().min(room)];
            self.trace.moves(bytes);
            let kept = if stalled { bytes } else { &bytes[..bytes.len().min(whole)] };
            if !lost || stalled {
                into.extend(kept);
            }
            room -= bytes.len();
            whole = whole.saturating_sub(kept.len());
            (sent, passed) = (sent + bytes.len(), passed + kept.len());
        }
        peer.line.entered += sent as u64;
        if sent == 0 || lost {
            if sent > 0 && stalled {
                self.unacknowledged(connection, side);
            }
            return sent;
        }
        if passed > 0 {
            if immediate {
                self.arrive(connection, to, Cargo::Bytes(passed), true);
            } else {
                self.post_bytes(connection, to, passed);
            }
        }
        self.look_for_break(connection, to);
        if passed < sent && self.end_of(connection, to).line.is_silent() {
            self.unacknowledged(connection, side);
        }
        sent
    }

    /// Half-closes: ends the stream of `side`.
    pub(crate) fn shut(&mut self, connection: u32, side: u8) {
        if std::mem::replace(&mut self.end_of(connection, side).shut, true) {
            return;
        }
        if !self.end_of(connection, side).dead {
            self.post(connection, 1 - side, Cargo::End);
        }
    }

    /// Lets go of an end. Unread bytes make a reset of a graceful close, as systems do.
    pub(crate) fn part(&mut self, connection: u32, side: u8, how: Close) {
        self.touch_connection(connection);
        let end = self.end_of(connection, side);
        let (alive, unread) = (!end.dead && end.link == Link::Up, !end.inbox.is_empty());
        if alive && self.is_unix(connection) {
            return self.hang_up(connection, side, unread);
        }
        let end = self.end_of(connection, side);
        end.owner = Owner::Gone;
        end.inbox.clear();
        match how {
            Close::Graceful if alive && !unread => self.shut(connection, side),
            Close::Graceful if alive => {
                self.end_of(connection, side).dead = true;
                self.post(connection, 1 - side, Cargo::Reset);
            }
            Close::Reset if alive => {
                self.end_of(connection, side).dead = true;
                self.end_of(connection, 1 - side).under_way.clear();
                self.post(connection, 1 - side, Cargo::Reset);
            }
            _ => self.end_of(connection, side).dead = true,
        }
        self.retire(connection);
    }

    // What is under way.

    fn immediate(&mut self, connection: u32, to: u8) -> bool {
        if self.is_unix(connection) {
            return true;
        }
        self.touch_partitions();
        self.network.is_instant()
            && self.end_of(connection, to).things_under_way == 0
            && !self.is_partitioned(connection)
    }

    pub(crate) fn post(&mut self, connection: u32, to: u8, cargo: Cargo) {
        let line = &self.end_of(connection, to).line;
        if !line.passes(cargo) {
            if line.is_silent() && cargo == Cargo::End {
                self.unacknowledged(connection, 1 - to);
            }
            return;
        }
        if self.immediate(connection, to) {
            return self.arrive(connection, to, cargo, false);
        }
        let due = self.due(connection, to, if let Cargo::Bytes(count) = cargo { count } else { 0 });
        self.end_of(connection, to).things_under_way += 1;
        self.push_delivery(due, connection, to, cargo);
    }

    pub(crate) fn push_delivery(&mut self, due: Time, connection: u32, side: u8, cargo: Cargo) {
        // The order in which things are posted is the order in which they come.
        self.touch(UNDER_WAY);
        self.net.sequence += 1;
        let sequence = self.net.sequence;
        self.net.deliveries.push(Reverse(Delivery { due, sequence, connection, side, cargo }));
    }

    /// Brings what is due first.
    pub(crate) fn deliver_next(&mut self) {
        let Some(Reverse(next)) = self.net.deliveries.pop() else { return };
        self.touch(UNDER_WAY);
        self.touch_partitions();
        if let Cargo::Tick(tick) = next.cargo {
            return self.ticked(tick);
        }
        if self.is_partitioned(next.connection) {
            return self.hold(next);
        }
        self.end_of(next.connection, next.side).things_under_way -= 1;
        self.arrive(next.connection, next.side, next.cargo, false);
        self.retire(next.connection);
    }

    /// `there`: the bytes are in the inbox already.
    fn arrive(&mut self, connection: u32, side: u8, cargo: Cargo, there: bool) {
        self.touch_connection(connection);
        let number = self.number(connection, side);
        match cargo {
            Cargo::Connect => self.arrive_at_listener(connection),
            Cargo::Established if self.end_of(connection, side).dead => {
                // Whoever connected has given up meanwhile.
                self.post(connection, 1 - side, Cargo::Reset);
            }
            Cargo::Established => {
                self.note(What::Establish, number >> 1, 0);
                self.end_of(connection, side).link = Link::Up;
                self.look_for_break(connection, 1 - side);
                self.writable(connection, side);
            }
            Cargo::Refused => {
                let why = self.end_of(connection, 0).failure;
                self.connect_failed(connection, why);
            }
            Cargo::Bytes(count) => self.arrive_bytes(connection, side, count, there),
            Cargo::End => {
                let end = self.end_of(connection, side);
                if std::mem::take(&mut end.silent) {
                    self.post(connection, 1 - side, Cargo::Reset);
                } else if end.crowded() {
                    end.end_waits = true;
                } else if !end.dead && end.owner != Owner::Gone {
                    end.ended = true;
                    self.note(What::ArriveEnd, number, 0);
                    self.readable(connection, side);
                }
            }
            Cargo::Reset => {
                self.end_of(connection, side).drop_unsent();
                self.arrive_reset(connection, side);
            }
            Cargo::Break => {
                self.arrive_reset(connection, side);
                self.post(connection, 1 - side, Cargo::Reset);
            }
            Cargo::Tick(_) => {}
        }
    }

    fn arrive_reset(&mut self, connection: u32, side: u8) {
        let number = self.number(connection, side);
        let heard_our_end = self.end_of(connection, 1 - side).ended;
        let end = self.end_of(connection, side);
        if !std::mem::replace(&mut end.dead, true) {
            // After the end of the peer's stream there is nothing more to tell a reader; and a writer, only while the
            // end of its own is not acknowledged.
            let unfinished = end.shut && !heard_our_end;
            end.error = if end.ended && !unfinished { None } else { Some(ErrorKind::ConnectionReset) };
            self.end_of(connection, 1 - side).under_way.clear();
            self.note(What::ArriveReset, number, 0);
            self.readable(connection, side);
            self.writable(connection, side);
        }
    }

    fn arrive_bytes(&mut self, connection: u32, side: u8, count: usize, there: bool) {
        let end = self.end_of(connection, side);
        if !there {
            // Fewer than were sent, if a reset has dropped them since.
            let count = count.min(end.under_way.len());
            let End { inbox, under_way, .. } = end;
            inbox.extend(&under_way.as_slice()[..count]);
            under_way.take(count);
        }
        if end.dead || end.owner == Owner::Gone {
            end.inbox.clear();
            let silent = std::mem::take(&mut end.silent);
            if !std::mem::replace(&mut end.dead, true) || silent {
                // Nobody is here to read this: the writer is told so, behind what was sent to it before.
                self.post(connection, 1 - side, Cargo::Reset);
            }
            return;
        }
        let number = self.number(connection, side);
        self.note(What::Arrive, number, count as u64);
        self.readable(connection, side);
    }

    /// Frees a connection that both sides have left and nothing is on the way in.
    pub(crate) fn retire(&mut self, connection: u32) {
        let ends = &self.net.connections[connection as usize].ends;
        let quiet = ends.iter().all(|end| end.things_under_way == 0);
        let over = |end: &End| end.owner == Owner::Gone && (end.shut || end.dead);
        if !quiet || !over(&ends[1]) {
            return;
        }
        // Of a client that nobody holds nothing more will come.
        let alone = match ends[0].owner {
            Owner::Client(client) => self.client_is_left_alone(client).then_some(client),
            _ => None,
        };
        if let Some(client) = alone {
            self.client_over(client);
        }
        if alone.is_some() || over(&self.net.connections[connection as usize].ends[0]) {
            // Marked, so that it is not freed twice.
            self.net.connections[connection as usize].ends[0].owner = RETIRED;
            self.net.free.push(connection);
        }
        if let Some(client) = alone {
            self.client_spent(client);
        }
    }
}
