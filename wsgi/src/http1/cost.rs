//! What the work of a connection depends on, counted in bytes looked at and in allocations kept, not in time.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::SystemTime;

use handwound_reactor::Time;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{Config, Connection, Event, RequestHead, ResponseHead};

impl Connection {
    /// Where the allocations are, and how large.
    fn memory(&self) -> [(usize, usize); 4] {
        let none = RequestHead::default();
        let spare = self.spare.as_deref().unwrap_or(&none);
        [
            (self.input.as_ptr().addr(), self.input.capacity()),
            (self.output.as_ptr().addr(), self.output.capacity()),
            (spare.bytes.as_ptr().addr(), spare.bytes.capacity()),
            (spare.fields.as_ptr().addr(), spare.fields.capacity()),
        ]
    }
}

/// Feeds `input` in pieces of `step` bytes, answers each request, and gives the bytes looked at.
fn scanned(input: &[u8], step: usize) -> u64 {
    let mut connection = Connection::new(Arc::new(Config::default()), Time::ZERO);
    let response = ResponseHead::new("204 No Content").unwrap();
    let mut head = None;
    for piece in input.chunks(step) {
        connection.receive(piece, Time::ZERO);
        answer_all(&mut connection, &response, &mut head);
    }
    connection.bytes_scanned
}

fn answer_all(connection: &mut Connection, response: &ResponseHead, head: &mut Option<Box<RequestHead>>) {
    while let Some(event) = connection.poll_event(|| SystemTime::UNIX_EPOCH) {
        match event {
            Event::Head(found) => *head = Some(found),
            Event::End => {
                connection.respond(response, SystemTime::UNIX_EPOCH);
                let _ = connection.finish(Time::ZERO);
                connection.recycle(head.take().expect("an end follows a head"));
                connection.output().clear();
            }
            Event::Body(_) => {}
            Event::Rejected(rejection) => panic!("{rejection}"),
        }
    }
}

/// What a conversation can be made of: good requests, bad ones, and halves of both.
const PARTS: [&str; 12] = [
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789",
    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
    "5;a=\"b\"\r\nhello\r\n",
    "0\r\nX-T: v\r\n\r\n",
    "GET /a/long/path?and=a&query=too HTTP/1.1\r\n",
    "Host: h\r\n",
    "X-Field: with some value in it, and more of it\r\n",
    "\r\n",
    "GET / HT",
    "\0",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cuts_cost_no_more_than_twice_the_bytes(
        parts in vec(select(&PARTS[..]), 0..30),
        cuts in vec(any::<Index>(), 0..30),
    ) {
        let input = parts.concat().into_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.push(input.len());
        cuts.sort_unstable();
        let mut connection = Connection::new(Arc::new(Config::default()), Time::ZERO);
        let mut from = 0;
        for to in cuts {
            connection.receive(&input[from..to], Time::ZERO);
            from = to;
            let mut is_complete = true;
            while is_complete {
                is_complete = false;
                while let Some(event) = connection.poll_event(|| SystemTime::UNIX_EPOCH) {
                    is_complete |= matches!(event, Event::End);
                }
                if is_complete {
                    connection.respond(&ResponseHead::default(), SystemTime::UNIX_EPOCH);
                    let _ = connection.finish(Time::ZERO);
                }
            }
        }
        let bytes = input.len() as u64;
        prop_assert!(connection.bytes_scanned <= 2 * bytes, "{} of {bytes} looked at", connection.bytes_scanned);
        prop_assert!(connection.bytes_moved <= bytes, "{} of {bytes} moved", connection.bytes_moved);
    }
}

/// Each byte is looked at twice at most, once for the end of the head and once for its parts, however it is cut.
#[track_caller]
fn check_linear(input: &[u8]) {
    let whole = scanned(input, input.len());
    assert!(whole > 0);
    for step in [1, 2, 3, 7, 100, 1000] {
        let cut = scanned(input, step);
        assert!(cut <= 2 * input.len() as u64, "{cut} bytes looked at in {} at {step} a time", input.len());
        assert_eq!(cut, whole, "{step} at a time");
    }
}

#[test]
fn a_drip_costs_no_more_than_a_flood() {
    check_linear(format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "v".repeat(60_000)).as_bytes());
    let fields: String = (0..90).map(|n| format!("X-{n}: {n}\r\n")).collect();
    check_linear(format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n").repeat(20).as_bytes());
    let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    check_linear(format!("{head}{}0\r\nX: y\r\n\r\n", "1\r\na\r\n".repeat(10_000)).as_bytes());
}

#[test]
fn a_backlog_is_not_moved_about() {
    let mut connection = Connection::new(Arc::new(Config::default()), Time::ZERO);
    connection.receive(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", Time::ZERO);
    while connection.poll_event(|| SystemTime::UNIX_EPOCH).is_some() {}
    let pieces = 10_000;
    for _ in 0..pieces {
        connection.receive(b"G", Time::ZERO);
    }
    assert!(connection.bytes_moved <= pieces, "{} bytes moved", connection.bytes_moved);
}

#[test]
fn the_counter_counts() {
    let line = "GET / HTTP/1.1\r\n";
    let input = format!("{line}Host: h\r\n\r\n");
    assert_eq!(scanned(input.as_bytes(), 1), 2 * input.len() as u64);
    // What comes at once, and is small, is looked at once.
    assert_eq!(scanned(input.as_bytes(), input.len()), (line.len() + input.len()) as u64);
}

#[test]
fn a_steady_flow_of_requests_keeps_its_allocations() {
    let mut connection = Connection::new(Arc::new(Config::default()), Time::ZERO);
    let response = ResponseHead::new("204 No Content").unwrap();
    let request = b"POST /a HTTP/1.1\r\nHost: h\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello";
    connection.receive(request, Time::ZERO);
    answer_all(&mut connection, &response, &mut None);
    let before = connection.memory();
    for _ in 0..100 {
        connection.receive(request, Time::ZERO);
        answer_all(&mut connection, &response, &mut None);
        assert_eq!(connection.memory(), before, "the same places, the same sizes");
    }
}

#[test]
fn an_idle_connection_can_do_without_its_buffers() {
    let mut connection = Connection::new(Arc::new(Config::default()), Time::ZERO);
    connection.receive(b"GET /a HTTP/1.1\r\nHo", Time::ZERO);
    assert_eq!((connection.spare_bytes(), connection.take_buffer().capacity()), (0, 0), "there is something in it");
    connection.receive(b"st: h\r\n\r\n", Time::ZERO);
    answer_all(&mut connection, &ResponseHead::default(), &mut None);
    let bytes = connection.spare_bytes();
    let buffer = connection.take_buffer();
    assert!(connection.wants_buffer() && buffer.capacity() == bytes && bytes > 0);
    let place = buffer.as_ptr();
    connection.give_buffer(buffer);
    connection.receive(b"GET /b HTTP/1.1\r\nHost: h\r\n\r\n", Time::ZERO);
    answer_all(&mut connection, &ResponseHead::default(), &mut None);
    let buffer = connection.take_buffer();
    assert_eq!((connection.requests(), buffer.as_ptr()), (2, place));
    assert!(size_of::<Connection>() <= 384, "{} bytes", size_of::<Connection>());
}
