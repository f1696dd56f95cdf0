//! The same bytes a second time, cut otherwise: each event is compared, as it comes, with what the record of the first
//! time says, nothing comes before its bytes do, and memory stays within the bounds of the configuration.

use std::sync::Arc;

use handwound_reactor::Time;
use handwound_wsgi::http1::{Closing, Config, Connection, Event};

use crate::drive::{self, CONTINUE, Cuts, Log};
use crate::grammar::Asked;
use crate::heap;

/// Bytes that a connection may hold whatever is configured: its tables of fields, a date, a response's head.
const SMALL_BYTES: usize = 12 << 10;

/// Gives `input` to a new connection in pieces, and its end if `ended`; it must do what `log` says.
pub fn follow(input: &[u8], cuts: Cuts, ended: bool, config: &Arc<Config>, log: &Log) {
    let longest_piece = cuts.lengths().take(3).max().unwrap_or(1).min(input.len());
    let echo = log.requests.iter().chain(&log.begun).map(|asked| asked.path.len() + asked.body.len()).max();
    let (bytes, ()) = heap::peak(|| Follower::new(config, log).run(input, cuts, ended));
    // A growing buffer is up to twice as large as what is in it, and for a moment there twice.
    let head = config.head_bytes_max.min(input.len());
    let bound = 6 * (head + longest_piece) + 6 * echo.unwrap_or(0) + SMALL_BYTES;
    assert!(bytes <= bound, "{bytes} bytes held, {bound} are enough");
}

/// Written down plainly and read again, a request is the same.
pub fn check_round_trip(asked: &Asked, config: &Arc<Config>) {
    let text = asked.to_bytes();
    // A Host that an absolute target brought is one field more.
    let limits_allow = text.len() <= config.head_bytes_max && asked.fields.len() <= config.header_count_max;
    if !limits_allow {
        return;
    }
    let log = Log { requests: vec![asked.clone()], ..Log::default() };
    let mut follower = Follower::new(config, &log);
    follower.connection.receive(&text, Time::ZERO);
    follower.given = text.len();
    follower.poll();
    assert_eq!((follower.index, follower.refused), (1, false), "{}", text.escape_ascii());
}

struct Follower<'a> {
    connection: Connection,
    log: &'a Log,
    /// Requests that have ended.
    index: usize,
    /// The body bytes of the one that has begun.
    body: Option<usize>,
    refused: bool,
    output: usize,
    /// Bytes given, and the least that what has been reported must have taken.
    given: usize,
    used: usize,
}

impl<'a> Follower<'a> {
    fn new(config: &Arc<Config>, log: &'a Log) -> Follower<'a> {
        let connection = Connection::new(config.clone(), Time::ZERO);
        Follower { connection, log, index: 0, body: None, refused: false, output: 0, given: 0, used: 0 }
    }

    fn run(mut self, input: &[u8], cuts: Cuts, ended: bool) {
        let mut rest = input;
        for length in cuts.lengths() {
            let (piece, after) = rest.split_at(length.min(rest.len()));
            self.connection.receive(piece, Time::ZERO);
            self.given += piece.len();
            self.poll();
            self.check_output();
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        if ended {
            self.connection.receive_end(Time::ZERO);
            self.poll();
            self.check_output();
        }
        self.conclude();
    }

    /// The request that has begun, or that is to begin.
    fn current(&self) -> &'a Asked {
        let log = self.log;
        let current = log.requests.get(self.index).or(log.begun.as_ref().filter(|_| self.index == log.requests.len()));
        current.expect("cut, there is a request more than whole")
    }

    fn poll(&mut self) {
        loop {
            let current = (self.index < self.log.requests.len() || self.log.begun.is_some()).then(|| self.current());
            match self.connection.poll_event(drive::wall) {
                None => return,
                Some(Event::Head(head)) => {
                    let expected = current.expect("cut, there is a request more than whole");
                    assert!(self.body.is_none() && !self.refused);
                    assert!(expected.is(&head), "cut, this is another request: {head:?}, not {expected:?}");
                    self.used += head.method().len() + head.target().len() + 13;
                    self.body = Some(0);
                    self.connection.recycle(head);
                }
                Some(Event::Body(bytes)) => {
                    let at = self.body.as_mut().expect("a body follows a head");
                    let expected = &current.expect("it has begun").body[*at..];
                    assert!(!bytes.is_empty() && expected.starts_with(bytes), "cut, this is another body");
                    *at += bytes.len();
                    self.used += bytes.len();
                }
                Some(Event::End) => {
                    let expected = current.expect("it has begun");
                    assert!(self.index < self.log.requests.len(), "cut, a request ends that does not whole");
                    assert_eq!(self.body.take(), Some(expected.body.len()), "cut, this is another body");
                    drive::answer(&mut self.connection, expected);
                    self.index += 1;
                }
                Some(Event::Rejected(rejection)) => {
                    assert!(!self.refused, "refused twice");
                    assert_eq!(self.log.refused, Some((rejection.status, rejection.reason)), "cut, refused otherwise");
                    self.refused = true;
                }
            }
            assert!(self.used <= self.given, "{} bytes used of {} given", self.used, self.given);
        }
    }

    fn check_output(&mut self) {
        let said = self.connection.output();
        if said.is_empty() {
            return;
        }
        if said.ends_with(CONTINUE) {
            said.truncate(said.len() - CONTINUE.len());
            let waits = self.body == Some(0);
            assert!(waits && self.current().continues, "100 Continue for somebody who does not wait for it");
        }
        let said = self.connection.output();
        let expected = &self.log.output[self.output..];
        assert!(expected.starts_with(said), "cut, it says otherwise: {}", said.escape_ascii());
        self.output += said.len();
        said.clear();
    }

    fn conclude(self) {
        let Follower { connection, log, .. } = &self;
        let begun = log.begun.as_ref().map(|asked| asked.body.len());
        // A refusal drops what had begun.
        assert_eq!((self.index, self.body), (log.requests.len(), begun), "cut, it ends otherwise");
        assert_eq!((self.refused, self.output), (log.refused.is_some(), log.output.len()), "cut, it ends otherwise");
        assert_eq!(
            connection.closing().map(|closing| closing == Closing::Abort),
            log.closing,
            "cut, it ends otherwise"
        );
    }
}
