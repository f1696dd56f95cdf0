//! What a protocol sees of its connection: buffers and wishes. It never touches a socket; the loop does, after the
//! protocol has returned.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;

use crate::event_loop::WeakLoop;
use crate::filter::Session;
use crate::mailbox::{ConnectionId, Notifier};
use crate::table::BUFFER_BYTES_MAX;
use crate::{Address, EventLoop, Outgoing, Time};

/// One end of a connection: what to do when bytes, room or the end come. All calls run on the loop's thread; none
/// may block.
///
/// A panic in a protocol is logged and resets its connection; the loop goes on.
pub trait Protocol {
    /// The connection is there. The first call of all.
    fn connected(&mut self, _transport: &mut Transport) {}

    /// Bytes have come, cut anywhere; never empty.
    fn received(&mut self, transport: &mut Transport, bytes: &[u8]);

    /// The peer will send nothing more (it may still read). Closes unless overridden.
    fn ended(&mut self, transport: &mut Transport) {
        transport.close();
    }

    /// The peer's stream has ended without a word of its [filter](crate::Filter): the end may be missing, and somebody on
    /// the way may have cut it off. Resets the connection unless overridden; one whose own rules tell where its messages
    /// end may take it for [`ended`](Protocol::ended).
    fn truncated(&mut self, transport: &mut Transport) {
        transport.abort();
    }

    /// The output that waits has fallen below [`LoopConfig::output_low_bytes`](crate::LoopConfig::output_low_bytes)
    /// after it had been above the high mark.
    fn drained(&mut self, _transport: &mut Transport) {}

    /// Somebody called [`Notifier::notify`]; several calls may be reported as one or as each.
    fn notified(&mut self, _transport: &mut Transport) {}

    /// The deadline of [`Transport::set_deadline`] has come; it is spent.
    fn timed_out(&mut self, transport: &mut Transport) {
        transport.abort();
    }

    /// The loop stops in an orderly way: end what can be ended. Closes unless overridden.
    fn stopping(&mut self, transport: &mut Transport) {
        transport.close();
    }

    /// Tells what this keeps in memory for its connection: a purpose, and the bytes allocated for it, used or not. For
    /// those who watch the bounds; see [`EventLoop::memory`].
    fn memory(&self, _note: &mut dyn FnMut(&'static str, usize)) {}

    /// The connection is gone. The last call of all.
    fn closed(&mut self, _reason: Closed) {}
}

/// Why a connection is gone.
#[derive(Debug)]
pub enum Closed {
    /// This side closed it; everything written was handed to the system.
    ByUs,
    /// This side reset it, or the loop did at its end.
    Aborted,
    /// The peer or the system broke it.
    Lost(io::Error),
    /// It never came to be: [`Protocol::connected`] was not called.
    Failed(io::Error),
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Closed::ByUs => f.write_str("closed by this side"),
            Closed::Aborted => f.write_str("reset by this side"),
            Closed::Lost(error) => write!(f, "connection lost: {error}"),
            Closed::Failed(error) => write!(f, "cannot connect: {error}"),
        }
    }
}

/// How a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Once the output is written.
    Close,
    /// Once the output is written and the peer has had time to read it.
    Linger,
    /// At once.
    Abort,
}

/// A protocol's connection: output, and what it wishes for.
pub struct Transport {
    id: ConnectionId,
    event_loop: WeakLoop,
    peer: Address,
    local: Address,
    output_high_bytes: usize,
    pub(crate) now: Time,
    pub(crate) output: Outgoing,
    /// Where [`Protocol::drained`] is called once, before the usual mark.
    pub(crate) drained_at_bytes: Option<usize>,
    pub(crate) written_bytes: u64,
    pub(crate) paused: bool,
    pub(crate) ending: Option<Ending>,
    pub(crate) deadline: Option<Time>,
    pub(crate) session: Option<Session>,
}

impl Transport {
    pub(crate) fn new(event_loop: &EventLoop, id: ConnectionId, peer: Address, local: Address) -> Transport {
        Transport {
            id,
            event_loop: event_loop.downgrade(),
            peer,
            local,
            output_high_bytes: event_loop.config().output_high_bytes,
            now: event_loop.now(),
            output: Outgoing::new(),
            drained_at_bytes: None,
            written_bytes: 0,
            paused: false,
            ending: None,
            deadline: None,
            session: None,
        }
    }

    /// Queues `bytes` behind what was written before. Dropped after [`close`](Transport::close) or
    /// [`abort`](Transport::abort). Nothing bounds the queue but the caller: see
    /// [`is_full`](Transport::is_full).
    pub fn write(&mut self, bytes: &[u8]) {
        if self.ending.is_none() {
            self.output.copy(bytes);
        }
    }

    /// As [`write`](Transport::write), and leaves `bytes` empty; the two buffers change places where that spares
    /// copying.
    pub fn write_vec(&mut self, bytes: &mut Vec<u8>) {
        match self.ending {
            None => self.output.append_vec(bytes),
            Some(_) => bytes.clear(),
        }
    }

    /// As [`write`](Transport::write), without copying: `bytes` are kept until the system has taken them. For pieces of
    /// some KiB and more; a copy of less is cheaper.
    pub fn write_shared(&mut self, bytes: Bytes) {
        if self.ending.is_none() {
            self.output.keep(bytes);
        }
    }

    /// An empty buffer that a connection of this loop has [left](Transport::keep_buffer), or has been written; else a new
    /// one. Who takes it when there is something for it, and leaves it when there is not, keeps idle connections small.
    pub fn spare_buffer(&self) -> Vec<u8> {
        self.event_loop().0.table.spare_buffer()
    }

    /// Leaves an empty buffer to whichever connection needs one next, if there are so many that idle ones are to have
    /// none, or if it is a large one. It is taken out with `buffer` only then.
    pub fn keep_buffer(&self, capacity: usize, buffer: impl FnOnce() -> Vec<u8>) {
        let event_loop = self.event_loop();
        let table = &event_loop.0.table;
        if capacity > 0 && (table.is_crowded() || capacity > BUFFER_BYTES_MAX) {
            table.keep_buffer(buffer());
        }
    }

    /// Has `notifier` call for this connection instead of another one of the same loop, and says whether it was one of
    /// the same: cheaper than a new one, which is counted where all threads count.
    pub fn redirect(&self, notifier: &mut Notifier) -> bool {
        notifier.redirect(self.event_loop().remote(), self.id)
    }

    /// Bytes that wait to be written.
    pub fn pending_bytes(&self) -> usize {
        self.output.len()
    }

    /// Bytes that the system has taken so far.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Whether more waits than [`LoopConfig::output_high_bytes`](crate::LoopConfig::output_high_bytes): hold back
    /// until [`Protocol::drained`].
    pub fn is_full(&self) -> bool {
        self.pending_bytes() > self.output_high_bytes
    }

    /// Calls [`Protocol::drained`] as soon as no more than `bytes` wait: once, and sooner than at the low mark. For who has
    /// queued much at once, more than makes it [full](Transport::is_full).
    pub fn call_drained_at(&mut self, bytes: usize) {
        self.drained_at_bytes = Some(bytes);
    }

    /// Reads nothing from the peer until [`resume_reading`](Transport::resume_reading): it will be slowed down. What a
    /// [filter](crate::Filter) has read already may still come.
    pub fn pause_reading(&mut self) {
        self.paused = true;
    }

    /// Reads again.
    pub fn resume_reading(&mut self) {
        self.paused = false;
    }

    /// Ends the connection once everything written is with the system.
    pub fn close(&mut self) {
        self.ending.get_or_insert(Ending::Close);
    }

    /// As [`close`](Transport::close), but first ends this side's stream and reads on for
    /// [`LoopConfig::linger_max`](crate::LoopConfig::linger_max) at the most, dropping what comes: so that a peer
    /// that is still sending sees the answer and not a reset (RFC 9112 section 9.6).
    pub fn close_lingering(&mut self) {
        self.ending.get_or_insert(Ending::Linger);
    }

    /// Resets the connection at once; what waits is dropped.
    pub fn abort(&mut self) {
        self.ending = Some(Ending::Abort);
    }

    /// Whether the connection is about to end.
    pub fn is_closing(&self) -> bool {
        self.ending.is_some()
    }

    /// Calls [`Protocol::timed_out`] at `deadline`, instead of any deadline set before; `None`: never. Cheap: moving
    /// a deadline further away costs two stores.
    pub fn set_deadline(&mut self, deadline: Option<Time>) {
        self.deadline = deadline;
    }

    /// [`set_deadline`](Transport::set_deadline), counted from now.
    pub fn set_timeout(&mut self, after: Duration) {
        self.set_deadline(Some(self.now() + after));
    }

    /// The time of this turn.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Address {
        &self.peer
    }

    /// The address of this end.
    pub fn local(&self) -> &Address {
        &self.local
    }

    /// What its [filter](crate::Filter) and the peer have agreed upon; `None` without a filter.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// With it any thread can call for [`Protocol::notified`].
    pub fn notifier(&self) -> Notifier {
        Notifier::new(self.event_loop().remote().clone(), self.id)
    }

    /// The loop this runs on.
    pub fn event_loop(&self) -> EventLoop {
        self.event_loop.upgrade().expect("protocols are called by their loop only")
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("peer", &self.peer)
            .field("pending_bytes", &self.pending_bytes())
            .field("ending", &self.ending)
            .finish_non_exhaustive()
    }
}
