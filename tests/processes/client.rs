//! HTTP clients: one that says what it saw, and a load of many.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::harness::DEADLINE;

/// One connection that is kept as long as the server keeps it.
pub struct Client {
    port: u16,
    connection: Option<BufReader<TcpStream>>,
    /// Requests that the server had closed the connection for, without a byte: sent again, as HTTP allows.
    pub repeated: usize,
}

pub struct Answer {
    pub version: String,
    pub pid: String,
    pub multiprocess: String,
    /// The server keeps the connection.
    pub is_kept: bool,
}

impl Client {
    pub fn new(port: u16) -> Client {
        Client { port, connection: None, repeated: 0 }
    }

    /// Connects, and sends nothing.
    pub fn connect(&mut self) -> io::Result<()> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        self.connection = Some(BufReader::new(stream));
        Ok(())
    }

    /// Asks once; on the connection there is, or a new one.
    pub fn get(&mut self, target: &str) -> io::Result<Answer> {
        let is_used = self.connection.is_some();
        match self.send(target).and_then(|()| self.answer()) {
            Err(error) if is_used && error.kind() == ErrorKind::UnexpectedEof => {
                self.repeated += 1;
                self.connection = None;
                self.send(target)?;
                self.answer()
            }
            answer => answer,
        }
    }

    pub fn send(&mut self, target: &str) -> io::Result<()> {
        if self.connection.is_none() {
            self.connect()?;
        }
        let connection = self.connection.as_mut().expect("made above");
        connection.get_mut().write_all(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
    }

    pub fn answer(&mut self) -> io::Result<Answer> {
        let connection = self.connection.as_mut().expect("something was sent on it");
        let (mut length, mut is_kept, mut line) = (0, true, String::new());
        if connection.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if !line.starts_with("HTTP/1.1 200 ") {
            return Err(io::Error::other(format!("answered {line}")));
        }
        loop {
            line.clear();
            if connection.read_line(&mut line)? == 0 {
                return Err(io::Error::other("the head broke off"));
            }
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length: ") {
                length = value.parse().map_err(io::Error::other)?;
            }
            is_kept &= header != "connection: close";
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body).map_err(|error| io::Error::other(format!("the body broke off: {error}")))?;
        if !is_kept {
            self.connection = None;
        }
        let body = String::from_utf8(body).map_err(io::Error::other)?;
        let mut words = body.split(' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        Ok(Answer { version: word(), pid: word(), multiprocess: word(), is_kept })
    }

    /// Waits for the end of the connection; whether it was an orderly one.
    pub fn ends_in_order(&mut self) -> bool {
        let connection = self.connection.as_mut().expect("connected");
        matches!(connection.read(&mut [0]), Ok(0))
    }
}

/// Asks once, on a connection of its own.
#[track_caller]
pub fn get(port: u16, target: &str) -> Answer {
    Client::new(port).get(target).unwrap()
}

/// Asks until this version answers: an old worker may accept a last connection before the word to go comes to it.
#[track_caller]
pub fn until_answered(port: u16, version: &str) {
    let start = Instant::now();
    while get(port, "/").version != version {
        assert!(start.elapsed() < DEADLINE, "'{version}' never answers");
    }
}

/// What one client of a load has seen.
#[derive(Default)]
pub struct Seen {
    pub answers: usize,
    pub repeated: usize,
    pub failures: Vec<String>,
    /// Versions in the order they were seen, repetitions left out.
    pub versions: Vec<String>,
}

/// Clients that ask all the time: half of them on connections that they keep, half on a new one each time.
pub struct Load {
    stop: Arc<AtomicBool>,
    /// What each has seen last.
    last: Arc<Mutex<Vec<String>>>,
    clients: Vec<JoinHandle<Seen>>,
}

impl Load {
    pub fn start(port: u16, clients: usize) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let last = Arc::new(Mutex::new(vec![String::new(); clients]));
        let client = |index: usize| {
            let (stop, last) = (stop.clone(), last.clone());
            thread::spawn(move || {
                let (mut seen, mut client) = (Seen::default(), Client::new(port));
                while !stop.load(Ordering::Relaxed) {
                    if index.is_multiple_of(2) {
                        client = Client::new(port);
                    }
                    match client.get("/") {
                        Ok(answer) => {
                            seen.answers += 1;
                            if seen.versions.last() != Some(&answer.version) {
                                seen.versions.push(answer.version.clone());
                                last.lock().unwrap()[index] = answer.version;
                            }
                        }
                        Err(error) => {
                            seen.failures.push(error.to_string());
                            client = Client::new(port);
                        }
                    }
                    seen.repeated += std::mem::take(&mut client.repeated);
                }
                seen
            })
        };
        let clients = (0..clients).map(client).collect();
        Load { stop, last, clients }
    }

    /// Waits until all of them have been answered by this version, and none by another since.
    #[track_caller]
    pub fn until_all_see(&self, version: &str) {
        let start = Instant::now();
        while self.last.lock().unwrap().iter().any(|last| last != version) {
            assert!(start.elapsed() < DEADLINE, "not all see '{version}', but {:?}", self.last);
            thread::yield_now();
        }
    }

    pub fn end(self) -> Vec<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().map(|client| client.join().unwrap()).collect()
    }
}

/// Not one request failed, and none had to be sent twice.
#[track_caller]
pub fn assert_flawless(all: &[Seen]) {
    for seen in all {
        assert!(seen.failures.is_empty(), "{:?}", seen.failures);
        assert_eq!(seen.repeated, 0, "requests had to be repeated");
        assert!(seen.answers > 0);
    }
}
