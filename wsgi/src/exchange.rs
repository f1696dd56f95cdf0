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

mod call;
mod fields;
mod follow;
mod open;
mod taken;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use handwound_reactor::{AnyThreads, Gate, Job, JobRefused, Notifier, Outgoing, Time, Watched, Worker};

use crate::application::{Application, Failure, WriteError};
use crate::body::RequestBody;
use crate::http1::ResponseHead;
use crate::request::Request;
use crate::writers::Writers;

use follow::{Next, Rare};

pub use call::{BodyReader, Call};
pub use open::OpenCall;
pub(crate) use taken::{Oversize, Taken};

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
    pub(crate) waiting: Outgoing,
    /// Whether a piece for which there was no room is among it, or among what the reactor has.
    pub(crate) oversize: Oversize,
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
    /// What few calls ask for.
    rare: Option<Box<Rare>>,
    /// The client has ended its side of the connection; it may still read.
    half_closed: bool,
}

impl State {
    /// As new, but with what is good for the next request.
    fn reset(&mut self, next_spent: Option<ResponseHead>) {
        // Each by its name, so that a new one is not forgotten; a struct update would move all of it.
        let State {
            head,
            committed,
            waiting,
            oversize,
            outcome,
            disconnected,
            begun,
            notified,
            writers,
            ended,
            close,
            refused,
            spent,
            rare,
            half_closed,
        } = self;
        waiting.clear();
        writers.reset();
        (*head, *outcome, *spent, *rare) = (None, None, next_spent, None);
        *oversize = Oversize::None;
        (*committed, *disconnected, *begun, *notified) = (false, false, false, false);
        (*ended, *close, *refused, *half_closed) = (false, false, false, false);
    }

    /// The whole body is `bytes` long.
    fn declare_length(&mut self, bytes: u64) {
        if !self.committed
            && let Some(head) = &mut self.head
        {
            head.set_content_length_if_absent(bytes);
        }
    }

    /// Whether the reactor has to be told of what waits for it: a whole body counts on the end of the call for that.
    fn note_waiting(&mut self) -> bool {
        !self.waiting.is_empty() && !self.disconnected && !std::mem::replace(&mut self.notified, true)
    }

    /// Whether somebody asked to be told when the client leaves.
    fn is_watched(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.has_on_disconnect())
    }

    pub(crate) fn is_disconnected(&self) -> bool {
        self.disconnected
    }

    /// The application has returned.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
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
    /// It was handed over, and not taken.
    Refused(JobRefused),
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

    /// Makes it ready for another request, whose response's head may use the memory of `spent`. Nobody else holds it: see
    /// `Arc::get_mut`.
    pub(crate) fn reuse(&mut self, spent: Option<ResponseHead>) -> &mut Request {
        self.state.get_mut().expect("nothing panics under the exchange's lock").reset(spent);
        &mut self.request
    }

    /// Whether it may be kept for another request once it has ended: it holds no file and little memory. What waits for the
    /// client is all taken then, see [`take`](Self::take).
    pub(crate) fn is_light(&self) -> bool {
        self.body_is_light && self.request.head.is_light()
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
        note("response", self.state().waiting.memory_bytes());
    }

    fn is_started(&self) -> bool {
        let state = self.state();
        state.head.is_some() || state.committed
    }

    /// Whether the client has, or will get, this response's head.
    pub(crate) fn head_is_out(&self) -> bool {
        self.state().committed
    }

    /// The client has ended its side of the connection. Whether that is taken for leaving. Runs on the reactor's thread.
    pub(crate) fn half_close(&self) -> bool {
        self.watched.visit();
        let mut state = self.state();
        state.half_closed = true;
        state.is_watched()
    }

    /// The client has left: writers get an error, now and later. Runs on the reactor's thread.
    pub(crate) fn disconnect(&self) {
        self.watched.visit();
        let mut state = self.state();
        state.disconnected = true;
        let dropped = std::mem::take(&mut state.waiting);
        let writers = state.writers.take_all();
        let begun = state.begun;
        let rare = state.rare.as_mut().map(|rare| rare.take_for_disconnect());
        drop(state);
        // Not under the lock: its pieces are somebody else's.
        drop(dropped);
        if !begun {
            // No worker will. It may lie in the queue for long: what is large of it goes now. Nobody reads it, so there
            // is nobody to wait for.
            *self.body.write().unwrap_or_else(PoisonError::into_inner) = RequestBody::default();
        }
        for writer in writers {
            writer.unpark();
        }
        if let Some((to_tell, waits)) = rare {
            follow::guarded(|| drop(waits));
            to_tell.into_iter().for_each(follow::guarded);
        }
    }

    /// How many more bytes may wait.
    pub(crate) fn room(&self, state: &State) -> usize {
        self.marks.high_bytes.saturating_sub(state.waiting.len())
    }

    /// Whether it is worth while to go on writing: not for a few bytes at a time.
    fn has_room(&self, state: &State) -> bool {
        state.waiting.len() <= self.marks.high_bytes / 2
    }

    #[inline]
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

    /// While this lives, nobody waits for room: the loop that would make some is busy here.
    #[inline]
    fn on_loops_thread(self: &Arc<Self>, worker: &Worker<'_>) -> Option<EndlessRoom> {
        worker.is_inline().then(|| EndlessRoom::of(self.clone()))
    }

    /// The response ends like this. Whether the reactor has to be told.
    #[inline]
    fn conclude(&self, mut state: MutexGuard<'_, State>, outcome: Outcome) -> bool {
        state.ended = true;
        state.outcome = Some(match outcome {
            Outcome::Finished if state.head.is_none() && !state.committed => {
                Outcome::Failed(Failure::new("the application returned without calling start_response (PEP 3333)"))
            }
            Outcome::Finished => {
                state.committed = true;
                Outcome::Finished
            }
            other => other,
        });
        // Of a client that has left there is nothing to tell: no more entries wait than there are connections.
        let notify = !state.disconnected && !std::mem::replace(&mut state.notified, true);
        let late = state.writers.take_all();
        // What it holds is the application's: nothing of that runs under the lock. That there was any stays known.
        let rare = state.rare.as_deref_mut().map(std::mem::take);
        drop(state);
        if let Some(rare) = rare {
            follow::guarded(|| drop(rare));
        }
        // Threads of the application's own that still write.
        for writer in late {
            writer.unpark();
        }
        notify
    }

    /// The answer is on its way before the next application runs; only the wake may wait for the batch.
    #[inline]
    fn tell_from_worker(&self, notify: bool, worker: &mut Worker<'_>) {
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

impl Call {
    /// The application has returned, or failed. What goes on with the call now, on this worker.
    #[inline]
    fn returned(&self, failure: Option<Failure>, worker: &mut Worker<'_>) -> Option<Next> {
        let exchange = &*self.exchange;
        exchange.watched.visit();
        let state = exchange.state();
        if state.rare.is_some() {
            return follow::returned(self, state, failure, worker);
        }
        let notify = exchange.conclude(state, failure.map_or(Outcome::Finished, Outcome::Failed));
        exchange.tell_from_worker(notify, worker);
        None
    }
}

/// Until it is dropped, all that is written to an exchange finds room.
struct EndlessRoom(Arc<Exchange>);

impl EndlessRoom {
    fn of(exchange: Arc<Exchange>) -> EndlessRoom {
        exchange.state().writers.set_endless_room(true);
        EndlessRoom(exchange)
    }
}

impl Drop for EndlessRoom {
    fn drop(&mut self) {
        self.0.state().writers.set_endless_room(false);
    }
}

impl Job for Exchange {
    fn run(self: Arc<Self>, worker: &mut Worker<'_>) {
        if !self.begin() {
            return;
        }
        let inline = self.on_loops_thread(worker);
        let call = Call::new(self);
        let failure = follow::run(&*call.exchange.application, &call);
        if let Some(next) = call.returned(failure, worker) {
            follow::go_on(call, next, worker);
        }
        drop(inline);
    }

    fn describe(&self) -> String {
        self.request.to_string()
    }
}
