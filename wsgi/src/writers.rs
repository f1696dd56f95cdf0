//! Threads that write one response: at most one whose write is under way waits for room, the others for their turn.
//!
//! A write that fits is over at once and takes no turn. One that does not keeps its turn until its last byte is
//! queued: the bytes of one write stay together. Turns go in the order in which threads came to wait for them.

use std::collections::VecDeque;

use bytes::Bytes;
use handwound_reactor::{Gate, Outgoing, Threads};

use crate::application::WriteError;
use crate::exchange::{Exchange, Oversize};

/// What is written.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// Bytes to be copied.
    Copied(&'a [u8]),
    /// A piece to be kept where it is.
    Shared(&'a Bytes),
}

impl Source<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Source::Copied(bytes) => bytes.len(),
            Source::Shared(bytes) => bytes.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn queue(&self, waiting: &mut Outgoing) {
        match self {
            Source::Copied(bytes) => waiting.copy(bytes),
            Source::Shared(bytes) => waiting.keep(Bytes::clone(bytes)),
        }
    }

    /// As much of it as goes into `room` at once: a part of what is copied, the whole of what is not.
    fn part(self, room: usize) -> Self {
        match self {
            Source::Copied(bytes) => Source::Copied(&bytes[..room.min(bytes.len())]),
            Source::Shared(_) if room == 0 => Source::Copied(b""),
            shared => shared,
        }
    }

    fn after(self, queued: usize) -> Self {
        match self {
            Source::Copied(bytes) => Source::Copied(&bytes[queued..]),
            Source::Shared(_) if queued > 0 => Source::Copied(b""),
            shared => shared,
        }
    }
}

/// Who waits. Part of what the exchange's lock guards.
#[derive(Default)]
pub(crate) struct Writers {
    /// A write is under way that did not fit at once.
    busy: bool,
    /// Where its thread waits for room.
    for_room: Option<Gate>,
    /// Where the others wait for their turn.
    for_turn: VecDeque<Gate>,
    /// The exchange's own gate is some writer's; the next has to make one.
    gate_taken: bool,
    /// The application runs on the loop's own thread, which must not wait: there is room for whatever it writes.
    has_endless_room: bool,
}

impl Writers {
    /// Whether a write would have to wait for another.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Whether nobody may wait for room, since nobody would make some meanwhile.
    pub(crate) fn set_endless_room(&mut self, is_endless: bool) {
        self.has_endless_room = is_endless;
    }

    /// There is room: whom to wake.
    pub(crate) fn take_for_room(&mut self) -> Option<Gate> {
        self.for_room.take()
    }

    /// No write can succeed any more: whom to wake, so that they learn of it.
    #[inline]
    pub(crate) fn take_all(&mut self) -> Vec<Gate> {
        // Nearly always nobody.
        if self.for_room.is_none() && self.for_turn.is_empty() {
            return Vec::new();
        }
        self.for_room.take().into_iter().chain(self.for_turn.drain(..)).collect()
    }

    /// The exchange is used again; nobody is left of those that wrote to it.
    #[inline]
    pub(crate) fn reset(&mut self) {
        self.has_endless_room = false;
        if self.busy || self.gate_taken || self.for_room.is_some() || !self.for_turn.is_empty() {
            *self = Writers::default();
        }
    }
}

/// One write.
pub(crate) struct Writer<'a> {
    exchange: &'a Exchange,
    has_turn: bool,
    /// What it has queued was longer than the room.
    is_oversize: bool,
    /// Where it waits, once it has had to.
    gate: Option<Gate>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(exchange: &'a Exchange) -> Writer<'a> {
        Writer { exchange, has_turn: false, is_oversize: false, gate: None }
    }

    /// Queues all of `bytes`. Parks while there is no room, and while it is others' turn; behind a piece that is longer
    /// than the room was, until there is room again.
    pub(crate) fn write(mut self, mut bytes: Source<'_>) -> Result<(), WriteError> {
        while !bytes.is_empty() {
            let queued = self.step(bytes)?;
            bytes = bytes.after(queued);
        }
        while self.waits_for_room_again()? {}
        Ok(())
    }

    /// Queues as much as there is room for; waits, and queues nothing, where there is none or it is not its turn.
    ///
    /// # Errors
    /// None after which another write could succeed: a turn need not be given back then.
    fn step(&mut self, bytes: Source<'_>) -> Result<usize, WriteError> {
        let exchange = self.exchange;
        exchange.watched.visit();
        let mut state = exchange.state();
        state.check_writable()?;
        let others_turn = state.writers.busy && !self.has_turn;
        let room = match others_turn {
            true => 0,
            false if state.writers.has_endless_room => usize::MAX,
            false => exchange.room(&state),
        };
        let part = bytes.part(room);
        if !part.is_empty() {
            state.committed = true;
            part.queue(&mut state.waiting);
            let notify = !std::mem::replace(&mut state.notified, true);
            self.is_oversize = part.len() > room;
            if self.is_oversize {
                state.oversize = Oversize::Queued;
            }
            let next = match part.len() == bytes.len() && !self.is_oversize {
                true => self.leave(&mut state.writers),
                false => {
                    self.enter(&mut state.writers);
                    None
                }
            };
            drop(state);
            if notify {
                exchange.notifier.notify_lazily();
            }
            if let Some(next) = next {
                next.unpark();
            }
            return Ok(part.len());
        }
        let Some(gate) = self.gate(&mut state.writers) else {
            drop(state);
            self.gate = Some(exchange.threads.gate("response writer"));
            return Ok(0);
        };
        if others_turn {
            state.writers.for_turn.push_back(gate.clone());
        } else {
            state.committed = true;
            self.enter(&mut state.writers);
            state.writers.for_room = Some(gate.clone());
        }
        drop(state);
        exchange.notifier.remote().flush();
        gate.park();
        // Whoever has ended a wait for a turn has left the turn to us, or there are no more turns.
        self.has_turn = true;
        Ok(0)
    }

    /// Waits once if what was queued was oversize, and is not out yet; the turn is over when it is.
    fn waits_for_room_again(&mut self) -> Result<bool, WriteError> {
        if !self.is_oversize {
            return Ok(false);
        }
        let exchange = self.exchange;
        exchange.watched.visit();
        let mut state = exchange.state();
        if state.is_disconnected() {
            return Err(WriteError::ClientDisconnected);
        }
        // At the response's end it is out of the application's hands: what is queued goes out.
        if state.oversize == Oversize::None || state.has_ended() {
            let next = self.leave(&mut state.writers);
            drop(state);
            if let Some(next) = next {
                next.unpark();
            }
            return Ok(false);
        }
        let Some(gate) = self.gate(&mut state.writers) else {
            drop(state);
            self.gate = Some(exchange.threads.gate("response writer"));
            return Ok(true);
        };
        state.writers.for_room = Some(gate.clone());
        drop(state);
        exchange.notifier.remote().flush();
        gate.park();
        Ok(true)
    }

    /// A gate that no other writer uses; `None` where one has to be made, which is not done under a lock.
    fn gate(&mut self, writers: &mut Writers) -> Option<Gate> {
        if self.gate.is_none() && !std::mem::replace(&mut writers.gate_taken, true) {
            self.gate = Some(self.exchange.gate.clone());
        }
        self.gate.clone()
    }

    /// It is this write's turn from here on.
    fn enter(&mut self, writers: &mut Writers) {
        (writers.busy, self.has_turn) = (true, true);
    }

    /// This write is over; whose turn is next.
    fn leave(&mut self, writers: &mut Writers) -> Option<Gate> {
        if self.gate.as_ref().is_some_and(|gate| gate.is(&self.exchange.gate)) {
            writers.gate_taken = false;
        }
        if !self.has_turn {
            return None;
        }
        let next = writers.for_turn.pop_front();
        writers.busy = next.is_some();
        next
    }
}
