//! Calls that the loop makes later: a handle on each.

use std::fmt;
use std::time::Duration;

use crate::event_loop::WeakLoop;
use crate::timers::TimerId;
use crate::{EventLoop, Time};

/// A call that [`EventLoop::call_later`] has promised. Dropping the handle changes nothing.
#[derive(Clone)]
pub struct DelayedCall {
    pub(crate) event_loop: WeakLoop,
    pub(crate) id: TimerId,
}

/// The call has been made or cancelled already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotActive;

impl fmt::Display for NotActive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this delayed call has been made or cancelled already")
    }
}

impl std::error::Error for NotActive {}

impl DelayedCall {
    /// Takes the promise back.
    ///
    /// # Errors
    /// [`NotActive`]
    pub fn cancel(&self) -> Result<(), NotActive> {
        let event_loop = self.event_loop.upgrade().ok_or(NotActive)?;
        let payload = event_loop.timers().cancel(self.id);
        payload.map(|_| ()).ok_or(NotActive)
    }

    /// Makes it due `after` from now, whatever it was before.
    ///
    /// # Errors
    /// [`NotActive`]
    pub fn reset(&self, after: Duration) -> Result<(), NotActive> {
        self.move_to(|event_loop, _| event_loop.now() + after)
    }

    /// Makes it due `later` than it was.
    ///
    /// # Errors
    /// [`NotActive`]
    pub fn delay(&self, later: Duration) -> Result<(), NotActive> {
        self.move_to(|_, deadline| deadline + later)
    }

    /// When it is due; `None` once it has been made or cancelled.
    pub fn deadline(&self) -> Option<Time> {
        self.event_loop.upgrade()?.timers().deadline(self.id)
    }

    /// Whether it will still be made.
    pub fn is_active(&self) -> bool {
        self.deadline().is_some()
    }

    fn move_to(&self, deadline: impl FnOnce(&EventLoop, Time) -> Time) -> Result<(), NotActive> {
        let event_loop = self.event_loop.upgrade().ok_or(NotActive)?;
        let mut timers = event_loop.timers();
        let old = timers.deadline(self.id).ok_or(NotActive)?;
        timers.reset(self.id, deadline(&event_loop, old));
        Ok(())
    }
}

impl fmt::Debug for DelayedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DelayedCall").field("deadline", &self.deadline()).finish()
    }
}
