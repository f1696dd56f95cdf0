//! A reactor on the bench: the calls that checks are made of. It does what the contract asks of every user:
//! remembers edges, tries only where it has one, and forgets it at `WouldBlock` or `drained`. So a check that
//! waits for bytes is also a check that no edge is missed.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IoSlice};
use std::time::Duration;

use handwound_reactor::{Address, Close, Event, ListenOptions, Reactor, Sock, Time};

use super::Ground;
use crate::errno::{
    EACCES, EADDRNOTAVAIL, ECONNABORTED, EMFILE, ENETUNREACH, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EPERM, EPROTO,
    SystemError,
};

/// How long a check waits for what must come: far longer than any machine takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many polls a check may take: far more than any needs. For a reactor that keeps returning at once, on a
/// clock that stands still meanwhile.
const POLLS_MAX: u32 = 2_000_000;

/// Which of the two things a socket can become ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Read,
    Write,
}

#[derive(Clone, Copy, Debug, Default)]
struct Edges {
    readable: bool,
    writable: bool,
}

impl Edges {
    fn way(&mut self, way: Way) -> &mut bool {
        match way {
            Way::Read => &mut self.readable,
            Way::Write => &mut self.writable,
        }
    }
}

/// A reactor, and the edges that have been reported and not been used up.
pub(super) struct Bench<R> {
    pub(super) reactor: R,
    edges: BTreeMap<Sock, Edges>,
    events: Vec<Event>,
    polls: u32,
    shortages: u32,
    /// The ground makes trouble: what it says is the system's fault is borne with.
    in_trouble: bool,
}

impl<R: Reactor> Bench<R> {
    pub(super) fn on<G: Ground<Reactor = R>>(ground: &mut G) -> Bench<R> {
        let (reactor, in_trouble) = (ground.reactor(), ground.is_in_trouble());
        Bench { reactor, edges: BTreeMap::new(), events: Vec::new(), polls: 0, shortages: 0, in_trouble }
    }

    /// One poll, `for_at_most` so long; how many events came.
    pub(super) fn poll(&mut self, for_at_most: Duration) -> usize {
        let until = self.reactor.now() + for_at_most;
        self.poll_until(Some(until))
    }

    pub(super) fn poll_until(&mut self, until: Option<Time>) -> usize {
        self.polls += 1;
        assert!(self.polls < POLLS_MAX, "{POLLS_MAX} polls, and nothing comes of it");
        self.reactor.poll(&mut self.events, until).expect("a poll fails only when the reactor is of no use any more");
        for event in &self.events {
            let edges = self.edges.entry(event.sock).or_default();
            edges.readable |= event.readable;
            edges.writable |= event.writable;
        }
        self.events.len()
    }

    /// When to give up on something that begins now.
    pub(super) fn patience(&self) -> Time {
        self.reactor.now() + PATIENCE
    }

    /// Whether there is an edge that has not been used up.
    pub(super) fn has_edge(&mut self, sock: Sock, way: Way) -> bool {
        *self.edges.entry(sock).or_default().way(way)
    }

    fn spend(&mut self, sock: Sock, way: Way) {
        *self.edges.entry(sock).or_default().way(way) = false;
    }

    /// Waits for an edge, if there is none.
    #[track_caller]
    pub(super) fn wait(&mut self, sock: Sock, way: Way) {
        let end = self.patience();
        while !self.has_edge(sock, way) {
            assert!(self.reactor.now() < end, "no edge came to {way:?} on {sock:?}");
            self.poll_until(Some(end));
        }
    }

    /// Waits for an edge for a short time only; whether there is one. For what should not come.
    pub(super) fn wait_in_vain(&mut self, sock: Sock, way: Way) -> bool {
        let end = self.reactor.now() + Duration::from_millis(20);
        while !self.has_edge(sock, way) && self.reactor.now() < end {
            self.poll_until(Some(end));
        }
        self.has_edge(sock, way)
    }

    // One call each; `None` is `WouldBlock`.

    pub(super) fn try_accept(&mut self, listener: Sock) -> Result<Option<(Sock, Address)>, ErrorKind> {
        match self.reactor.accept(listener) {
            Ok(accepted) => Ok(Some(accepted)),
            Err(error) => self.blocked(listener, Way::Read, &error),
        }
    }

    pub(super) fn try_read(&mut self, sock: Sock, bytes_max: usize) -> Result<Option<Vec<u8>>, ErrorKind> {
        let mut into = vec![0; bytes_max];
        match self.reactor.read(sock, &mut into) {
            Ok(received) => {
                assert!(received.bytes <= bytes_max, "more bytes than there was room for");
                if received.drained {
                    assert!(received.bytes > 0, "an end is not drained");
                    self.spend(sock, Way::Read);
                }
                into.truncate(received.bytes);
                Ok(Some(into))
            }
            Err(error) if self.bears_with(&error) => Ok(None),
            Err(error) => self.blocked(sock, Way::Read, &error),
        }
    }

    pub(super) fn try_write(&mut self, sock: Sock, slices: &[&[u8]]) -> Result<Option<usize>, ErrorKind> {
        let from: Vec<_> = slices.iter().map(|slice| IoSlice::new(slice)).collect();
        match self.reactor.write(sock, &from) {
            Ok(count) => {
                assert!(count <= slices.iter().map(|slice| slice.len()).sum(), "more bytes than there were");
                Ok(Some(count))
            }
            Err(error) if self.bears_with(&error) => Ok(None),
            Err(error) => self.blocked(sock, Way::Write, &error),
        }
    }

    #[track_caller]
    fn blocked<V>(&mut self, sock: Sock, way: Way, error: &io::Error) -> Result<Option<V>, ErrorKind> {
        assert!(error.kind() != ErrorKind::Interrupted, "clause 3: a call that was interrupted is made again inside");
        if error.kind() != ErrorKind::WouldBlock {
            return Err(error.kind());
        }
        self.spend(sock, way);
        Ok(None)
    }

    // Until something has come of it.

    #[track_caller]
    pub(super) fn accept(&mut self, listener: Sock) -> (Sock, Address) {
        loop {
            self.wait(listener, Way::Read);
            match self.reactor.accept(listener) {
                Ok(accepted) => return accepted,
                // Whoever waits goes on waiting, and the edge is not used up: try again.
                Err(error) if self.bears_with(&error) => {}
                Err(error) => {
                    let blocked: Result<Option<()>, _> = self.blocked(listener, Way::Read, &error);
                    blocked.unwrap_or_else(|_| panic!("accept has nothing to fail for: {error}"));
                }
            }
        }
    }

    /// Some bytes, or none at the end.
    #[track_caller]
    pub(super) fn read(&mut self, sock: Sock, bytes_max: usize) -> Result<Vec<u8>, ErrorKind> {
        loop {
            self.wait(sock, Way::Read);
            if let Some(bytes) = self.try_read(sock, bytes_max)? {
                return Ok(bytes);
            }
        }
    }

    /// Exactly so many bytes, in pieces of a few.
    #[track_caller]
    pub(super) fn expect(&mut self, sock: Sock, expected: &[u8]) {
        let mut got = Vec::new();
        while got.len() < expected.len() {
            let bytes = self.read(sock, 7.min(expected.len() - got.len())).expect("bytes are due, not an error");
            assert!(!bytes.is_empty(), "the end came after {} of {} bytes", got.len(), expected.len());
            got.extend(bytes);
        }
        assert!(got == expected, "other bytes came than were sent");
    }

    /// The end of the peer's stream, and nothing before it.
    #[track_caller]
    pub(super) fn expect_end(&mut self, sock: Sock) {
        assert_eq!(self.read(sock, 64), Ok(Vec::new()), "the end is due");
    }

    /// All until the end of the peer's stream or an error.
    #[track_caller]
    pub(super) fn read_all(&mut self, sock: Sock) -> (Vec<u8>, Result<(), ErrorKind>) {
        let mut all = Vec::new();
        loop {
            match self.read(sock, 16 * 1024) {
                Ok(bytes) if bytes.is_empty() => return (all, Ok(())),
                Ok(bytes) => all.extend(bytes),
                Err(kind) => return (all, Err(kind)),
            }
        }
    }

    /// Writes all of what fits into any connection.
    #[track_caller]
    pub(super) fn send(&mut self, sock: Sock, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.wait(sock, Way::Write);
            if let Some(count) = self.try_write(sock, &[bytes]).expect("a write to a healthy connection") {
                bytes = &bytes[count..];
            }
        }
    }

    /// Writes until the connection is full, as nobody reads at the other end. Returns what was written.
    #[track_caller]
    pub(super) fn fill(&mut self, sock: Sock) -> Vec<u8> {
        const SENSE: usize = 256 << 20;
        let mut sent: Vec<u8> = Vec::new();
        // A full connection may be given a little more room by the system; only silence tells that it is full.
        while self.wait_in_vain(sock, Way::Write) {
            let piece = pattern(sent.len(), 64 * 1024);
            if let Some(count) = self.try_write(sock, &[&piece]).expect("a write to a healthy connection") {
                sent.extend(&piece[..count]);
            }
            assert!(sent.len() < SENSE, "a connection that nobody reads takes {SENSE} bytes and more");
        }
        sent
    }

    // Connections.

    #[track_caller]
    pub(super) fn listen<G: Ground>(&mut self, ground: &mut G) -> (Sock, Address) {
        let at = ground.anywhere();
        let listener = self.try_listen(&at).expect("somewhere to listen");
        (listener, self.reactor.local_address(listener).expect("an open socket has an address"))
    }

    /// Connects, and waits for the outcome.
    #[track_caller]
    pub(super) fn connect(&mut self, to: &Address) -> Result<Sock, ErrorKind> {
        let sock = self.start_to_connect(to)?;
        self.connected(sock).map(|()| sock)
    }

    pub(super) fn try_listen(&mut self, at: &Address) -> io::Result<Sock> {
        loop {
            match self.reactor.listen(at, &ListenOptions::default()) {
                Err(error) if self.bears_with(&error) => {}
                listening => return listening,
            }
        }
    }

    pub(super) fn start_to_connect(&mut self, to: &Address) -> Result<Sock, ErrorKind> {
        loop {
            match self.reactor.connect(to) {
                Err(error) if self.bears_with(&error) => {}
                started => return started.map_err(|error| error.kind()),
            }
        }
    }

    /// Whether this is a trouble of the system, where the ground says that there is such: nobody's fault, and it passes.
    #[track_caller]
    fn bears_with(&mut self, error: &io::Error) -> bool {
        let bears = self.in_trouble && is_trouble(error);
        self.shortages += u32::from(bears);
        assert!(self.shortages < POLLS_MAX, "the system is short of something for ever: {error}");
        bears
    }

    #[track_caller]
    pub(super) fn connected(&mut self, sock: Sock) -> Result<(), ErrorKind> {
        loop {
            self.wait(sock, Way::Write);
            if self.reactor.connect_result(sock).map_err(|error| error.kind())? {
                return Ok(());
            }
            self.spend(sock, Way::Write);
        }
    }

    /// A connection: who has connected, and who has accepted.
    #[track_caller]
    pub(super) fn pair<G: Ground>(&mut self, ground: &mut G) -> (Sock, Sock) {
        let (listener, at) = self.listen(ground);
        let client = self.connect(&at).expect("somebody listens");
        let (server, _) = self.accept(listener);
        self.reactor.close(listener, Close::Graceful);
        (client, server)
    }
}

/// Whether a call may give this although it is used well, by what the kernel says of it.
fn is_trouble(error: &io::Error) -> bool {
    let is = |system: SystemError| error.raw_os_error() == io::Error::from(system).raw_os_error();
    let short = [EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EADDRNOTAVAIL];
    let others = [ECONNABORTED, EPROTO, EPERM, EACCES, ENETUNREACH];
    short.into_iter().chain(others).any(is)
}

/// Bytes of which each piece is different, so that none can be lost, doubled or moved unseen.
pub(super) fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|at| ((at * 31 + at / 251) % 251) as u8).collect()
}
