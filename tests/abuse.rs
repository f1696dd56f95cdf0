//! Attacks on the command, on real sockets: honest requests are answered, and the memory that the system counts for the
//! process stays within a bound per client, and comes back when they have left. No test says how long anything takes.
//!
//! `wsgi/tests/abuse.rs` has the same attacks in a simulation, with each buffer's bound.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, io};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::SockRef;

/// Longer than anything takes that works.
const DEADLINE: Duration = Duration::from_secs(60);
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// What the process may have grown by for good: the allocator's own, Python's caches, buffers of the loop.
const SLACK: usize = 16 * MIB;

const APP: &str = "
def application(environ, start_response):
    path = environ['PATH_INFO']
    environ['wsgi.input'].read()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'x' * int(path[7:])] if path.startswith('/large/') else [path.encode()]
";

/// All tests together have this many files open at most.
const FILES: u64 = 15_000;

/// Raises the limit of open files for this process and those it starts. False, and says so, where that cannot be.
#[must_use]
fn may_open_files(test: &str) -> bool {
    static RAISED: Once = Once::new();
    RAISED.call_once(|| {
        let limit = getrlimit(Resource::Nofile);
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    });
    let current = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if current < FILES {
        eprintln!("SKIPPED {test}: it needs {FILES} open files, and the limit is {current}");
    }
    current >= FILES
}

struct Server {
    child: Child,
    port: u16,
    /// Resident bytes after the first requests.
    at_first: usize,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Server {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("app.py"), APP).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_handwound"));
        command.env_remove("VIRTUAL_ENV").current_dir(folder.path()).stdin(Stdio::null()).stderr(Stdio::piped());
        command.args(["web", "--wsgi", "app.application", "--listen", "tcp:0:interface=127.0.0.1"]);
        // Else glibc raises the size from which it gives blocks back at once to that of the largest it has seen, and each
        // worker's arena keeps up to twice that: it is ours that is to be measured.
        command.env("MALLOC_MMAP_THRESHOLD_", "131072");
        // What a test is slow at is no attack.
        command.args([
            "--idle-timeout",
            "600",
            "--head-timeout",
            "600",
            "--body-timeout",
            "600",
            "--send-timeout",
            "600",
        ]);
        let mut child = command.args(["--log-level", "error"]).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next()).unwrap().parse().unwrap();
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        let mut server = Server { child, port, at_first: 0, _folder: folder };
        (0..20).for_each(|_| server.serves());
        server.at_first = server.resident_bytes();
        server
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        // Closing is a reset: no port has to rest, and the server learns of it at once.
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        stream
    }

    fn connect_many(&self, count: usize, says: &str) -> Vec<TcpStream> {
        let mut streams: Vec<_> = (0..count).map(|_| self.connect()).collect();
        streams.iter_mut().for_each(|stream| stream.write_all(says.as_bytes()).unwrap());
        streams
    }

    /// An honest request is answered. All that connected before has been accepted then.
    #[track_caller]
    fn serves(&self) {
        let mut stream = self.connect();
        stream.write_all(b"GET /honest HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n/honest"), "{answer}");
    }

    fn resident_bytes(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * KIB
    }

    /// It serves, and has not grown by more than this many bytes.
    #[track_caller]
    fn serves_within(&self, bytes: usize) {
        self.serves();
        let grown = self.resident_bytes().saturating_sub(self.at_first);
        assert!(grown <= bytes, "grown by {} KiB where {} may be", grown / KIB, bytes / KIB);
    }

    /// The attackers have left: it serves, gives back what they took, and ends as it should.
    #[track_caller]
    fn recovers(self) {
        self.recovers_to(SLACK);
    }

    /// The same, where pieces of what was taken may stay with the allocator, which uses them again.
    #[track_caller]
    fn recovers_to(mut self, bytes: usize) {
        // It may hear of ten thousand resets in several turns, and serves others between them.
        let start = Instant::now();
        while self.resident_bytes() > self.at_first + bytes && start.elapsed() < DEADLINE {
            self.serves();
        }
        self.serves_within(bytes);
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What comes first; a reset says nothing.
fn answer_line(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer);
    assert!(!matches!(end, Err(error) if error.kind() == ErrorKind::WouldBlock), "no answer within the deadline");
    String::from_utf8_lossy(&answer).lines().next().unwrap_or("").to_owned()
}

/// Writes all unless the other end has had enough.
fn write_as_far_as_it_goes(stream: &mut TcpStream, bytes: &[u8]) {
    let written = stream.write_all(bytes);
    let kind = written.map_err(|error: io::Error| error.kind());
    assert!(matches!(kind, Ok(()) | Err(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)), "{kind:?}");
}

const GET: &str = "GET /used HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn ten_thousand_idle_connections() {
    if !may_open_files("ten_thousand_idle_connections") {
        return;
    }
    let mut server = Server::start();
    for wave in 0..3 {
        let mut idle = server.connect_many(10_000, "");
        server.serves_within(10_000 * 2 * KIB + SLACK);
        // Those that have been used keep some memory for their next request.
        for stream in &mut idle {
            stream.write_all(GET.as_bytes()).unwrap();
        }
        for stream in &mut idle {
            let mut answer = [0; 500];
            assert!(stream.read(&mut answer).unwrap() > 0);
        }
        // Later waves have little but what the first has left.
        let each = if wave == 0 { 8 * KIB } else { 2 * KIB };
        server.serves_within(10_000 * each + SLACK);
        if wave == 0 {
            // Small pieces, which the allocator may keep.
            server.at_first = server.resident_bytes();
        }
    }
    server.recovers();
}

#[test]
fn slow_heads_and_slow_bodies() {
    if !may_open_files("slow_heads_and_slow_bodies") {
        return;
    }
    let server = Server::start();
    let mut heads = server.connect_many(500, "GET /slow HTTP/1.1\r\nHost: x\r\n");
    let mut bodies = server.connect_many(500, "POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    for _ in 0..5 {
        heads.iter_mut().for_each(|stream| stream.write_all(b"A: b\r\n").unwrap());
        bodies.iter_mut().for_each(|stream| stream.write_all(&[b'b'; 1_000]).unwrap());
        server.serves_within(1_000 * 20 * KIB + SLACK);
    }
    // A head as long as it may be, and a body as large as memory keeps.
    let most_of_a_head = "A: 123456789\r\n".repeat(4_000);
    heads.iter_mut().for_each(|stream| stream.write_all(most_of_a_head.as_bytes()).unwrap());
    bodies.iter_mut().for_each(|stream| stream.write_all(&[b'b'; 400_000]).unwrap());
    server.serves_within(500 * 4 * 64 * KIB + 500 * 2 * 512 * KIB + SLACK);
    // From there on into files.
    bodies.iter_mut().for_each(|stream| stream.write_all(&[b'b'; 400_000]).unwrap());
    server.serves_within(500 * 4 * 64 * KIB + 500 * 2 * 128 * KIB + SLACK);
    drop((heads, bodies));
    // A quarter of what it was at its most, 242 MiB.
    server.recovers_to(60 * MIB);
}

/// What they do not read has room in buffers, or holds the few workers there are; either is bounded.
#[test]
fn slow_readers() {
    if !may_open_files("slow_readers") {
        return;
    }
    let server = Server::start();
    // Again and again: what stays of one attack serves the next.
    for _ in 0..3 {
        let readers = server.connect_many(500, "GET /large/250000 HTTP/1.1\r\nHost: x\r\n\r\n");
        server.serves_within(500 * (256 + 3 * 256) * KIB + SLACK);
        drop(readers);
        // Of these each holds a worker, until all are held: no other is served before some have left.
        let readers = server.connect_many(100, "GET /large/20000000 HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut beside = server.connect();
        beside.write_all(b"GET /beside HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        drop(readers);
        assert_eq!(answer_line(beside), "HTTP/1.1 200 OK");
    }
    server.recovers();
}

#[test]
fn a_flood_of_pipelined_requests() {
    const REQUESTS: usize = 2_000;
    let server = Server::start();
    let mut stream = server.connect();
    let mut writer = stream.try_clone().unwrap();
    let flood = thread::spawn(move || {
        let request = "GET /large/20000 HTTP/1.1\r\nHost: x\r\n\r\n";
        writer.write_all(request.repeat(REQUESTS).as_bytes()).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    // Forty megabytes of answers that nobody reads.
    for _ in 0..20 {
        server.serves_within(SLACK);
    }
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).unwrap();
    flood.join().unwrap();
    let heads = answers.windows(15).filter(|window| *window == b"HTTP/1.1 200 OK").count();
    assert_eq!(heads, REQUESTS);
    server.recovers();
}

#[test]
fn header_bombs() {
    let server = Server::start();
    let line = "GET /bomb HTTP/1.1\r\nHost: x\r\n";
    let bombs = [
        format!("{line}A: {}", "a".repeat(MIB)),
        format!("{line}{}", "A: b\r\n".repeat(MIB / 6)),
        format!("{line}{}", "A: b\r\n b\r\n".repeat(MIB / 10)),
        format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(MIB)),
        "\r\n".repeat(MIB / 2),
    ];
    for bomb in &bombs {
        let mut streams: Vec<_> = (0..20).map(|_| server.connect()).collect();
        streams.iter_mut().for_each(|stream| write_as_far_as_it_goes(stream, bomb.as_bytes()));
        server.serves_within(SLACK);
        for stream in streams {
            let line = answer_line(stream);
            assert!(line.starts_with("HTTP/1.1 4") || line.is_empty(), "{line}");
        }
    }
    server.recovers();
}

/// Each is reset one byte later than the one before; now and then all of the request has come.
#[test]
fn a_storm_of_resets() {
    let server = Server::start();
    let request = format!("POST /large/100000 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{}", "b".repeat(100));
    for round in 0..10 {
        for bytes in 0..=request.len() {
            server.connect().write_all(&request.as_bytes()[..bytes]).unwrap();
        }
        for _ in 0..round {
            drop(server.connect_many(20, &request));
        }
        server.serves_within(SLACK);
    }
    server.recovers();
}
