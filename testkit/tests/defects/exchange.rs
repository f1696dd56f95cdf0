//! Requests and responses on event loops: bodies that must be closed, messages that must be whole, state that must
//! not outlive its request.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handwound_reactor::{Address, Closed, EventLoop, ListenOptions, Protocol, Reactor, Transport};
use handwound_testkit::{Sim, Way};

use crate::{Defect, FoundBy::Orders, FoundBy::Seeds, Twin};

pub(crate) const DEFECTS: &[Defect] = &[
    Defect {
        name: "close() not run on disconnect",
        goes_wrong: "an iterable's close() runs after its last piece only, and not when the client goes before",
        found_by: Seeds,
        within: 20,
        says: "close() ran 0 times",
        run: |sim, twin| closing(sim, twin, Lapse::CloseNotRun),
    },
    Defect {
        name: "close() run twice",
        goes_wrong: "it runs after the last piece and again when the connection is gone",
        found_by: Seeds,
        within: 10,
        says: "close() ran 2 times",
        run: |sim, twin| closing(sim, twin, Lapse::CloseTwice),
    },
    Defect {
        name: "message without its last chunk accepted",
        goes_wrong: "the end of the stream is taken for the end of the body; a cut upload counts as complete",
        found_by: Orders,
        within: 20,
        says: "accepted, cut short",
        run: cut_short,
    },
    Defect {
        name: "state of the last request kept",
        goes_wrong: "on a kept connection a request without a user is taken for the last one's user",
        found_by: Orders,
        within: 10,
        says: "answered for ann, who did not ask",
        run: kept_state,
    },
    Defect {
        name: "second request lost",
        goes_wrong: "throws away what came behind the first request in the same read",
        found_by: Seeds,
        within: 10,
        says: "1 answers to 2 requests",
        run: pipelined,
    },
    Defect {
        name: "connect's end taken for success",
        goes_wrong: "a writable event is taken for an established connection; it was refused",
        found_by: Orders,
        within: 10,
        says: "a refused connect counts as connected",
        run: refused,
    },
];

fn address() -> Address {
    Address::Tcp(([127, 0, 0, 1], 80).into())
}

/// A loop that runs as a thread and gives each connection what `make` makes.
fn listen<P: Protocol + 'static>(sim: &Sim, make: impl Fn() -> P + 'static) {
    let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
    event_loop.listen(&address(), &ListenOptions::default(), move |_| make()).unwrap();
    sim.spawn("reactor", move || {
        event_loop.run().unwrap();
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lapse {
    CloseNotRun,
    CloseTwice,
}

/// Sends a body piece by piece, one every 10 ms.
struct Pieces {
    left: u32,
    /// How many bodies have been begun, and how often one was closed.
    counts: Arc<Mutex<(u32, u32)>>,
    closed: bool,
    lapse: Option<Lapse>,
}

impl Pieces {
    fn close(&mut self) {
        if !std::mem::replace(&mut self.closed, true) || self.lapse == Some(Lapse::CloseTwice) {
            self.counts.lock().unwrap().1 += 1;
        }
    }
}

impl Protocol for Pieces {
    fn connected(&mut self, transport: &mut Transport) {
        self.counts.lock().unwrap().0 += 1;
        transport.set_timeout(Duration::from_millis(10));
    }

    fn received(&mut self, _: &mut Transport, _: &[u8]) {}

    fn timed_out(&mut self, transport: &mut Transport) {
        if self.left > 0 {
            self.left -= 1;
            transport.write(b"piece");
            return transport.set_timeout(Duration::from_millis(10));
        }
        self.close();
        transport.close();
    }

    fn closed(&mut self, _: Closed) {
        if self.lapse != Some(Lapse::CloseNotRun) {
            self.close();
        }
    }
}

fn closing(sim: &Sim, twin: Twin, lapse: Lapse) {
    let counts = Arc::new(Mutex::new((0, 0)));
    let counted = Arc::clone(&counts);
    let lapse = twin.is_wrong().then_some(lapse);
    listen(sim, move || Pieces { left: 5, counts: Arc::clone(&counted), closed: false, lapse });
    let client = sim.connect(&address());
    sim.advance(Duration::from_millis(u64::from(sim.choose("ms until it resets", 200))));
    client.reset();
    sim.settle();
    // A client that resets before it is accepted may never have been a connection.
    let (begun, ran) = *counts.lock().unwrap();
    assert!(begun == ran, "close() ran {ran} times");
}

/// Chunks of at most nine bytes, each behind its length; a zero ends the body.
struct Upload {
    bytes: Vec<u8>,
    accepted: Arc<Mutex<Option<Vec<u8>>>>,
    twin: Twin,
}

impl Upload {
    /// The body so far, and whether its last chunk has come.
    fn body(&self) -> (Vec<u8>, bool) {
        let (mut body, mut rest) = (Vec::new(), self.bytes.as_slice());
        while let Some((&length, after)) = rest.split_first() {
            let length = usize::from(length - b'0');
            if length == 0 {
                return (body, true);
            }
            body.extend(after.iter().take(length));
            rest = after.get(length..).unwrap_or_default();
        }
        (body, false)
    }
}

impl Protocol for Upload {
    fn received(&mut self, _: &mut Transport, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    fn ended(&mut self, transport: &mut Transport) {
        let (body, whole) = self.body();
        if whole || self.twin.is_wrong() {
            *self.accepted.lock().unwrap() = Some(body);
        }
        transport.close();
    }
}

fn cut_short(sim: &Sim, twin: Twin) {
    let accepted = Arc::new(Mutex::new(None));
    let shows = Arc::clone(&accepted);
    listen(sim, move || Upload { bytes: Vec::new(), accepted: Arc::clone(&shows), twin });
    let message = b"5hello5world0";
    let cut = sim.choose("byte at which it is cut", message.len() as u32 + 1);
    let client = sim.connect(&address()).break_at(Way::ToServer, cut, handwound_testkit::Break::Cut);
    client.send(message);
    sim.settle();
    client.finish();
    sim.settle();
    let accepted = accepted.lock().unwrap().take();
    let body = accepted.map(|body| String::from_utf8(body).unwrap());
    assert!(body.as_deref().is_none_or(|body| body == "helloworld"), "{body:?} accepted, cut short");
    assert_eq!(body.is_some(), cut as usize == message.len(), "cut at {cut}");
}

/// Requests are lines: `user ann` logs in for the request that follows, `get` is answered with the user's name.
struct Session {
    line: Vec<u8>,
    user: String,
    keeps_user: bool,
    drops_rest: bool,
}

impl Protocol for Session {
    fn received(&mut self, transport: &mut Transport, bytes: &[u8]) {
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = String::from_utf8(std::mem::take(&mut self.line)).unwrap();
            match line.strip_prefix("user ") {
                Some(user) => self.user = user.to_owned(),
                None => {
                    transport.write(format!("{line} for {}\n", self.user).as_bytes());
                    if !self.keeps_user {
                        self.user = "nobody".to_owned();
                    }
                    if self.drops_rest {
                        return;
                    }
                }
            }
        }
    }
}

fn session(sim: &Sim, keeps_user: bool, drops_rest: bool) {
    let make = move || Session { line: Vec::new(), user: "nobody".to_owned(), keeps_user, drops_rest };
    listen(sim, make);
}

fn kept_state(sim: &Sim, twin: Twin) {
    session(sim, twin.is_wrong(), false);
    let client = sim.connect(&address());
    for _ in 0..2 {
        let logs_in = sim.choose("logs in", 2) == 1;
        client.send(if logs_in { "user ann\nget\n" } else { "get\n" });
        sim.settle();
        let answer = String::from_utf8(client.take_received()).unwrap();
        assert!(logs_in || answer != "get for ann\n", "answered for ann, who did not ask");
        assert_eq!(answer, if logs_in { "get for ann\n" } else { "get for nobody\n" });
    }
}

fn pipelined(sim: &Sim, twin: Twin) {
    session(sim, false, twin.is_wrong());
    let client = sim.connect(&address());
    client.send("one\ntwo\n");
    sim.settle();
    let answers = client.received_text().lines().count();
    assert_eq!(answers, 2, "{answers} answers to 2 requests");
}

fn refused(sim: &Sim, twin: Twin) {
    let (mut server, mut reactor) = (sim.reactor("server"), sim.reactor("proxy"));
    let listens = sim.choose("somebody listens", 2) == 1;
    if listens {
        server.listen(&address(), &ListenOptions::default()).unwrap();
    }
    sim.spawn("proxy", move || {
        let sock = match reactor.connect(&address()) {
            Ok(sock) => sock,
            Err(error) => return assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
        };
        let mut events = Vec::new();
        let connected = loop {
            reactor.poll(&mut events, None).unwrap();
            let writable = events.iter().any(|event| event.sock == sock && event.writable);
            match reactor.connect_result(sock) {
                _ if twin.is_wrong() && writable => break true,
                Ok(false) => {}
                result => break result.is_ok(),
            }
        };
        assert!(listens || !connected, "a refused connect counts as connected");
        assert_eq!(connected, listens);
    });
    sim.settle();
}
