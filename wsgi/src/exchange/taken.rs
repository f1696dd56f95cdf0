//! What the reactor takes out of an exchange, and whom it lets go on by that.

use handwound_reactor::Outgoing;

use super::follow::ForRoom;
use super::{Exchange, Outcome};
use crate::body::LIGHT_BYTES;
use crate::http1::ResponseHead;

/// A piece that is longer than what may wait, but is not copied and so costs nothing by itself: it is queued whole, and
/// its writer waits until most of it is out.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Oversize {
    #[default]
    None,
    /// It waits for the reactor.
    Queued,
    /// The reactor has it, and looks again when there is room behind it.
    Taken,
}

/// What the reactor finds when it looks.
#[derive(Default)]
pub(crate) struct Taken {
    /// The head, once: at the first look after it was committed.
    pub(crate) head: Option<ResponseHead>,
    pub(crate) body: Outgoing,
    /// A writer waits until there is room behind this; see [`Exchange::has_room_again`].
    pub(crate) is_oversize: bool,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) close: bool,
    /// What goes on now that there is room.
    pub(crate) resume: Option<ForRoom>,
    /// The client has ended its side, which whoever asked to be told that it leaves takes for leaving.
    pub(crate) is_given_up: bool,
}

impl Exchange {
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
        if taken.outcome.is_some() {
            // It may be kept for a next request that never comes.
            state.waiting.shrink_to(LIGHT_BYTES);
        }
        taken.close = state.close;
        taken.is_given_up = state.half_closed && state.is_watched();
        taken.is_oversize = state.oversize == Oversize::Queued;
        let writer = if taken.is_oversize {
            state.oversize = Oversize::Taken;
            None
        } else {
            state.oversize = Oversize::None;
            state.writers.take_for_room()
        };
        if let Some(rare) = &mut state.rare {
            taken.resume = rare.take_for_room();
        }
        drop(state);
        if let Some(writer) = writer {
            writer.unpark();
        }
    }

    /// What was oversize is out, or little of it is left. Runs on the reactor's thread.
    pub(crate) fn has_room_again(&self) {
        self.watched.visit();
        let mut state = self.state();
        state.oversize = Oversize::None;
        let writer = state.writers.take_for_room();
        drop(state);
        if let Some(writer) = writer {
            writer.unpark();
        }
    }
}
