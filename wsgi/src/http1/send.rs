//! The sending half of a connection: framing, and what a response must not do to the next one.

use std::time::SystemTime;

use handwound_reactor::Time;

use super::connection::{Closing, Connection, Receiving, Sending};
use super::rejection::Rejection;
use super::request::Version;
use super::response::ResponseHead;

/// What became of a piece of a response's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an application that sends more than it declared should be told"]
pub enum BodyFit {
    /// All of it was taken.
    Whole,
    /// The declared length is full: this many bytes were cut off. The application's fault.
    Cut {
        /// How many bytes were not sent.
        surplus_bytes: u64,
    },
    /// Nothing was taken, as this response has no body: HEAD, 204, 205, 304, or no response under way.
    Omitted,
}

/// How a piece of a response's body goes out that is not copied; see [`Connection::begin_piece`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What becomes of it.
    pub fit: BodyFit,
    /// How many bytes of it are to be sent.
    pub bytes: usize,
    /// What follows it.
    pub end: &'static [u8],
}

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an application that sends less than it declared should be told"]
pub enum Finish {
    /// All of it is in the output.
    Complete,
    /// Bytes that were declared never came: the application's fault. The connection closes, which tells the peer.
    Short {
        /// How many bytes are missing.
        missing_bytes: u64,
    },
}

/// What the response to the last request has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Its status, once its head is in the output.
    pub status: Option<u16>,
    /// Bytes of its body in the output so far, without framing.
    pub body_bytes: u64,
}

impl Connection {
    /// What has been sent of the response to the request whose head was polled last; then also a refusal.
    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// Sends the head of the response to the request that was reported last. `wall` is for `Date`.
    ///
    /// A response that starts before the request's [`End`](super::Event::End) was polled takes the rest of the request as
    /// unread: nothing more of it is reported, and the connection closes after the response. Ignored while no request
    /// awaits a response, so also after a refusal.
    pub fn respond(&mut self, head: &ResponseHead, wall: SystemTime) {
        if !self.awaits_response() {
            return;
        }
        self.stop_receiving();
        self.sending = self.framing(head);
        self.sent.status = Some(head.status());
        let peer_is_done = self.peer_ended && self.unused().is_empty();
        self.request.keep_alive &= !self.server_closes() && !peer_is_done && self.sending != Sending::UntilClose;

        let output = &mut self.output;
        output.reserve(head.block().len() + OWN_FIELDS_BYTES);
        output.extend_from_slice(head.block());
        let mut own_lines = self.own_lines.written();
        let own_lines = own_lines.at(wall, self.config.server.as_deref());
        output.extend_from_slice(own_lines.without(head.has_date(), head.has_server()));
        output.extend_from_slice(self.config.extra_headers.lines());
        match (self.sending, head.content_length()) {
            (Sending::Chunked, _) => output.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            (Sending::Counted { left }, _) => write_content_length(output, left),
            // The length that a GET would have had (RFC 9110 section 8.6).
            (Sending::NoBody, Some(length)) if self.request.is_head && !is_bodiless(head.status()) => {
                write_content_length(output, length);
            }
            (Sending::NoBody, _) if head.status() == 205 => write_content_length(output, 0),
            _ => {}
        }
        match (self.request.keep_alive, self.request.version) {
            (false, _) => output.extend_from_slice(b"Connection: close\r\n"),
            (true, Version::Http10) => output.extend_from_slice(b"Connection: keep-alive\r\n"),
            (true, Version::Http11) => {}
        }
        output.extend_from_slice(b"\r\n");
    }

    /// Sends a piece of the body, in the framing that [`respond`](Self::respond) chose.
    pub fn send_body(&mut self, bytes: &[u8]) -> BodyFit {
        let piece = self.begin_piece(bytes.len());
        self.output.reserve(piece.bytes + piece.end.len());
        self.output.extend_from_slice(&bytes[..piece.bytes]);
        self.output.extend_from_slice(piece.end);
        piece.fit
    }

    /// As [`send_body`](Self::send_body), for a piece of the body that is not copied into the output: what stands before
    /// it is, and its owner sends the output, then as much of the piece as the result says, and then the result's end.
    #[must_use = "the piece is still to be sent"]
    pub fn begin_piece(&mut self, bytes: usize) -> Piece {
        let mut piece = Piece { fit: BodyFit::Whole, bytes, end: b"" };
        match &mut self.sending {
            Sending::Nothing | Sending::NoBody => return Piece { fit: BodyFit::Omitted, bytes: 0, end: b"" },
            // An empty chunk would be the last one.
            _ if bytes == 0 => {}
            Sending::UntilClose => {}
            Sending::Chunked => {
                write_chunk_size(&mut self.output, bytes);
                piece.end = b"\r\n";
            }
            Sending::Counted { left } => {
                let surplus_bytes = (bytes as u64).saturating_sub(*left);
                if surplus_bytes > 0 {
                    (piece.bytes, piece.fit) = (*left as usize, BodyFit::Cut { surplus_bytes });
                }
                *left -= piece.bytes as u64;
            }
        }
        self.sent.body_bytes += piece.bytes as u64;
        piece
    }

    /// The response is over. The next request may then be polled, or the connection is closing.
    ///
    /// Without a [`respond`](Self::respond) before it this is [`fail`](Self::fail).
    pub fn finish(&mut self, now: Time) -> Finish {
        let missing_bytes = match self.sending {
            Sending::Nothing => {
                self.fail();
                return Finish::Complete;
            }
            Sending::Counted { left } => left,
            Sending::Chunked => {
                self.output.extend_from_slice(b"0\r\n\r\n");
                0
            }
            Sending::UntilClose | Sending::NoBody => 0,
        };
        self.sending = Sending::Nothing;
        if missing_bytes > 0 {
            self.close(Closing::AfterOutput { linger: true });
            return Finish::Short { missing_bytes };
        }
        if self.request.keep_alive {
            self.next_request(now);
        } else {
            let linger = !self.peer_ended && (self.server_closes() || !self.unused().is_empty());
            self.close(Closing::AfterOutput { linger });
        }
        Finish::Complete
    }

    /// The response broke off after its head, or will never come: the connection is cut in a way that does not look
    /// like an end. Ignored while no request awaits a response.
    pub fn fail(&mut self) {
        if self.sending == Sending::Nothing && !self.awaits_response() {
            return;
        }
        let looks_incomplete = matches!(self.sending, Sending::Chunked | Sending::Counted { left: 1.. });
        self.sending = Sending::Nothing;
        self.close(if looks_incomplete { Closing::AfterOutput { linger: false } } else { Closing::Abort });
    }

    /// The small text response to a request that is refused.
    pub(super) fn write_rejection(&mut self, rejection: &Rejection, wall: SystemTime) {
        let is_head = self.request.is_head;
        self.sending = Sending::Nothing;
        let body_bytes = if is_head { 0 } else { rejection.reason.len() as u64 + 1 };
        self.sent = Sent { status: Some(rejection.status), body_bytes };
        let (phrase, output) = (rejection.phrase(), &mut self.output);
        output.extend_from_slice(b"HTTP/1.1 ");
        output.extend_from_slice(itoa::Buffer::new().format(rejection.status).as_bytes());
        for part in [" ", phrase, "\r\nContent-Type: text/plain\r\n"] {
            output.extend_from_slice(part.as_bytes());
        }
        output
            .extend_from_slice(self.own_lines.written().at(wall, self.config.server.as_deref()).without(false, false));
        output.extend_from_slice(self.config.extra_headers.lines());
        write_content_length(output, rejection.reason.len() as u64 + 1);
        output.extend_from_slice(b"Connection: close\r\n\r\n");
        if !is_head {
            output.extend_from_slice(rejection.reason.as_bytes());
            output.push(b'\n');
        }
    }

    fn awaits_response(&self) -> bool {
        let has_begun = !matches!(self.receiving, Receiving::Head | Receiving::Discarding);
        has_begun && self.closing.is_none() && self.sending == Sending::Nothing
    }

    /// What of the request has not been reported never will be.
    fn stop_receiving(&mut self) {
        match self.receiving {
            Receiving::End => self.receiving = Receiving::Waiting,
            Receiving::Counted(_) | Receiving::Chunked(_) => self.receiving = Receiving::Discarding,
            _ => {}
        }
    }

    fn framing(&self, head: &ResponseHead) -> Sending {
        if self.request.is_head || is_bodiless(head.status()) {
            return Sending::NoBody;
        }
        match head.content_length() {
            Some(left) => Sending::Counted { left },
            None if self.request.version == Version::Http11 => Sending::Chunked,
            None => Sending::UntilClose,
        }
    }

    /// Whether this response is the last although the peer may count on another one.
    fn server_closes(&self) -> bool {
        self.stopping
            || matches!(self.receiving, Receiving::Discarding)
            || self.config.requests_per_connection_max.is_some_and(|max| self.requests >= max)
    }

    fn close(&mut self, how: Closing) {
        self.closing = Some(how);
        self.receiving = Receiving::Discarding;
    }
}

/// What is added to an application's head, about: so that its memory is had at once.
const OWN_FIELDS_BYTES: usize = 160;

/// RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5.
fn is_bodiless(status: u16) -> bool {
    matches!(status, 204 | 205 | 304)
}

fn write_content_length(output: &mut Vec<u8>, length: u64) {
    output.extend_from_slice(b"Content-Length: ");
    output.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    output.extend_from_slice(b"\r\n");
}

fn write_chunk_size(output: &mut Vec<u8>, bytes: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut size = [0_u8; 16];
    let (mut at, mut left) = (size.len(), bytes);
    while left > 0 {
        at -= 1;
        size[at] = DIGITS[left & 15];
        left >>= 4;
    }
    output.extend_from_slice(&size[at..]);
    output.extend_from_slice(b"\r\n");
}
