//! Runs the command as people do, for tests: what it says, and a server to talk to.
#![allow(clippy::unwrap_used, dead_code, reason = "each test program uses its own part")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes that works.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub fn handwound() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_handwound"));
    command.env_remove("VIRTUAL_ENV").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The Python that may have packages from pip: the one that `HANDWOUND_TEST_PYTHON` names, or of `target/test-venv`.
pub fn test_python() -> PathBuf {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-venv/bin/python");
    std::env::var_os("HANDWOUND_TEST_PYTHON")
        .map(PathBuf::from)
        .or_else(|| Some(venv).filter(|python| python.exists()))
        .unwrap_or_else(|| PathBuf::from("python3"))
}

/// Past the test harness, which would swallow it.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A folder with these files.
pub fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

#[derive(Debug)]
pub struct Said {
    pub status: ExitStatus,
    pub out: String,
    pub err: Vec<String>,
}

/// Runs a command that ends by itself, in `folder`.
pub fn said(folder: &Path, arguments: &[&str]) -> Said {
    let child = handwound().args(arguments).current_dir(folder).spawn().unwrap();
    let (sender, outcome) = channel();
    let watched = child.id();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Output { status, stdout, stderr } = match outcome.recv_timeout(DEADLINE) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            kill(watched, "KILL");
            panic!("still running: {arguments:?}");
        }
    };
    let err = String::from_utf8(stderr).unwrap();
    Said { status, out: String::from_utf8(stdout).unwrap(), err: err.lines().map(str::to_owned).collect() }
}

/// One line on stderr, nothing on stdout, exit code 1.
#[track_caller]
pub fn refused(arguments: &[&str], line: &str) {
    let folder = folder(&[("app.py", APP)]);
    let said = said(folder.path(), arguments);
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    assert_eq!(said.out, "");
    assert_eq!(said.err.len(), 1, "{said:?}");
    assert!(said.err[0].starts_with("handwound: ") && said.err[0].contains(line), "{said:?}");
}

pub const APP: &str = "
import atexit, os, threading
atexit.register(print, 'goodbye')
go = threading.Event()
def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/wait':
        print('waiting', flush=True)
        # Until the test makes this file.
        while not os.path.exists('go'): go.wait(0.01)
    if path == '/write':
        print('writing', flush=True)
        write = start_response('200 OK', [])
        while True: write(b'x' * 100000)
    print('serving', path)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'Hello, world!\\n']
";

/// A command that serves.
pub struct Server {
    pub child: Child,
    pub out: Receiver<String>,
    pub err: Receiver<String>,
    pub port: u16,
    pub folder: tempfile::TempDir,
}

impl Server {
    pub fn start(arguments: &[&str]) -> Server {
        let all = [&["web", "--wsgi", "app.application", "--listen", "tcp:0:interface=127.0.0.1"], arguments].concat();
        Server::run(folder(&[("app.py", APP)]), &all)
    }

    /// Runs with these arguments alone, which have to listen on a free port of 127.0.0.1.
    #[track_caller]
    pub fn run(folder: tempfile::TempDir, arguments: &[&str]) -> Server {
        let mut child = handwound().args(arguments).current_dir(folder.path()).spawn().unwrap();
        let out = lines(child.stdout.take().unwrap());
        let err = lines(child.stderr.take().unwrap());
        let mut server = Server { child, out, err, port: 0, folder };
        let line = server.next_error();
        let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next());
        server.port = port.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("no port in: {line}"));
        let url = format!("http://127.0.0.1:{}/", server.port);
        assert!(line.starts_with(&format!("handwound: listening on {url} with ")), "{line}");
        assert!(line.ends_with("; stop with Ctrl-C"), "{line}");
        server
    }

    pub fn next_error(&self) -> String {
        self.err.recv_timeout(DEADLINE).expect("the command says something on stderr")
    }

    pub fn next_line(&self) -> String {
        self.out.recv_timeout(DEADLINE).expect("the application prints something")
    }

    pub fn send(&self, target: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        stream
    }

    pub fn signal(&self, name: &str) {
        kill(self.child.id(), name);
    }

    /// How it ended, and what it said on stderr from here on.
    pub fn end(mut self) -> (ExitStatus, Vec<String>) {
        let start = Instant::now();
        let mut lines = Vec::new();
        loop {
            match self.err.recv_timeout(DEADLINE.saturating_sub(start.elapsed())) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Disconnected) => return (self.child.wait().unwrap(), lines),
                Err(RecvTimeoutError::Timeout) => panic!("does not end; said {lines:?}"),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}

pub fn kill(pid: u32, signal: &str) {
    assert!(Command::new("kill").args(["-s", signal, &pid.to_string()]).status().unwrap().success());
}

pub fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    // A reset is an end too.
    let _ = stream.read_to_string(&mut answer);
    answer
}
