//! A server that says each line again in capitals, on bare sockets; and what can be forgotten in one.

use std::collections::BTreeMap;
use std::io::{ErrorKind, IoSlice};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handwound_reactor::{Address, Close, ListenOptions, Reactor, Sock, Time};
use handwound_testkit::{Client, ECONNABORTED, EMFILE, MockReactor, NetworkOptions, Parting, Sim};

use crate::{Defect, FoundBy, FoundBy::Orders, FoundBy::Seeds, Twin};

const fn defect(
    (name, goes_wrong): (&'static str, &'static str),
    (found_by, within): (FoundBy, u64),
    says: &'static str,
    run: fn(&Sim, Twin),
) -> Defect {
    Defect { name, goes_wrong, found_by, within, says, run }
}

pub(crate) const DEFECTS: &[Defect] = &[
    defect(
        ("dropped partial write", "a write takes some of the bytes; the others are forgotten"),
        (Seeds, 20),
        "a client misses something",
        |sim, twin| talk(sim, twin, Flaw::PartialWrite),
    ),
    defect(
        ("write not retried", "after `WouldBlock` the rest is kept, and nobody writes it when there is room"),
        (Seeds, 10),
        "a client misses something",
        |sim, twin| slow_reader(sim, twin, Flaw::NoRetry),
    ),
    defect(
        ("missed edge", "reads once for each edge and forgets that there may be more"),
        (Seeds, 20),
        "a client misses something",
        |sim, twin| talk(sim, twin, Flaw::ReadsOnce),
    ),
    defect(
        ("short read taken for the end", "fewer bytes than were asked for: the peer must have finished"),
        (Seeds, 20),
        "a client misses something",
        |sim, twin| talk(sim, twin, Flaw::ShortIsEnd),
    ),
    defect(
        ("one read taken for one message", "answers what a read gave, and not what a line is"),
        (Seeds, 20),
        "a client misses something",
        |sim, twin| talk(sim, twin, Flaw::ReadIsLine),
    ),
    defect(
        ("nothing there, taken for an error", "an edge that brings nothing closes the connection"),
        (Seeds, 20),
        "a client misses something",
        |sim, twin| talk(sim, twin, Flaw::WouldBlockIsError),
    ),
    defect(
        (
            "half-close taken for disconnect",
            "the peer has sent all it has to say; the connection is closed with answers still to be written",
        ),
        (Seeds, 20),
        "a client misses something",
        |sim, twin| slow_reader(sim, twin, Flaw::HalfCloseIsEnd),
    ),
    defect(
        (
            "reset instead of an end",
            "the connection is not closed but reset once all is written; the peer may lose what it has not read",
        ),
        (Seeds, 20),
        "a client misses the end",
        |sim, twin| talk(sim, twin, Flaw::ClosesHard),
    ),
    defect(
        ("one accept for each edge", "two clients came at once; the second waits for a third"),
        (Seeds, 20),
        "a client misses something",
        |sim, twin| talk(sim, twin, Flaw::AcceptsOne),
    ),
    defect(
        ("accept loop dies on EMFILE", "an error ends accepting for good, also once there are descriptors again"),
        (Orders, 10),
        "a client misses something",
        |sim, twin| {
            if sim.choose("no descriptors", 2) == 1 {
                sim.accept_fails_once(EMFILE);
            }
            talk(sim, twin, Flaw::StopsAccepting);
        },
    ),
    defect(
        ("an aborted client ends the round", "after ECONNABORTED those behind it in the queue are not accepted"),
        (Orders, 10),
        "a client misses something",
        |sim, twin| {
            if sim.choose("one aborts", 2) == 1 {
                sim.accept_fails_once(ECONNABORTED);
            }
            talk(sim, twin, Flaw::AbortEndsRound);
        },
    ),
    defect(
        ("unbounded buffer", "goes on reading requests while the answers pile up before a slow reader"),
        (Seeds, 10),
        "bytes piled up",
        |sim, twin| slow_reader(sim, twin, Flaw::Unbounded),
    ),
    defect(
        ("pause without end", "stops reading while much is unsent, and does not read on when it is sent"),
        (Seeds, 10),
        "a client misses something",
        |sim, twin| slow_reader(sim, twin, Flaw::StaysPaused),
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    PartialWrite,
    NoRetry,
    ReadsOnce,
    ShortIsEnd,
    ReadIsLine,
    WouldBlockIsError,
    HalfCloseIsEnd,
    ClosesHard,
    AcceptsOne,
    StopsAccepting,
    AbortEndsRound,
    Unbounded,
    StaysPaused,
}

/// More than this is not to wait for a slow reader before reading stops; a line more may come on top.
const UNSENT_MAX: usize = 256;

#[derive(Default)]
struct Connection {
    line: Vec<u8>,
    unsent: Vec<u8>,
    paused: bool,
    ended: bool,
}

struct LineServer {
    reactor: MockReactor,
    listener: Sock,
    /// `None` in the right twin.
    flaw: Option<Flaw>,
    connections: BTreeMap<Sock, Connection>,
    accept_again: Option<Time>,
    /// The most that has waited to be sent.
    peak: Arc<Mutex<usize>>,
}

impl LineServer {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn run(mut self) {
        let mut events = Vec::new();
        loop {
            self.reactor.poll(&mut events, self.accept_again).unwrap();
            if self.accept_again.is_some_and(|at| at <= self.reactor.now()) {
                self.accept_again = None;
                self.accept();
            }
            for event in std::mem::take(&mut events) {
                if event.sock == self.listener {
                    self.accept();
                } else if let Some(connection) = self.connections.remove(&event.sock) {
                    let writes = event.writable && !self.has(Flaw::NoRetry);
                    self.serve(event.sock, connection, event.readable, writes);
                }
            }
        }
    }

    fn accept(&mut self) {
        loop {
            match self.reactor.accept(self.listener) {
                Ok((sock, _)) => self.serve(sock, Connection::default(), true, false),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {
                    if self.has(Flaw::AbortEndsRound) {
                        return;
                    }
                }
                Err(_) if self.has(Flaw::StopsAccepting) => return,
                Err(_) => {
                    self.accept_again = Some(self.reactor.now() + Duration::from_secs(1));
                    return;
                }
            }
            if self.has(Flaw::AcceptsOne) {
                return;
            }
        }
    }

    /// Does what can be done, and keeps the connection unless it is over.
    fn serve(&mut self, sock: Sock, mut connection: Connection, mut reads: bool, writes: bool) {
        let mut open = !writes || self.write(sock, &mut connection);
        loop {
            if writes && connection.paused && connection.unsent.is_empty() && !self.has(Flaw::StaysPaused) {
                // It was this side that stopped: no edge will tell that there is more.
                connection.paused = false;
                reads = true;
            }
            if !open || !reads || connection.paused || connection.ended {
                break;
            }
            reads = self.read_some(sock, &mut connection, &mut open);
            let waiting = !connection.unsent.is_empty();
            open = open && (!waiting || self.write(sock, &mut connection));
            let mut peak = self.peak.lock().unwrap();
            *peak = (*peak).max(connection.unsent.len());
            connection.paused = connection.unsent.len() > UNSENT_MAX && self.flaw != Some(Flaw::Unbounded);
        }
        let over = connection.unsent.is_empty() || self.has(Flaw::HalfCloseIsEnd);
        if open && connection.ended && over {
            self.reactor.close(sock, if self.has(Flaw::ClosesHard) { Close::Reset } else { Close::Graceful });
        } else if open {
            self.connections.insert(sock, connection);
        } else {
            self.reactor.close(sock, Close::Reset);
        }
    }

    /// One read; whether there may be more.
    fn read_some(&mut self, sock: Sock, connection: &mut Connection, open: &mut bool) -> bool {
        let mut into = [0; 16];
        let read = match self.reactor.read(sock, &mut into) {
            Ok(read) => read,
            Err(error) => {
                *open = error.kind() == ErrorKind::WouldBlock && !self.has(Flaw::WouldBlockIsError);
                return false;
            }
        };
        if read.bytes == 0 {
            connection.ended = true;
        }
        for byte in into[..read.bytes].to_ascii_uppercase() {
            connection.line.push(byte);
            if byte == b'\n' {
                connection.unsent.append(&mut connection.line);
            }
        }
        if self.has(Flaw::ReadIsLine) && !connection.line.is_empty() {
            connection.unsent.append(&mut connection.line);
            connection.unsent.push(b'\n');
        }
        connection.ended |= self.has(Flaw::ShortIsEnd) && read.bytes < into.len();
        !read.drained && !self.has(Flaw::ReadsOnce)
    }

    /// Writes until all is written or there is no room; whether the connection is still of use.
    fn write(&mut self, sock: Sock, connection: &mut Connection) -> bool {
        while !connection.unsent.is_empty() {
            match self.reactor.write(sock, &[IoSlice::new(&connection.unsent)]) {
                Ok(_) if self.has(Flaw::PartialWrite) => connection.unsent.clear(),
                Ok(bytes) => drop(connection.unsent.drain(..bytes)),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }
}

fn serve(sim: &Sim, twin: Twin, flaw: Flaw) -> (Address, Arc<Mutex<usize>>) {
    let mut reactor = sim.reactor("server");
    let at = Address::Tcp(([127, 0, 0, 1], 80).into());
    let listener = reactor.listen(&at, &ListenOptions::default()).unwrap();
    let peak = Arc::new(Mutex::new(0));
    let server = LineServer {
        reactor,
        listener,
        flaw: twin.is_wrong().then_some(flaw),
        connections: BTreeMap::new(),
        accept_again: None,
        peak: Arc::clone(&peak),
    };
    sim.spawn("server", move || server.run());
    (at, peak)
}

#[track_caller]
fn got_all(client: &Client, sent: &str) {
    let got = client.received_text();
    let wanted = sent.to_uppercase();
    assert!(got == wanted, "a client misses something: it got {got:?} instead of {wanted:?}");
    assert_eq!(client.closing(), Parting::Finished, "a client misses the end");
}

/// Two clients say two lines each and then that they have finished.
fn talk(sim: &Sim, twin: Twin, flaw: Flaw) {
    let (at, _) = serve(sim, twin, flaw);
    let words = ["one line of some length\nand another\n", "from the second client\nwhich says more\n"];
    let clients = words.map(|words| {
        let client = sim.connect(&at);
        client.send(words);
        client.finish();
        (client, words)
    });
    sim.settle();
    clients.iter().for_each(|(client, sent)| got_all(client, sent));
    assert_eq!(sim.sockets().len(), 1, "only the listener is left open");
}

/// One client sends much and reads late; its connection holds little.
fn slow_reader(sim: &Sim, twin: Twin, flaw: Flaw) {
    let mut network: NetworkOptions = sim.network();
    network.receive_buffer_bytes = 128;
    sim.set_network(network);
    let (at, peak) = serve(sim, twin, flaw);
    let client = sim.connect(&at);
    client.window(64);
    let sent = "some words that are said again and again\n".repeat(40);
    client.send(&sent);
    client.finish();
    sim.settle();
    let most = *peak.lock().unwrap();
    assert!(most <= UNSENT_MAX + 64, "{most} bytes piled up");
    client.read_eagerly();
    sim.settle();
    got_all(&client, &sent);
}
