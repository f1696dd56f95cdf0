//! A command with worker processes, and clients. Nothing here sleeps: lines, answers and ends of streams say what is so.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes that works.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Answers its version and its process; some paths do more.
pub const APP: &str = "
import os, sys, threading
VERSION = 'one'
go = threading.Event()
def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/wait':
        print('waiting', os.getpid(), flush=True)
        # Until the test makes this file.
        while not os.path.exists('go'): go.wait(0.01)
    if path == '/die': os._exit(3)
    body = f'{VERSION} {os.getpid()} {environ[\"wsgi.multiprocess\"]}'.encode()
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]
";

/// The same of another version.
pub fn version(name: &str) -> String {
    APP.replace("'one'", &format!("'{name}'"))
}

pub struct Master {
    pub child: Child,
    pub out: Receiver<String>,
    err: Receiver<String>,
    pub port: u16,
    pub folder: tempfile::TempDir,
}

impl Master {
    /// Runs the command, on a port of its own, with `app` as the application.
    pub fn run(app: &str, arguments: &[&str], configure: impl FnOnce(&mut Command)) -> Master {
        Master::run_as(Command::new(env!("CARGO_BIN_EXE_handwound")), app, arguments, configure)
    }

    /// The same, with another command.
    pub fn run_as(mut command: Command, app: &str, arguments: &[&str], configure: impl FnOnce(&mut Command)) -> Master {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("app.py"), app).unwrap();
        command.args(["web", "app:application", "--listen", "tcp:0:interface=127.0.0.1"]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir(folder.path());
        // A change within a second is a change.
        command.env_remove("VIRTUAL_ENV").env_remove("NOTIFY_SOCKET").env("PYTHONDONTWRITEBYTECODE", "1");
        command.process_group(0);
        configure(&mut command);
        let mut child = command.spawn().unwrap();
        let (out, err) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Master { child, out, err, port: 0, folder }
    }

    /// The same, serving.
    pub fn start(arguments: &[&str]) -> Master {
        let mut master = Master::run(APP, arguments, |_| {});
        master.serves();
        master
    }

    /// Waits until it says where it listens.
    pub fn serves(&mut self) {
        let line = self.line("listening on http://127.0.0.1:");
        let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
        self.port = port.parse().unwrap();
    }

    /// Waits for a line on stderr with `part` in it.
    #[track_caller]
    pub fn line(&self, part: &str) -> String {
        let (line, _) = self.lines_up_to(part);
        line
    }

    /// The same, and all that came before.
    #[track_caller]
    pub fn lines_up_to(&self, part: &str) -> (String, Vec<String>) {
        let mut before = Vec::new();
        loop {
            match self.err.recv_timeout(DEADLINE) {
                Ok(line) if line.contains(part) => return (line, before),
                Ok(line) => before.push(line),
                Err(_) => panic!("it never said '{part}', but {before:#?}"),
            }
        }
    }

    /// Waits until so many more workers serve.
    #[track_caller]
    pub fn ready(&self, workers: usize) {
        (0..workers).for_each(|_| drop(self.line(" serves")));
    }

    pub fn change(&self, app: &str) {
        // As a whole, as editors do.
        let beside = self.folder.path().join("app.new");
        fs::write(&beside, app).unwrap();
        fs::rename(beside, self.folder.path().join("app.py")).unwrap();
    }

    pub fn signal(&self, name: &str) {
        kill(&self.child.id().to_string(), name);
    }

    /// How it ended, all workers included, and what was said on stderr from here on.
    #[track_caller]
    pub fn end(mut self) -> (ExitStatus, Vec<String>) {
        let said = self.rest();
        (self.child.wait().unwrap(), said)
    }

    /// What is said on stderr until nobody is left who could say anything.
    #[track_caller]
    pub fn rest(&self) -> Vec<String> {
        let start = Instant::now();
        let mut said = Vec::new();
        loop {
            match self.err.recv_timeout(DEADLINE.saturating_sub(start.elapsed())) {
                Ok(line) => said.push(line),
                Err(RecvTimeoutError::Disconnected) => return said,
                Err(RecvTimeoutError::Timeout) => panic!("does not end; said {said:#?}"),
            }
        }
    }

    #[track_caller]
    pub fn stop(self) {
        self.signal("TERM");
        let (status, said) = self.end();
        assert!(status.success(), "{status}: {said:#?}");
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        // Whoever is left of its process group, where a test has failed.
        let _ = Command::new("kill").args(["-s", "KILL", "--", &format!("-{}", self.child.id())]).output();
        let _ = self.child.wait();
    }
}

pub fn kill(process: &str, signal: &str) {
    assert!(Command::new("kill").args(["-s", signal, "--", process]).status().unwrap().success());
}

pub fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}

/// Waits until `path` is there, or is not.
pub fn until_exists(path: &Path, exists: bool) {
    let start = Instant::now();
    while path.exists() != exists {
        assert!(start.elapsed() < DEADLINE, "{} does not become so", path.display());
        thread::yield_now();
    }
}
