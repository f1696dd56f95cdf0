//! Families of decisions. What a seed means depends on their order and on nothing else in here.

/// What a decision is about. Families draw from separate streams, so that a new kind of decision in one does not
/// change what a seed means for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Which kinds of trouble there are at all in this run.
    Profile,
    /// Who goes next.
    Schedule,
    /// How many bytes go at once.
    Split,
    /// How long bytes are under way.
    Latency,
    /// Readiness that is late, spurious or not promised.
    Readiness,
    /// Failures.
    Fault,
    /// The test's own decisions.
    Test,
    // Families that came later stand below, so that older seeds keep their meaning.
    /// How fast a connection is, and how it cuts its bytes into segments.
    Line,
    /// Failures of accept.
    Accepts,
    /// Sockets that cannot be made.
    Sockets,
    /// Connections that break.
    Breaks,
    /// Threads that cannot be started.
    Starts,
    /// Jumps of the date.
    Date,
    /// Slow peers.
    Peers,
    /// Errors that systems give rarely.
    Errors,
    /// Calls that a signal interrupts.
    Signals,
    /// Reads and writes that fail for want of memory.
    Transfers,
    /// Connects that come to nothing.
    Connects,
    /// Whether what reactor, pool and server do inside is looked at closely: each touch of what they share a move of its
    /// own.
    Watch,
    /// Where a thread is left in the middle of code of its own, between its visible operations.
    Preempt,
}

/// How many families there were when the first seeds were recorded.
pub(crate) const FIRST_FAMILIES: usize = 7;
pub(crate) const FAMILIES: usize = 20;

impl Family {
    pub(crate) const ALL: [Family; FAMILIES] = [
        Family::Profile,
        Family::Schedule,
        Family::Split,
        Family::Latency,
        Family::Readiness,
        Family::Fault,
        Family::Test,
        Family::Line,
        Family::Accepts,
        Family::Sockets,
        Family::Breaks,
        Family::Starts,
        Family::Date,
        Family::Peers,
        Family::Errors,
        Family::Signals,
        Family::Transfers,
        Family::Connects,
        Family::Watch,
        Family::Preempt,
    ];

    pub(crate) fn from_number(number: u32) -> Option<Family> {
        Family::ALL.get(number as usize).copied()
    }
}
