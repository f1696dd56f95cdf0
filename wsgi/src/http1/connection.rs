//! The receiving half of a connection, and the states of the whole.

mod buffers;

use std::sync::Arc;
use std::time::SystemTime;

use handwound_reactor::Time;

use super::chunked::{Chunked, Decoded};
use super::config::Config;
use super::date::OwnLines;
use super::head::HeadParser;
use super::rejection::Rejection;
use super::request::{RequestHead, Version};
use super::scan::{HeadScan, Seen};
use super::send::Sent;
use super::timing::Timing;

/// One HTTP/1.1 connection, the server's side of it. See the [module](super) for its course.
pub struct Connection {
    pub(super) config: Arc<Config>,
    /// Received and not yet used: `input[used..]`.
    pub(super) input: Vec<u8>,
    used: usize,
    pub(super) receiving: Receiving,
    pub(super) sending: Sending,
    pub(super) sent: Sent,
    pub(super) closing: Option<Closing>,
    pub(super) output: Vec<u8>,
    pub(super) own_lines: OwnLines,
    pub(super) request: RequestFacts,
    pub(super) requests: u64,
    pub(super) stopping: bool,
    /// While it is stopping: until then one more request may begin.
    last_request_by: Option<Time>,
    pub(super) peer_ended: bool,
    scan: HeadScan,
    head: HeadParser,
    pub(super) spare: Option<Box<RequestHead>>,
    /// A refusal that was found outside `poll_event`, which will report it.
    pending: Option<Rejection>,
    timing: Timing,
    #[cfg(test)]
    pub(super) bytes_scanned: u64,
    #[cfg(test)]
    pub(super) bytes_moved: u64,
}

/// What happened on the connection, in order.
#[derive(Debug)]
pub enum Event<'a> {
    /// A request begins. Its framing is valid and within the limits.
    Head(Box<RequestHead>),
    /// More of its body, decoded. Never empty.
    Body(&'a [u8]),
    /// Its body is complete. No other request is reported before this one has been answered.
    End,
    /// What came is refused, be it a new request or the one that was under way: drop that one and do not answer it.
    /// It is answered already, and nothing follows.
    Rejected(Rejection),
}

/// How the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Send what is in the output, then close. With `linger`, the peer may still be sending, and a plain close could
    /// destroy the response on its way: shut down the sending side, then read and discard for a while (RFC 9112
    /// section 9.6).
    AfterOutput {
        /// Whether to read on for a while.
        linger: bool,
    },
    /// Reset the connection at once: a response broke off, and its end must not look like one.
    Abort,
}

/// What the next input byte belongs to.
#[derive(Debug)]
pub(super) enum Receiving {
    Head,
    /// This many bytes of a body of known length.
    Counted(u64),
    Chunked(Chunked),
    /// To nothing: the request is complete, which has to be reported.
    End,
    /// To the next request, after the response to this one.
    Waiting,
    /// It is dropped unread.
    Discarding,
}

/// What the response under way may still send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// No head has been sent.
    Nothing,
    Counted {
        left: u64,
    },
    Chunked,
    UntilClose,
    /// The response has no body, whatever the application gives (RFC 9110 section 6.4.1).
    NoBody,
}

/// What of the request's head the response depends on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RequestFacts {
    pub(super) version: Version,
    pub(super) is_head: bool,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
}

impl Connection {
    /// A connection that was accepted at `now`.
    pub fn new(config: Arc<Config>, now: Time) -> Connection {
        Connection::with_lines(config, OwnLines::new(), now)
    }

    /// As [`new`](Self::new), with the lines of other connections of the same configuration.
    pub(crate) fn with_lines(config: Arc<Config>, own_lines: OwnLines, now: Time) -> Connection {
        Connection {
            config,
            input: Vec::new(),
            used: 0,
            receiving: Receiving::Head,
            sending: Sending::Nothing,
            sent: Sent::default(),
            closing: None,
            output: Vec::new(),
            own_lines,
            request: RequestFacts::default(),
            requests: 0,
            stopping: false,
            last_request_by: None,
            peer_ended: false,
            scan: HeadScan::default(),
            head: HeadParser::default(),
            spare: None,
            pending: None,
            timing: Timing::new(now),
            #[cfg(test)]
            bytes_scanned: 0,
            #[cfg(test)]
            bytes_moved: 0,
        }
    }

    /// Takes what was read from the peer, all of it. Poll events afterwards, until there are none.
    ///
    /// What comes after the connection was decided to close is dropped.
    pub fn receive(&mut self, bytes: &[u8], now: Time) {
        self.timing.now = now;
        if bytes.is_empty() || self.is_deaf() {
            return;
        }
        match self.receiving {
            Receiving::Head => self.timing.head_since = self.timing.head_since.or(Some(now)),
            Receiving::Counted(_) | Receiving::Chunked(_) => {
                self.timing.body_received(bytes.len());
            }
            _ => {}
        }
        // Moves only what is not more than what it frees: each byte is moved once on average, however it is cut.
        let unused = self.input.len() - self.used;
        if self.used >= unused {
            #[cfg(test)]
            {
                self.bytes_moved += unused as u64;
            }
            self.input.copy_within(self.used.., 0);
            self.input.truncate(unused);
            self.used = 0;
        }
        self.input.extend_from_slice(bytes);
    }

    /// The peer has sent its last byte. What is complete is still answered. Poll events afterwards.
    pub fn receive_end(&mut self, now: Time) {
        self.timing.now = now;
        self.peer_ended = true;
        self.close_if_idle();
    }

    /// The next thing that happened. `wall` is asked for the date of a refusal, and only then.
    pub fn poll_event(&mut self, wall: impl FnOnce() -> SystemTime) -> Option<Event<'_>> {
        if let Some(rejection) = self.pending.take() {
            return Some(self.reject(rejection, wall()));
        }
        if self.is_deaf() {
            return None;
        }
        // Found first and borrowed after: a body's bytes are lent from the input.
        let found = match self.receiving {
            Receiving::Head => self.poll_head(),
            Receiving::Counted(left) => Ok(self.poll_counted(left)),
            Receiving::Chunked(_) => self.poll_chunked(),
            Receiving::End => {
                self.receiving = Receiving::Waiting;
                Ok(Some(Found::End))
            }
            Receiving::Waiting | Receiving::Discarding => Ok(None),
        };
        match found {
            Ok(Some(Found::Head(head))) => {
                self.sent = Sent::default();
                Some(Event::Head(head))
            }
            Ok(Some(Found::Body { start, end })) => Some(Event::Body(&self.input[start..end])),
            Ok(Some(Found::End)) => Some(Event::End),
            Ok(None) => self.starved().map(|rejection| self.reject(rejection, wall())),
            Err(rejection) => Some(self.reject(rejection, wall())),
        }
    }

    /// When [`handle_deadline`](Self::handle_deadline) is to be called, unless something else happens first. `None`
    /// while a response is awaited or the connection is closing: those are for its owner to bound, and so is a peer that
    /// does not take the output.
    #[inline]
    pub fn deadline(&self) -> Option<Time> {
        if self.pending.is_some() || self.is_deaf() {
            return None;
        }
        match self.receiving {
            Receiving::Head => {
                let deadline = self.timing.head_deadline(&self.config);
                // Who has begun to send has the time that everyone has.
                let last = self.last_request_by.filter(|_| self.timing.head_since.is_none());
                Some(last.map_or(deadline, |last| last.min(deadline)))
            }
            Receiving::Counted(_) | Receiving::Chunked(_) => Some(self.timing.body_deadline(&self.config)),
            Receiving::End | Receiving::Waiting | Receiving::Discarding => None,
        }
    }

    /// Acts if the deadline has come: closes a connection that is idle, refuses a request that is late. Poll events
    /// afterwards. Calls that come early do nothing.
    pub fn handle_deadline(&mut self, now: Time) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        self.timing.now = now;
        match (&self.receiving, self.timing.head_since) {
            (Receiving::Head, None) => {
                // Of a request that is on its way the peer shall see that it was not looked at, and not a reset.
                let linger = self.last_request_by.is_some();
                self.closing = Some(Closing::AfterOutput { linger });
            }
            (Receiving::Head, Some(_)) => self.pending = Some(Rejection::new(408, "the head took too long")),
            _ => self.pending = Some(Rejection::new(408, "the body took too long")),
        }
    }

    /// Whether the owner should go on reading. False while a request waits for its response and the peer has sent
    /// more than [`Config::pipelined_bytes_max`] beyond it.
    pub fn wants_input(&self) -> bool {
        let is_waiting = matches!(self.receiving, Receiving::Waiting | Receiving::End);
        !(is_waiting && self.unused().len() > self.config.pipelined_bytes_max)
    }

    /// How the connection is to end, once that is decided. Ask after each call that can change it: `receive_end`,
    /// `poll_event`, `handle_deadline`, `finish`, `fail`, `begin_shutdown`.
    pub fn closing(&self) -> Option<Closing> {
        self.closing
    }

    /// The bytes to send. The owner takes them from the front, or all at once.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Gives a head's memory back for the next request.
    pub fn recycle(&mut self, head: Box<RequestHead>) {
        if self.spare.as_ref().is_none_or(|spare| head.bytes.capacity() >= spare.bytes.capacity()) {
            self.spare = Some(head);
        }
    }

    /// Tells what it keeps in memory, used or not: received and not yet used, the last head, output not yet taken.
    pub(crate) fn note_memory(&self, note: &mut dyn FnMut(&'static str, usize)) {
        note("input", self.input.capacity());
        note("heads", self.spare.as_ref().map_or(0, |spare| spare.bytes_kept()));
        note("response", self.output.capacity());
    }

    /// The server is stopping: an idle connection closes now, any other after the response to the request that has
    /// begun.
    pub fn begin_shutdown(&mut self) {
        self.stopping = true;
        self.close_if_idle();
    }

    /// As [`begin_shutdown`](Self::begin_shutdown), but others take this server's place: an idle connection stays open
    /// until `idle_until`, for a request may be on its way. Its response says that it is the last one here.
    pub fn begin_shutdown_after(&mut self, idle_until: Time) {
        if matches!(self.receiving, Receiving::Head) && self.closing.is_none() {
            self.last_request_by = Some(idle_until);
        }
        self.begin_shutdown();
    }

    /// Whether there are bytes that no event has been made of.
    pub fn has_input(&self) -> bool {
        !self.unused().is_empty()
    }

    /// How many requests have begun here.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// The next request's turn, or the end.
    pub(super) fn next_request(&mut self, now: Time) {
        self.timing.now = now;
        self.receiving = Receiving::Head;
        self.request = RequestFacts::default();
        self.timing.idle_since = now;
        self.timing.head_since = (!self.unused().is_empty()).then_some(now);
        self.close_if_idle();
    }

    pub(super) fn unused(&self) -> &[u8] {
        &self.input[self.used..]
    }

    /// Nothing that comes matters any more.
    fn is_deaf(&self) -> bool {
        self.closing.is_some() || matches!(self.receiving, Receiving::Discarding)
    }

    fn close_if_idle(&mut self) {
        let is_idle = matches!(self.receiving, Receiving::Head) && self.unused().is_empty() && self.pending.is_none();
        let is_stopping = self.stopping && self.last_request_by.is_none();
        if is_idle && (self.peer_ended || is_stopping) && self.closing.is_none() {
            let linger = !self.peer_ended && !self.output.is_empty();
            self.closing = Some(Closing::AfterOutput { linger });
        }
    }

    fn poll_head(&mut self) -> Result<Option<Found>, Rejection> {
        loop {
            #[cfg(test)]
            let before = self.scan.scanned();
            let seen = self.scan.look(&self.input[self.used..], &self.config);
            #[cfg(test)]
            {
                self.bytes_scanned += self.scan.scanned().saturating_sub(before) as u64;
            }
            match seen? {
                Seen::More => return Ok(None),
                Seen::EmptyLine { bytes } => self.used += bytes,
                Seen::RequestLine { bytes } => {
                    let line = &self.input[self.used..self.used + bytes];
                    self.request = RequestFacts { is_head: line.starts_with(b"HEAD "), ..RequestFacts::default() };
                    self.head.request_line(line, self.spare.take(), &self.config)?;
                    if let Some((head, bytes)) = self.head.finish_at_once(&self.input[self.used..], &self.config)? {
                        return Ok(Some(self.begin_request(head, bytes)));
                    }
                }
                Seen::Head { bytes, header_count } => {
                    let head = &self.input[self.used..self.used + bytes];
                    let head = self.head.finish(head, header_count, &self.config)?;
                    return Ok(Some(self.begin_request(head, bytes)));
                }
            }
        }
    }

    fn begin_request(&mut self, head: Box<RequestHead>, bytes: usize) -> Found {
        #[cfg(test)]
        {
            self.bytes_scanned += bytes as u64;
        }
        self.used += bytes;
        self.scan = HeadScan::default();
        self.last_request_by = None;
        self.requests += 1;
        self.request.version = head.version;
        self.request.keep_alive = head.keep_alive;
        self.request.expects_continue = head.expects_continue;
        self.sending = Sending::Nothing;
        self.receiving = match (head.is_chunked, head.content_length) {
            (true, _) => Receiving::Chunked(Chunked::new()),
            (false, Some(length)) if length > 0 => Receiving::Counted(length),
            _ => Receiving::End,
        };
        self.timing.start_body(self.input.len() - self.used);
        Found::Head(head)
    }

    fn poll_counted(&mut self, left: u64) -> Option<Found> {
        let taken = left.min(self.unused().len() as u64);
        if taken == 0 {
            return None;
        }
        self.receiving = if taken == left { Receiving::End } else { Receiving::Counted(left - taken) };
        let start = self.used;
        self.used += taken as usize;
        Some(Found::Body { start, end: self.used })
    }

    fn poll_chunked(&mut self) -> Result<Option<Found>, Rejection> {
        let Receiving::Chunked(chunked) = &mut self.receiving else { return Ok(None) };
        let input = &self.input[self.used..];
        let decoded = chunked.decode(input, &self.config)?;
        let start = self.used;
        let (used, found) = match decoded {
            Decoded::More => (input.len(), None),
            Decoded::Data { start: from, end } => (end, Some(Found::Body { start: start + from, end: start + end })),
            Decoded::End { used } => (used, Some(Found::End)),
        };
        #[cfg(test)]
        {
            self.bytes_scanned += used as u64;
        }
        self.used += used;
        if matches!(found, Some(Found::End)) {
            self.receiving = Receiving::Waiting;
        }
        Ok(found)
    }

    /// The input gives no event. Says what that means: nothing yet, go ahead, or that the rest will never come.
    fn starved(&mut self) -> Option<Rejection> {
        match self.receiving {
            Receiving::Head if self.unused().is_empty() => {
                // Empty lines only: the connection is still idle.
                self.timing.head_since = None;
                self.close_if_idle();
                None
            }
            Receiving::Head if self.peer_ended => Some(Rejection::bad("the connection ended inside a head")),
            Receiving::Counted(_) | Receiving::Chunked(_) if self.peer_ended => {
                Some(Rejection::bad("the connection ended inside a body"))
            }
            Receiving::Counted(_) | Receiving::Chunked(_) => {
                // RFC 9110 section 10.1.1: not needed once a part of the body is there.
                let expects_continue = std::mem::take(&mut self.request.expects_continue);
                if expects_continue && self.timing.awaits_first_of_body() && self.sending == Sending::Nothing {
                    self.output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                None
            }
            _ => None,
        }
    }

    fn reject(&mut self, rejection: Rejection, wall: SystemTime) -> Event<'static> {
        self.receiving = Receiving::Discarding;
        self.input = Vec::new();
        self.used = 0;
        self.head = HeadParser::default();
        self.closing = Some(Closing::AfterOutput { linger: !self.peer_ended });
        self.write_rejection(&rejection, wall);
        Event::Rejected(rejection)
    }
}

/// An event before its bytes are borrowed.
enum Found {
    Head(Box<RequestHead>),
    Body { start: usize, end: usize },
    End,
}
