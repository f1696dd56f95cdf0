//! Drives an `http1::Connection` as a server would, with an echoing application, and writes down what it saw; then
//! follows that record with the same bytes cut otherwise.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use handwound_reactor::Time;
use handwound_wsgi::http1::{BodyFit, Closing, Config, Connection, Event, Finish, RequestHead, ResponseHead};

use crate::answers;
use crate::follow;
use crate::grammar::{self, Asked, End, Limits};

pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// What nobody may read any more after a refusal.
const LATE: &[u8] = b"\r\n\r\nGET /late HTTP/1.1\r\nHost: h\r\n\r\n";

/// Any moment will do, if it is always the same.
pub fn wall() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(784_111_777)
}

/// What a connection made of its input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The complete requests, each of them answered.
    pub requests: Vec<Asked>,
    /// A request that has begun and not ended.
    pub begun: Option<Asked>,
    /// The status and the text of a refusal.
    pub refused: Option<(u16, &'static str)>,
    /// What was sent, without `100 Continue`, which depends on the cuts.
    pub output: Vec<u8>,
    /// `Some(true)` for an abort.
    pub closing: Option<bool>,
}

/// How a stream of bytes reaches a connection the second time.
#[derive(Clone, Copy, Debug)]
pub enum Cuts {
    /// Byte by byte.
    Bytes,
    /// In pieces of these lengths, less one, over and over.
    Pieces([u8; 3]),
}

impl Cuts {
    /// As control bytes say.
    pub fn new(bytewise: bool, pieces: [u8; 3]) -> Cuts {
        if bytewise { Cuts::Bytes } else { Cuts::Pieces(pieces) }
    }

    /// The lengths, without end.
    pub fn lengths(self) -> impl Iterator<Item = usize> {
        let pieces = match self {
            Cuts::Bytes => [0; 3],
            Cuts::Pieces(pieces) => pieces,
        };
        pieces.into_iter().cycle().map(|byte| usize::from(byte) + 1)
    }
}

/// Gives all of `input` to a new connection at once, and its end if `ended`.
pub fn record(input: &[u8], ended: bool, config: &Arc<Config>) -> Log {
    let mut connection = Connection::new(config.clone(), Time::ZERO);
    let mut log = Log::default();
    connection.receive(input, Time::ZERO);
    poll(&mut connection, &mut log);
    if ended {
        connection.receive_end(Time::ZERO);
        poll(&mut connection, &mut log);
    }
    log.closing = connection.closing().map(|closing| closing == Closing::Abort);
    check_deaf(&mut connection, &log);
    log
}

fn poll(connection: &mut Connection, log: &mut Log) {
    loop {
        match connection.poll_event(wall) {
            None => break,
            Some(Event::Head(head)) => {
                assert!(log.begun.is_none() && log.refused.is_none(), "a head where none is due: {head:?}");
                if log.requests.is_empty() {
                    check_views(&head);
                }
                log.begun = Some(Asked { continues: is_waited_for(&head), ..Asked::from(&*head) });
                connection.recycle(head);
            }
            Some(Event::Body(bytes)) => {
                assert!(!bytes.is_empty(), "an empty piece of a body");
                log.begun.as_mut().expect("a body follows a head").body.extend_from_slice(bytes);
            }
            Some(Event::End) => {
                let asked = log.begun.take().expect("an end follows a head");
                answer(connection, &asked);
                log.requests.push(asked);
            }
            Some(Event::Rejected(rejection)) => {
                assert!(log.refused.is_none(), "refused twice");
                log.refused = Some((rejection.status, rejection.reason));
                assert!(matches!(connection.closing(), Some(Closing::AfterOutput { .. })));
            }
        }
    }
    // It can only be the last thing said: what follows it is the response.
    let said = connection.output();
    if said.ends_with(CONTINUE) {
        let waits = log.begun.as_ref().is_some_and(|asked| asked.continues && asked.body.is_empty());
        assert!(waits, "100 Continue for somebody who does not wait for it");
        said.truncate(said.len() - CONTINUE.len());
    }
    log.output.append(said);
}

/// RFC 9110 section 10.1.1, from the head alone.
fn is_waited_for(head: &RequestHead) -> bool {
    let asks = head.get("Expect").is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
    asks && head.version().as_str() == "HTTP/1.1" && head.has_body()
}

/// The other ways to look at a head agree with the first, and do not panic.
fn check_views(head: &RequestHead) {
    assert_eq!(head.http_method().as_str().as_bytes(), head.method());
    assert_eq!(head.header_map().len(), head.header_count());
    assert!(format!("{head:?}").bytes().all(|byte| (b' '..=b'~').contains(&byte)), "a log line is printable");
}

/// Whether the echo declares no length.
pub fn streams(asked: &Asked) -> bool {
    asked.path.starts_with(b"/s")
}

/// What the application answers.
pub fn echoed(asked: &Asked) -> Vec<u8> {
    [&asked.path, b":".as_slice(), &asked.body].concat()
}

/// Answers the request that has ended, with what was asked for.
pub(crate) fn answer(connection: &mut Connection, asked: &Asked) {
    static OK: LazyLock<ResponseHead> = LazyLock::new(|| ResponseHead::new("200 OK").expect("a good status"));
    let text = echoed(asked);
    if streams(asked) {
        connection.respond(&OK, wall());
    } else {
        let mut head = OK.clone();
        head.set_content_length_if_absent(text.len() as u64);
        connection.respond(&head, wall());
    }
    let expected = if asked.is_head() { BodyFit::Omitted } else { BodyFit::Whole };
    for piece in text.chunks(text.len().div_ceil(3)) {
        assert_eq!(connection.send_body(piece), expected);
    }
    assert_eq!(connection.finish(Time::ZERO), Finish::Complete);
}

/// After the end nothing is understood, said or waited for any more.
fn check_deaf(connection: &mut Connection, log: &Log) {
    if log.refused.is_some() {
        assert!(log.closing.is_some(), "refused and yet open");
    }
    if log.closing.is_none() {
        return;
    }
    assert_eq!(connection.deadline(), None);
    connection.receive(&LATE[4..], Time::ZERO);
    connection.handle_deadline(Time::ZERO + Duration::from_secs(1 << 20));
    connection.receive_end(Time::ZERO);
    static LATE_HEAD: LazyLock<ResponseHead> = LazyLock::new(ResponseHead::default);
    connection.respond(&LATE_HEAD, wall());
    assert_eq!(connection.send_body(b"late"), BodyFit::Omitted);
    let _nothing_to_finish = connection.finish(Time::ZERO);
    connection.fail();
    connection.begin_shutdown();
    assert!(connection.poll_event(wall).is_none(), "an event after the end");
    assert!(connection.output().is_empty(), "bytes after the end: {}", connection.output().escape_ascii());
    assert_eq!(connection.closing().map(|closing| closing == Closing::Abort), log.closing);
}

/// Everything that must hold of a connection and an input: the cuts do not matter, what is refused stays refused,
/// requests are what the grammar says, written down again they are the same, and what is sent reads strictly.
pub fn check(input: &[u8], cuts: Cuts, ended: bool, config: &Arc<Config>) -> Log {
    let log = record(input, ended, config);
    if log.refused.is_some() && !ended {
        // What follows a refusal does not change it.
        follow::follow(&[input, LATE].concat(), cuts, true, config, &log);
    } else {
        follow::follow(input, cuts, ended, config, &log);
    }
    check_grammar(input, ended, config, &log);
    check_output(&log);
    if let (Some(first), None) = (log.requests.first(), log.refused) {
        follow::check_round_trip(first, config);
    }
    log
}

fn check_grammar(input: &[u8], ended: bool, config: &Config, log: &Log) {
    let closes = |asked: &Asked| !asked.is_11 && streams(asked) && !asked.is_head();
    let reading = grammar::read(input, &Limits::from(config), ended, closes);
    assert_eq!(log.requests, reading.requests, "requests, and what the grammar says; {:?}", log.refused);
    assert_eq!(log.begun, reading.begun, "a request that has begun, and what the grammar says; {:?}", log.refused);
    match reading.end {
        End::Undecided => {}
        End::Open => assert_eq!((log.refused, log.closing), (None, None)),
        End::Refused => assert!(log.refused.is_some(), "the grammar refuses this"),
        End::Closed(_) => assert_eq!((log.refused, log.closing), (None, Some(false))),
    }
}

fn check_output(log: &Log) {
    let is_head = |index: usize| log.requests.get(index).is_some_and(Asked::is_head);
    let answers = answers::read(&log.output, is_head).expect("what is sent reads strictly");
    assert!(answers.continues == 0 && !answers.is_cut);
    let expected = log.requests.len() + usize::from(log.refused.is_some());
    assert_eq!(answers.finals.len(), expected, "one response a request");
    for (index, (answer, asked)) in answers.finals.iter().zip(&log.requests).enumerate() {
        let body = if asked.is_head() { Vec::new() } else { echoed(asked) };
        assert_eq!((answer.status, &answer.body, answer.whole), (200, &body, true));
        let is_last = index + 1 == log.requests.len() && log.refused.is_none();
        if !is_last {
            assert!(!answer.closes, "more follows a response that says it is the last");
        }
    }
    let Some((status, text)) = log.refused else { return };
    let last = answers.finals.last().expect("counted above");
    assert_eq!(last.status, status);
    assert!(last.closes);
    // To a HEAD it has no body.
    assert!(last.body.strip_suffix(b"\n") == Some(text.as_bytes()) || last.body.is_empty());
}
