use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use handwound_reactor::Threads;
use handwound_testkit::{Choices, Sim, SimThreads, TaskState};
use handwound_wsgi::testing::{HttpClient, Server};
use handwound_wsgi::{Application, Call, Failure, SiteConfig};

use crate::answers::{self, Answer};
use crate::grammar::{self, Asked, End, Limits};

const CLIENTS_MAX: usize = 3;
const OPERATIONS_MAX: usize = 48;
const FAILED: &[u8] = b"The application failed; its log says why.\n";

/// A whole server in a simulation: `workers, flags, schedule length`, so many bytes of schedule, then operations.
pub fn connection(data: &[u8]) {
    let ([workers, flags, schedule], rest) = crate::control::<3>(data);
    let (schedule, script) = rest.split_at(usize::from(schedule).min(rest.len()));
    let sim = Sim::new(Choices::bytes(schedule));
    sim.set_steps_max(200_000);
    sim.switch_at_sockets(flags & 1 != 0);
    let calls = Arc::new(AtomicUsize::new(0));
    let server =
        Server::prepare(&sim, usize::from(workers % 3) + 1, application(sim.threads(), calls.clone()), config(flags));
    server.run(&sim);
    let mut scene = Scene { sim, server, clients: Vec::new(), current: 0, stopped: false };
    let mut script = Script(script);
    for _ in 0..OPERATIONS_MAX {
        if script.0.is_empty() {
            break;
        }
        scene.operate(&mut script);
    }
    scene.conclude(&calls);
}

/// Time is not what is tested here: nobody is late.
fn config(flags: u8) -> SiteConfig {
    const LONG: Duration = Duration::from_secs(10_000);
    let mut config = SiteConfig::default();
    config.http.idle_timeout = LONG;
    config.http.head_timeout = LONG;
    config.http.body_timeout = LONG;
    config.http.body_bytes_per_second_min = 0;
    config.send_timeout = LONG;
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
        const MODES: &[u8] = b"wuonf2hmleFW";
        const PIECES: &[u8] = b"1b9kp0";
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
    sent: Vec<u8>,
    finished: bool,
    left: bool,
    slow: bool,
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
    clients: Vec<Peer>,
    current: usize,
    stopped: bool,
}

impl Scene {
    fn operate(&mut self, script: &mut Script<'_>) {
        let operation = script.byte() & 15;
        // Not to a server that has stopped: what is about refusals has tests of its own.
        let may_connect = self.clients.len() < CLIENTS_MAX && !self.stopped;
        if self.clients.is_empty() || (operation == 0 && may_connect) {
            let client = self.server.connect(&self.sim);
            self.clients.push(Peer { client, sent: Vec::new(), finished: false, left: false, slow: false });
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
    fn conclude(mut self, calls: &AtomicUsize) {
        for peer in self.clients.iter().filter(|peer| !peer.left) {
            peer.client.read_eagerly();
        }
        self.sim.advance(Duration::from_secs(60));
        let counts = self.server.pool.counts();
        assert_eq!((counts.busy, counts.queued), (0, 0), "a worker hangs");
        let mut due = 0;
        let mut may_be_fewer = false;
        for peer in &self.clients {
            let (requests, is_exact) = check(peer, self.stopped);
            due += requests;
            may_be_fewer |= !is_exact;
        }
        let calls_made = calls.load(Ordering::SeqCst);
        assert!(calls_made == due || (may_be_fewer && calls_made < due), "{calls_made} calls for {due} requests");
        self.stop();
        self.sim.settle();
        assert!(!self.server.event_loop.is_running(), "the stop has no end");
        assert_eq!(self.server.pool.counts().threads, 0);
        assert_eq!(calls.load(Ordering::SeqCst), calls_made, "a call after the end");
        self.sim.assert_clean();
    }
}

/// Runs the reactor alone, as far as it goes.
fn run_reactor(sim: &Sim) {
    if sim.tasks().iter().any(|task| task.name == "reactor" && task.state != TaskState::Done) {
        sim.run_task("reactor");
    }
}

/// What an application makes of a request, and what that leads to.
struct Due {
    status: u16,
    body: Vec<u8>,
    whole: bool,
    /// The connection ends with this response.
    ends: bool,
    /// It ends in a way that may destroy what is under way.
    rudely: bool,
}

/// The body that a plan asks for, in pieces.
fn pieces(path: &[u8], request_body: &[u8]) -> Vec<Vec<u8>> {
    let piece = |&letter: &u8| match letter {
        b'b' => Some(request_body.to_vec()),
        b'k' => Some(vec![b'k'; 3000]),
        b'0'..=b'9' => Some(vec![letter; usize::from(letter - b'0') * 7]),
        _ => None,
    };
    path.get(2..).unwrap_or_default().iter().filter_map(piece).collect()
}

fn mode(path: &[u8]) -> u8 {
    path.get(1).copied().unwrap_or(b'w')
}

fn due(asked: &Asked) -> Due {
    let body = pieces(&asked.path, &asked.body).concat();
    let length = body.len();
    let is_until_close = !asked.is_11 && !asked.is_head();
    let good = Due { status: 200, body, whole: true, ends: false, rudely: false };
    let failed = Due { status: 500, body: FAILED.to_vec(), whole: true, ends: false, rudely: false };
    let mut due = match mode(&asked.path) {
        b'n' | b'f' | b'2' | b'W' => failed,
        b'h' => Due { ends: true, ..failed },
        b'u' => Due { ends: is_until_close, ..good },
        b'm' => Due { body: good.body[..length.saturating_sub(1)].to_vec(), ..good },
        b'l' => Due { whole: asked.is_head(), ends: !asked.is_head(), ..good },
        b'e' => Due { status: 204, body: Vec::new(), ..good },
        b'F' if length == 0 => failed,
        b'F' => Due { whole: is_until_close || asked.is_head(), ends: true, rudely: true, ..good },
        _ => good,
    };
    if asked.is_head() {
        due.body.clear();
    }
    due
}

/// Does what the request's path says.
fn application(threads: SimThreads, calls: Arc<AtomicUsize>) -> impl Application {
    handwound_wsgi::application(move |call: &Call| {
        calls.fetch_add(1, Ordering::SeqCst);
        let path = call.request().head().path();
        let mut body = Vec::new();
        call.body().read_to_end(&mut body)?;
        let pieces = pieces(path, &body);
        let total: usize = pieces.iter().map(Vec::len).sum();
        if path.contains(&b'p') {
            threads.sleep(Duration::from_millis(10));
        }
        let start = |length: Option<usize>| {
            let text = length.map(|length| length.to_string());
            let headers: Vec<_> = text.iter().map(|text| ("Content-Length", text.as_str())).collect();
            call.start_response("200 OK", &headers)
        };
        match mode(path) {
            b'n' => return Ok(()),
            b'f' => return Err(Failure::new("the plan says so")),
            b'W' => call.write(b"too early")?,
            b'h' => call.start_response("200 OK", &[("Connection", "close")])?,
            b'2' => {
                start(None)?;
                start(None)?;
            }
            b'e' => call.start_response("204 No Content", &[])?,
            b'u' | b'F' => start(None)?,
            b'o' => start(Some(total))?,
            b'm' => start(Some(total.saturating_sub(1)))?,
            b'l' => start(Some(total + 3))?,
            _ => {
                start(None)?;
                return Ok(call.send_whole(&pieces.concat())?);
            }
        }
        for piece in &pieces {
            call.write(piece)?;
        }
        if mode(path) == b'F' { Err(Failure::new("the plan says so")) } else { Ok(()) }
    })
}

/// Compares what a client got with what it had to get. Returns how many requests there were, and whether all of them
/// must have been answered.
fn check(peer: &Peer, stopped: bool) -> (usize, bool) {
    let reading = grammar::read(&peer.sent, &Limits::default(), peer.finished, |asked| due(asked).ends);
    let dues: Vec<Due> = reading.requests.iter().map(due).collect();
    let surplus = matches!(reading.end, End::Closed(1..));
    let goes_on = matches!(reading.end, End::Open | End::Undecided);
    let rudely = dues.iter().any(|due| due.rudely);
    let is_exact = !peer.left && !stopped && !rudely && !surplus && (!peer.slow || goes_on);
    let received = peer.client.received();
    let is_head = |index: usize| reading.requests.get(index).is_some_and(Asked::is_head);
    let got = answers::read(&received, is_head).unwrap_or_else(|error| panic!("{error}: {}", received.escape_ascii()));
    let waiting = reading.requests.iter().chain(&reading.begun).filter(|asked| asked.continues).count();
    assert!(got.continues <= waiting, "100 Continue for nobody");
    for (index, answer) in got.finals.iter().enumerate() {
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
            assert!(due.body.starts_with(&answer.body), "bytes that are not the response's");
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
    (dues.len(), is_exact)
}

/// A response that no request accounts for.
fn check_refusal(answer: &Answer, end: End, stopped: bool) {
    let may_be = matches!(end, End::Refused | End::Undecided) || stopped;
    assert!(may_be && answer.status >= 400 && answer.closes, "status {} for nothing", answer.status);
}
