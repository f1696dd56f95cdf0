//! The default reactor of Python under the command: it is the command's own.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Longer than anything takes that works.
const DEADLINE: Duration = Duration::from_secs(60);

/// Serves the application of this module until the command ends by itself: its exit code, and what it said on stdout
/// and on stderr.
fn serve(code: &str) -> (Option<i32>, Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("app.py"), code).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_handwound"));
    command.args(["web", "--wsgi", "app.application", "--listen", "tcp:0:interface=127.0.0.1", "--threads", "2"]);
    command.current_dir(&folder).env_remove("VIRTUAL_ENV").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let (sender, outcome) = mpsc::channel();
    let watched = child.id();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(Output { status, stdout, stderr }) = outcome.recv_timeout(DEADLINE).map(Result::unwrap) else {
        let _ = Command::new("kill").args(["-KILL", &watched.to_string()]).status();
        panic!("it does not end");
    };
    let out = String::from_utf8(stdout).unwrap().lines().map(str::to_owned).collect();
    (status.code(), out, String::from_utf8(stderr).unwrap())
}

#[test]
fn the_default_reactor_is_the_commands_and_calls_on_a_thread_of_its_own() {
    let (status, out, err) = serve(
        "
import threading
from handwound.internet import error, reactor

pool = reactor.getThreadPool()
print('imported', reactor.running, pool.min, pool.max)
try:
    reactor.run()
except error.ReactorAlreadyRunning as why:
    print(why)

def running(name):
    print(name, reactor.running, threading.current_thread().name)
    reactor.callInThread(lambda: reactor.callFromThread(print, 'from a worker', threading.current_thread() is here))
    reactor.callLater(0, lambda: 1 / 0)
    reactor.callLater(0, ended)

def ended():
    print(len(pool.threads))
    reactor.callInThread(reactor.callFromThread, reactor.stop)

here = threading.current_thread()
reactor.callWhenRunning(running, 'running')
for phase in ('after', 'during', 'before'):
    reactor.addSystemEventTrigger(phase, 'shutdown', print, phase)

def application(environ, start_response):
    raise NotImplementedError
",
    );
    assert_eq!(status, Some(0), "{err}");
    let expected = [
        "imported False 2 2",
        "the command handwound runs this reactor; there is no need to",
        "running True reactor calls",
        "2",
        "before",
        "during",
        "after",
    ];
    // When a worker comes to its job is the system's choice.
    let (from_worker, rest): (Vec<_>, Vec<_>) = out.iter().partition(|line| line.starts_with("from a worker"));
    assert_eq!(rest, expected, "{err}");
    assert_eq!(from_worker, ["from a worker False"]);
    assert!(err.contains("ZeroDivisionError"), "{err}");
}

#[test]
fn a_command_that_comes_to_nothing_leaves_no_thread_that_waits() {
    let (status, out, err) = serve(
        "
from handwound.internet import reactor
reactor.callLater(0, print, 'never')
reactor.callWhenRunning(print, 'never')
raise LookupError('not today')
",
    );
    assert_eq!((status, out), (Some(1), vec![]));
    assert!(err.ends_with("LookupError: not today\n"), "{err}");
}
