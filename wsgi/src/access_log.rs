//! What is told of each response that has ended. Formatting and files are others' business.

use std::fmt;
use std::time::{Duration, SystemTime};

use handwound_reactor::Address;

use crate::http1::RequestHead;

/// The status that is noted where a client left before there was one, as nginx has it. Nobody was sent it.
pub const CLIENT_LEFT: u16 = 499;

/// One response, complete or cut.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AccessEntry<'a> {
    /// Who asked.
    pub peer: &'a Address,
    /// The request's head; `None` where what came could not be read as one.
    pub request: Option<&'a RequestHead>,
    /// The wall clock when the head was complete.
    pub received: SystemTime,
    /// From there to the end of the response: when its last byte went to the connection, which may still be sending.
    pub duration: Duration,
    /// The status that was sent; [`CLIENT_LEFT`] if none was.
    pub status: u16,
    /// Bytes of the body that went to the connection, without head and chunk framing.
    pub body_bytes: u64,
    /// Whether the response was sent as a whole; false also where the client left first.
    pub is_complete: bool,
}

/// Is told of each response that has ended. See [`SiteConfig::access_log`](crate::SiteConfig::access_log).
pub trait AccessLog: fmt::Debug + Send + Sync {
    /// Called on the reactor's thread: must neither block nor wait.
    fn log(&self, entry: &AccessEntry<'_>);
}
