//! What an application may do with its request: ask for it, read its body, and answer.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::Exchange;
use crate::application::{StartError, WriteError};
use crate::body::RequestBody;
use crate::http1::{BadResponse, ResponseHead};
use crate::request::Request;
use crate::writers::{Source, Writer};

/// The application's side of a request. Clones are handles on the same one; any thread may use them, also after the
/// end of the call, when they only give errors.
#[derive(Clone)]
pub struct Call {
    pub(super) exchange: Arc<Exchange>,
    /// The request as whoever goes on below sees it, with its path split elsewhere.
    pub(super) below: Option<Arc<Request>>,
}

impl Call {
    pub(super) fn new(exchange: Arc<Exchange>) -> Call {
        Call { exchange, below: None }
    }

    /// What the client asked for.
    pub fn request(&self) -> &Request {
        match &self.below {
            None => &self.exchange.request,
            Some(request) => request,
        }
    }

    /// [`Request::path`].
    pub fn path(&self) -> String {
        self.request().path()
    }

    /// Bytes of the request's body. It has been received in full.
    pub fn body_len(&self) -> u64 {
        self.exchange.read_body(RequestBody::len)
    }

    /// Reads the request's body from `offset` on; zero bytes are its end. Any thread; may read a file.
    ///
    /// # Errors
    /// The temporary file's, or [`WriteError::ClientDisconnected`] as an error of kind `ConnectionAborted`.
    pub fn read_body_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.check_connected()?;
        self.exchange.read_body(|body| body.read_at(offset, into))
    }

    /// Looks at `length` bytes of the request's body from `offset` on where they lie, if it is in memory and has as many.
    ///
    /// # Errors
    /// As [`read_body_at`](Call::read_body_at).
    pub fn with_body_at<V>(&self, offset: u64, length: usize, look: impl FnOnce(&[u8]) -> V) -> io::Result<Option<V>> {
        self.check_connected()?;
        Ok(self.exchange.read_body(|body| body.in_memory(offset, length).map(look)))
    }

    fn check_connected(&self) -> io::Result<()> {
        match self.is_disconnected() {
            true => Err(io::Error::new(io::ErrorKind::ConnectionAborted, WriteError::ClientDisconnected)),
            false => Ok(()),
        }
    }

    /// The request's body, to be read once from its start.
    pub fn body(&self) -> BodyReader {
        BodyReader { call: self.clone(), offset: 0 }
    }

    /// Begins the response. Nothing is sent before the first byte of the body, or the end.
    ///
    /// # Errors
    /// [`StartError`]: the status or a header breaks a rule, or it is the second call.
    pub fn start_response(&self, status: &str, headers: &[(&str, &str)]) -> Result<(), StartError> {
        match self.head_of(status, headers) {
            Ok(head) => self.start(head),
            Err(bad) => {
                self.close_connection();
                self.refuse_start();
                Err(bad.into())
            }
        }
    }

    /// Closes the connection after this response, whatever the client would like: for an application that has tried
    /// to send what no client must see. Does nothing once the head is on its way.
    pub fn close_connection(&self) {
        self.exchange.state().close = true;
    }

    /// A `start_response` was refused for what it said; it counts as called (PEP 3333, "The start_response() Callable").
    pub fn refuse_start(&self) {
        self.exchange.state().refused = true;
    }

    /// [`start_response`](Call::start_response) with a head that has been made before.
    ///
    /// # Errors
    /// [`StartError::AlreadyStarted`], [`StartError::Ended`].
    pub fn start(&self, mut head: ResponseHead) -> Result<(), StartError> {
        self.exchange.watched.visit();
        let mut state = self.exchange.state();
        if state.ended {
            return Err(StartError::Ended);
        }
        if state.head.is_some() || state.committed || state.refused {
            return Err(StartError::AlreadyStarted);
        }
        if let Some(rare) = &state.rare {
            rare.dress(&mut head)?;
        }
        state.head = Some(head);
        Ok(())
    }

    /// Replaces the head, for `start_response` with `exc_info` (PEP 3333, "Error Handling").
    ///
    /// # Errors
    /// [`StartError::HeadSent`]: too late. [`StartError::Ended`].
    pub fn restart(&self, mut head: ResponseHead) -> Result<(), StartError> {
        self.exchange.watched.visit();
        let mut state = self.exchange.state();
        if state.ended {
            return Err(StartError::Ended);
        }
        if state.committed {
            return Err(StartError::HeadSent);
        }
        if let Some(rare) = &state.rare {
            rare.dress(&mut head)?;
        }
        state.head = Some(head);
        Ok(())
    }

    /// Whether [`start`](Call::start) has been called.
    pub fn is_started(&self) -> bool {
        self.exchange.is_started()
    }

    /// Whether the head is on its way, and cannot be replaced any more.
    pub fn head_sent(&self) -> bool {
        self.exchange.state().committed
    }

    /// The whole body is `bytes` long: the response says so, unless the application did. Only before the first byte.
    pub fn declare_length(&self, bytes: u64) {
        self.exchange.state().declare_length(bytes);
    }

    /// Sends `bytes` of the body, and the head before the first of them. Blocks while more waits for the client than
    /// the site's bounds allow, and while another thread's write waits for that: the bytes of one write stay together.
    ///
    /// # Errors
    /// [`WriteError`]; a part of `bytes` may have been sent then.
    pub fn write(&self, bytes: &[u8]) -> Result<(), WriteError> {
        Writer::new(&self.exchange).write(Source::Copied(bytes))
    }

    /// As [`write`](Call::write), without copying: `bytes` are kept until they are out. They may be longer than the
    /// site's bounds; it is then that this blocks until little of them is left. For pieces of some KiB and more.
    ///
    /// # Errors
    /// [`WriteError`]; a part of `bytes` may have been sent then.
    pub fn write_shared(&self, bytes: &Bytes) -> Result<(), WriteError> {
        Writer::new(&self.exchange).write(Source::Shared(bytes))
    }

    /// [`write`](Call::write)s if that takes no waiting: all of `bytes` (true), or none (false).
    ///
    /// # Errors
    /// [`WriteError`]
    pub fn try_write(&self, bytes: &[u8]) -> Result<bool, WriteError> {
        self.try_write_source(Source::Copied(bytes))
    }

    /// [`write_shared`](Call::write_shared)s if that takes no waiting: all of `bytes` (true), or none (false).
    ///
    /// # Errors
    /// [`WriteError`]
    pub fn try_write_shared(&self, bytes: &Bytes) -> Result<bool, WriteError> {
        self.try_write_source(Source::Shared(bytes))
    }

    #[inline]
    fn try_write_source(&self, bytes: Source<'_>) -> Result<bool, WriteError> {
        self.exchange.watched.visit();
        let mut state = self.exchange.state();
        state.check_writable()?;
        if state.writers.is_busy() || bytes.len() > self.exchange.room(&state) {
            return Ok(false);
        }
        if bytes.is_empty() {
            return Ok(true);
        }
        state.committed = true;
        bytes.queue(&mut state.waiting);
        let notify = !std::mem::replace(&mut state.notified, true);
        drop(state);
        if notify {
            self.exchange.notifier.notify_lazily();
        }
        Ok(true)
    }

    /// Sends `bytes` as the whole body: with their length declared, unless the application did, and together with the
    /// head. Nothing is to be written before or after.
    ///
    /// # Errors
    /// [`WriteError`]
    pub fn send_whole(&self, bytes: &[u8]) -> Result<(), WriteError> {
        match self.try_send_whole(bytes)? {
            true => Ok(()),
            false => self.write(bytes),
        }
    }

    /// [`send_whole`](Call::send_whole)s if that takes no waiting: all of `bytes` (true), or none (false).
    ///
    /// # Errors
    /// [`WriteError`]
    pub fn try_send_whole(&self, bytes: &[u8]) -> Result<bool, WriteError> {
        self.try_send_whole_source(Source::Copied(bytes))
    }

    /// As [`send_whole`](Call::send_whole), without copying; see [`write_shared`](Call::write_shared).
    ///
    /// # Errors
    /// [`WriteError`]
    pub fn send_whole_shared(&self, bytes: &Bytes) -> Result<(), WriteError> {
        match self.try_send_whole_shared(bytes)? {
            true => Ok(()),
            false => self.write_shared(bytes),
        }
    }

    /// [`send_whole_shared`](Call::send_whole_shared)s if that takes no waiting: all of `bytes` (true), or none (false).
    ///
    /// # Errors
    /// [`WriteError`]
    pub fn try_send_whole_shared(&self, bytes: &Bytes) -> Result<bool, WriteError> {
        self.try_send_whole_source(Source::Shared(bytes))
    }

    #[inline]
    fn try_send_whole_source(&self, bytes: Source<'_>) -> Result<bool, WriteError> {
        self.exchange.watched.visit();
        let mut state = self.exchange.state();
        state.declare_length(bytes.len() as u64);
        if state.committed || state.ended || state.disconnected || bytes.len() > self.exchange.marks.high_bytes {
            return Ok(false);
        }
        if state.head.is_none() {
            return Err(WriteError::NotStarted);
        }
        // The end of the call is near, and tells the reactor of both.
        state.committed = true;
        bytes.queue(&mut state.waiting);
        Ok(true)
    }

    /// Whether the client has left.
    pub fn is_disconnected(&self) -> bool {
        self.exchange.state().disconnected
    }

    /// A head with this status and no fields, as [`ResponseHead::new`] makes it: on a connection that has had a response
    /// before, in the memory of that one's head.
    ///
    /// # Errors
    /// As [`ResponseHead::new`].
    pub fn new_head(&self, status: impl AsRef<[u8]>) -> Result<ResponseHead, BadResponse> {
        match self.exchange.take_spent() {
            Some(mut head) => head.reset(status).map(|()| head),
            None => ResponseHead::new(status),
        }
    }

    fn head_of(&self, status: &str, headers: &[(&str, &str)]) -> Result<ResponseHead, BadResponse> {
        let mut head = self.new_head(status)?;
        for (name, value) in headers {
            head.push(name.as_bytes(), value.as_bytes())?;
        }
        Ok(head)
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Call({})", self.request())
    }
}

/// Reads a request's body.
#[derive(Debug)]
pub struct BodyReader {
    call: Call,
    offset: u64,
}

impl io::Read for BodyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.call.read_body_at(self.offset, into)?;
        self.offset += bytes as u64;
        Ok(bytes)
    }
}
