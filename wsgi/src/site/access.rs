//! When a request began, for the log of its response. Costs one branch where there is no log.

use std::time::SystemTime;

use handwound_reactor::{Address, Time, Transport};

use super::Shared;
use crate::access_log::{AccessEntry, CLIENT_LEFT};
use crate::http1::{RequestHead, Sent};
use crate::site::protocol::wall_clock;

/// When a request's head was complete.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    at: Time,
    wall: SystemTime,
}

impl Begun {
    /// Now, if anybody wants to know.
    pub(super) fn now(site: &Shared, transport: &Transport) -> Option<Begun> {
        site.config.access_log.as_ref().map(|_| Begun { at: transport.now(), wall: wall_clock(transport) })
    }
}

impl Shared {
    /// Tells the log of a response that has ended at `now`.
    pub(super) fn log(
        &self,
        begun: Option<Begun>,
        (peer, request): (&Address, Option<&RequestHead>),
        sent: Sent,
        is_complete: bool,
        now: Time,
    ) {
        let (Some(log), Some(begun)) = (&self.config.access_log, begun) else { return };
        log.log(&AccessEntry {
            peer,
            request,
            received: begun.wall,
            duration: now - begun.at,
            status: sent.status.unwrap_or(CLIENT_LEFT),
            body_bytes: sent.body_bytes,
            is_complete,
        });
    }
}
