//! Drives a `Connection` as its owner would, with the clock and the application under the test's hand.

#![allow(dead_code, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use handwound_reactor::Time;
use handwound_wsgi::http1::{
    BodyFit, Closing, Config, Connection, Event, Finish, Rejection, RequestHead, ResponseHead,
};

/// Sunday, 6 November 1994, 08:49:37.
pub fn wall() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(784_111_777)
}

/// What the application answers to a request, given its head and body.
pub type App = fn(&RequestHead, &[u8]) -> Reply;

pub struct Reply {
    pub head: ResponseHead,
    pub pieces: Vec<Vec<u8>>,
}

/// Echoes: `/stream…` without a length, anything else with one.
pub fn echo(request: &RequestHead, body: &[u8]) -> Reply {
    let mut head = ResponseHead::new("200 OK").unwrap();
    let mut text = request.path().to_vec();
    text.push(b':');
    text.extend_from_slice(body);
    if !request.path().starts_with(b"/stream") {
        head.set_content_length_if_absent(text.len() as u64);
    }
    Reply { head, pieces: text.chunks(7).map(<[u8]>::to_vec).collect() }
}

/// A request as the application saw it, or the refusal: comparable, printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saw {
    Request { head: String, body: Vec<u8> },
    Rejected(Rejection),
}

/// One connection and its owner.
pub struct Owner {
    pub connection: Connection,
    pub now: Time,
    pub seen: Vec<Saw>,
    pub log: String,
    app: App,
    request: Option<(Box<RequestHead>, Vec<u8>)>,
    lends: bool,
}

impl Owner {
    pub fn new(config: Config, app: App) -> Owner {
        let connection = Connection::new(Arc::new(config), Time::ZERO);
        Owner { connection, now: Time::ZERO, seen: Vec::new(), log: String::new(), app, request: None, lends: false }
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        writeln!(self.log, "> {}", bytes.escape_ascii()).unwrap();
        let mut rest = bytes;
        // Every other time, so that both ways see all that there are tests for.
        self.lends = !self.lends;
        if self.lends {
            let body = self.connection.lend_body(&mut rest, self.now);
            if !body.is_empty() {
                writeln!(self.log, "  body {}", body.escape_ascii()).unwrap();
                self.request.as_mut().expect("a body follows a head").1.extend_from_slice(body);
            }
        }
        self.connection.receive(rest, self.now);
        self.poll();
    }

    pub fn receive_end(&mut self) {
        writeln!(self.log, "> end").unwrap();
        self.connection.receive_end(self.now);
        self.poll();
    }

    /// Winds the clock, deadline by deadline.
    pub fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        while let Some(deadline) = self.connection.deadline().filter(|&deadline| deadline <= until) {
            self.now = self.now.max(deadline);
            writeln!(self.log, "  at {}", self.now).unwrap();
            self.connection.handle_deadline(self.now);
            self.poll();
        }
        self.now = until;
    }

    /// Takes what is to be sent, and logs it.
    pub fn output(&mut self) -> String {
        let output = String::from_utf8(std::mem::take(self.connection.output())).unwrap();
        for message in output.split("HTTP/1.1 ").skip(1) {
            writeln!(self.log, "< {}", shown(message)).unwrap();
        }
        if let Some(closing) = self.connection.closing() {
            writeln!(self.log, "  closing: {closing:?}").unwrap();
        }
        output
    }

    pub fn poll(&mut self) {
        loop {
            match self.connection.poll_event(wall) {
                None => return,
                Some(Event::Head(head)) => {
                    let (method, target) = (head.method().escape_ascii(), head.target().escape_ascii());
                    writeln!(self.log, "  head {method} {target}").unwrap();
                    assert!(self.request.is_none(), "a second request before the first was answered");
                    self.request = Some((head, Vec::new()));
                }
                Some(Event::Body(bytes)) => {
                    writeln!(self.log, "  body {}", bytes.escape_ascii()).unwrap();
                    assert!(!bytes.is_empty());
                    self.request.as_mut().expect("a body follows a head").1.extend_from_slice(bytes);
                }
                Some(Event::End) => {
                    writeln!(self.log, "  end").unwrap();
                    self.answer();
                }
                Some(Event::Rejected(rejection)) => {
                    writeln!(self.log, "  rejected: {rejection}").unwrap();
                    self.request = None;
                    self.seen.push(Saw::Rejected(rejection));
                    assert!(matches!(self.connection.closing(), Some(Closing::AfterOutput { .. })));
                }
            }
        }
    }

    fn answer(&mut self) {
        let (head, body) = self.request.take().expect("an end follows a head");
        let reply = (self.app)(&head, &body);
        self.seen.push(Saw::Request { head: format!("{head:?}"), body });
        self.connection.respond(&reply.head, wall());
        for piece in &reply.pieces {
            match self.connection.send_body(piece) {
                BodyFit::Whole | BodyFit::Omitted => {}
                BodyFit::Cut { surplus_bytes } => writeln!(self.log, "  cut {surplus_bytes}").unwrap(),
            }
        }
        if let Finish::Short { missing_bytes } = self.connection.finish(self.now) {
            writeln!(self.log, "  short by {missing_bytes}").unwrap();
        }
        self.connection.recycle(head);
    }
}

/// A response in one line: `200 OK | Content-Length: 2 || hi`. What all have, Date and Server, is left out; that it is
/// there is told elsewhere.
fn shown(message: &str) -> String {
    let (head, body) = message.split_once("\r\n\r\n").expect("a whole head");
    let is_common = |line: &&str| line.starts_with("Date: ") || line.starts_with("Server: ");
    let lines: Vec<&str> = head.split("\r\n").filter(|line| !is_common(line)).collect();
    format!("{} || {}", lines.join(" | "), body.escape_debug()).trim_end().to_owned()
}

/// What all of `input` came to, given in pieces that end at `cuts`: what was seen, what was sent without
/// `100 Continue`, and whether it closed. (Whether it lingers depends on what had come by then.)
pub fn observe(input: &[u8], cuts: &[usize], config: &Config) -> (Vec<Saw>, Vec<u8>, bool) {
    let mut owner = Owner::new(config.clone(), echo);
    let mut from = 0;
    for &to in cuts.iter().chain([&input.len()]) {
        let to = to.clamp(from, input.len());
        owner.receive(&input[from..to]);
        from = to;
    }
    let output = std::mem::take(owner.connection.output());
    let continues = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut kept = Vec::with_capacity(output.len());
    let mut rest = &output[..];
    while let Some((&first, tail)) = rest.split_first() {
        match rest.strip_prefix(continues) {
            Some(after) => rest = after,
            None => {
                kept.push(first);
                rest = tail;
            }
        }
    }
    (owner.seen, kept, owner.connection.closing().is_some())
}

/// The cuts that give one byte at a time.
pub fn every_byte(input: &[u8]) -> Vec<usize> {
    (1..input.len()).collect()
}

/// What the first request of `input` came to, in one line: `GET /a host=x` or `400 Bad Request: …`. It is the same
/// whole, byte by byte, and cut once anywhere.
#[track_caller]
pub fn verdict(input: &[u8], config: &Config) -> String {
    let whole = observe(input, &[], config);
    assert_eq!(whole, observe(input, &every_byte(input), config), "byte by byte");
    if input.len() < 2_000 {
        for cut in 1..input.len() {
            assert_eq!(whole, observe(input, &[cut], config), "cut at {cut}");
        }
    }
    match &whole.0[..] {
        [] => "nothing".to_owned(),
        [Saw::Rejected(rejection), rest @ ..] => {
            assert!(rest.is_empty(), "rejected stays rejected");
            rejection.to_string()
        }
        [Saw::Request { head, body }, ..] => format!("{head} | {}", body.escape_ascii()),
    }
}
