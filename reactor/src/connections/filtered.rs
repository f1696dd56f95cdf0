//! Connections with a filter: opening, reading and writing through it, and its last words.
//!
//! ```text
//!   opening ──opened──► open ──close──► ending ──► lingering, or closed
//!      └────────────── failed ────────────┘
//! ```

use std::io::{self, ErrorKind, IoSlice};
use std::time::Duration;

use super::{Connection, Stage};
use crate::filter::{Filtered, Passed};
use crate::transport::Ending;
use crate::{Address, Close, Closed, EventLoop, Filter, Outgoing, Protocol};

impl EventLoop {
    /// As [`connect`](EventLoop::connect), through `filter`, which has to open within `open_max` from the moment that the
    /// connection is there.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn connect_filtered(
        &self,
        to: &Address,
        filter: impl Filter + 'static,
        open_max: Duration,
        protocol: impl Protocol + 'static,
    ) -> io::Result<()> {
        self.dial(to, Some(Box::new(Filtered::new(Box::new(filter), open_max))), Box::new(protocol))
    }

    /// The connection is there; its filter, if it has one, begins.
    pub(super) fn open(&self, connection: &mut Connection) {
        match &mut connection.filter {
            None => {
                connection.stage = Stage::Open;
                self.call(connection, |protocol, transport| protocol.connected(transport));
            }
            Some(filter) => {
                connection.stage = Stage::Opening;
                connection.transport.deadline = Some(self.now() + filter.open_max);
                if let Err(error) = filter.begin() {
                    self.fail(connection, error);
                }
            }
        }
    }

    pub(super) fn take_in_filtered(&self, connection: &mut Connection, bytes: &mut [u8]) {
        if bytes.is_empty() {
            return self.take_in_end(connection);
        }
        if !matches!(connection.stage, Stage::Opening | Stage::Open) {
            return;
        }
        // Out of the connection while the protocol is called; it has no use for it.
        let Some(mut filter) = connection.filter.take() else { return };
        let mut peer_ended = filter.peer_ended;
        let outcome = filter.receive(bytes, &mut |passed| {
            if connection.transport.ending.is_some() {
                return;
            }
            match passed {
                Passed::Opened(session) => {
                    connection.stage = Stage::Open;
                    connection.transport.session = session;
                    connection.transport.deadline = None;
                    self.call(connection, |protocol, transport| protocol.connected(transport));
                }
                Passed::Bytes(bytes) => {
                    self.call(connection, |protocol, transport| protocol.received(transport, bytes))
                }
                Passed::Ended if !std::mem::replace(&mut peer_ended, true) => {
                    self.call(connection, |protocol, transport| protocol.ended(transport));
                }
                Passed::Ended => {}
            }
        });
        filter.peer_ended = peer_ended;
        connection.filter = Some(filter);
        if let Err(error) = outcome {
            self.fail(connection, error);
        }
    }

    /// The peer's stream has ended, with or without a word of its filter.
    fn take_in_end(&self, connection: &mut Connection) {
        connection.readable = false;
        if std::mem::replace(&mut connection.ended, true) {
            return;
        }
        match connection.stage {
            Stage::Lingering => connection.transport.abort(),
            Stage::Opening => self.fail(
                connection,
                io::Error::new(ErrorKind::UnexpectedEof, "the peer left while the connection was opened"),
            ),
            Stage::Open if connection.filter.as_ref().is_some_and(|filter| !filter.peer_ended) => {
                self.call(connection, |protocol, transport| protocol.truncated(transport));
            }
            _ => {}
        }
    }

    /// The filter can do no more. What it had to say about that still goes out; what the protocol had does not.
    fn fail(&self, connection: &mut Connection, error: io::Error) {
        let Some(filter) = &mut connection.filter else { return };
        let is_open = connection.stage == Stage::Open;
        tracing::debug!(peer = %connection.transport.peer(), %error, is_open, "a connection's filter has failed");
        filter.failure = Some(if is_open { Closed::Lost(error) } else { Closed::Failed(error) });
        filter.ended = true;
        filter.drop_output();
        // A peer that is still sending is to see the reason and not a reset.
        if connection.transport.ending != Some(Ending::Abort) {
            connection.transport.ending = Some(Ending::Linger);
        }
        self.begin_ending(connection);
    }

    /// From here on the protocol hears no more but that it is closed.
    fn begin_ending(&self, connection: &mut Connection) {
        connection.stage = Stage::Ending;
        connection.transport.output = Outgoing::new();
        connection.transport.deadline = Some(self.now() + self.0.config.linger_max);
    }

    pub(super) fn flush_filtered(&self, mut connection: Box<Connection>) {
        if let Err(error) = self.write_filtered(&mut connection) {
            return self.lose(connection, error);
        }
        if connection.stage == Stage::Open {
            self.after_writing(&mut connection);
        }
        let Connection { filter: Some(filter), transport, stage, .. } = &mut *connection else { return };
        filter.shrink(self.0.config.read_chunk_bytes);
        let is_over = *stage == Stage::Ending && filter.pending_bytes() == 0;
        match transport.ending {
            Some(Ending::Close) if is_over => self.discard(connection, Close::Graceful, Closed::ByUs),
            Some(Ending::Linger) if is_over => self.linger(connection),
            _ => self.put_back(connection),
        }
    }

    /// Writes as much as the system takes; at the end of the output, the filter's last words.
    fn write_filtered(&self, connection: &mut Connection) -> io::Result<()> {
        loop {
            let Connection { filter: Some(filter), transport, .. } = connection else { return Ok(()) };
            if filter.pending_bytes() == 0 {
                let is_ending = matches!(transport.ending, Some(Ending::Close | Ending::Linger));
                let outcome = if connection.stage != Stage::Open {
                    return Ok(());
                } else if transport.pending_bytes() > 0 {
                    filter.send_some(transport, self.0.config.filter_chunk_bytes)
                } else if is_ending {
                    let outcome = filter.end();
                    self.begin_ending(connection);
                    outcome
                } else {
                    return Ok(());
                };
                if let Err(error) = outcome {
                    self.fail(connection, error);
                }
                continue;
            }
            if !connection.writable {
                return Ok(());
            }
            let slices = [IoSlice::new(filter.waiting())];
            let written = self.0.reactor.borrow_mut().write(connection.sock, &slices);
            match written {
                Ok(bytes) => filter.wrote(bytes, transport),
                Err(error) if error.kind() == ErrorKind::WouldBlock => connection.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Connection {
    /// Whether its filter has so much to write that nothing more is to be read: each reply has its cause.
    pub(super) fn is_choked(&self, chunk_bytes: usize) -> bool {
        self.filter.as_ref().is_some_and(|filter| filter.pending_bytes() > 2 * chunk_bytes)
    }

    pub(super) fn filter_wants_to_write(&self, filter: &Filtered) -> bool {
        match self.stage {
            _ if filter.pending_bytes() > 0 => {
                self.writable && !matches!(self.stage, Stage::Connecting | Stage::Lingering)
            }
            Stage::Open => match self.transport.pending_bytes() {
                0 => self.transport.ending.is_some(),
                _ => self.writable,
            },
            // All is said: what is left is to close.
            Stage::Ending => true,
            _ => false,
        }
    }
}
