use std::time::Duration;

use handwound_reactor::Address;
use handwound_testkit::{Break, Choices, Sim, TaskState, Way};
use handwound_wsgi::SiteConfig;
use handwound_wsgi::testing::{HttpClient, Server};

use crate::answers::{self, Answer};
use crate::grammar::{self, Asked, End, Limits};
use crate::plan::{self, Due, MODES, Notes, PIECES, due};

const CLIENTS_MAX: usize = 3;
const OPERATIONS_MAX: usize = 32;
const STEPS_MAX: u64 = 200_000;

/// A whole server in a simulation: `workers, flags, schedule length, more flags`, so many bytes of schedule, then
/// operations.
pub fn connection(data: &[u8]) {
    let ([workers, flags, schedule, more], rest) = crate::control::<4>(data);
    let (schedule, script) = rest.split_at(usize::from(schedule).min(rest.len()));
    let sim = Sim::new(Choices::bytes(schedule));
    sim.set_steps_max(STEPS_MAX);
    sim.switch_at_sockets(flags & 1 != 0);
    let (notes, hurries) = (Notes::default(), more & 1 != 0);
    let application = plan::application(sim.threads(), notes.clone());
    let server = Server::prepare(&sim, usize::from(workers % 4) + 1, application, config(flags, hurries));
    server.run(&sim);
    let mut scene = Scene { sim, server, notes, clients: Vec::new(), current: 0, stopped: false, hurries };
    let mut script = Script(script);
    for _ in 0..OPERATIONS_MAX {
        if script.0.is_empty() {
            break;
        }
        scene.operate(&mut script);
    }
    scene.conclude();
}

/// Nobody is late, unless the server hurries.
fn config(flags: u8, hurries: bool) -> SiteConfig {
    const LONG: Duration = Duration::from_secs(10_000);
    let mut config = SiteConfig::default();
    if !hurries {
        config.http.idle_timeout = LONG;
        config.http.head_timeout = LONG;
        config.http.body_timeout = LONG;
        config.http.body_bytes_per_second_min = 0;
        config.send_timeout = LONG;
    }
    if flags & 2 != 0 {
        config.response_bytes_max = 64;
    }
    if flags & 4 != 0 {
        config.http.pipelined_bytes_max = 16;
    }
    // Rarely: it makes real files.
    if flags & 0xf0 == 0xf0 {
        config.body_memory_bytes_max = 4;
    }
    config
}

/// What is left of a script. It ends in zeros.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let ([byte], rest) = crate::control::<1>(self.0);
        self.0 = rest;
        byte
    }

    fn bytes(&mut self, count: usize) -> &[u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// A request whose path is a plan for the application.
    fn request(&mut self) -> Vec<u8> {
        let (kind, plan) = (self.byte(), self.byte());
        let mut path = vec![b'/', MODES[usize::from(plan & 15) % MODES.len()]];
        path.extend(
            self.bytes(usize::from(plan >> 4) % 6).iter().map(|byte| PIECES[usize::from(*byte) % PIECES.len()]),
        );
        let (method, rest) = match kind % 8 {
            0 | 1 => ("GET", " HTTP/1.1\r\nHost: h\r\n\r\n"),
            2 => ("HEAD", " HTTP/1.1\r\nHost: h\r\n\r\n"),
            3 => ("POST", " HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"),
            4 => {
                ("POST", " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n")
            }
            5 => ("GET", " HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
            6 => ("GET", " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
            _ => ("POST", " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok"),
        };
        [method.as_bytes(), b" ", &path, rest.as_bytes()].concat()
    }
}

struct Peer {
    client: HttpClient,
    address: Option<Address>,
    sent: Vec<u8>,
    finished: bool,
    left: bool,
    slow: bool,
    broken: bool,
}

impl Peer {
    fn send(&mut self, bytes: &[u8]) {
        if !self.finished && !self.left {
            self.sent.extend_from_slice(bytes);
            self.client.send(bytes);
        }
    }
}

struct Scene {
    sim: Sim,
    server: Server,
    notes: Notes,
    clients: Vec<Peer>,
    current: usize,
    stopped: bool,
    hurries: bool,
}

impl Scene {
    fn operate(&mut self, script: &mut Script<'_>) {
        let operation = script.byte() & 15;
        // Not to a server that has stopped: what is about refusals has tests of its own.
        let may_connect = self.clients.len() < CLIENTS_MAX && !self.stopped;
        if self.clients.is_empty() || (operation == 0 && may_connect) {
            self.connect();
            self.current = self.clients.len() - 1;
        }
        let count = self.clients.len();
        let peer = &mut self.clients[self.current % count];
        match operation {
            0 => self.current += 1,
            1 => peer.send(&script.request()),
            2 => {
                let count = usize::from(script.byte() & 63);
                peer.send(script.bytes(count));
            }
            3 => {
                let request = script.request();
                let (first, second) = request.split_at(usize::from(script.byte()).min(request.len()));
                peer.send(first);
                self.sim.advance(Duration::from_millis(250));
                peer.send(second);
            }
            4 => self.sim.settle_now(),
            5 => self.sim.advance(Duration::from_millis(u64::from(script.byte()) * 8)),
            6 => self.sim.advance(Duration::from_micros(u64::from(script.byte()))),
            7 => {
                peer.finished = true;
                peer.client.finish();
            }
            8 | 9 => {
                peer.left = true;
                if operation == 8 { peer.client.reset() } else { peer.client.close() }
            }
            10 => {
                peer.slow = true;
                peer.client.window(usize::from(script.byte()) * 4);
            }
            11 => {
                let _read = peer.client.read(usize::from(script.byte()) * 16);
            }
            12 => peer.client.read_eagerly(),
            // EMFILE
            13 => self.sim.accept_fails_once(std::io::Error::from_raw_os_error(24)),
            14 if script.byte() == 0x5a => self.stop(),
            14 => run_reactor(&self.sim),
            _ => self.trouble(script),
        }
    }

    fn connect(&mut self) {
        let client = self.server.connect(&self.sim);
        let address = client.address();
        let (sent, finished, left, slow, broken) = (Vec::new(), false, false, false, false);
        self.clients.push(Peer { client, address, sent, finished, left, slow, broken });
        self.current = self.clients.len() - 1;
    }

    /// What goes wrong around a server.
    fn trouble(&mut self, script: &mut Script<'_>) {
        let (what, much) = (script.byte(), script.byte());
        match what % 8 {
            0..4 if self.clients.len() < CLIENTS_MAX && !self.stopped => {
                self.connect();
                let peer = &mut self.clients[self.current];
                peer.broken = true;
                let (way, scale) = if what & 1 == 0 { (Way::ToServer, 1) } else { (Way::ToClient, 4) };
                let how = [Break::Reset, Break::Cut, Break::Stall][usize::from(what >> 3) % 3];
                peer.client.break_at(way, u64::from(much) * scale, how);
            }
            4 => self.sim.date_jumps_ahead(Duration::from_secs(u64::from(much) << 8)),
            5 => self.sim.date_jumps_back(Duration::from_secs(u64::from(much) << 8)),
            // ECONNABORTED
            6 => self.sim.accept_fails_once(std::io::Error::from_raw_os_error(103)),
            _ => run_reactor(&self.sim),
        }
    }

    fn stop(&mut self) {
        self.stopped = true;
        // Refused if it has stopped already.
        let _asked = self.server.event_loop.call_from_thread(|event_loop| {
            let _begun = event_loop.stop_within(Duration::from_secs(5));
        });
    }

    /// Lets everything come to its end; then everyone has got what is due to them, and nothing is left over.
    fn conclude(mut self) {
        for peer in self.clients.iter().filter(|peer| !peer.left) {
            peer.client.read_eagerly();
        }
        self.sim.advance(Duration::from_secs(if self.hurries { 300 } else { 60 }));
        let all_sound = self.clients.iter().all(|peer| !peer.broken);
        if all_sound || self.hurries {
            let counts = self.server.pool.counts();
            assert_eq!((counts.busy, counts.queued), (0, 0), "a worker hangs");
            self.check_late_calls();
        }
        for peer in &self.clients {
            check(peer, &self.notes, self.stopped, self.hurries);
        }
        let calls = self.notes.calls();
        self.stop();
        self.sim.settle();
        assert!(!self.server.event_loop.is_running(), "the stop has no end");
        assert_eq!(self.server.pool.counts().threads, 0);
        assert_eq!(self.notes.calls(), calls, "a call after the end");
        self.check_late_calls();
        self.sim.assert_clean();
    }

    /// Who keeps a call beyond its end has nothing in hand.
    fn check_late_calls(&self) {
        for call in self.notes.take_late() {
            assert!(call.write(b"late").is_err(), "bytes of a response that has ended");
            assert!(call.start_response("200 OK", &[]).is_err(), "a response that has ended begins");
        }
    }
}

/// Runs the reactor alone, as far as it goes.
fn run_reactor(sim: &Sim) {
    if sim.tasks().iter().any(|task| task.name == "reactor" && task.state != TaskState::Done) {
        sim.run_task("reactor");
    }
}

/// Compares what a client got, and what the application heard of it, with what had to be.
fn check(peer: &Peer, notes: &Notes, stopped: bool, hurries: bool) {
    let reading = grammar::read(&peer.sent, &Limits::default(), peer.finished, |asked| due(asked).ends);
    let dues: Vec<Due> = reading.requests.iter().map(due).collect();
    let surplus = matches!(reading.end, End::Closed(1..));
    let goes_on = matches!(reading.end, End::Open | End::Undecided);
    let rudely = dues.iter().any(|due| due.rudely);
    let is_sound = !peer.left && !peer.broken;
    let is_exact = is_sound && !stopped && !hurries && !rudely && !surplus && (!peer.slow || goes_on);
    check_calls(peer, &reading.requests, notes, is_exact);
    let received = peer.client.received();
    let is_head = |index: usize| reading.requests.get(index).is_some_and(Asked::is_head);
    // Cut on its way, or come too late, a request is refused that would have been answered.
    let may_be_early = peer.broken || hurries || stopped;
    let mut got = answers::read(&received, is_head);
    for refused in (0..dues.len()).filter(|_| may_be_early) {
        // What is refused in the middle of its first line is not known for a HEAD request.
        got = got.or_else(|_| answers::read(&received, |index| index != refused && is_head(index)));
    }
    let got = got.unwrap_or_else(|error| panic!("{error}: {}", received.escape_ascii()));
    let waiting = reading.requests.iter().chain(&reading.begun).filter(|asked| asked.continues).count();
    assert!(got.continues <= waiting, "100 Continue for nobody");
    for (index, answer) in got.finals.iter().enumerate() {
        let is_last = index + 1 == got.finals.len();
        if may_be_early && is_last && answer.closes && matches!(answer.status, 400 | 408 | 503) {
            continue;
        }
        let Some(due) = dues.get(index) else {
            assert_eq!(index, dues.len(), "more responses than requests");
            check_refusal(answer, reading.end, stopped);
            continue;
        };
        if stopped && answer.status == 503 {
            continue;
        }
        assert_eq!(answer.status, due.status, "{}", reading.requests[index].target.escape_ascii());
        if is_exact {
            assert_eq!((&answer.body, answer.whole), (&due.body, due.whole));
        } else {
            let (path, got) = (reading.requests[index].path.escape_ascii(), received.escape_ascii());
            assert!(due.body.starts_with(&answer.body), "bytes that are not the response's to {path}: {got}");
        }
        assert!(due.whole || !answer.whole || answer.framing == answers::Framing::UntilClose, "looks whole");
    }
    if is_exact {
        let refused = usize::from(reading.end == End::Refused);
        let enough = got.finals.len() >= dues.len() + refused;
        assert!(enough && !got.is_cut, "{} of {} responses", got.finals.len(), dues.len() + refused);
        let closes = dues.last().is_some_and(|due| due.ends) || matches!(reading.end, End::Refused | End::Closed(_));
        assert!(peer.client.is_closed() || !closes, "the connection stays open");
        assert!(!peer.client.is_closed() || reading.end != End::Open, "the connection does not stay open");
    }
    assert!(!hurries || !is_sound || peer.client.is_closed(), "a connection that nobody uses stays open");
}

/// The application was asked what was sent, in order, and nothing else: no request from what is refused.
fn check_calls(peer: &Peer, requests: &[Asked], notes: &Notes, is_exact: bool) {
    let Some(address) = &peer.address else { return };
    let seen = notes.seen_from(address);
    assert!(seen.len() <= requests.len(), "the application was asked what nobody sent: {seen:?}");
    assert!(!is_exact || seen.len() == requests.len(), "{} calls for {} requests", seen.len(), requests.len());
    for (seen, asked) in seen.iter().zip(requests) {
        assert_eq!((&seen.path, seen.bytes), (&asked.path, asked.body.len() as u64), "another request than was sent");
    }
}

/// A response that no request accounts for.
fn check_refusal(answer: &Answer<'_>, end: End, stopped: bool) {
    let may_be = matches!(end, End::Refused | End::Undecided) || stopped;
    assert!(may_be && answer.status >= 400 && answer.closes, "status {} for nothing", answer.status);
}
