//! The bounds of an event loop, each with its unit in its name.

use std::time::Duration;

/// The bounds of an [`EventLoop`](crate::EventLoop).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoopConfig {
    /// Calls from threads that may wait; more are refused ([`CallRefused::Full`](crate::CallRefused::Full)).
    ///
    /// 16,384 by default. All that wait run in one turn, during which no connection is served: at a microsecond each so
    /// many hold the others up for 16 ms, and who posts faster than that has to learn of it, not to fill the memory. News
    /// of responses ([`Notifier`](crate::Notifier)) are no calls and are never refused.
    pub mailbox_calls_max: usize,
    /// Connections open at once; more wait in the system's backlog.
    pub connections_max: usize,
    /// Connections accepted from one listener in one turn.
    pub accepts_per_turn_max: usize,
    /// How long accepting pauses when the system has no descriptor left.
    pub accept_pause: Duration,
    /// Bytes read from the system at once.
    pub read_chunk_bytes: usize,
    /// Bytes read from one connection in one turn; the others have their turn then.
    pub read_per_turn_bytes_max: usize,
    /// [`Transport::is_full`](crate::Transport::is_full) above this many bytes of waiting output.
    pub output_high_bytes: usize,
    /// [`Protocol::drained`](crate::Protocol::drained) at this many bytes.
    pub output_low_bytes: usize,
    /// Bytes of output that a [filter](crate::Filter) is given at once. While twice as many wait behind it for the socket,
    /// nothing is read.
    pub filter_chunk_bytes: usize,
    /// How long a connection that closes still reads what the peer sends.
    pub linger_max: Duration,
    /// How long the loop dozes before it sleeps deeply, while answers from workers are expected.
    pub doze_max: Duration,
    /// How long an orderly stop may take that names no time of its own.
    pub stop_max: Duration,
    /// How long workers have to end after the last connection is gone, if a stop's own time does not give them longer.
    pub pool_stop_max: Duration,
}

impl Default for LoopConfig {
    fn default() -> LoopConfig {
        LoopConfig {
            mailbox_calls_max: 16 << 10,
            connections_max: 100_000,
            accepts_per_turn_max: 64,
            accept_pause: Duration::from_millis(250),
            read_chunk_bytes: 64 << 10,
            read_per_turn_bytes_max: 256 << 10,
            output_high_bytes: 256 << 10,
            output_low_bytes: 64 << 10,
            filter_chunk_bytes: 64 << 10,
            linger_max: Duration::from_secs(2),
            doze_max: Duration::from_millis(1),
            stop_max: Duration::from_secs(30),
            pool_stop_max: Duration::from_secs(1),
        }
    }
}
