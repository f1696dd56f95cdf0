//! A response that goes on when its application has returned.

use std::ops::Deref;

use super::follow::{ForRoom, On};
use super::{Call, Outcome};
use crate::application::Failure;

/// A [`Call`] whose response goes on when its application has returned; see [`Call::keep_open`]. Dropped without an end
/// it counts as failed, so that no client waits for ever.
#[must_use = "dropped, it fails the response"]
#[derive(Debug)]
pub struct OpenCall {
    call: Call,
    is_over: bool,
}

impl OpenCall {
    pub(super) fn new(call: Call) -> OpenCall {
        OpenCall { call, is_over: false }
    }

    /// The response is complete. If it never began, it is a failure: a 500.
    ///
    /// As if the application returned now: what it was [handed over](Call::hand_over) to since, or is to
    /// [go on](Call::go_on_with_room) with room, follows first.
    pub fn finish(mut self) {
        self.is_over = true;
        self.end(Outcome::Finished);
    }

    /// The response cannot be completed: as if the application had returned this.
    pub fn fail(mut self, failure: Failure) {
        self.is_over = true;
        self.end(Outcome::Failed(failure));
    }

    fn end(&self, outcome: Outcome) {
        let exchange = &*self.call.exchange;
        exchange.watched.visit();
        let mut state = exchange.state();
        let Some(rare) = state.rare.as_mut().filter(|rare| rare.is_open) else { return };
        rare.is_open = false;
        if !matches!(outcome, Outcome::Finished) || rare.next.is_none() {
            return self.call.conclude_in(state, outcome);
        }
        // Before the application has returned, its return follows.
        let Some(home) = rare.home.take() else { return };
        let next = rare.next.take().expect("it is there: looked at above");
        match next.on {
            On::Pool(ref pool) => {
                let pool = pool.clone();
                drop(state);
                next.queue(&self.call, &pool);
            }
            On::Room if state.disconnected => {
                self.call.conclude_in(state, Outcome::Failed(Failure::ClientDisconnected));
            }
            On::Room if exchange.has_room(&state) => {
                drop(state);
                next.queue(&self.call, &home);
            }
            On::Room => {
                state.rare.get_or_insert_default().for_room = Some(ForRoom { pool: home, next });
                let notify = state.note_waiting();
                drop(state);
                match notify {
                    true => exchange.notifier.notify(),
                    false => exchange.notifier.remote().flush(),
                }
            }
        }
    }
}

impl Deref for OpenCall {
    type Target = Call;

    fn deref(&self) -> &Call {
        &self.call
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if !self.is_over {
            self.end(Outcome::Failed(Failure::new("the response was kept open, and then dropped without an end")));
        }
    }
}
