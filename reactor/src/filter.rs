//! What stands between a connection's socket and its protocol: ciphers, for example. No sockets and no clock here, and
//! nothing about any cipher.
//!
//! ```text
//!   socket ──wire──► Filter::receive ──plain──► Protocol
//!   socket ◄──wire── Filter::send    ◄──plain── Transport
//! ```

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::mailbox::panic_text;
use crate::{Closed, EventLoop, Transport};

/// What a filter and the peer have agreed upon; see [`Transport::session`].
pub type Session = Arc<dyn Any + Send + Sync>;

/// Turns the bytes of the wire into those of the protocol, and back. All calls run on the loop's thread; none may block.
///
/// The connection's protocol knows nothing of it. It is [connected](crate::Protocol::connected) once the filter is
/// [open](Passed::Opened), and until then it is not called. A filter that panics has failed.
pub trait Filter {
    /// The connection is there: adds to `wire` what goes out first, if this side begins.
    fn begin(&mut self, wire: &mut Vec<u8>) {
        let _ = wire;
    }

    /// Takes in bytes of the wire, cut anywhere, never empty; `bytes` may be worked on in place. Tells `pass` what it makes
    /// of them, in order, and adds to `reply` what the peer is to be sent in return. Keeps no more than one unit of its
    /// own format that is not complete.
    ///
    /// # Errors
    /// The peer breaks the rules: nothing more is received or sent, but `reply` still goes out.
    fn receive(
        &mut self,
        bytes: &mut [u8],
        reply: &mut Vec<u8>,
        pass: &mut dyn FnMut(Passed<'_>),
    ) -> Result<(), io::Error>;

    /// Adds to `wire` what carries `plain`. Called once it is open, until [`end`](Filter::end).
    ///
    /// # Errors
    /// It can send no more; what is in `wire` still goes out.
    fn send(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), io::Error>;

    /// Adds to `wire` what tells the peer that nothing more will come.
    fn end(&mut self, wire: &mut Vec<u8>) {
        let _ = wire;
    }

    /// The bytes it keeps in memory, used or not.
    fn memory_bytes(&self) -> usize {
        0
    }
}

/// What a filter makes of the bytes that came.
pub enum Passed<'a> {
    /// Both sides are ready: from now on plain bytes can go both ways. To be told once, before all else.
    Opened(Option<Session>),
    /// Plain bytes for the protocol; never empty.
    Bytes(&'a [u8]),
    /// The peer has said that it will send nothing more.
    Ended,
}

impl fmt::Debug for Passed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Passed::Opened(_) => f.write_str("Opened"),
            Passed::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Passed::Ended => f.write_str("Ended"),
        }
    }
}

/// The filters of a listener's connections; see [`EventLoop::listen_filtered`].
pub struct Filters {
    make: Box<Make>,
    open_max: Duration,
}

type Make = dyn Fn(&EventLoop) -> Box<dyn Filter>;

impl Filters {
    /// Each connection gets the filter that `make` makes, which has to open within `open_max`.
    pub fn new<F: Filter + 'static>(open_max: Duration, make: impl Fn(&EventLoop) -> F + 'static) -> Filters {
        Filters { make: Box::new(move |event_loop| Box::new(make(event_loop))), open_max }
    }

    pub(crate) fn one(&self, event_loop: &EventLoop) -> Box<Filtered> {
        Box::new(Filtered::new((self.make)(event_loop), self.open_max))
    }
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filters").field("open_max", &self.open_max).finish_non_exhaustive()
    }
}

/// A connection's filter, and what waits between it and the socket.
pub(crate) struct Filtered {
    filter: Box<dyn Filter>,
    pub(crate) open_max: Duration,
    wire: Vec<u8>,
    /// Bytes at the start of `wire` that are written already.
    written: usize,
    /// Bytes at the start of the transport's waiting output that are in `wire`. They count as waiting until the system
    /// has taken them.
    in_wire: usize,
    /// This side has said that nothing more will come.
    pub(crate) ended: bool,
    /// The peer has said so.
    pub(crate) peer_ended: bool,
    /// What the protocol is to be told at the end.
    pub(crate) failure: Option<Closed>,
}

impl Filtered {
    pub(crate) fn new(filter: Box<dyn Filter>, open_max: Duration) -> Filtered {
        Filtered {
            filter,
            open_max,
            wire: Vec::new(),
            written: 0,
            in_wire: 0,
            ended: false,
            peer_ended: false,
            failure: None,
        }
    }

    pub(crate) fn begin(&mut self) -> Result<(), io::Error> {
        guarded(|| {
            self.filter.begin(&mut self.wire);
            Ok(())
        })
    }

    pub(crate) fn receive(&mut self, bytes: &mut [u8], pass: &mut dyn FnMut(Passed<'_>)) -> Result<(), io::Error> {
        guarded(|| self.filter.receive(bytes, &mut self.wire, pass))
    }

    /// Moves up to `bytes_max` of the transport's output into an empty wire.
    pub(crate) fn send_some(&mut self, transport: &mut Transport, bytes_max: usize) -> Result<(), io::Error> {
        debug_assert!(self.pending_bytes() == 0 && self.in_wire == 0, "the last piece has gone out");
        let mut gathered = Vec::new();
        let piece = transport.output.gather(bytes_max.max(1), &mut gathered);
        self.in_wire = piece.len();
        let outcome = guarded(|| self.filter.send(piece, &mut self.wire));
        if self.pending_bytes() == 0 {
            // It keeps that for itself.
            self.wrote(0, transport);
        }
        outcome
    }

    pub(crate) fn end(&mut self) -> Result<(), io::Error> {
        self.ended = true;
        guarded(|| {
            self.filter.end(&mut self.wire);
            Ok(())
        })
    }

    /// Bytes that wait for the socket.
    pub(crate) fn waiting(&self) -> &[u8] {
        &self.wire[self.written..]
    }

    pub(crate) fn pending_bytes(&self) -> usize {
        self.wire.len() - self.written
    }

    /// The system has taken this many; the transport's count follows.
    pub(crate) fn wrote(&mut self, bytes: usize, transport: &mut Transport) {
        self.written += bytes;
        let plain = if self.pending_bytes() == 0 {
            self.wire.clear();
            self.written = 0;
            self.in_wire
        } else {
            // How much of it each byte of the wire carries is the filter's affair. It is not all out while some waits.
            bytes.min(self.in_wire.saturating_sub(1))
        };
        self.in_wire -= plain;
        transport.output.advance(plain);
        transport.written_bytes += plain as u64;
    }

    /// Nothing more of the transport's output is sent.
    pub(crate) fn drop_output(&mut self) {
        self.in_wire = 0;
    }

    /// Gives back a buffer that is empty and larger than this.
    pub(crate) fn shrink(&mut self, bytes_max: usize) {
        if self.wire.is_empty() && self.wire.capacity() > bytes_max {
            self.wire = Vec::new();
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.wire.capacity() + self.filter.memory_bytes()
    }
}

/// Runs a filter: a panic is logged, and is a failure.
fn guarded(run: impl FnOnce() -> Result<(), io::Error>) -> Result<(), io::Error> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        tracing::error!(panic = panic_text(&*payload), "a filter panicked; its connection is ended");
        Err(io::Error::other("the filter panicked"))
    })
}
