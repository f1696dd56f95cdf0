//! Independent parsers of HTTP/1.1, asked what they make of a stream of requests: picohttpparser, in C, as h2o and many
//! others use it, and hyper's server. What a peer has beyond our own reading it has from its own code, but for one
//! thing: picohttpparser leaves the length of a body to its users, who take it from the fields.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use hyper::body::{Body, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use picohttpparser_sys::{phr_chunked_decoder, phr_decode_chunked, phr_header, phr_parse_request};

const FIELDS_MAX: usize = 128;

/// One request as a peer sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Framed {
    /// As it came.
    pub method: Vec<u8>,
    /// As it came, or put together again.
    pub target: Vec<u8>,
    /// HTTP/1.1, not 1.0.
    pub is_11: bool,
    /// Names in lower case and values, in order of names.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// As far as it came.
    pub body: Vec<u8>,
    /// Its body has ended.
    pub whole: bool,
}

/// What a peer does with the rest of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It waits for more.
    Waits,
    /// It refuses it.
    Refuses,
    /// It does not look at it any more.
    Ignores,
}

/// What a peer makes of a stream; only the last request may be incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// In order.
    pub requests: Vec<Framed>,
    /// After them.
    pub rest: Rest,
}

/// Brings fields into the order in which they are compared.
pub fn sorted(mut fields: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
    // Stable: the order of fields of one name means something.
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

/// What picohttpparser makes of `stream`.
pub fn pico(stream: &[u8]) -> View {
    let mut view = View { requests: Vec::new(), rest: Rest::Waits };
    let mut rest = stream;
    while !rest.is_empty() {
        let (bytes, mut framed) = match pico_head(rest) {
            Ok(Some(head)) => head,
            Ok(None) => break,
            Err(()) => {
                view.rest = Rest::Refuses;
                break;
            }
        };
        rest = &rest[bytes..];
        let body = pico_body(&mut framed, &mut rest);
        let whole = framed.whole;
        view.requests.push(framed);
        if body.is_err() {
            view.rest = Rest::Refuses;
        }
        if !whole {
            break;
        }
    }
    view
}

/// One head and its length; `None` for a part of one.
fn pico_head(text: &[u8]) -> Result<Option<(usize, Framed)>, ()> {
    let (mut method, mut method_bytes, mut target, mut target_bytes) = (ptr::null(), 0, ptr::null(), 0);
    let (mut minor, mut count) = (0, FIELDS_MAX);
    let mut fields: [phr_header; FIELDS_MAX] = std::array::from_fn(|_| phr_header::default());
    // SAFETY: all pointers are to live places of the sizes that are passed with them; `last_len` 0 is a first look.
    let outcome = unsafe {
        phr_parse_request(
            text.as_ptr().cast(),
            text.len(),
            &raw mut method,
            &raw mut method_bytes,
            &raw mut target,
            &raw mut target_bytes,
            &raw mut minor,
            fields.as_mut_ptr(),
            &raw mut count,
            0,
        )
    };
    let bytes = match outcome {
        -2 => return Ok(None),
        1.. => usize::try_from(outcome).map_err(|_| ())?,
        _ => return Err(()),
    };
    let part = |start: *const std::ffi::c_char, bytes: usize| {
        let at = if start.is_null() { 0 } else { start.addr() - text.as_ptr().addr() };
        text[at..at + bytes].to_vec()
    };
    // A line that goes on with the one before it has no name.
    let fields =
        fields[..count].iter().map(|field| (part(field.name, field.name_len), part(field.value, field.value_len)));
    let framed = Framed {
        method: part(method, method_bytes),
        target: part(target, target_bytes),
        is_11: minor == 1,
        fields: sorted(fields.collect()),
        ..Framed::default()
    };
    Ok(Some((bytes, framed)))
}

fn pico_body(framed: &mut Framed, rest: &mut &[u8]) -> Result<(), ()> {
    let value = |name: &[u8]| framed.fields.iter().find(|(found, _)| found == name).map(|(_, value)| value);
    let chunked = value(b"transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case(b"chunked"));
    if !chunked {
        let text = value(b"content-length").and_then(|value| std::str::from_utf8(value).ok());
        let length = text.map_or(Some(0), |text| text.parse::<usize>().ok()).ok_or(())?;
        framed.whole = length <= rest.len();
        framed.body = rest[..length.min(rest.len())].to_vec();
        *rest = &rest[framed.body.len()..];
        return Ok(());
    }
    // SAFETY: integers only, and zeros are what its author asks for at the start.
    let mut decoder: phr_chunked_decoder = unsafe { std::mem::zeroed() };
    decoder.consume_trailer = 1;
    let mut buffer = rest.to_vec();
    let mut bytes = buffer.len();
    // SAFETY: the decoder is zero as it has to be at the start, and `bytes` is the buffer's length; it decodes in place.
    let outcome = unsafe { phr_decode_chunked(&raw mut decoder, buffer.as_mut_ptr().cast(), &raw mut bytes) };
    framed.body = buffer[..bytes].to_vec();
    match usize::try_from(outcome) {
        Ok(left) => {
            framed.whole = true;
            *rest = &rest[rest.len() - left..];
            Ok(())
        }
        Err(_) if outcome == -2 => Ok(()),
        Err(_) => Err(()),
    }
}

/// What hyper's server makes of `stream`.
pub fn hyper(stream: &[u8]) -> View {
    let requests = Rc::new(RefCell::new(Vec::new()));
    let seen = requests.clone();
    let service = service_fn(move |request| take(request, seen.clone()));
    let io = Io { stream, at: 0 };
    let connection = http1::Builder::new().max_headers(FIELDS_MAX).serve_connection(io, service);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut connection = pin!(connection);
    // It goes on at once when it has woken itself; nothing else can wake it.
    let outcome = loop {
        let outcome = connection.as_mut().poll(&mut Context::from_waker(&waker));
        if outcome.is_ready() || !woken.0.swap(false, Ordering::Relaxed) {
            break outcome;
        }
    };
    let rest = match outcome {
        Poll::Pending => Rest::Waits,
        Poll::Ready(Ok(())) => Rest::Ignores,
        Poll::Ready(Err(_)) => Rest::Refuses,
    };
    let requests = requests.take();
    View { requests, rest }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Seen = Rc<RefCell<Vec<Framed>>>;

async fn take(request: Request<Incoming>, seen: Seen) -> Result<Response<String>, Infallible> {
    let (head, mut body) = request.into_parts();
    let fields = head.headers.iter().map(|(name, value)| (name.as_str().into(), value.as_bytes().to_vec()));
    seen.borrow_mut().push(Framed {
        method: head.method.as_str().into(),
        target: head.uri.to_string().into(),
        is_11: head.version == hyper::Version::HTTP_11,
        fields: sorted(fields.collect()),
        ..Framed::default()
    });
    let index = seen.borrow().len() - 1;
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(frame) = frame else { return Ok(Response::default()) };
        if let Some(data) = frame.data_ref() {
            seen.borrow_mut()[index].body.extend_from_slice(data);
        }
    }
    seen.borrow_mut()[index].whole = true;
    Ok(Response::default())
}

/// A client that has sent `stream` and reads everything.
struct Io<'a> {
    stream: &'a [u8],
    at: usize,
}

impl Read for Io<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let bytes = into.remaining().min(self.stream.len() - self.at);
        if bytes == 0 {
            return Poll::Pending;
        }
        into.put_slice(&self.stream[self.at..self.at + bytes]);
        self.at += bytes;
        Poll::Ready(Ok(()))
    }
}

impl Write for Io<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
