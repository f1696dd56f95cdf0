//! The loop's listeners and connections: accepting, reading, writing, ending. The one place that calls the reactor's
//! socket operations.
//!
//! Edges are reported once, so each connection remembers whether it may still be readable or writable. Whatever is
//! left to do when a turn's share is used up stays on the ready list, and the next poll does not wait.
//!
//! Here: what a connection is, what it is told, and how it comes and goes.

mod accept;
mod filtered;
mod transfer;

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};

pub use self::accept::Listening;

pub(crate) use self::accept::Listener;
use crate::event_loop::Timer;
use crate::filter::Filtered;
use crate::mailbox::{ConnectionId, panic_text};
use crate::table::Held;
use crate::timers::TimerId;
use crate::transport::Ending;
use crate::{Address, Close, Closed, Event, EventLoop, LoopConfig, Protocol, Sock, Time, Transport};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    /// Its filter is not open yet, and its protocol has not been called.
    Opening,
    Open,
    /// Its filter's last words go out.
    Ending,
    /// This side's stream has ended; what comes is dropped.
    Lingering,
}

pub(crate) struct Connection {
    pub(crate) sock: Sock,
    transport: Transport,
    protocol: Box<dyn Protocol>,
    /// Between the socket and all that the transport knows.
    filter: Option<Box<Filtered>>,
    stage: Stage,
    readable: bool,
    writable: bool,
    /// The peer's stream has ended.
    ended: bool,
    above_high: bool,
    /// On the ready list.
    queued: bool,
    /// On the dirty list.
    dirty: bool,
    timer: Option<(TimerId, Time)>,
}

impl EventLoop {
    /// Connects `protocol` to `to`. How it went, the protocol is told: [`Protocol::connected`], or
    /// [`Protocol::closed`] with [`Closed::Failed`]. During a stop, [`Protocol::stopping`] follows on the connect.
    ///
    /// # Errors
    /// The system's, where it refuses even to try; the protocol is then told nothing.
    #[track_caller]
    pub fn connect(&self, to: &Address, protocol: impl Protocol + 'static) -> io::Result<()> {
        self.dial(to, None, Box::new(protocol))
    }

    #[track_caller]
    fn dial(&self, to: &Address, filter: Option<Box<Filtered>>, protocol: Box<dyn Protocol>) -> io::Result<()> {
        let place = Location::caller();
        let sock = {
            let mut reactor = self.0.reactor.borrow_mut();
            reactor.at_place(place);
            reactor.connect(to)?
        };
        self.adopt(sock, to.clone(), protocol, filter, Stage::Connecting);
        Ok(())
    }

    /// Connections that are open, being made, or ending.
    pub fn connections(&self) -> usize {
        self.0.table.connections.get()
    }

    fn adopt(
        &self,
        sock: Sock,
        peer: Address,
        protocol: Box<dyn Protocol>,
        filter: Option<Box<Filtered>>,
        stage: Stage,
    ) {
        let table = &self.0.table;
        let local = self.0.reactor.borrow().local_address(sock).unwrap_or(Address::Unix(None));
        let mut connection = Box::new(Connection {
            sock,
            transport: Transport::new(self, ConnectionId(sock), peer, local),
            protocol,
            filter,
            stage,
            readable: false,
            writable: stage == Stage::Open,
            ended: false,
            above_high: false,
            queued: false,
            dirty: false,
            timer: None,
        });
        table.connections.set(table.connections.get() + 1);
        table.hold(sock, self.is_stopping());
        if stage == Stage::Open {
            // The peer may have sent already; reading early spares a poll, and the edge if it came before us.
            connection.readable = true;
            self.open(&mut connection);
        }
        self.put_back(connection);
    }

    pub(crate) fn note_event(&self, event: Event) {
        let table = &self.0.table;
        let is_new = table.with(event.sock, |held| {
            let queued = match held {
                Held::Connection(connection) => {
                    connection.readable |= event.readable;
                    connection.writable |= event.writable;
                    &mut connection.queued
                }
                Held::Listener(listener) => {
                    listener.readable |= event.readable;
                    &mut listener.queued
                }
                Held::Out | Held::Nothing => return false,
            };
            !std::mem::replace(queued, true)
        });
        // `None`: closed since, an event of the past.
        if is_new == Some(true) {
            table.ready.borrow_mut().push_back(event.sock);
        }
    }

    /// Gives each that is ready one share of this turn.
    pub(crate) fn serve_ready(&self) {
        let table = &self.0.table;
        let shares = table.ready.borrow().len();
        for _ in 0..shares {
            let Some(sock) = table.ready.borrow_mut().pop_front() else { return };
            if let Some(mut connection) = table.take_connection(sock) {
                connection.queued = false;
                self.serve_connection(connection);
            } else if let Some(mut listener) = table.take_listener(sock) {
                listener.queued = false;
                self.accept_some(listener);
            }
        }
    }

    pub(crate) fn tell_stopping(&self) {
        // The stop may come from within a connection's own callback.
        self.0.table.mark_stopping();
        for sock in self.0.table.connections() {
            if let Some(mut connection) = self.0.table.take_connection(sock) {
                if connection.stage == Stage::Open {
                    self.call(&mut connection, |protocol, transport| protocol.stopping(transport));
                } else if connection.stage == Stage::Connecting {
                    connection.transport.abort();
                } else if connection.stage == Stage::Opening {
                    // It may bring a request along, but nobody waits long for who says nothing.
                    self.0.table.mark_one_stopping(sock);
                    let soon = self.now() + self.0.config.linger_max;
                    let deadline = connection.transport.deadline.map_or(soon, |deadline| deadline.min(soon));
                    connection.transport.deadline = Some(deadline);
                }
                self.put_back(connection);
            }
        }
    }

    pub(crate) fn abort_connections(&self) {
        for sock in self.0.table.connections() {
            if let Some(connection) = self.0.table.take_connection(sock) {
                self.discard(connection, Close::Reset, Closed::Aborted);
            }
        }
    }

    pub(crate) fn notify(&self, id: ConnectionId) {
        if let Some(mut connection) = self.0.table.take_connection(id.0) {
            if connection.stage == Stage::Open {
                self.call(&mut connection, |protocol, transport| protocol.notified(transport));
            }
            self.put_back(connection);
        }
    }

    pub(crate) fn connection_timer(&self, id: ConnectionId) {
        let Some(mut connection) = self.0.table.take_connection(id.0) else { return };
        connection.timer = None;
        // The deadline has moved since the timer was set: `put_back` sets it anew.
        let due = connection.transport.deadline.is_some_and(|deadline| deadline <= self.now());
        if due {
            connection.transport.deadline = None;
            match connection.stage {
                Stage::Ending | Stage::Lingering => return self.discard(connection, Close::Reset, Closed::ByUs),
                Stage::Connecting | Stage::Opening => {
                    let error = io::Error::from(ErrorKind::TimedOut);
                    return self.discard(connection, Close::Reset, Closed::Failed(error));
                }
                Stage::Open => self.call(&mut connection, |protocol, transport| protocol.timed_out(transport)),
            }
        }
        self.put_back(connection);
    }

    /// Calls the protocol. A panic resets the connection.
    fn call(&self, connection: &mut Connection, act: impl FnOnce(&mut dyn Protocol, &mut Transport)) {
        connection.transport.now = self.now();
        let Connection { protocol, transport, .. } = connection;
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| act(&mut **protocol, transport))) {
            tracing::error!(panic = panic_text(&*payload), peer = %transport.peer(), "a protocol panicked; its connection is reset");
            transport.abort();
        }
        // Noted here and not when writing fails: the socket may be full already, and nothing is written at all.
        connection.above_high |= connection.transport.is_full();
    }

    /// Back into the table, after its wishes have been looked at.
    fn put_back(&self, mut connection: Box<Connection>) {
        // One that is being made is told once it is open.
        let may_be_told = self.is_stopping() && connection.stage == Stage::Open;
        if may_be_told && self.0.table.take_stopping_mark(connection.sock) {
            self.call(&mut connection, |protocol, transport| protocol.stopping(transport));
        }
        if connection.transport.ending == Some(Ending::Abort) {
            let graceful = connection.stage == Stage::Lingering && connection.ended;
            let (how, reason) =
                if graceful { (Close::Graceful, Closed::ByUs) } else { (Close::Reset, Closed::Aborted) };
            return self.discard(connection, how, reason);
        }
        self.arm(&mut connection);
        let sock = connection.sock;
        let table = &self.0.table;
        if connection.wants_to_write() && !std::mem::replace(&mut connection.dirty, true) {
            table.dirty.borrow_mut().push(ConnectionId(sock));
        }
        if connection.wants_to_read(&self.0.config) && !std::mem::replace(&mut connection.queued, true) {
            table.ready.borrow_mut().push_back(sock);
        }
        table.put_connection(connection);
    }

    /// One timer a connection at the most. A deadline that moves away leaves it alone: it fires early, and is set anew.
    fn arm(&self, connection: &mut Connection) {
        let Some(deadline) = connection.transport.deadline else { return };
        match connection.timer {
            Some((_, armed)) if armed <= deadline => {}
            Some((timer, _)) => {
                self.timers().reset(timer, deadline);
                connection.timer = Some((timer, deadline));
            }
            None => {
                let timer = self.timers().insert(deadline, Timer::Connection(ConnectionId(connection.sock)));
                connection.timer = Some((timer, deadline));
            }
        }
    }

    fn discard(&self, mut connection: Box<Connection>, how: Close, reason: Closed) {
        let table = &self.0.table;
        if let Some((timer, _)) = connection.timer {
            self.timers().cancel(timer);
        }
        table.remove(connection.sock);
        self.0.reactor.borrow_mut().close(connection.sock, how);
        let was_full = self.connections() >= self.0.config.connections_max;
        table.connections.set(table.connections.get() - 1);
        connection.transport.ending = Some(Ending::Abort);
        let failure = connection.filter.as_mut().and_then(|filter| filter.failure.take());
        let reason = failure.unwrap_or(reason);
        self.call(&mut connection, |protocol, _| protocol.closed(reason));
        if was_full {
            for listener in table.listeners() {
                self.look_at_listener_again(listener);
            }
        }
    }
}

impl Connection {
    /// What it keeps, and its protocol.
    pub(crate) fn memory(&self, note: &mut dyn FnMut(&'static str, usize)) {
        note("output", self.transport.output.memory_bytes());
        if let Some(filter) = &self.filter {
            note("filter", filter.memory_bytes());
        }
        self.protocol.memory(note);
    }

    /// What its timer is for, for people; `None` where its protocol waits for nothing.
    pub(crate) fn deadline_text(&self) -> Option<String> {
        self.transport.deadline?;
        Some(format!("the deadline of the connection with {}", self.transport.peer()))
    }

    fn wants_to_read(&self, config: &LoopConfig) -> bool {
        if !self.readable || self.is_choked(config.filter_chunk_bytes) {
            return false;
        }
        match self.stage {
            Stage::Connecting => true,
            Stage::Opening => self.transport.ending.is_none(),
            Stage::Ending => false,
            Stage::Open => !self.transport.paused && self.transport.ending.is_none(),
            Stage::Lingering => self.transport.ending != Some(Ending::Abort),
        }
    }

    fn wants_to_write(&self) -> bool {
        if let Some(filter) = &self.filter {
            return self.filter_wants_to_write(filter);
        }
        if self.stage != Stage::Open {
            return false;
        }
        let pending = self.transport.pending_bytes() > 0;
        (pending && self.writable) || (!pending && self.transport.ending.is_some())
    }
}
