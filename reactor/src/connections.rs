//! The loop's listeners and connections: accepting, reading, writing, ending. The one place that calls the reactor's
//! socket operations.
//!
//! Edges are reported once, so each connection remembers whether it may still be readable or writable. Whatever is
//! left to do when a turn's share is used up stays on the ready list, and the next poll does not wait.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;

use crate::event_loop::Timer;
use crate::mailbox::{ConnectionId, panic_text};
use crate::table::{Held, reuse_buffer};
use crate::timers::TimerId;
use crate::transport::Ending;
use crate::{Address, Close, Closed, Event, EventLoop, ListenOptions, Protocol, Sock, Time, Transport};

/// Makes the protocol of each accepted connection.
type Factory = Rc<RefCell<dyn FnMut(&Address) -> Box<dyn Protocol>>>;

pub(crate) struct Listener {
    pub(crate) sock: Sock,
    factory: Factory,
    readable: bool,
    /// The system is out of descriptors; this timer will end it.
    resting: Option<TimerId>,
    queued: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Open,
    /// This side's stream has ended; what comes is dropped.
    Lingering,
}

pub(crate) struct Connection {
    pub(crate) sock: Sock,
    transport: Transport,
    protocol: Box<dyn Protocol>,
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

/// A listening socket. Dropping it changes nothing; the loop closes it at its end.
#[derive(Debug)]
pub struct Listening {
    sock: Sock,
    local: Address,
}

impl Listening {
    /// Where it listens: with the port that the system chose.
    pub fn local_address(&self) -> &Address {
        &self.local
    }

    /// Takes no further connection.
    pub fn close(self, event_loop: &EventLoop) {
        event_loop.close_listener(self.sock);
    }
}

impl EventLoop {
    /// Listens, and gives each connection the protocol that `factory` makes for its peer.
    ///
    /// # Errors
    /// The system's: address in use, permission denied.
    ///
    /// # Panics
    /// When called from outside while the loop's own thread is inside a poll (only a simulation can do that); use
    /// [`call_from_thread`](EventLoop::call_from_thread) there.
    #[track_caller]
    pub fn listen<P: Protocol + 'static>(
        &self,
        at: &Address,
        options: &ListenOptions,
        mut factory: impl FnMut(&Address) -> P + 'static,
    ) -> io::Result<Listening> {
        let place = Location::caller();
        let sock = {
            let mut reactor = self.0.reactor.borrow_mut();
            reactor.at_place(place);
            reactor.listen(at, options)?
        };
        self.serve_listener(
            sock,
            Rc::new(RefCell::new(move |peer: &Address| -> Box<dyn Protocol> { Box::new(factory(peer)) })),
        )
    }

    fn serve_listener(&self, sock: Sock, factory: Factory) -> io::Result<Listening> {
        let local = self.0.reactor.borrow().local_address(sock)?;
        let listener = Listener { sock, factory, readable: false, resting: None, queued: false };
        self.0.table.hold(sock, false);
        self.0.table.put_listener(Box::new(listener));
        self.0.table.listeners.borrow_mut().push(sock);
        Ok(Listening { sock, local })
    }

    /// Connects `protocol` to `to`. How it went, the protocol is told: [`Protocol::connected`], or
    /// [`Protocol::closed`] with [`Closed::Failed`]. During a stop, [`Protocol::stopping`] follows on the connect.
    ///
    /// # Errors
    /// The system's, where it refuses even to try; the protocol is then told nothing.
    #[track_caller]
    pub fn connect(&self, to: &Address, protocol: impl Protocol + 'static) -> io::Result<()> {
        let place = Location::caller();
        let sock = {
            let mut reactor = self.0.reactor.borrow_mut();
            reactor.at_place(place);
            reactor.connect(to)?
        };
        self.adopt(sock, to.clone(), Box::new(protocol), Stage::Connecting);
        Ok(())
    }

    /// Connections that are open, being made, or ending.
    pub fn connections(&self) -> usize {
        self.0.table.connections.get()
    }

    fn adopt(&self, sock: Sock, peer: Address, protocol: Box<dyn Protocol>, stage: Stage) {
        let table = &self.0.table;
        let local = self.0.reactor.borrow().local_address(sock).unwrap_or(Address::Unix(None));
        let mut connection = Box::new(Connection {
            sock,
            transport: Transport::new(self, ConnectionId(sock), peer, local),
            protocol,
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
            self.call(&mut connection, |protocol, transport| protocol.connected(transport));
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

    fn accept_some(&self, mut listener: Box<Listener>) {
        let sock = listener.sock;
        for _ in 0..self.0.config.accepts_per_turn_max {
            if !listener.readable || listener.resting.is_some() || self.connections() >= self.0.config.connections_max {
                break;
            }
            // By what it has accepted.
            if self.is_closed(sock) {
                return;
            }
            let accepted = self.0.reactor.borrow_mut().accept(sock);
            match accepted {
                Ok((accepted, peer)) => {
                    let factory = listener.factory.clone();
                    match catch_unwind(AssertUnwindSafe(|| (factory.borrow_mut())(&peer))) {
                        Ok(protocol) => self.adopt(accepted, peer, protocol, Stage::Open),
                        Err(payload) => {
                            tracing::error!(panic = panic_text(&*payload), %peer, "a protocol factory panicked");
                            self.0.reactor.borrow_mut().close(accepted, Close::Reset);
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => listener.readable = false,
                // That client has left already; the next may be there.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let pause = self.0.config.accept_pause;
                    tracing::warn!(%error, ?pause, "cannot accept; serving what is open and trying again");
                    listener.resting = Some(self.timers().insert(self.now() + pause, Timer::Listener(sock)));
                }
            }
        }
        self.put_listener_back(listener);
    }

    fn is_closed(&self, listener: Sock) -> bool {
        !self.0.table.listeners.borrow().contains(&listener)
    }

    fn put_listener_back(&self, mut listener: Box<Listener>) {
        if self.is_closed(listener.sock) {
            return;
        }
        let room = self.connections() < self.0.config.connections_max;
        if listener.readable && listener.resting.is_none() && room && !std::mem::replace(&mut listener.queued, true) {
            self.0.table.ready.borrow_mut().push_back(listener.sock);
        }
        self.0.table.put_listener(listener);
    }

    pub(crate) fn resume_accepting(&self, sock: Sock) {
        if let Some(mut listener) = self.0.table.take_listener(sock) {
            listener.resting = None;
            self.put_listener_back(listener);
        }
    }

    fn close_listener(&self, sock: Sock) {
        if self.is_closed(sock) {
            return;
        }
        let table = &self.0.table;
        table.listeners.borrow_mut().retain(|listener| *listener != sock);
        // It may be in the hands of the loop, which then will not put it back.
        let listener = table.take_listener(sock);
        table.remove(sock);
        self.0.reactor.borrow_mut().close(sock, Close::Graceful);
        if let Some(rest) = listener.as_ref().and_then(|listener| listener.resting) {
            self.timers().cancel(rest);
        }
        drop(listener);
    }

    pub(crate) fn close_listeners(&self) {
        for sock in self.0.table.listeners() {
            self.close_listener(sock);
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
                Stage::Lingering => return self.discard(connection, Close::Reset, Closed::ByUs),
                Stage::Connecting => {
                    let error = io::Error::from(ErrorKind::TimedOut);
                    return self.discard(connection, Close::Reset, Closed::Failed(error));
                }
                Stage::Open => self.call(&mut connection, |protocol, transport| protocol.timed_out(transport)),
            }
        }
        self.put_back(connection);
    }

    fn serve_connection(&self, mut connection: Box<Connection>) {
        if connection.stage == Stage::Connecting {
            let result = self.0.reactor.borrow_mut().connect_result(connection.sock);
            match result {
                Ok(false) => return self.put_back(connection),
                Err(error) => return self.discard(connection, Close::Reset, Closed::Failed(error)),
                Ok(true) => {
                    connection.stage = Stage::Open;
                    connection.writable = true;
                    connection.readable = true;
                    self.call(&mut connection, |protocol, transport| protocol.connected(transport));
                }
            }
        }
        match self.read_some(&mut connection) {
            Ok(()) => self.put_back(connection),
            Err(error) => self.lose(connection, error),
        }
    }

    fn read_some(&self, connection: &mut Connection) -> io::Result<()> {
        let mut scratch = self.0.table.scratch.take();
        scratch.resize(self.0.config.read_chunk_bytes, 0);
        let mut share = self.0.config.read_per_turn_bytes_max;
        let mut result = Ok(());
        while share > 0 && connection.wants_to_read() {
            let received = self.0.reactor.borrow_mut().read(connection.sock, &mut scratch);
            match received {
                Ok(received) => {
                    connection.readable = !received.drained;
                    share = share.saturating_sub(received.bytes);
                    self.take_in(connection, &scratch[..received.bytes]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => connection.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        *self.0.table.scratch.borrow_mut() = scratch;
        result
    }

    fn take_in(&self, connection: &mut Connection, bytes: &[u8]) {
        if bytes.is_empty() {
            // Reading on would give the same end for ever; a later edge can only be an error.
            connection.readable = false;
            if std::mem::replace(&mut connection.ended, true) {
                return;
            }
            match connection.stage {
                Stage::Lingering => connection.transport.abort(),
                _ => self.call(connection, |protocol, transport| protocol.ended(transport)),
            }
        } else if connection.stage == Stage::Open {
            self.call(connection, |protocol, transport| protocol.received(transport, bytes));
        }
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
        if connection.stage == Stage::Open && self.0.table.take_stopping_mark(connection.sock) {
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
        if connection.wants_to_read() && !std::mem::replace(&mut connection.queued, true) {
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

    /// Writes what waits, wherever the system takes it. What protocols add meanwhile goes out in the next pass: one
    /// that always has more, to a peer that always takes it, would hold up all others.
    pub(crate) fn flush(&self) {
        let table = &self.0.table;
        let dirty = table.dirty.take();
        for id in &dirty {
            if let Some(mut connection) = table.take_connection(id.0) {
                connection.dirty = false;
                self.flush_connection(connection);
            }
        }
        reuse_buffer(&table.dirty, dirty);
    }

    fn flush_connection(&self, mut connection: Box<Connection>) {
        while connection.writable && connection.transport.pending_bytes() > 0 {
            let transport = &connection.transport;
            let slices = [IoSlice::new(&transport.output[transport.written..])];
            let written = self.0.reactor.borrow_mut().write(connection.sock, &slices);
            match written {
                Ok(bytes) => {
                    connection.transport.written += bytes;
                    connection.transport.written_bytes += bytes as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => connection.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.lose(connection, error),
            }
        }
        self.after_writing(&mut connection);
        if connection.transport.pending_bytes() > 0 {
            return self.put_back(connection);
        }
        match connection.transport.ending {
            Some(Ending::Close) => self.discard(connection, Close::Graceful, Closed::ByUs),
            Some(Ending::Linger) if connection.stage == Stage::Open => self.linger(connection),
            _ => self.put_back(connection),
        }
    }

    fn after_writing(&self, connection: &mut Connection) {
        let config = &self.0.config;
        let transport = &mut connection.transport;
        let pending = transport.pending_bytes();
        if pending == 0 {
            transport.output.clear();
            transport.written = 0;
            // An idle connection keeps no large buffer.
            if transport.output.capacity() > config.read_chunk_bytes {
                transport.output = Vec::new();
            }
        } else if transport.written > config.output_high_bytes {
            transport.output.drain(..transport.written);
            transport.written = 0;
        }
        if pending <= config.output_low_bytes && std::mem::take(&mut connection.above_high) {
            self.call(connection, |protocol, transport| protocol.drained(transport));
        }
    }

    fn linger(&self, mut connection: Box<Connection>) {
        if connection.ended {
            return self.discard(connection, Close::Graceful, Closed::ByUs);
        }
        let shut = self.0.reactor.borrow_mut().shutdown_write(connection.sock);
        if let Err(error) = shut {
            return self.lose(connection, error);
        }
        connection.stage = Stage::Lingering;
        connection.transport.deadline = Some(self.now() + self.0.config.linger_max);
        self.put_back(connection);
    }

    fn lose(&self, connection: Box<Connection>, error: io::Error) {
        let reason = match connection.stage {
            Stage::Lingering => Closed::ByUs,
            _ => Closed::Lost(error),
        };
        self.discard(connection, Close::Reset, reason);
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
        self.call(&mut connection, |protocol, _| protocol.closed(reason));
        if was_full {
            for listener in table.listeners() {
                self.look_at_listener_again(listener);
            }
        }
    }

    fn look_at_listener_again(&self, sock: Sock) {
        if let Some(listener) = self.0.table.take_listener(sock) {
            self.put_listener_back(listener);
        }
    }
}

impl Connection {
    /// What it keeps, and its protocol.
    pub(crate) fn memory(&self, note: &mut dyn FnMut(&'static str, usize)) {
        note("output", self.transport.output.capacity());
        self.protocol.memory(note);
    }

    /// What its timer is for, for people; `None` where its protocol waits for nothing.
    pub(crate) fn deadline_text(&self) -> Option<String> {
        self.transport.deadline?;
        Some(format!("the deadline of the connection with {}", self.transport.peer()))
    }

    fn wants_to_read(&self) -> bool {
        if !self.readable {
            return false;
        }
        match self.stage {
            Stage::Connecting => true,
            Stage::Open => !self.transport.paused && self.transport.ending.is_none(),
            Stage::Lingering => self.transport.ending != Some(Ending::Abort),
        }
    }

    fn wants_to_write(&self) -> bool {
        if self.stage != Stage::Open {
            return false;
        }
        let pending = self.transport.pending_bytes() > 0;
        (pending && self.writable) || (!pending && self.transport.ending.is_some())
    }
}
