//! What PEP 3333 asks of servers, and applications written in Rust can show; see `REQUIREMENTS.md`.
#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, Read as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handwound_reactor::Threads as _;
use handwound_testkit::{Choices, Sim};
use handwound_wsgi::testing::{Server, serve};
use handwound_wsgi::{Call, Failure, SiteConfig};

const SECOND: Duration = Duration::from_secs(1);

/// How reading a body of ten bytes ended, at the fifth byte and at the last, when the client did this meanwhile.
fn read_after(
    body_memory_bytes_max: usize,
    meanwhile: impl Fn(&handwound_testkit::Client),
) -> Vec<Result<usize, ErrorKind>> {
    let sim = Sim::new(Choices::calm());
    let (threads, reads) = (sim.threads(), Arc::new(Mutex::new(Vec::new())));
    let mut config = SiteConfig::default();
    config.body_memory_bytes_max = body_memory_bytes_max;
    let noted = reads.clone();
    let application = move |call: &Call| -> Result<&'static str, Failure> {
        let mut body = call.body();
        noted.lock().unwrap().push(body.read(&mut [0; 5]).map_err(|error| error.kind()));
        threads.sleep(2 * SECOND);
        noted.lock().unwrap().push(body.read(&mut [0; 5]).map_err(|error| error.kind()));
        call.start_response("200 OK", &[])?;
        Ok("read")
    };
    let server = Server::prepare(&sim, 1, application, config);
    server.run(&sim);
    let client = server.connect(&sim);
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789");
    sim.advance(SECOND);
    meanwhile(&client);
    sim.advance(2 * SECOND);
    reads.lock().unwrap().clone()
}

/// PEP 3333, Input and Error Streams: an end of file is the body's end, and never the end of a client's patience.
#[test]
fn a_body_is_never_cut_short_unnoticed() {
    for memory in [100, 1] {
        assert_eq!(read_after(memory, |_| {}), [Ok(5), Ok(5)]);
        assert_eq!(read_after(memory, |client| client.finish()), [Ok(5), Ok(5)], "who ends its side still listens");
        assert_eq!(read_after(memory, |client| client.reset()), [Ok(5), Err(ErrorKind::ConnectionAborted)]);
    }
    // One that breaks off before its end reaches no application at all.
    for broken in ["Content-Length: 10\r\n\r\n01234", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nX"] {
        let sim = Sim::new(Choices::calm());
        let called = Arc::new(Mutex::new(0));
        let counter = called.clone();
        let server = serve(&sim, 1, move |_: &Call| -> Result<(), Failure> {
            *counter.lock().unwrap() += 1;
            Ok(())
        });
        let client = server.connect(&sim);
        client.send(format!("POST / HTTP/1.1\r\nHost: x\r\n{broken}"));
        client.finish();
        sim.advance(SECOND);
        assert_eq!((client.response().status().as_u16(), *called.lock().unwrap()), (400, 0), "{broken}");
    }
}

/// What a client gets of an application that starts its response with this.
fn started_with(status: &'static str, name: &'static str, value: &'static str) -> (u16, String, bool) {
    let sim = Sim::new(Choices::calm());
    let server = serve(&sim, 1, move |call: &Call| {
        call.start_response(status, &[("X-First", "1"), (name, value)])?;
        Ok("body")
    });
    let client = server.connect(&sim);
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    sim.advance(SECOND);
    (client.responses()[0].status().as_u16(), client.received_text(), client.is_closed())
}

/// RFC 9112 section 11.1: nothing that an application says becomes a line of its own, and after an attempt the
/// connection is not used again.
#[test]
fn a_response_cannot_be_split() {
    assert_eq!(started_with("200 OK", "X-A", "b").0, 200);
    for split in
        ["\r\nX-Evil: 1", "\nX-Evil: 1", "\rX-Evil: 1", "\0X-Evil", "\r\n\r\nHTTP/1.1 200 Evil\r\n\r\n", "\u{b}X-Evil"]
    {
        let split: &'static str = String::leak(split.to_owned());
        let status = String::leak(format!("200 OK{split}"));
        let name = String::leak(format!("X-A{split}"));
        for (status, name, value) in [(&*status, "X-A", "b"), ("200 OK", &*name, "b"), ("200 OK", "X-A", split)] {
            let (code, received, closed) = started_with(status, name, value);
            assert_eq!((code, closed), (500, true), "{status:?} {name:?} {value:?}");
            assert!(!received.contains("Evil") && !received.contains("X-First"), "{received}");
            assert_eq!(received.matches("HTTP/1.1 ").count(), 1, "{received}");
        }
    }
}

/// PEP 3333, The start_response() Callable: a second call without exc_info is fatal, also if the first was refused.
#[test]
fn a_refused_start_counts_as_called() {
    let sim = Sim::new(Choices::calm());
    let server = serve(&sim, 1, |call: &Call| {
        assert!(call.start_response("200", &[]).is_err());
        let second = call.start_response("200 OK", &[]).unwrap_err().to_string();
        assert_eq!(second, "start_response was called a second time, without exc_info (PEP 3333)");
        call.restart(handwound_wsgi::http1::ResponseHead::new("503 Sorry")?)?;
        Ok("with exc_info it may be")
    });
    let client = server.get(&sim, "/");
    sim.advance(SECOND);
    assert_eq!((client.response().status().as_u16(), client.is_closed()), (503, true));
}
