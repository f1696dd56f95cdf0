//! What a connection does with whole conversations, time included, as transcripts: `>` received, `<` sent, a line each.

#![allow(clippy::unwrap_used)]

mod http1_driver;

use std::time::Duration;

use handwound_wsgi::http1::{Closing, Config, Event, ResponseHead};
use http1_driver::{Owner, echo, wall};
use insta::assert_snapshot;

fn owner() -> Owner {
    Owner::new(Config::default(), echo)
}

/// The transcript, with its last output.
fn transcript(mut owner: Owner) -> String {
    owner.output();
    owner.log
}

#[test]
fn two_requests_and_the_end_of_the_peer() {
    let mut owner = owner();
    owner.receive(b"GET /a?b HTTP/1.1\r\nHo");
    owner.receive(b"st: h\r\n\r\n");
    owner.output();
    owner.receive(b"POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel");
    owner.receive(b"lo");
    owner.output();
    owner.receive_end();
    assert_snapshot!(transcript(owner), @r"
    > GET /a?b HTTP/1.1\r\nHo
    > st: h\r\n\r\n
      head GET /a?b
      end
    < 200 OK | Content-Length: 3 || /a:
    > POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel
      head POST /c
      body hel
    > lo
      body lo
      end
    < 200 OK | Content-Length: 8 || /c:hello
    > end
      closing: AfterOutput { linger: false }
    ");
}

/// RFC 9110 section 10.1.1.
#[test]
fn continue_is_sent_only_to_who_waits_for_it() {
    let mut owner = owner();
    let head = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    owner.receive(head);
    owner.output();
    owner.receive(b"h");
    owner.receive(b"i");
    owner.output();
    owner.receive(&[&head[..], b"h"].concat());
    owner.output();
    owner.receive(b"i");
    owner.output();
    owner.receive(b"POST /b HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    owner.output();
    owner.receive(b"hi");
    assert_snapshot!(transcript(owner), @r"
    > POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n
      head POST /a
    < 100 Continue ||
    > h
      body h
    > i
      body i
      end
    < 200 OK | Content-Length: 5 || /a:hi
    > POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nh
      head POST /a
      body h
    > i
      body i
      end
    < 200 OK | Content-Length: 5 || /a:hi
    > POST /b HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n
      head POST /b
    > hi
      body hi
      end
    < 200 OK | Content-Length: 5 | Connection: keep-alive || /b:hi
    ");
}

/// RFC 9112 section 9.6.
#[test]
fn a_refusal_inside_a_chunked_body() {
    let mut owner = owner();
    owner.receive(
        b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n-1\r\nGET /smuggled HTTP/1.1\r\n",
    );
    owner.receive(b"Host: h\r\n\r\n");
    assert_snapshot!(transcript(owner), @r"
    > POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n-1\r\nGET /smuggled HTTP/1.1\r\n
      head POST /a
      body hi
      rejected: 400 Bad Request: a chunk size is not a hexadecimal number
    > Host: h\r\n\r\n
    < 400 Bad Request | Content-Type: text/plain | Content-Length: 41 | Connection: close || a chunk size is not a hexadecimal number\n
      closing: AfterOutput { linger: true }
    ");
}

#[test]
fn a_refused_head_request_gets_no_body() {
    let mut owner = owner();
    owner.receive(b"HEAD /a HTTP/1.1\r\n\r\n");
    assert_snapshot!(transcript(owner), @r"
    > HEAD /a HTTP/1.1\r\n\r\n
      rejected: 400 Bad Request: HTTP/1.1 without a Host field
    < 400 Bad Request | Content-Type: text/plain | Content-Length: 30 | Connection: close ||
      closing: AfterOutput { linger: true }
    ");
}

#[test]
fn a_head_request_leaves_nothing_to_the_refusal_after_it() {
    let mut owner = owner();
    owner.receive(b"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n\x16\x03\x01");
    assert!(owner.output().ends_with("\r\n\r\nthe request line does not start with a method\n"), "{}", owner.log);
}

#[test]
fn what_the_peer_left_unfinished_is_refused_when_it_ends() {
    for (input, expected) in [
        ("GET / HTTP/1.1\r\nHo", "400 Bad Request: the connection ended inside a head"),
        ("GET / HTTP/1.1\r\nHost: h\r\n\r", "400 Bad Request: the connection ended inside a head"),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nh",
            "400 Bad Request: the connection ended inside a body",
        ),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            "400 Bad Request: the connection ended inside a body",
        ),
    ] {
        let mut owner = owner();
        owner.receive(input.as_bytes());
        assert_eq!(owner.seen, []);
        owner.receive_end();
        assert!(owner.log.contains(expected), "{}", owner.log);
        assert_eq!(owner.connection.closing(), Some(Closing::AfterOutput { linger: false }));
    }
    let mut owner = owner();
    owner.receive(b"\r\n");
    owner.receive_end();
    assert_eq!(owner.output(), "");
    assert_eq!(owner.connection.closing(), Some(Closing::AfterOutput { linger: false }));
}

#[test]
fn a_response_to_a_peer_that_ended_is_the_last() {
    let mut owner = owner();
    owner.connection.receive(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n", owner.now);
    owner.connection.receive_end(owner.now);
    owner.poll();
    let output = owner.output();
    let (first, second) = output.split_once("/1:").unwrap();
    assert!(!first.contains("Connection: close"), "another request is there to be answered");
    assert!(second.contains("Connection: close"), "{second}");
    assert_eq!(owner.connection.closing(), Some(Closing::AfterOutput { linger: false }));
}

/// RFC 9112 section 9.5.
#[test]
fn an_idle_connection_closes_silently() {
    let mut owner = owner();
    owner.advance(Duration::from_secs(10));
    owner.receive(b"\r\n");
    owner.advance(Duration::from_secs(19));
    owner.receive(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    owner.output();
    owner.advance(Duration::from_secs(60));
    assert_snapshot!(transcript(owner), @r"
    > \r\n
    > GET /a HTTP/1.1\r\nHost: h\r\n\r\n
      head GET /a
      end
    < 200 OK | Content-Length: 3 || /a:
      at +59.000s
      closing: AfterOutput { linger: false }
    ");
}

/// RFC 9112 section 9.5, RFC 9110 section 15.5.9.
#[test]
fn a_slow_head_is_late_however_it_drips() {
    let mut owner = owner();
    owner.advance(Duration::from_secs(5));
    for byte in b"GET /slow HTTP/1.1\r\nHost: h" {
        owner.receive(&[*byte]);
        owner.advance(Duration::from_secs(1));
    }
    assert_eq!(owner.connection.closing(), Some(Closing::AfterOutput { linger: true }));
    let log = transcript(owner);
    assert!(log.contains("  at +20.000s\n  rejected: 408 Request Timeout: the head took too long\n"), "{log}");
}

/// When a body that arrives `bytes` at a time each second is refused.
#[track_caller]
fn check_body_pace(bytes: usize, expected: Option<u64>) {
    let mut owner = owner();
    owner.receive(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    let mut refused = None;
    for _ in 0..300 {
        owner.receive(&vec![b'b'; bytes]);
        owner.advance(Duration::from_secs(1));
        if owner.connection.closing().is_some() {
            refused = owner.log.rsplit_once("  at +").map(|(_, at)| at[..at.find('.').unwrap()].parse().unwrap());
            break;
        }
    }
    assert_eq!(refused, expected, "{bytes} bytes a second");
}

#[test]
fn a_slow_body_is_late_and_a_steady_one_is_not() {
    check_body_pace(0, Some(20));
    check_body_pace(1, Some(20));
    check_body_pace(250, Some(39));
    check_body_pace(500, None);
    check_body_pace(5_000, None);
}

#[test]
fn without_a_least_pace_only_pauses_count() {
    let config = Config { body_bytes_per_second_min: 0, ..Config::default() };
    let mut owner = Owner::new(config, echo);
    owner.receive(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
    for _ in 0..8 {
        owner.advance(Duration::from_secs(19));
        owner.receive(b"b");
    }
    assert_eq!(owner.connection.closing(), None);
    owner.advance(Duration::from_secs(20));
    assert!(owner.output().contains("408 Request Timeout"));
}

#[test]
fn a_fast_start_buys_no_long_pause() {
    let mut owner = owner();
    owner.receive(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    owner.receive(&vec![b'b'; 900_000]);
    assert_eq!(owner.connection.deadline().map(|at| at.to_string()).as_deref(), Some("+20.000s"));
}

#[test]
fn a_response_that_is_awaited_has_no_deadline_here() {
    let mut owner = owner();
    owner.connection.receive(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", owner.now);
    while owner.connection.poll_event(wall).is_some() {}
    assert_eq!(owner.connection.deadline(), None);
    owner.advance(Duration::from_secs(100));
    owner.connection.respond(&ResponseHead::default(), wall());
    let _ = owner.connection.finish(owner.now);
    assert_eq!(owner.connection.deadline().map(|at| at.to_string()).as_deref(), Some("+130.000s"), "idle from now on");
}

#[test]
fn a_waiting_requests_head_is_timed_from_its_turn() {
    let mut owner = owner();
    owner.connection.receive(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HT", owner.now);
    while owner.connection.poll_event(wall).is_some() {}
    owner.advance(Duration::from_secs(100));
    owner.connection.respond(&ResponseHead::default(), wall());
    let _ = owner.connection.finish(owner.now);
    assert_eq!(owner.connection.deadline().map(|at| at.to_string()).as_deref(), Some("+115.000s"));
}

#[test]
fn a_stopping_server_closes_after_the_response() {
    let mut owner = owner();
    owner.connection.receive(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n", owner.now);
    while owner.connection.poll_event(wall).is_some() {}
    owner.connection.begin_shutdown();
    assert_eq!(owner.connection.closing(), None);
    owner.connection.respond(&ResponseHead::new("204 ").unwrap(), wall());
    let _ = owner.connection.finish(owner.now);
    assert!(owner.connection.poll_event(wall).is_none(), "the second request is not begun");
    assert_snapshot!(transcript(owner), @r"
    < 204  | Connection: close ||
      closing: AfterOutput { linger: true }
    ");
}

#[test]
fn a_stopping_server_closes_idle_connections_at_once() {
    let mut idle = owner();
    idle.connection.begin_shutdown();
    assert_eq!(idle.connection.closing(), Some(Closing::AfterOutput { linger: false }));
    let mut begun = owner();
    begun.receive(b"GET /a HTTP");
    begun.connection.begin_shutdown();
    assert_eq!(begun.connection.closing(), None);
    begun.receive(b"/1.1\r\nHost: h\r\n\r\n");
    assert!(begun.output().contains("Connection: close\r\n"));
    assert_eq!(begun.connection.closing(), Some(Closing::AfterOutput { linger: true }));
}

#[test]
fn the_last_request_of_a_connection_says_so() {
    let config = Config { requests_per_connection_max: Some(2), ..Config::default() };
    let mut owner = Owner::new(config, echo);
    owner.receive(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(!owner.output().contains("Connection: close"));
    owner.receive(b"GET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(owner.output().contains("Connection: close"));
    assert_eq!((owner.seen.len(), owner.connection.requests()), (2, 2));
    assert_eq!(owner.connection.closing(), Some(Closing::AfterOutput { linger: true }));
}

#[test]
fn an_early_response_leaves_the_body_unread_and_closes() {
    let mut owner = owner();
    owner.connection.receive(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhel", owner.now);
    assert!(matches!(owner.connection.poll_event(wall), Some(Event::Head(_))));
    let mut head = ResponseHead::new("404 Not Found").unwrap();
    head.set_content_length_if_absent(2);
    owner.connection.respond(&head, wall());
    assert!(owner.connection.poll_event(wall).is_none());
    owner.receive(b"lo GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
    let _ = owner.connection.send_body(b"no");
    let _ = owner.connection.finish(owner.now);
    assert_snapshot!(transcript(owner), @r"
    > lo GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n
    < 404 Not Found | Content-Length: 2 | Connection: close || no
      closing: AfterOutput { linger: true }
    ");
}

#[test]
fn an_early_response_to_a_request_without_a_body_keeps_the_connection() {
    let mut owner = owner();
    owner.connection.receive(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", owner.now);
    assert!(matches!(owner.connection.poll_event(wall), Some(Event::Head(_))));
    owner.connection.respond(&ResponseHead::new("204 ").unwrap(), wall());
    let _ = owner.connection.finish(owner.now);
    assert_eq!(owner.connection.closing(), None);
    owner.receive(b"GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(owner.seen.len(), 1);
}

#[test]
fn a_pipelining_flood_is_not_wanted() {
    let config = Config { pipelined_bytes_max: 100, ..Config::default() };
    let mut owner = Owner::new(config, echo);
    let request = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
    for _ in 0..4 {
        assert!(owner.connection.wants_input());
        owner.connection.receive(request, owner.now);
        while owner.connection.poll_event(wall).is_some() {}
    }
    owner.connection.receive(&request[..18], owner.now);
    assert!(!owner.connection.wants_input(), "{} bytes wait", request.len() * 3 + 18);
    owner.connection.respond(&ResponseHead::new("204 ").unwrap(), wall());
    let _ = owner.connection.finish(owner.now);
    assert!(owner.connection.wants_input(), "the next request is read from them");
    owner.poll();
    assert_eq!(owner.seen.len(), 3);
}

#[test]
fn a_connection_that_gave_its_buffer_away_goes_on() {
    let mut owner = owner();
    owner.receive(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HT");
    assert_eq!(owner.connection.take_buffer().capacity(), 0);
    owner.receive(b"TP/1.1\r\nHost: h\r\n\r\n");
    assert!(owner.connection.take_buffer().capacity() > 0);
    owner.receive(b"GET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(owner.seen.len(), 3);
}
