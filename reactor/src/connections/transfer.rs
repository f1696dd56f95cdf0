//! Reading and writing: a share for each connection that is ready, and what waits goes out wherever the system takes it.

use std::io::{self, ErrorKind, IoSlice};

use super::{Connection, Stage};
use crate::outgoing::SLICES_MAX;
use crate::table::reuse_buffer;
use crate::transport::Ending;
use crate::{Close, Closed, EventLoop};

impl EventLoop {
    pub(super) fn serve_connection(&self, mut connection: Box<Connection>) {
        if connection.stage == Stage::Connecting {
            let result = self.0.reactor.borrow_mut().connect_result(connection.sock);
            match result {
                Ok(false) => return self.put_back(connection),
                Err(error) => return self.discard(connection, Close::Reset, Closed::Failed(error)),
                Ok(true) => {
                    connection.writable = true;
                    connection.readable = true;
                    self.open(&mut connection);
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
        while share > 0 && connection.wants_to_read(&self.0.config) {
            let received = self.0.reactor.borrow_mut().read(connection.sock, &mut scratch);
            match received {
                Ok(received) => {
                    connection.readable = !received.drained;
                    share = share.saturating_sub(received.bytes);
                    self.take_in(connection, &mut scratch[..received.bytes]);
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

    fn take_in(&self, connection: &mut Connection, bytes: &mut [u8]) {
        if connection.filter.is_some() {
            self.take_in_filtered(connection, bytes);
        } else if bytes.is_empty() {
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
        if connection.filter.is_some() {
            return self.flush_filtered(connection);
        }
        while connection.writable && connection.transport.pending_bytes() > 0 {
            match self.write_some(&connection) {
                Ok(bytes) => {
                    connection.transport.output.advance(bytes);
                    connection.transport.written_bytes += bytes as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => connection.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.lose(connection, error),
            }
        }
        let was_called = self.after_writing(&mut connection);
        if connection.transport.pending_bytes() > 0 {
            return self.put_back(connection);
        }
        match connection.transport.ending {
            // All is as it was when its wishes were last looked at, but that the output has gone.
            None if !was_called => self.0.table.put_connection(connection),
            Some(Ending::Close) => self.discard(connection, Close::Graceful, Closed::ByUs),
            Some(Ending::Linger) if connection.stage == Stage::Open => self.linger(connection),
            _ => self.put_back(connection),
        }
    }

    /// One write: of one slice, but where pieces are kept.
    fn write_some(&self, connection: &Connection) -> io::Result<usize> {
        let (output, mut reactor) = (&connection.transport.output, self.0.reactor.borrow_mut());
        if output.is_copied() {
            return reactor.write(connection.sock, &[IoSlice::new(output.front())]);
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = output.slices(&mut slices);
        reactor.write(connection.sock, &slices[..count])
    }

    /// Whether the protocol was called.
    pub(super) fn after_writing(&self, connection: &mut Connection) -> bool {
        let config = &self.0.config;
        let transport = &mut connection.transport;
        let pending = transport.pending_bytes();
        if pending == 0 {
            if self.0.table.is_crowded() {
                self.0.table.keep_buffer(transport.output.take_buffer());
            } else {
                transport.output.clear();
                transport.output.shrink_to(config.read_chunk_bytes);
            }
        } else {
            transport.output.forget_gone_above(config.output_high_bytes);
        }
        let low = transport.drained_at_bytes.unwrap_or_default().max(config.output_low_bytes);
        let has_drained = pending <= low && std::mem::take(&mut connection.above_high);
        if has_drained {
            transport.drained_at_bytes = None;
        }
        if has_drained {
            self.call(connection, |protocol, transport| protocol.drained(transport));
        }
        has_drained
    }

    pub(super) fn linger(&self, mut connection: Box<Connection>) {
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

    pub(super) fn lose(&self, connection: Box<Connection>, error: io::Error) {
        let reason = match connection.stage {
            Stage::Ending | Stage::Lingering => Closed::ByUs,
            Stage::Connecting | Stage::Opening => Closed::Failed(error),
            Stage::Open => Closed::Lost(error),
        };
        self.discard(connection, Close::Reset, reason);
    }
}
