//! What requests leave behind for the next ones, of whatever connection.
//!
//! It used to stay with the connection, and made an idle one that had had a request twice as large as one that had not. The
//! one that was used last is the next to be used, and the likeliest to be in the processor's cache.

use std::cell::{RefCell, RefMut};
use std::sync::Arc;

use crate::exchange::{Exchange, Taken};
use crate::http1::{RequestHead, ResponseHead};

/// How many of a kind are kept: as many requests may be under way at once before one of them costs an allocation. They take
/// less than 3 KiB each, if their heads are usual ones.
const KEPT_MAX: usize = 128;

#[derive(Default)]
pub(super) struct Spares {
    exchanges: RefCell<Vec<Arc<Exchange>>>,
    #[expect(clippy::vec_box, reason = "they come and go in their boxes")]
    heads: RefCell<Vec<Box<RequestHead>>>,
    response_heads: RefCell<Vec<ResponseHead>>,
    taken: RefCell<Taken>,
}

impl Spares {
    /// An exchange whose request is over. Somebody may still hold it: see `Arc::get_mut`.
    pub(super) fn exchange(&self) -> Option<Arc<Exchange>> {
        self.exchanges.borrow_mut().pop()
    }

    pub(super) fn keep_exchange(&self, exchange: Arc<Exchange>) {
        keep(&self.exchanges, exchange, |exchange| exchange.is_light());
    }

    pub(super) fn head(&self) -> Option<Box<RequestHead>> {
        self.heads.borrow_mut().pop()
    }

    pub(super) fn keep_head(&self, head: Box<RequestHead>) {
        keep(&self.heads, head, |head| head.is_light());
    }

    pub(super) fn response_head(&self) -> Option<ResponseHead> {
        self.response_heads.borrow_mut().pop()
    }

    pub(super) fn keep_response_head(&self, head: ResponseHead) {
        keep(&self.response_heads, head, ResponseHead::is_light);
    }

    /// What an exchange's things go through on their way to the connection; empty but for its buffers.
    pub(super) fn taken(&self) -> RefMut<'_, Taken> {
        self.taken.borrow_mut()
    }
}

/// A file, or a large buffer, is not kept for a next request that may never come.
fn keep<T>(place: &RefCell<Vec<T>>, spare: T, is_light: impl FnOnce(&T) -> bool) {
    let mut place = place.borrow_mut();
    if place.len() < KEPT_MAX && is_light(&spare) {
        place.push(spare);
    }
}
