//! The command as people meet it: what it says, where it says it, how it ends. Numbers are the specification's.
#![allow(clippy::unwrap_used)]

mod command;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use command::{APP, DEADLINE, Server, answer, folder, handwound, kill, lines, refused, said};

#[test]
fn help_and_version_go_to_stdout() {
    let folder = folder(&[]);
    let help = said(folder.path(), &["web", "--help"]);
    assert!(help.status.success() && help.out.contains("--wsgi <MODULE.ATTR>") && help.err.is_empty(), "{help:?}");
    let version = said(folder.path(), &["--version"]);
    assert_eq!(version.out, format!("handwound {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_complete_in_a_real_shell() {
    let folder = folder(&[]);
    let script = said(folder.path(), &["completions", "bash"]);
    assert!(script.status.success() && script.err.is_empty(), "{script:?}");
    fs::write(folder.path().join("completions"), &script.out).unwrap();
    let program = "source completions; COMP_WORDS=(handwound web --grace); COMP_CWORD=2; _handwound handwound --grace web; \
                   echo ${COMPREPLY[@]}";
    let bash = Command::new("bash").args(["-c", program]).current_dir(folder.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&bash.stdout), "--graceful-timeout\n", "{bash:?}");
    for shell in ["zsh", "fish"] {
        let script = said(folder.path(), &["completions", shell]);
        assert!(script.status.success() && script.out.contains("graceful-timeout"), "{script:?}");
    }
    refused(&["completions", "tcsh"], "invalid value 'tcsh' for '<SHELL>' [possible values: bash, elvish, fish,");
    refused(&["completions"], "the following required arguments were not provided: <SHELL>");
}

#[test]
fn what_cannot_be_printed_is_told_unless_nobody_reads() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = handwound().args(["web", "--help"]).stdout(full).output().unwrap();
    let line = "handwound: cannot print: No space left on device (os error 28); send it elsewhere with '>'\n";
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(1), line));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = handwound().args(["web", "--help"]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn wrong_options_are_one_line_with_the_nearest() {
    refused(&["web", "--wsgi", "app.application", "--lisen", "tcp:1"], "a similar argument exists: '--listen'");
    refused(&["web", "--wsgi", "app.application", "--listen", "tpc:1"], "did you mean 'tcp'?");
    refused(&["web", "--wsgi", "app.application", "--threads", "9..2"], "did you mean 2..9?");
    refused(&["web"], "nothing to serve; name an application, as 'handwound web --wsgi hello.application'");
    refused(&[], "handwound web --wsgi hello.application");
    refused(&["web", "--wsgi", "app.application", "--app-dir", "nowhere"], "no folder 'nowhere'");
    refused(&["web", "--wsgi", "app.application", "--python", "/nowhere/python"], "--python names '/nowhere/python'");
    refused(&["web", "--wsgi", "app.go"], "'app.go' is no WSGI application but an Event");
}

#[test]
fn spec_34_an_exception_in_the_module_shows_its_own_traceback() {
    let folder = folder(&[("broken.py", "import not_installed_here\n"), ("bad.py", "def application(:\n")]);
    let broken = said(folder.path(), &["web", "--wsgi", "broken.application"]);
    assert_eq!(broken.status.code(), Some(1));
    assert_eq!(broken.err[0], "Traceback (most recent call last):");
    assert_eq!(broken.err.last().unwrap(), "ModuleNotFoundError: No module named 'not_installed_here'");
    assert!(broken.err[1].ends_with("broken.py\", line 1, in <module>"), "{broken:?}");
    let bad = said(folder.path(), &["web", "--wsgi", "bad.application"]);
    assert!(bad.err[0].trim_start().starts_with("File ") && bad.err[0].contains("bad.py"), "{bad:?}");
    assert!(bad.err.last().unwrap().starts_with("SyntaxError"), "{bad:?}");
}

#[test]
fn the_active_virtual_environment_is_the_applications() {
    // Ends by itself, as soon as it has said who it is.
    const WHO: &str = "import sys, only_here; sys.exit(f'{only_here.text} {sys.prefix} {sys.argv}')\n";
    let folder = folder(&[("who.py", WHO)]);
    let venv = fs::canonicalize(folder.path()).unwrap().join("venv");
    let python = fs::canonicalize(env!("HANDWOUND_BUILT_WITH")).unwrap();
    let packages = venv.join(format!("lib/python{}/site-packages", env!("HANDWOUND_ABI")));
    fs::create_dir_all(venv.join("bin")).unwrap();
    fs::create_dir_all(&packages).unwrap();
    std::os::unix::fs::symlink(&python, venv.join("bin/python3")).unwrap();
    fs::write(venv.join("pyvenv.cfg"), format!("home = {}\n", python.parent().unwrap().display())).unwrap();
    fs::write(packages.join("only_here.py"), "text = 'found'\n").unwrap();
    let expected = format!("SystemExit: found {} ['handwound']", venv.display());
    let asked = said(folder.path(), &["web", "--wsgi", "who.application", "--python", "venv"]);
    assert_eq!(asked.err.last(), Some(&expected), "{asked:?}");
    let active = handwound()
        .args(["web", "--wsgi", "who.application"])
        .env("VIRTUAL_ENV", &venv)
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(String::from_utf8(active.stderr).unwrap().ends_with(&format!("{expected}\n")));
}

#[test]
fn a_port_in_use_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp:{}:interface=127.0.0.1", taken.local_addr().unwrap().port());
    let folder = folder(&[("app.py", APP)]);
    let said = said(folder.path(), &["web", "--wsgi", "app.application", "--listen", &endpoint]);
    assert_eq!(said.status.code(), Some(1));
    let line = format!(
        "handwound: cannot listen on {endpoint}: address already in use; stop what listens there, or choose another --port"
    );
    assert_eq!(said.err, [line]);
}

#[test]
fn a_socket_in_use_is_one_line_that_speaks_of_paths() {
    let folder = folder(&[("app.py", APP)]);
    let _taken = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    let said = said(folder.path(), &["web", "app:application", "--bind", "unix:socket", "-w", "2"]);
    let line = "handwound: cannot listen on unix:socket: address already in use; stop what listens there, or choose another path";
    assert_eq!((said.status.code(), said.err), (Some(1), vec![line.to_owned()]));
}

#[test]
fn spec_33_it_serves_and_prints_at_once_and_ends_cleanly() {
    let server = Server::start(&["--threads", "2..4"]);
    let answer = answer(server.send("/hello"));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nHello, world!\n"), "{answer}");
    assert_eq!(server.next_line(), "serving /hello");
    server.signal("INT");
    assert_eq!(server.next_line(), "goodbye");
    let (status, said) = server.end();
    assert!(status.success(), "{status}: {said:?}");
    assert!(said[0].starts_with("handwound: SIGINT: finishing what is under way, for at most 30 s"), "{said:?}");
}

#[test]
fn without_threads_the_reactors_own_serves_and_ends_cleanly() {
    let server = Server::start(&["--threads", "0"]);
    for _ in 0..2 {
        let answer = answer(server.send("/hello"));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nHello, world!\n"), "{answer}");
        assert_eq!(server.next_line(), "serving /hello");
    }
    server.signal("TERM");
    assert_eq!(server.next_line(), "goodbye");
    let (status, said) = server.end();
    assert!(status.success(), "{status}: {said:?}");
}

#[test]
fn spec_35_the_tutorials_command_line_serves_with_5_to_20_threads() {
    let folder = folder(&[("app.py", APP)]);
    let mut child = handwound();
    child.args(["-n", "web", "--wsgi", "app:application", "--port", "0"]).current_dir(folder.path());
    let mut child = child.spawn().unwrap();
    let said = lines(child.stderr.take().unwrap()).recv_timeout(DEADLINE).unwrap();
    kill(child.id(), "TERM");
    child.wait().unwrap();
    assert!(
        said.starts_with("handwound: listening on http://127.0.0.1:") && said.contains("5 to 20 threads"),
        "{said}"
    );
}

#[test]
fn what_is_under_way_is_finished_after_a_signal() {
    let server = Server::start(&[]);
    let waiting = server.send("/wait");
    assert_eq!(server.next_line(), "waiting");
    server.signal("TERM");
    assert!(server.next_error().contains("SIGTERM"));
    // It takes no connection any more, and the request that it has goes on.
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", server.port)).is_ok() {
        assert!(start.elapsed() < DEADLINE, "it still takes connections");
    }
    fs::write(server.folder.path().join("go"), "").unwrap();
    let answer = answer(waiting);
    assert!(answer.ends_with("\r\n\r\nHello, world!\n"), "{answer}");
    let (status, said) = server.end();
    assert!(status.success(), "{said:?}");
}

#[test]
fn a_stuck_worker_is_named_and_left_behind() {
    let server = Server::start(&["--graceful-timeout", "0.1"]);
    let waiting = server.send("/wait?for=ever");
    assert_eq!(server.next_line(), "waiting");
    server.signal("INT");
    let (status, said) = server.end();
    assert_eq!(status.code(), Some(1), "{said:?}");
    let last = said.last().unwrap();
    assert!(last.contains("is stuck in GET /wait?for=ever; the process ends without it"), "{said:?}");
    assert_eq!(answer(waiting), "");
}

#[test]
fn a_worker_blocked_in_write_does_not_hold_the_end_up() {
    let server = Server::start(&["--graceful-timeout", "0.1"]);
    let blocked = server.send("/write");
    assert_eq!(server.next_line(), "writing");
    server.signal("TERM");
    let (status, said) = server.end();
    assert_eq!(status.code(), Some(1), "{said:?}");
    assert!(said.last().unwrap().contains("was not done in time with GET /write"), "{said:?}");
    drop(blocked);
}

#[test]
fn a_second_signal_ends_at_once() {
    let server = Server::start(&[]);
    let waiting = server.send("/wait");
    assert_eq!(server.next_line(), "waiting");
    server.signal("INT");
    assert!(server.next_error().contains("another signal ends it at once"));
    server.signal("INT");
    let (status, _) = server.end();
    assert_eq!((status.code(), status.signal()), (Some(130), None));
    drop(waiting);
}

#[test]
fn a_stderr_that_nobody_reads_any_more_ends_nothing_and_keeps_no_stop_off() {
    let folder = folder(&[("app.py", "def application(environ, start_response): raise KeyError('logged')\n")]);
    let mut command = handwound();
    command.args(["web", "--wsgi", "app.application", "--listen", "tcp:0:interface=127.0.0.1"]);
    let mut child = command.current_dir(folder.path()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let port: u16 = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next()).unwrap().parse().unwrap();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        assert!(answer(stream).starts_with("HTTP/1.1 500 "));
    }
    let pid = child.id();
    kill(pid, "TERM");
    let (sender, ended) = channel();
    thread::spawn(move || sender.send(child.wait().unwrap()));
    let ended = ended.recv_timeout(DEADLINE).inspect_err(|_| kill(pid, "KILL"));
    assert_eq!(ended.expect("SIGTERM ends it").code(), Some(0));
}
