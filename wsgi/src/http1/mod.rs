//! HTTP/1.1, the server's side, sans I/O: bytes and time in, events and bytes out. No sockets, no clock, no threads, no
//! locks; of the reactor only [`Time`](handwound_reactor::Time) is known here.
//!
//! ```text
//!              receive ─► Head ─► Body* ─► End ─► (waiting) ─► respond ─► send_body* ─► finish ─┐
//!                          ▲  │      │                                                │         │
//!                          │  └──────┴─► Rejected: answered, closing                  └► fail   │
//!                          └────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Invariants:
//! - The events are the same however the input is cut, and so is the output but for `100 Continue`.
//! - One request at a time: nothing of the next is looked at before the response to this one is finished.
//! - After [`Event::Rejected`] and after [`Connection::closing`] nothing that comes is parsed.
//! - Each byte received is looked at a bounded number of times, and a steady flow of requests allocates nothing.
//! - No head leaves with two framings, and nothing that an application says reaches the wire unchecked.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::SystemTime;
//! use handwound_reactor::Time;
//! use handwound_wsgi::http1::{Config, Connection, Event, ResponseHead};
//!
//! let mut connection = Connection::new(Arc::new(Config::default()), Time::ZERO);
//! connection.receive(b"GET /hello HTTP/1.1\r\nHost: example.org\r\n\r\n", Time::ZERO);
//! let Some(Event::Head(request)) = connection.poll_event(SystemTime::now) else { panic!("no head") };
//! assert_eq!(request.path(), b"/hello");
//! assert!(matches!(connection.poll_event(SystemTime::now), Some(Event::End)));
//!
//! let mut head = ResponseHead::new("200 OK")?;
//! head.set_content_length_if_absent(2);
//! connection.respond(&head, SystemTime::now());
//! let _ = connection.send_body(b"hi");
//! let _ = connection.finish(Time::ZERO);
//! connection.recycle(request);
//! assert!(connection.output().ends_with(b"\r\n\r\nhi"));
//! assert_eq!(connection.closing(), None);
//! # Ok::<(), handwound_wsgi::http1::BadResponse>(())
//! ```

mod bytes;
mod chunked;
mod config;
mod connection;
#[cfg(test)]
mod cost;
mod date;
mod head;
mod rejection;
mod request;
mod response;
mod scan;
mod send;
mod target;
mod timing;

pub(crate) use bytes::has as has_byte;
pub use config::{Config, ExtraHeaders};
pub use connection::{Closing, Connection, Event};
pub(crate) use date::OwnLines;
pub use rejection::Rejection;
pub use request::{Host, RequestHead, Version};
pub use response::{BadResponse, ResponseHead};
pub use send::{BodyFit, Finish, Piece, Sent};
pub use target::{TargetForm, percent_decode};
