//! Where the command logs to, and what happens when that cannot be written: never that it stops serving.
#![allow(clippy::unwrap_used)]

mod command;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use command::{APP, DEADLINE, Server, answer, folder, handwound, kill, refused};

/// Waits for `file` to be there with this many lines: they come from a thread of their own.
#[track_caller]
fn lines_of(file: &Path, count: usize) -> Vec<String> {
    let start = Instant::now();
    loop {
        let text = fs::read_to_string(file);
        if let Ok(text) = &text
            && text.lines().count() >= count
            && (count == 0 || text.ends_with('\n'))
        {
            return text.lines().map(str::to_owned).collect();
        }
        assert!(start.elapsed() < DEADLINE, "no {count} lines in {}: {text:?}", file.display());
        std::thread::yield_now();
    }
}

fn served(server: &Server, target: &str) {
    assert!(answer(server.send(target)).starts_with("HTTP/1.1 200 "));
}

#[test]
fn spec_38_logfile_gets_a_combined_line_for_each_request_and_is_opened_anew_on_sigusr1() {
    let server = Server::start(&["--logfile", "access.log"]);
    let (log, old) = (server.folder.path().join("access.log"), server.folder.path().join("access.log.1"));
    served(&server, "/one?two");
    let line = lines_of(&log, 1).remove(0);
    let (before, after) = (line.find(" - - [").unwrap(), line.find("] ").unwrap());
    assert_eq!(&line[..before], "127.0.0.1");
    assert_eq!(line[before..after].len(), " - - [23/Nov/2026:03:20:00 +0000".len(), "{line}");
    assert_eq!(&line[after..], r#"] "GET /one?two HTTP/1.1" 200 14 "-" "-""#);
    fs::rename(&log, &old).unwrap();
    server.signal("USR1");
    // When it is there, it has been opened anew.
    lines_of(&log, 0);
    served(&server, "/three");
    assert!(lines_of(&log, 1)[0].contains("/three"));
    assert_eq!(lines_of(&old, 1).len(), 1);
}

#[test]
fn an_access_log_on_stdout_takes_the_form_that_was_asked_for() {
    let server = Server::start(&["--access-logfile", "-", "--access-logformat", "%(m)s %(U)s %(s)s %({Host}i)s"]);
    served(&server, "/a");
    let said = [server.next_line(), server.next_line()];
    assert!(said.contains(&"serving /a".to_owned()) && said.contains(&"GET /a 200 x".to_owned()), "{said:?}");
}

#[test]
fn the_last_requests_are_in_the_log_when_it_has_ended() {
    let server = Server::start(&["--logfile", "access.log"]);
    let log = server.folder.path().join("access.log");
    let kept = folder(&[]);
    let link = kept.path().join("access.log");
    lines_of(&log, 0);
    fs::hard_link(&log, &link).unwrap();
    (0..5).for_each(|number| served(&server, &format!("/{number}")));
    server.signal("TERM");
    assert!(server.end().0.success());
    assert_eq!(fs::read_to_string(link).unwrap().lines().count(), 5);
}

#[test]
fn log_events_go_to_the_file_that_was_asked_for() {
    let files = [("app.py", "def application(environ, start_response): raise KeyError('logged')\n")];
    let server = Server::run(
        folder(&files),
        &["web", "app:application", "-b", "127.0.0.1:0", "--error-logfile", "events.log", "--log-level", "warning"],
    );
    assert!(answer(server.send("/")).starts_with("HTTP/1.1 500 "));
    let lines = lines_of(&server.folder.path().join("events.log"), 2);
    assert!(lines.iter().any(|line| line.contains("ERROR") && line.contains("GET /")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("KeyError: 'logged'")), "{lines:?}");
}

#[test]
fn a_full_disk_is_told_once_and_serving_goes_on() {
    let server = Server::start(&["--logfile", "/dev/full"]);
    served(&server, "/1");
    let told = server.next_error();
    assert!(told.starts_with("handwound: cannot write the log '/dev/full': No space left on device"), "{told}");
    assert!(told.ends_with("; serving goes on, lines lost so far: 1"), "{told}");
    (0..3).for_each(|_| served(&server, "/"));
    server.signal("TERM");
    let (status, said) = server.end();
    assert!(status.success());
    assert!(!said.iter().any(|line| line.contains("/dev/full")), "{said:?}");
}

#[test]
fn a_log_folder_that_vanishes_stops_nothing() {
    let folder = folder(&[("app.py", APP), ("logs/keep", "")]);
    let arguments = ["web", "app:application", "-b", "127.0.0.1:0", "--logfile", "logs/access.log"];
    let server = Server::run(folder, &arguments);
    fs::remove_dir_all(server.folder.path().join("logs")).unwrap();
    server.signal("USR1");
    let told = server.next_error();
    assert!(told.contains("logs/access.log' again: No such file or directory"), "{told}");
    assert!(told.ends_with("; the old one goes on"), "{told}");
    served(&server, "/");
}

#[test]
fn a_stdout_that_nobody_reads_any_more_stops_nothing() {
    let mut server = Server::start(&["--logfile", "-"]);
    let (_, gone) = std::sync::mpsc::channel();
    // The thread that reads the real one ends with its next line, and closes the pipe.
    drop(std::mem::replace(&mut server.out, gone));
    (0..5).for_each(|_| drop(answer(server.send("/"))));
    server.signal("TERM");
    let (status, said) = server.end();
    assert!(status.success(), "{said:?}");
}

#[test]
fn spec_38_headers_are_added_to_every_response() {
    let added = ["--add-header", "X-Frame-Options: DENY", "--add-header", "server:mine"];
    let server = Server::start(&added);
    let text = answer(server.send("/"));
    assert!(text.contains("\r\nX-Frame-Options: DENY\r\n") && text.contains("\r\nServer: mine\r\n"), "{text}");
    assert!(!text.contains("handwound"), "{text}");
}

#[test]
fn wrong_logs_are_one_line() {
    let refuse = |option: &str, value: &str, line: &str| refused(&["web", "app:application", option, value], line);
    refuse("--logfile", "nowhere/x.log", "cannot write the log 'nowhere/x.log': no such folder; make it first");
    refuse("--logfile", ".", "cannot write the log '.': it is a folder; name a file in it");
    refuse("--logfile", "", "a value is required for '--logfile <FILE>' but none was supplied");
    refuse("--error-logfile", "nowhere/x.log", "cannot write the log 'nowhere/x.log': no such folder; make it first");
    refuse("--add-header", "X-A", "no colon in it; write 'Name: value'");
    refuse("--add-header", "Content-Length: 5", "Content-Length is set by the server itself");
    refuse("--access-logformat", "%(h)s", "--logfile <FILE>");
    refused(
        &["web", "app:application", "--logfile", "x", "--access-logformat", "%(z)s"],
        "'%(z)s' is no field; fields are",
    );
}

/// Whoever started it holds the other end of its stderr, and does not read.
#[test]
fn a_stderr_that_is_not_read_stops_neither_serving_nor_the_end() {
    let files = [(
        "app.py",
        "\
import time
def application(environ, start_response):
    if environ['PATH_INFO'] == '/stuck':
        print('stuck', flush=True)
        time.sleep(1000)
    raise KeyError('x' * 1000)
",
    )];
    let place = folder(&files);
    let arguments = ["web", "app:application", "-b", "127.0.0.1:0", "--graceful-timeout", "0.1"];
    let mut child = handwound().args(arguments).current_dir(place.path()).spawn().unwrap();
    let mut unread = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    unread.read_line(&mut line).unwrap();
    let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next()).unwrap().parse().unwrap();
    let send = |target: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        stream
    };
    // Far more than a pipe holds.
    for _ in 0..200 {
        assert!(answer(send("/")).starts_with("HTTP/1.1 500 "));
    }
    let stuck = send("/stuck");
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    kill(child.id(), "TERM");
    let (sender, ended) = channel();
    let pid = child.id();
    thread::spawn(move || sender.send(child.wait().unwrap()));
    let ended = ended.recv_timeout(DEADLINE).inspect_err(|_| kill(pid, "KILL"));
    assert_eq!(ended.expect("SIGTERM ends it").code(), Some(1));
    drop((stuck, unread));
}
