//! The sockets of a simulated reactor: their slots, and the edges that its next poll tells.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use handwound_reactor::{Event, Sock};

use crate::errno::EMFILE;
use crate::faults::Call;
use crate::network::{Listener, Owner};
use crate::origins::Made;
use crate::trace::{Name, What};
use crate::trouble::Gap;
use crate::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Free,
    Listener(u32),
    Stream { connection: u32, side: u8 },
}

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) generation: u32,
    pub(crate) kind: Kind,
    /// When, and by whom, it was opened.
    pub(crate) made: Made,
    /// The edge that waits to be polled.
    readable: bool,
    writable: bool,
    pub(crate) queued: bool,
    /// An edge may be made: none has been since the last `WouldBlock`.
    pub(crate) read_armed: bool,
    pub(crate) write_armed: bool,
    /// When it is fickle next, and when short.
    pub(crate) fickle: Gap,
    pub(crate) short: Gap,
}

#[derive(Debug)]
pub(crate) struct ReactorState {
    pub(crate) name: Name,
    object: u32,
    pub(crate) slots: Vec<Slot>,
    pub(crate) free: Vec<u32>,
    pub(crate) ready: VecDeque<u32>,
    woken: bool,
    /// Who polled it last.
    pub(crate) poller: Option<u32>,
}

impl ReactorState {
    /// Whether a poll would return at once.
    pub(crate) fn has_news(&self) -> bool {
        self.woken || !self.ready.is_empty()
    }
}

impl World {
    pub(crate) fn new_reactor(&mut self, name: &str) -> u32 {
        let (name, object) = (self.trace.name(name), self.new_object());
        let (slots, free, ready) = (Vec::new(), Vec::new(), VecDeque::new());
        self.net.reactors.push(ReactorState { name, object, slots, free, ready, woken: false, poller: None });
        self.net.reactors.len() as u32 - 1
    }

    /// Takes the edges that wait, and the wake.
    pub(crate) fn poll(&mut self, reactor: u32, events: &mut Vec<Event>) {
        self.touch_reactor(reactor);
        let state = &mut self.net.reactors[reactor as usize];
        state.woken = false;
        while let Some(index) = state.ready.pop_front() {
            let slot = &mut state.slots[index as usize];
            let sock = Sock { slot: index, generation: slot.generation };
            events.push(Event { sock, readable: slot.readable, writable: slot.writable });
            (slot.readable, slot.writable, slot.queued) = (false, false, false);
        }
        let name = state.name;
        self.note_name(What::Poll, name, events.len() as u64);
    }

    pub(crate) fn wake(&mut self, reactor: u32) {
        self.touch_reactor(reactor);
        let state = &mut self.net.reactors[reactor as usize];
        state.woken = true;
        let name = state.name;
        self.news(reactor);
        self.note_name(What::Wake, name, 0);
    }

    // Edges.

    /// There is something to read at an end, or an end or error to be told.
    pub(crate) fn readable(&mut self, connection: u32, side: u8) {
        match self.end_of(connection, side).owner {
            Owner::Reactor { reactor, slot } => self.read_edge(reactor, slot),
            Owner::Client(client) => self.client_readable(client),
            Owner::Queue(_) | Owner::Gone => {}
        }
    }

    /// There is room to write at an end, or an error to be told.
    pub(crate) fn writable(&mut self, connection: u32, side: u8) {
        match self.end_of(connection, side).owner {
            Owner::Reactor { reactor, slot } => {
                self.touch_reactor(reactor);
                if std::mem::take(&mut self.slot(reactor, slot).write_armed) {
                    self.queue_edge(reactor, slot, false, true);
                }
            }
            Owner::Client(client) => self.client_flush(client),
            Owner::Queue(_) | Owner::Gone => {}
        }
    }

    pub(crate) fn listener_readable(&mut self, listener: u32) {
        let Listener { reactor, slot, .. } = self.net.listeners[listener as usize];
        self.read_edge(reactor, slot);
    }

    fn read_edge(&mut self, reactor: u32, slot: u32) {
        self.touch_reactor(reactor);
        if std::mem::take(&mut self.slot(reactor, slot).read_armed) || self.fickle(reactor, slot, "edge") {
            self.queue_edge(reactor, slot, true, false);
        }
    }

    pub(crate) fn queue_edge(&mut self, reactor: u32, index: u32, readable: bool, writable: bool) {
        let slot = self.slot(reactor, index);
        slot.readable |= readable;
        slot.writable |= writable;
        if !std::mem::replace(&mut slot.queued, true) {
            self.net.reactors[reactor as usize].ready.push_back(index);
            self.news(reactor);
        }
    }

    pub(crate) fn touch_reactor(&mut self, reactor: u32) {
        let object = self.net.reactors[reactor as usize].object;
        self.touch(object);
    }

    // Slots and addresses.

    /// The error, if no further socket can be made.
    pub(crate) fn socket_fails(&mut self, reactor: u32, call: Call, unix: bool) -> io::Result<()> {
        let state = &self.net.reactors[reactor as usize];
        if state.slots.len() - state.free.len() >= self.network.sockets_max {
            return Err(EMFILE.into());
        }
        self.call_fails(call, unix).map_or(Ok(()), Err)
    }

    pub(crate) fn new_slot(&mut self, reactor: u32, kind: Kind) -> Sock {
        let made = Made { at: self.now, by: self.actor, place: self.trace.origins.take_place() };
        let state = &mut self.net.reactors[reactor as usize];
        let slot = state.free.pop().unwrap_or_else(|| {
            let (readable, writable, queued) = (false, false, false);
            let (read_armed, write_armed) = (true, true);
            let kind = Kind::Free;
            let (fickle, short) = (Gap::default(), Gap::default());
            let slot =
                Slot { generation: 0, kind, made, readable, writable, queued, read_armed, write_armed, fickle, short };
            state.slots.push(slot);
            state.slots.len() as u32 - 1
        });
        let state = &mut state.slots[slot as usize];
        (state.kind, state.made) = (kind, made);
        (state.fickle, state.short) = (Gap::default(), Gap::default());
        (state.readable, state.writable, state.read_armed, state.write_armed) = (false, false, true, true);
        Sock { slot, generation: state.generation }
    }

    /// By what decisions about a socket are counted: the number of its end, or, of a listener, its place.
    pub(crate) fn subject(&self, reactor: u32, slot: u32) -> u32 {
        match self.net.reactors[reactor as usize].slots[slot as usize].kind {
            Kind::Stream { connection, side } => self.number(connection, side),
            _ => 1 << 31 | reactor << 16 | slot,
        }
    }

    pub(crate) fn part_of_slot(&mut self, reactor: u32, slot: u32, bytes: usize, label: &'static str) -> usize {
        if bytes <= 1 || self.slot(reactor, slot).short.passes() {
            return bytes;
        }
        let (subject, mut gap) = (self.subject(reactor, slot), self.slot(reactor, slot).short);
        let part = self.part_of(&mut gap, subject, bytes, label);
        self.slot(reactor, slot).short = gap;
        part
    }

    pub(crate) fn slot(&mut self, reactor: u32, slot: u32) -> &mut Slot {
        &mut self.net.reactors[reactor as usize].slots[slot as usize]
    }

    pub(crate) fn kind(&self, reactor: u32, sock: Sock) -> io::Result<Kind> {
        match self.net.reactors[reactor as usize].slots.get(sock.slot as usize) {
            Some(slot) if slot.generation == sock.generation && slot.kind != Kind::Free => Ok(slot.kind),
            _ => Err(ErrorKind::NotConnected.into()),
        }
    }

    pub(crate) fn stream(&self, reactor: u32, sock: Sock) -> io::Result<(u32, u8)> {
        match self.kind(reactor, sock)? {
            Kind::Stream { connection, side } => Ok((connection, side)),
            _ => Err(ErrorKind::NotConnected.into()),
        }
    }
}
