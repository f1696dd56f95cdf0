//! One request and its response, shared by the reactor's thread and a worker.
//!
//! ```text
//!   reactor                                     worker
//!   request, body ──── pool's queue ──────────► Application::call
//!                                               start, write … (parks while too much waits)
//!   head, body, outcome ◄── mailbox: one entry ─ end
//!   disconnect ───────────────────────────────► writes fail
//! ```
//!
//! The two share one small lock, which neither holds while it waits for anything. Only the reactor touches the
//! connection; only the worker runs the application.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use handwound_reactor::{AnyThreads, Gate, Job, Notifier, Time, Watched, Worker};

use crate::application::{Application, Failure, StartError, WriteError};
use crate::body::{LIGHT_BYTES, RequestBody};
use crate::http1::{BadResponse, ResponseHead};
use crate::request::Request;
use crate::writers::{Writer, Writers};

/// Bytes of one response that may wait between its worker and the reactor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    /// A writer parks when this many wait; the reactor takes all there is, and lets it go on.
    pub(crate) high_bytes: usize,
}

pub(crate) struct Exchange {
    pub(crate) request: Request,
    /// Only read once the exchange is queued; emptied if the client leaves before a worker has begun.
    body: RwLock<RequestBody>,
    /// Whether the body was [light](RequestBody::is_light) when the exchange was queued. It can only become lighter, and
    /// so nobody needs the lock to know.
    body_is_light: bool,
    pub(crate) application: Arc<dyn Application>,
    pub(crate) submitted_at: Time,
    pub(crate) notifier: Notifier,
    pub(crate) threads: AnyThreads,
    /// Where the first writer waits; further ones make gates of their own.
    pub(crate) gate: Gate,
    pub(crate) watched: Watched,
    marks: Marks,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    head: Option<ResponseHead>,
    /// The head is, or may be, with the reactor: it cannot be replaced any more.
    pub(crate) committed: bool,
    /// Bytes of the body that the reactor has not taken.
    pub(crate) waiting: Vec<u8>,
    outcome: Option<Outcome>,
    disconnected: bool,
    /// A worker has taken it up.
    begun: bool,
    /// A mailbox entry is on its way; the reactor will look at all there is.
    pub(crate) notified: bool,
    pub(crate) writers: Writers,
    /// The application has returned.
    ended: bool,
    /// The connection is not to be used again.
    close: bool,
    /// A `start_response` was refused for what it said.
    refused: bool,
    /// A head that has been sent, for the next one's memory.
    spent: Option<ResponseHead>,
}

impl State {
    /// As new, but with what is good for the next request.
    fn reset(&mut self, next_spent: Option<ResponseHead>) {
        // Each by its name, so that a new one is not forgotten; a struct update would move all of it.
        let State {
            head,
            committed,
            waiting,
            outcome,
            disconnected,
            begun,
            notified,
            writers,
            ended,
            close,
            refused,
            spent,
        } = self;
        waiting.clear();
        writers.reset();
        (*head, *outcome, *spent) = (None, None, next_spent);
        (*committed, *disconnected, *begun, *notified) = (false, false, false, false);
        (*ended, *close, *refused) = (false, false, false);
    }

    /// The whole body is `bytes` long.
    fn declare_length(&mut self, bytes: u64) {
        if !self.committed
            && let Some(head) = &mut self.head
        {
            head.set_content_length_if_absent(bytes);
        }
    }

    /// Whether a write could succeed now, or after a wait.
    pub(crate) fn check_writable(&self) -> Result<(), WriteError> {
        match self {
            State { ended: true, .. } => Err(WriteError::Ended),
            State { disconnected: true, .. } => Err(WriteError::ClientDisconnected),
            State { head: None, committed: false, .. } => Err(WriteError::NotStarted),
            _ => Ok(()),
        }
    }
}

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Finished,
    Failed(Failure),
}

/// What the reactor finds when it looks.
#[derive(Default)]
pub(crate) struct Taken {
    /// The head, once: at the first look after it was committed.
    pub(crate) head: Option<ResponseHead>,
    pub(crate) body: Vec<u8>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) close: bool,
    /// The last head, sent: goes back with [`Exchange::reuse`].
    pub(crate) spent: Option<ResponseHead>,
}

impl Exchange {
    pub(crate) fn new(
        request: Request,
        body: RequestBody,
        application: Arc<dyn Application>,
        submitted_at: Time,
        link: Link,
    ) -> Exchange {
        let Link { notifier, threads, gate, watched, marks } = link;
        let body_is_light = body.is_light();
        let (state, body) = (Mutex::new(State::default()), RwLock::new(body));
        Exchange {
            request,
            body,
            body_is_light,
            application,
            submitted_at,
            notifier,
            threads,
            gate,
            watched,
            marks,
            state,
        }
    }

    /// Makes it ready for the next request of its connection, whose head may use the memory of `spent`. Nobody else
    /// holds it: see `Arc::get_mut`.
    pub(crate) fn reuse(&mut self, spent: Option<ResponseHead>) -> &mut Request {
        self.state.get_mut().expect("nothing panics under the exchange's lock").reset(spent);
        &mut self.request
    }

    /// Whether an idle connection may keep it once it has ended: it holds no file and little memory. What waits for the
    /// client is all taken then, see [`take`](Self::take).
    pub(crate) fn is_light(&self) -> bool {
        self.body_is_light && self.request.head.bytes_kept() <= LIGHT_BYTES
    }

    /// Takes what there is for the client. Runs on the reactor's thread.
    pub(crate) fn take(&self, taken: &mut Taken) {
        self.watched.visit();
        let mut state = self.state();
        state.notified = false;
        if state.committed {
            taken.head = state.head.take();
        }
        std::mem::swap(&mut taken.body, &mut state.waiting);
        state.waiting.clear();
        taken.outcome = state.outcome.take();
        if taken.outcome.is_some() && state.waiting.capacity() > LIGHT_BYTES {
            // It may be kept for a next request that never comes.
            state.waiting = Vec::new();
        }
        taken.close = state.close;
        let writer = state.writers.take_for_room();
        drop(state);
        if let Some(writer) = writer {
            writer.unpark();
        }
    }

    pub(crate) fn set_body(&mut self, body: RequestBody) {
        self.body_is_light = body.is_light();
        *self.body.get_mut().unwrap_or_else(PoisonError::into_inner) = body;
    }

    fn read_body<V>(&self, read: impl FnOnce(&RequestBody) -> V) -> V {
        read(&self.body.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells what it keeps in memory, used or not. Runs on the reactor's thread.
    pub(crate) fn note_memory(&self, note: &mut dyn FnMut(&'static str, usize)) {
        note("heads", self.request.head.bytes_kept());
        note("body", self.read_body(RequestBody::memory_bytes));
        note("response", self.state().waiting.capacity());
    }

    fn is_started(&self) -> bool {
        let state = self.state();
        state.head.is_some() || state.committed
    }

    /// Whether the client has, or will get, this response's head.
    pub(crate) fn head_is_out(&self) -> bool {
        self.state().committed
    }

    /// The client has left: writers get an error, now and later. Runs on the reactor's thread.
    pub(crate) fn disconnect(&self) {
        self.watched.visit();
        let mut state = self.state();
        state.disconnected = true;
        state.waiting = Vec::new();
        let writers = state.writers.take_all();
        let begun = state.begun;
        drop(state);
        if !begun {
            // No worker will. It may lie in the queue for long: what is large of it goes now. Nobody reads it, so there
            // is nobody to wait for.
            *self.body.write().unwrap_or_else(PoisonError::into_inner) = RequestBody::default();
        }
        for writer in writers {
            writer.unpark();
        }
    }

    /// How many more bytes may wait.
    pub(crate) fn room(&self, state: &State) -> usize {
        self.marks.high_bytes.saturating_sub(state.waiting.len())
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics under the exchange's lock")
    }

    /// The head of a response before, for its memory.
    fn take_spent(&self) -> Option<ResponseHead> {
        let mut head = self.state().spent.take()?;
        head.keep_date_and_server(false);
        Some(head)
    }

    /// Whether there is still somebody to answer: who resets a connection takes back what has not been begun.
    fn begin(&self) -> bool {
        self.watched.visit();
        let mut state = self.state();
        state.begun = !state.disconnected;
        state.begun
    }

    /// The application has returned, or failed.
    fn end(&self, failure: Option<Failure>, worker: &mut Worker<'_>) {
        self.watched.visit();
        let mut state = self.state();
        state.ended = true;
        state.outcome = Some(match failure {
            Some(failure) => Outcome::Failed(failure),
            None if state.head.is_none() && !state.committed => {
                Outcome::Failed(Failure::new("the application returned without calling start_response (PEP 3333)"))
            }
            None => {
                state.committed = true;
                Outcome::Finished
            }
        });
        // Of a client that has left there is nothing to tell: no more entries wait than there are connections.
        let notify = !state.disconnected && !std::mem::replace(&mut state.notified, true);
        let late = state.writers.take_all();
        drop(state);
        // Threads of the application's own that still write.
        for writer in late {
            writer.unpark();
        }
        // The answer is on its way before the next application runs; only the wake may wait for the batch.
        if worker.has_backlog() {
            if notify {
                self.notifier.notify_lazily();
            }
            worker.flush_before_park(self.notifier.remote());
        } else if notify {
            self.notifier.notify();
        } else {
            // An entry from an earlier write is still there, but perhaps the loop was left dozing.
            self.notifier.remote().flush();
        }
    }
}

/// What ties an exchange to its connection.
pub(crate) struct Link {
    pub(crate) notifier: Notifier,
    pub(crate) threads: AnyThreads,
    pub(crate) gate: Gate,
    pub(crate) watched: Watched,
    pub(crate) marks: Marks,
}

impl Job for Exchange {
    fn run(self: Arc<Self>, worker: &mut Worker<'_>) {
        if !self.begin() {
            return;
        }
        let call = Call(self);
        let failure = match catch_unwind(AssertUnwindSafe(|| call.0.application.call(&call))) {
            Ok(returned) => returned.err(),
            Err(payload) => Some(Failure::of_panic(&*payload)),
        };
        call.0.end(failure, worker);
    }

    fn describe(&self) -> String {
        self.request.to_string()
    }
}

/// The application's side of a request. Clones are handles on the same one; any thread may use them, also after the
/// end of the call, when they only give errors.
#[derive(Clone)]
pub struct Call(Arc<Exchange>);

impl Call {
    /// What the client asked for.
    pub fn request(&self) -> &Request {
        &self.0.request
    }

    /// [`Request::path`].
    pub fn path(&self) -> String {
        self.request().path()
    }

    /// Bytes of the request's body. It has been received in full.
    pub fn body_len(&self) -> u64 {
        self.0.read_body(RequestBody::len)
    }

    /// Reads the request's body from `offset` on; zero bytes are its end. Any thread; may read a file.
    ///
    /// # Errors
    /// The temporary file's, or [`WriteError::ClientDisconnected`] as an error of kind `ConnectionAborted`.
    pub fn read_body_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        if self.is_disconnected() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, WriteError::ClientDisconnected));
        }
        self.0.read_body(|body| body.read_at(offset, into))
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
        self.0.state().close = true;
    }

    /// A `start_response` was refused for what it said; it counts as called (PEP 3333, "The start_response() Callable").
    pub fn refuse_start(&self) {
        self.0.state().refused = true;
    }

    /// [`start_response`](Call::start_response) with a head that has been made before.
    ///
    /// # Errors
    /// [`StartError::AlreadyStarted`], [`StartError::Ended`].
    pub fn start(&self, head: ResponseHead) -> Result<(), StartError> {
        self.0.watched.visit();
        let mut state = self.0.state();
        if state.ended {
            return Err(StartError::Ended);
        }
        if state.head.is_some() || state.committed || state.refused {
            return Err(StartError::AlreadyStarted);
        }
        state.head = Some(head);
        Ok(())
    }

    /// Replaces the head, for `start_response` with `exc_info` (PEP 3333, "Error Handling").
    ///
    /// # Errors
    /// [`StartError::HeadSent`]: too late. [`StartError::Ended`].
    pub fn restart(&self, head: ResponseHead) -> Result<(), StartError> {
        self.0.watched.visit();
        let mut state = self.0.state();
        if state.ended {
            return Err(StartError::Ended);
        }
        if state.committed {
            return Err(StartError::HeadSent);
        }
        state.head = Some(head);
        Ok(())
    }

    /// Whether [`start`](Call::start) has been called.
    pub fn is_started(&self) -> bool {
        self.0.is_started()
    }

    /// Whether the head is on its way, and cannot be replaced any more.
    pub fn head_sent(&self) -> bool {
        self.0.state().committed
    }

    /// The whole body is `bytes` long: the response says so, unless the application did. Only before the first byte.
    pub fn declare_length(&self, bytes: u64) {
        self.0.state().declare_length(bytes);
    }

    /// Sends `bytes` of the body, and the head before the first of them. Blocks while more waits for the client than
    /// the site's bounds allow, and while another thread's write waits for that: the bytes of one write stay together.
    ///
    /// # Errors
    /// [`WriteError`]; a part of `bytes` may have been sent then.
    pub fn write(&self, bytes: &[u8]) -> Result<(), WriteError> {
        Writer::new(&self.0).write(bytes)
    }

    /// [`write`](Call::write)s if that takes no waiting: all of `bytes` (true), or none (false).
    ///
    /// # Errors
    /// [`WriteError`]
    pub fn try_write(&self, bytes: &[u8]) -> Result<bool, WriteError> {
        self.0.watched.visit();
        let mut state = self.0.state();
        state.check_writable()?;
        if state.writers.is_busy() || bytes.len() > self.0.room(&state) {
            return Ok(false);
        }
        if bytes.is_empty() {
            return Ok(true);
        }
        state.committed = true;
        state.waiting.extend_from_slice(bytes);
        let notify = !std::mem::replace(&mut state.notified, true);
        drop(state);
        if notify {
            self.0.notifier.notify_lazily();
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
        self.0.watched.visit();
        let mut state = self.0.state();
        state.declare_length(bytes.len() as u64);
        if state.committed || state.ended || state.disconnected || bytes.len() > self.0.marks.high_bytes {
            return Ok(false);
        }
        if state.head.is_none() {
            return Err(WriteError::NotStarted);
        }
        // The end of the call is near, and tells the reactor of both.
        state.committed = true;
        state.waiting.extend_from_slice(bytes);
        Ok(true)
    }

    /// Whether the client has left.
    pub fn is_disconnected(&self) -> bool {
        self.0.state().disconnected
    }

    /// A head with this status and no fields, as [`ResponseHead::new`] makes it: on a connection that has had a response
    /// before, in the memory of that one's head.
    ///
    /// # Errors
    /// As [`ResponseHead::new`].
    pub fn new_head(&self, status: impl AsRef<[u8]>) -> Result<ResponseHead, BadResponse> {
        match self.0.take_spent() {
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
        write!(f, "Call({})", self.0.request)
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
