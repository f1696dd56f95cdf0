//! Which connections and listeners a loop has, by the slots of their sockets. It does nothing with them.
//!
//! Whoever works on one takes it out and puts it back: what it calls may then look at the table. A place remembers whose
//! it is, so taking and putting move one pointer. An entry that changed places whole took 48 instructions to put, this
//! takes some ten.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use crate::Sock;
use crate::connections::{Connection, Listener};
use crate::mailbox::ConnectionId;

pub(crate) struct Table {
    /// By the slot of the socket.
    places: RefCell<Vec<Place>>,
    pub(crate) ready: RefCell<VecDeque<Sock>>,
    pub(crate) dirty: RefCell<Vec<ConnectionId>>,
    pub(crate) connections: Cell<usize>,
    /// All of them, those in the hands of the loop included.
    pub(crate) listeners: RefCell<Vec<Sock>>,
    pub(crate) scratch: RefCell<Vec<u8>>,
    /// Empty ones with their allocations, for whichever connection has something to receive or to send next: an idle
    /// connection has none.
    buffers: RefCell<Vec<Vec<u8>>>,
}

/// With no more connections than this, each keeps its buffers when it is idle: giving them away and fetching them takes
/// some 300 instructions a request, and all together they take less than a MiB.
const KEEPERS_MAX: usize = 1024;

/// How many buffers are kept for the next connections, and how large they may be.
const BUFFERS_MAX: usize = 256;
pub(crate) const BUFFER_BYTES_MAX: usize = 16 << 10;

#[derive(Default)]
struct Place {
    /// Whose it is, and no successor's in the same slot.
    generation: u32,
    /// A stop has begun, while it was out or before it was made: the connection is to be told.
    stopping: bool,
    held: Held,
}

/// What is in a place.
#[derive(Default)]
pub(crate) enum Held {
    #[default]
    Nothing,
    Listener(Box<Listener>),
    Connection(Box<Connection>),
    /// It is in the hands of the loop, which puts it back.
    Out,
}

impl Table {
    pub(crate) fn new() -> Table {
        Table {
            places: RefCell::new(Vec::new()),
            ready: RefCell::new(VecDeque::new()),
            dirty: RefCell::new(Vec::new()),
            connections: Cell::new(0),
            listeners: RefCell::new(Vec::new()),
            scratch: RefCell::new(Vec::new()),
            buffers: RefCell::new(Vec::new()),
        }
    }

    /// Whether there are so many connections that idle ones are to have no buffers.
    #[inline]
    pub(crate) fn is_crowded(&self) -> bool {
        self.connections.get() > KEEPERS_MAX
    }

    pub(crate) fn spare_buffer(&self) -> Vec<u8> {
        self.buffers.borrow_mut().pop().unwrap_or_default()
    }

    pub(crate) fn keep_buffer(&self, mut buffer: Vec<u8>) {
        let mut buffers = self.buffers.borrow_mut();
        if buffers.len() < BUFFERS_MAX && (1..=BUFFER_BYTES_MAX).contains(&buffer.capacity()) {
            buffer.clear();
            buffers.push(buffer);
        }
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.borrow().is_empty() || !self.dirty.borrow().is_empty()
    }

    /// What a connection's timer is for, for people; `None` where its protocol waits for nothing.
    pub(crate) fn deadline_of(&self, ConnectionId(sock): ConnectionId) -> Option<String> {
        let Ok(places) = self.places.try_borrow() else { return None };
        let place = places.get(sock.slot as usize).filter(|place| place.generation == sock.generation);
        match place.map(|place| &place.held) {
            Some(Held::Connection(connection)) => connection.deadline_text(),
            Some(Held::Out) => None,
            _ => Some("the deadline of a connection that is closed".to_owned()),
        }
    }

    /// Makes a place for `sock`, of which the loop has what belongs there in its hands.
    pub(crate) fn hold(&self, sock: Sock, stopping: bool) {
        let mut places = self.places.borrow_mut();
        let slot = sock.slot as usize;
        if places.len() <= slot {
            places.resize_with(slot + 1, Place::default);
        }
        places[slot] = Place { generation: sock.generation, stopping, held: Held::Out };
    }

    /// Looks at what is held for `sock`; `None` if that is gone.
    pub(crate) fn with<V>(&self, sock: Sock, look: impl FnOnce(&mut Held) -> V) -> Option<V> {
        let mut places = self.places.borrow_mut();
        let place = places.get_mut(sock.slot as usize)?;
        (place.generation == sock.generation).then(|| look(&mut place.held))
    }

    /// Looks at all that are not in the hands of the loop.
    pub(crate) fn each_connection(&self, mut look: impl FnMut(&Connection)) {
        for place in self.places.borrow().iter() {
            if let Held::Connection(connection) = &place.held {
                look(connection);
            }
        }
    }

    pub(crate) fn take_connection(&self, sock: Sock) -> Option<Box<Connection>> {
        self.with(sock, |held| match std::mem::replace(held, Held::Out) {
            Held::Connection(connection) => Some(connection),
            other => {
                *held = other;
                None
            }
        })?
    }

    pub(crate) fn take_listener(&self, sock: Sock) -> Option<Box<Listener>> {
        self.with(sock, |held| match std::mem::replace(held, Held::Out) {
            Held::Listener(listener) => Some(listener),
            other => {
                *held = other;
                None
            }
        })?
    }

    /// Back to the place that it was taken from.
    pub(crate) fn put_connection(&self, connection: Box<Connection>) {
        let slot = connection.sock.slot as usize;
        let held = &mut self.places.borrow_mut()[slot].held;
        debug_assert!(matches!(held, Held::Out), "it was taken from here");
        // `Out` is nothing to drop; to find that out would cost more than the rest.
        std::mem::forget(std::mem::replace(held, Held::Connection(connection)));
    }

    /// Back to the place that it was taken from.
    pub(crate) fn put_listener(&self, listener: Box<Listener>) {
        let slot = listener.sock.slot as usize;
        self.places.borrow_mut()[slot].held = Held::Listener(listener);
    }

    pub(crate) fn remove(&self, sock: Sock) {
        self.places.borrow_mut()[sock.slot as usize].held = Held::Nothing;
    }

    pub(crate) fn connections(&self) -> Vec<Sock> {
        let places = self.places.borrow();
        let sock = |place: &Place| match &place.held {
            Held::Connection(connection) => Some(connection.sock),
            _ => None,
        };
        places.iter().filter_map(sock).collect()
    }

    pub(crate) fn listeners(&self) -> Vec<Sock> {
        self.listeners.borrow().clone()
    }

    /// Tells those in the hands of the loop that a stop has begun, once they come back.
    pub(crate) fn mark_stopping(&self) {
        for place in self.places.borrow_mut().iter_mut() {
            place.stopping |= matches!(place.held, Held::Out);
        }
    }

    /// Tells this one that a stop has begun, once it is open.
    pub(crate) fn mark_one_stopping(&self, sock: Sock) {
        self.places.borrow_mut()[sock.slot as usize].stopping = true;
    }

    /// Whether a stop has begun that its connection has not been told of; true once.
    pub(crate) fn take_stopping_mark(&self, sock: Sock) -> bool {
        std::mem::take(&mut self.places.borrow_mut()[sock.slot as usize].stopping)
    }
}

/// Puts a list that was taken and worked off back as an empty one, so that the next pass need not allocate. What came
/// meanwhile stays.
pub(crate) fn reuse_buffer<T>(place: &RefCell<Vec<T>>, mut worked_off: Vec<T>) {
    worked_off.clear();
    let mut place = place.borrow_mut();
    if place.is_empty() {
        *place = worked_off;
    }
}
