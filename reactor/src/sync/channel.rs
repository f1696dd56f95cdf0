//! Queues from any number of threads to any number of others.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::monitor::{Line, Monitor, Patience, wake};
use super::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use crate::{Gate, Threads, Time};

/// A queue that holds `capacity` items at the most; senders wait for room. `name` appears in diagnoses.
///
/// # Panics
/// If the capacity is zero.
#[track_caller]
pub fn bounded<T>(threads: &impl Threads, name: &str, capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "the channel `{name}` has no room; give it a capacity of at least 1");
    channel(threads, name, capacity)
}

/// A queue without a bound: senders never wait, and whoever sends faster than others receive fills the memory.
#[track_caller]
pub fn unbounded<T>(threads: &impl Threads, name: &str) -> (Sender<T>, Receiver<T>) {
    channel(threads, name, usize::MAX)
}

#[track_caller]
fn channel<T>(threads: &impl Threads, name: &str, capacity: usize) -> (Sender<T>, Receiver<T>) {
    let state = State {
        items: VecDeque::new(),
        capacity,
        senders: 1,
        receivers: 1,
        sending: Line::default(),
        receiving: Line::default(),
    };
    let monitor = Arc::new(Monitor::new(threads, name, state));
    (Sender(Arc::clone(&monitor)), Receiver(monitor))
}

struct State<T> {
    items: VecDeque<T>,
    capacity: usize,
    senders: usize,
    receivers: usize,
    sending: Line,
    receiving: Line,
}

impl<T> State<T> {
    /// How many sends would not wait.
    fn room(&self) -> usize {
        if self.receivers == 0 { usize::MAX } else { self.capacity - self.items.len() }
    }

    /// How many receives would not wait.
    fn news(&self) -> usize {
        if self.senders == 0 { usize::MAX } else { self.items.len() }
    }

    fn sending(&mut self) -> &mut Line {
        &mut self.sending
    }

    fn receiving(&mut self) -> &mut Line {
        &mut self.receiving
    }

    /// The item comes back where nobody is left to receive it.
    fn put(&mut self, item: T) -> (Result<(), T>, Option<Gate>) {
        if self.receivers == 0 {
            return (Err(item), None);
        }
        self.items.push_back(item);
        let news = self.news();
        (Ok(()), self.receiving.choose(news))
    }

    fn get(&mut self) -> (Option<T>, Option<Gate>) {
        let item = self.items.pop_front();
        let room = self.room();
        (item, self.sending.choose(room))
    }
}

/// The end of a channel that sends. Copies send on the same channel; when the last is dropped, receivers get what is
/// left, and then an error.
pub struct Sender<T>(Arc<Monitor<State<T>>>);

impl<T> Sender<T> {
    /// Sends `item`; waits for room.
    ///
    /// # Errors
    /// The item, if no [`Receiver`] is left.
    pub fn send(&self, item: T) -> Result<(), SendError<T>> {
        match self.send_with(item, Patience::Endless) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(item) | TrySendError::Disconnected(item)) => Err(SendError(item)),
        }
    }

    /// Sends `item` if there is room that no other sender has been promised.
    ///
    /// # Errors
    /// The item, if there is no room or no [`Receiver`].
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        self.send_with(item, Patience::None)
    }

    /// Sends `item`; waits for room until `time` at the latest.
    ///
    /// # Errors
    /// The item, if there was no room in time ([`TrySendError::Full`]) or no [`Receiver`] is left.
    pub fn send_until(&self, item: T, time: Time) -> Result<(), TrySendError<T>> {
        self.send_with(item, Patience::Until(time))
    }

    /// Sends `item`; waits for room for `timeout` at the most.
    ///
    /// # Errors
    /// As [`send_until`](Sender::send_until).
    pub fn send_timeout(&self, item: T, timeout: Duration) -> Result<(), TrySendError<T>> {
        self.send_until(item, self.0.threads.now() + timeout)
    }

    fn send_with(&self, item: T, patience: Patience) -> Result<(), TrySendError<T>> {
        let mut item = Some(item);
        let put = |state: &mut State<T>| state.put(item.take().expect("an item is put once"));
        match self.0.take(State::sending, patience, State::room, put) {
            Some(Ok(())) => Ok(()),
            Some(Err(item)) => Err(TrySendError::Disconnected(item)),
            None => Err(TrySendError::Full(item.expect("it was not put"))),
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.0.enter().senders += 1;
        Sender(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.enter();
        state.senders -= 1;
        let waiting = if state.senders == 0 { state.receiving.choose_all() } else { VecDeque::new() };
        drop(state);
        wake(waiting);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({})", self.0.name)
    }
}

/// The end of a channel that receives. Copies share the items: each is received once. When the last is dropped, the
/// items that are left are dropped too.
pub struct Receiver<T>(Arc<Monitor<State<T>>>);

impl<T> Receiver<T> {
    /// The next item; waits for one.
    ///
    /// # Errors
    /// If there is none and no [`Sender`] is left.
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_with(Patience::Endless).map_err(|_| RecvError)
    }

    /// The next item, if there is one that no other receiver has been promised.
    ///
    /// # Errors
    /// If there is none, with or without a [`Sender`] left.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.recv_with(Patience::None).map_err(|error| match error {
            RecvTimeoutError::Timeout => TryRecvError::Empty,
            RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
        })
    }

    /// The next item; waits for one until `time` at the latest.
    ///
    /// # Errors
    /// If none came in time, or there is none and no [`Sender`] is left.
    pub fn recv_until(&self, time: Time) -> Result<T, RecvTimeoutError> {
        self.recv_with(Patience::Until(time))
    }

    /// The next item; waits for one for `timeout` at the most.
    ///
    /// # Errors
    /// As [`recv_until`](Receiver::recv_until).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_until(self.0.threads.now() + timeout)
    }

    /// The items as they come, until no [`Sender`] is left.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self)
    }

    /// The items that are there.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter(self)
    }

    /// How many items are there.
    pub fn len(&self) -> usize {
        self.0.enter().items.len()
    }

    /// Whether no item is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn recv_with(&self, patience: Patience) -> Result<T, RecvTimeoutError> {
        match self.0.take(State::receiving, patience, State::news, State::get) {
            Some(Some(item)) => Ok(item),
            Some(None) => Err(RecvTimeoutError::Disconnected),
            None => Err(RecvTimeoutError::Timeout),
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        self.0.enter().receivers += 1;
        Receiver(Arc::clone(&self.0))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.enter();
        state.receivers -= 1;
        let (mut waiting, mut left) = (VecDeque::new(), VecDeque::new());
        if state.receivers == 0 {
            (waiting, left) = (state.sending.choose_all(), std::mem::take(&mut state.items));
        }
        drop(state);
        wake(waiting);
        // Not under the lock: they may be ends of this very channel.
        drop(left);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({})", self.0.name)
    }
}

/// See [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T>(&'a Receiver<T>);

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

/// See [`Receiver::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T>(&'a Receiver<T>);

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.try_recv().ok()
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
