//! A number of requests, and who is told when they have come.

use std::fmt;
use std::sync::Arc;

/// A number of requests, and who is told when they have come: for a process that is to be replaced then. Nothing stops by
/// itself.
#[derive(Clone)]
pub struct RequestLimit {
    requests: u64,
    reached: Arc<dyn Fn() + Send + Sync>,
}

impl RequestLimit {
    /// `reached` is called with the request that makes it `requests`, once, on the reactor's thread: it may only post.
    pub fn new(requests: u64, reached: impl Fn() + Send + Sync + 'static) -> RequestLimit {
        RequestLimit { requests, reached: Arc::new(reached) }
    }

    /// So many have come.
    pub(super) fn come_to(&self, requests: u64) {
        if requests == self.requests {
            (self.reached)();
        }
    }
}

impl fmt::Debug for RequestLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestLimit").field("requests", &self.requests).finish_non_exhaustive()
    }
}
