//! What other threads want the loop to do. Many senders, one receiver; whoever posts wakes the loop if need be.
//!
//! Entries and wakes are separate: entries go through a lock-free queue, and the waker (a system call) is used
//! only when the loop sleeps or is about to. The loop says that it will sleep and *then* looks again; a sender
//! pushes and *then* looks at what the loop said. In the one order of sequentially consistent operations one of
//! them sees the other.
//!
//! ```text
//!   sender:  push ──► read state ── asleep? ──► swap to awake ──► wake
//!   loop:    write state (asleep) ──► look into the queue ── empty? ──► poll
//! ```
//!
//! Between awake and asleep lies dozing: the loop sleeps for about a millisecond at the most, so a sender with
//! more to come ([`Mailbox::post_lazily`]) leaves it alone. That keeps a batch of answers to one wake.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::primitives::{AtomicBool, AtomicU8, AtomicUsize, SegQueue};
use crate::threads::{AnyThreads, Watched};
use crate::{EventLoop, Sock, Waker};

/// Names a connection of a loop; never its successor in the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub(crate) Sock);

type Call = Box<dyn FnOnce(&EventLoop) + Send>;

pub(crate) enum Entry {
    /// Run this on the loop's thread.
    Call(Call),
    /// Tell this connection's protocol that there is news.
    Notify(ConnectionId),
}

/// How deeply the loop is about to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleep {
    /// For about a millisecond at the most.
    Doze,
    /// Until something happens.
    Deep,
}

const AWAKE: u8 = 0;
const DOZING: u8 = 1;
const ASLEEP: u8 = 2;

struct Mailbox {
    queue: SegQueue<Entry>,
    state: AtomicU8,
    closed: AtomicBool,
    /// Calls among the entries, and those about to be: counted before they are pushed, or threads that look at the same
    /// time would all find room.
    calls: AtomicUsize,
    calls_max: usize,
    waker: Waker,
    watched: Watched,
    watched_state: Watched,
}

/// Speaks to a loop from any thread.
#[derive(Clone)]
pub struct Remote(Arc<Mailbox>);

/// Why a call was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallRefused {
    /// The loop has stopped and will run nothing any more.
    Stopped,
    /// [`LoopConfig::mailbox_calls_max`](crate::LoopConfig::mailbox_calls_max) calls are waiting.
    Full,
}

impl fmt::Display for CallRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CallRefused::Stopped => "the event loop has stopped; nothing that is posted now would ever run",
            CallRefused::Full => "the event loop's mailbox is full; wait for it, or raise mailbox_calls_max",
        })
    }
}

impl std::error::Error for CallRefused {}

impl Remote {
    pub(crate) fn new(waker: Waker, threads: &AnyThreads, calls_max: usize) -> Remote {
        Remote(Arc::new(Mailbox {
            queue: SegQueue::new(),
            state: AtomicU8::new(AWAKE),
            closed: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            calls_max,
            waker,
            watched: threads.watched("mailbox"),
            watched_state: threads.watched("mailbox state"),
        }))
    }

    /// Runs `call` on the loop's thread, in one of its next turns. Calls of one thread keep their order; a call
    /// made by such a call runs in the turn after. May be called from any thread, the loop's own too.
    ///
    /// # Errors
    /// [`CallRefused::Stopped`] after the loop's end; [`CallRefused::Full`] when its bound is reached.
    pub fn call_from_thread(&self, call: impl FnOnce(&EventLoop) + Send + 'static) -> Result<(), CallRefused> {
        let mailbox = &self.0;
        if mailbox.closed.load(Ordering::Acquire) {
            return Err(CallRefused::Stopped);
        }
        let one_more = |calls| (calls < mailbox.calls_max).then_some(calls + 1);
        if mailbox.calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            return Err(CallRefused::Full);
        }
        self.post(Entry::Call(Box::new(call)));
        Ok(())
    }

    /// Entries that wait to be run.
    pub fn len(&self) -> usize {
        self.0.queue.len()
    }

    /// Whether nothing waits to be run.
    pub fn is_empty(&self) -> bool {
        self.0.queue.is_empty()
    }

    /// Wakes the loop if entries may lie unseen: pays off what [`Notifier::notify_lazily`] saved. Any thread.
    pub fn flush(&self) {
        self.0.watched_state.visit();
        if self.0.state.load(Ordering::SeqCst) != AWAKE {
            self.wake();
        }
    }

    /// Whether `other` speaks to the same loop.
    pub fn is(&self, other: &Remote) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn post(&self, entry: Entry) {
        self.0.watched.visit();
        self.0.queue.push(entry);
        self.flush();
    }

    fn post_lazily(&self, entry: Entry) {
        self.0.watched.visit();
        self.0.queue.push(entry);
        self.0.watched_state.visit();
        if self.0.state.load(Ordering::SeqCst) == ASLEEP {
            self.wake();
        }
    }

    fn wake(&self) {
        // Of several that saw the loop asleep, one pays for the wake.
        if self.0.state.swap(AWAKE, Ordering::SeqCst) != AWAKE {
            self.0.waker.wake();
        }
    }

    pub(crate) fn take(&self) -> Option<Entry> {
        let entry = self.0.queue.pop()?;
        if matches!(entry, Entry::Call(_)) {
            self.0.calls.fetch_sub(1, Ordering::Relaxed);
        }
        Some(entry)
    }

    pub(crate) fn visit(&self) {
        self.0.watched.visit();
    }

    /// The loop is about to sleep. `false`: it must not, something has come.
    pub(crate) fn fall_asleep(&self, sleep: Sleep) -> bool {
        self.0.watched_state.visit();
        let state = if sleep == Sleep::Doze { DOZING } else { ASLEEP };
        self.0.state.store(state, Ordering::SeqCst);
        self.0.watched.visit();
        if self.0.queue.is_empty() {
            return true;
        }
        self.wake_up();
        false
    }

    pub(crate) fn wake_up(&self) {
        self.0.watched_state.visit();
        self.0.state.store(AWAKE, Ordering::SeqCst);
    }

    /// Refuses calls from here on, and drops those that wait.
    pub(crate) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        while self.take().is_some() {}
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("waiting", &self.len()).finish()
    }
}

/// Tells one connection's protocol, from any thread, that there is news for it.
#[derive(Clone, Debug)]
pub struct Notifier {
    remote: Remote,
    connection: ConnectionId,
}

impl Notifier {
    pub(crate) fn new(remote: Remote, connection: ConnectionId) -> Notifier {
        Notifier { remote, connection }
    }

    pub(crate) fn redirect(&mut self, remote: &Remote, connection: ConnectionId) -> bool {
        let is_of = self.remote.is(remote);
        if is_of {
            self.connection = connection;
        }
        is_of
    }

    /// [`Protocol::notified`](crate::Protocol::notified) runs in one of the loop's next turns; nothing happens if
    /// the connection is gone by then. Never blocks.
    pub fn notify(&self) {
        self.remote.post(Entry::Notify(self.connection));
    }

    /// As [`notify`](Notifier::notify), but a loop that dozes is left alone: it looks by itself within about a
    /// millisecond. Whoever calls this owes a [`Remote::flush`] before it parks.
    pub fn notify_lazily(&self) {
        self.remote.post_lazily(Entry::Notify(self.connection));
    }

    /// The loop behind it.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }
}

/// What a panic said, for the log.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(a panic without a text)")
}
