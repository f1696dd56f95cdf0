//! How long a peer may take, and for what. Points in time come from the caller; nothing here reads a clock.

use std::time::Duration;

use handwound_reactor::Time;

use super::config::Config;

/// The points in time that deadlines follow from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// The last moment that was told.
    pub(super) now: Time,
    pub(super) idle_since: Time,
    /// When the first byte of the head came, or when its turn came.
    pub(super) head_since: Option<Time>,
    body_since: Time,
    body_progress: Time,
    body_bytes: u64,
}

impl Timing {
    pub(super) fn new(now: Time) -> Timing {
        Timing { now, idle_since: now, head_since: None, body_since: now, body_progress: now, body_bytes: 0 }
    }

    /// The head is complete, and this many bytes are there already of what follows it.
    pub(super) fn start_body(&mut self, bytes: usize) {
        self.head_since = None;
        self.body_since = self.now;
        self.body_progress = self.now;
        self.body_bytes = bytes as u64;
    }

    pub(super) fn body_received(&mut self, bytes: usize) {
        self.body_progress = self.now;
        self.body_bytes += bytes as u64;
    }

    /// Whether nothing of the body has come yet.
    pub(super) fn awaits_first_of_body(&self) -> bool {
        self.body_bytes == 0
    }

    /// While a request is awaited or its head comes in.
    pub(super) fn head_deadline(&self, config: &Config) -> Time {
        match self.head_since {
            None => self.idle_since + config.idle_timeout,
            Some(since) => since + config.head_timeout,
        }
    }

    /// While a body comes in: no pause longer than the timeout, and after a grace as long as it, no average pace below
    /// the least. Fast bytes earn no right to a longer pause.
    pub(super) fn body_deadline(&self, config: &Config) -> Time {
        let pause_ends = self.body_progress + config.body_timeout;
        if config.body_bytes_per_second_min == 0 {
            return pause_ends;
        }
        let earned = Duration::from_secs(self.body_bytes / config.body_bytes_per_second_min);
        pause_ends.min(self.body_since + config.body_timeout + earned)
    }
}
