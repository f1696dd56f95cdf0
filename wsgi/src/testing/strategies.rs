//! Strategies for property tests of what speaks HTTP (feature `proptest`).
//!
//! With those of [`handwound_testkit::strategies`] they make conversations: see [`requests`].

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A request as a client writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: &'static str,
    /// The path and query, as they stand in the request line.
    pub target: String,
    /// Further fields.
    pub fields: Vec<(String, String)>,
    /// Its body, in the pieces that become chunks where it is `chunked`.
    pub body: Vec<Vec<u8>>,
    /// Sent in chunks, rather than with its length.
    pub chunked: bool,
}

impl Request {
    /// The whole body.
    pub fn body_bytes(&self) -> Vec<u8> {
        self.body.concat()
    }

    /// The request on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\nHost: x\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.fields {
            bytes.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        if self.chunked {
            bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in self.body.iter().filter(|chunk| !chunk.is_empty()) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
        } else {
            let body = self.body_bytes();
            if !body.is_empty() {
                bytes.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
            }
            bytes.extend(b"\r\n");
            bytes.extend(body);
        }
        bytes
    }
}

/// A valid request; its body has up to `body_bytes_max` bytes. Shrinks to a plain GET of `/`.
pub fn request(body_bytes_max: usize) -> impl Strategy<Value = Request> {
    let piece = vec(any::<u8>(), 0..=body_bytes_max / 3);
    let fields = vec(("X-[A-Za-z]{1,8}", "[ -~&&[^ ]]{0,20}"), 0..4);
    (
        select(vec!["GET", "POST", "PUT", "DELETE"]),
        "/[a-z0-9/]{0,12}(\\?[a-z=&]{0,8})?",
        fields,
        any::<bool>(),
        vec(piece, 0..=3),
    )
        .prop_map(|(method, target, fields, chunked, body)| Request { method, target, fields, body, chunked })
}

/// What one client asks, one request after the other.
///
/// ```
/// use handwound_testkit::strategies::conversation;
/// use handwound_testkit::{Choices, Sim, play};
/// use handwound_wsgi::{Call, testing::{serve, strategies::requests}};
/// use proptest::prelude::*;
///
/// proptest!(ProptestConfig { failure_persistence: None, cases: 20, ..ProptestConfig::default() }, |(
///     requests in requests(1..4, 100),
/// )| {
///     let sim = Sim::new(Choices::calm());
///     let server = serve(&sim, 1, |call: &Call| { call.start_response("200 OK", &[])?; Ok("hello") });
///     let client = sim.connect(&server);
///     requests.iter().for_each(|request| drop(client.send(request.bytes())));
///     sim.settle_now();
///     prop_assert_eq!(client.responses().len(), requests.len());
/// });
/// ```
pub fn requests(count: std::ops::Range<usize>, body_bytes_max: usize) -> impl Strategy<Value = Vec<Request>> {
    vec(request(body_bytes_max), count)
}
