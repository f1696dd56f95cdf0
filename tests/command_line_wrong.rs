//! Whatever is typed wrong: one line that says what is wrong and what would be right, and exit code 1.
#![allow(clippy::unwrap_used)]

mod command;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use command::{APP, folder, handwound, said};

/// What is typed behind `handwound`, with `|` between arguments; the line that answers, without `handwound: ` before it.
const TABLE: &[(&str, &str)] = &[
    // Nothing, or too much.
    ("", "nothing to do; try 'handwound web --wsgi hello.application', or 'handwound --help'"),
    ("wbe", "no command 'wbe'; commands are 'web', which serves, and 'completions'"),
    ("app:application|-w|4", "no command 'app:application'; did you mean 'handwound web app:application'?"),
    ("--port|80|web|app:application", "--port belongs to a command; write handwound web --port"),
    (
        "web",
        "nothing to serve; name an application, as 'handwound web --wsgi hello.application', or a folder with --path DIR",
    ),
    (
        "web|app:application|--wsgi|app.application",
        "the argument '[MODULE:APP]' cannot be used with '--wsgi <MODULE.ATTR>'",
    ),
    (
        "web|--wsgi|app.application|--path|.",
        "more than one thing to serve; keep one of the application, --path and --resource-script",
    ),
    ("web|app:application|other:app", "unexpected argument 'other:app' found"),
    // Options that are not there.
    ("web|app:application|--lisen|tcp:1", "unexpected argument '--lisen' found; a similar argument exists: '--listen'"),
    (
        "web|app:application|--worker-class|gevent",
        "gunicorn's --worker-class is not here; workers are processes with threads; --threads says how many",
    ),
    (
        "web|app:application|-k|gevent",
        "invalid value 'gevent' for '--privkey <FILE>': it is the file of a private key; there are no worker classes, \
         --threads says how many requests run at once",
    ),
    (
        "web|app:application|-c|gunicorn.conf.py",
        "invalid value 'gunicorn.conf.py' for '--certificate <FILE>': it is the file of a certificate; gunicorn's \
         configuration files are not read, put the options into a script",
    ),
    (
        "web|app:application|--preload",
        "gunicorn's --preload is not here; each worker imports the application itself, so that a reload takes new code",
    ),
    (
        "web|app:application|-D",
        "gunicorn's -D is not here; it stays in the foreground: let a service manager start it, or a shell with '&'",
    ),
    ("-r|epoll|web|app:application", "twistd's -r is not here; there is one reactor, on epoll or kqueue"),
    (
        "-y|hello.tac",
        "twistd's -y is not here; applications of Twisted are not read; 'handwound web' serves, and Python starts its own reactor",
    ),
    (
        "web|app:application|--user|www",
        "--user is not here; a service manager does that, as systemd with User= and Group=",
    ),
    // Values.
    ("web|app:application|--port", "a value is required for '--port <PORT>' but none was supplied"),
    ("web|app:application|--port|65536", "invalid value '65536' for '--port <PORT>': ports go up to 65535"),
    (
        "web|app:application|-p|x.pid",
        "invalid value 'x.pid' for '--port <PORT>': not a port; write 8080 (a file for the number of the process is --pid FILE)",
    ),
    (
        "web|app:application|-b|8000",
        "invalid value '8000' for '--bind <ADDRESS>': a port alone needs a colon; did you mean ':8000'?",
    ),
    (
        "web|app:application|-b|tcp:8000",
        "invalid value 'tcp:8000' for '--bind <ADDRESS>': that is how --listen has it; write --listen tcp:8000",
    ),
    (
        "web|app:application|--listen|127.0.0.1:80",
        "invalid value '127.0.0.1:80' for '--listen <ENDPOINT>': that is how --bind has it; did you mean \
         'tcp:80:interface=127.0.0.1'?",
    ),
    (
        "web|app:application|--listen|80",
        "invalid value '80' for '--listen <ENDPOINT>': '80' has no endpoint type; did you mean 'tcp:80'?",
    ),
    (
        "web|app:application|--listen|tpc:80",
        "invalid value 'tpc:80' for '--listen <ENDPOINT>': unknown endpoint type 'tpc'; did you mean 'tcp'?",
    ),
    (
        "web|app:application|--threads|9..2",
        "invalid value '9..2' for '--threads <MIN..MAX>': the smaller number comes first; did you mean 2..9?",
    ),
    ("web|app:application|-w|0", "invalid value '0' for '--workers <N>': at least 1 worker is needed"),
    (
        "web|app:application|--head-timeout|soon",
        "invalid value 'soon' for '--head-timeout <SECONDS>': not a number of seconds; write 30 or 0.5",
    ),
    (
        "web|app:application|--body-max|1T",
        "invalid value '1T' for '--body-max <BYTES>': 'T' is not a unit of bytes; use k, M or G",
    ),
    (
        "web|app:application|-e|DEBUG",
        "invalid value 'DEBUG' for '--env <NAME=VALUE>': a value is missing; write DEBUG=VALUE",
    ),
    (
        "web|app:application|--umask|rwx",
        "invalid value 'rwx' for '--umask <MODE>': not permissions in octal; write for example 027",
    ),
    (
        "web|app:application|-m|007",
        "invalid value '007' for '--mime-type <TYPE>': not a type; write text/plain (permissions are --umask 007)",
    ),
    (
        "web|app:application|--log-level|loud",
        "invalid value 'loud' for '--log-level <LEVEL>' [possible values: error, warn, info, debug, trace]",
    ),
    // Places.
    (
        "web|app:application|--chdir|nowhere",
        "cannot go to --chdir 'nowhere': no such folder; name the folder that the other paths are in",
    ),
    (
        "web|app:application|--chdir|app.py",
        "cannot go to --chdir 'app.py': it is no folder; name the folder that the other paths are in",
    ),
    ("web|app:application|--app-dir|nowhere", "no folder 'nowhere'; --app-dir names the folder of the application"),
    (
        "web|app:application|--listen|unix:nowhere/x.sock",
        "cannot listen on unix:nowhere/x.sock: no such folder; make it first",
    ),
    (
        "web|app:application|--python|nowhere",
        "--python names 'nowhere', which is neither a Python interpreter nor a folder with bin/python3; \
         'python3 -m venv DIR' makes an environment",
    ),
    // What is found is no application.
    ("web|app:go", "'app:go' is no WSGI application but an Event: <threading.Event at 0x"),
    ("web|asgi:app", "'asgi:app' is no WSGI application but an ASGI application: calling it gives a coroutine"),
];

/// What nobody types, but programs may: control characters do not make two lines of one.
#[test]
fn no_argument_makes_more_than_one_line() {
    let place = folder(&[("app.py", APP)]);
    for typed in ["a\nb", "web|a\nb.py", "web|a\nb:c", "web|app:a\nb", "web|app:application|--chdir|a\nb"] {
        let said = said(place.path(), &typed.split('|').collect::<Vec<_>>());
        let other = said.err.iter().filter(|line| !line.starts_with("No such WSGI application: '")).count();
        assert_eq!((said.status.code(), other), (Some(1), 1), "{typed:?}: {said:?}");
    }
    for typed in
        ["web|app:application|--python|a\nb", "web|app:application|--app-dir|a\rb", "web|app:application|--x\nb"]
    {
        let said = said(place.path(), &typed.split('|').collect::<Vec<_>>());
        assert_eq!((said.status.code(), said.err.len()), (Some(1), 1), "{typed:?}: {said:?}");
    }
    let output = handwound().args(["web".into(), OsString::from_vec(vec![255])]).output().unwrap();
    let line = "handwound: an argument is not UTF-8; only paths may be other than text\n";
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(1), line));
}

#[test]
fn each_wrong_line_gets_one_line_and_exit_code_1() {
    let folder = folder(&[("app.py", APP), ("asgi.py", "async def app(scope, receive, send): pass\n")]);
    let mut unlike = Vec::new();
    for (typed, expected) in TABLE {
        let arguments: Vec<_> = typed.split('|').filter(|argument| !argument.is_empty()).collect();
        let said = said(folder.path(), &arguments);
        let expected = format!("handwound: {expected}");
        // Of addresses in memory only the beginning is known.
        let is_right = said.err.len() == 1
            && if expected.ends_with("0x") { said.err[0].starts_with(&expected) } else { said.err[0] == expected };
        if said.status.code() != Some(1) || !said.out.is_empty() || !is_right {
            unlike.push(format!("{typed}\n  expected {expected}\n  {said:?}"));
        }
    }
    assert!(unlike.is_empty(), "{}", unlike.join("\n"));
}

#[test]
fn spec_34_who_names_no_application_is_told_last_which() {
    let files = [("app.py", APP), ("short.py", "def app(e, s): pass\ndef make(x): pass\n"), ("pack/__init__.py", "")];
    let folder = folder(&files);
    let check = |name: &str, reason: &str| {
        let said = said(folder.path(), &["web", "--wsgi", name]);
        assert_eq!(said.status.code(), Some(1), "{said:?}");
        let lines = [format!("handwound: {reason}"), format!("No such WSGI application: '{name}'")];
        assert_eq!((said.err.as_slice(), said.out.as_str()), (&lines[..], ""));
    };
    check("ap.application", "no module 'ap'; did you mean 'app'?");
    check("nosuch.app", "no module 'nosuch' in the folder of --app-dir or in this Python's environment");
    check("pack.nosuch", "no attribute 'nosuch' in module 'pack'");
    check("app.aplication", "no attribute 'aplication' in module 'app'; did you mean 'application'?");
    check("short:application", "no attribute 'application' in module 'short'; did you mean 'app'?");
    check("app", "an application is named by a module and an attribute, as 'app.application'");
    check("", "an application is named by a module and an attribute, as 'hello.application'");
    check("app.py", "a module is named, not its file; did you mean 'app:application'?");
    check("short:make()", "make() missing 1 required positional argument: 'x'");
    check("short:make(x)", "'make(x)' is no call with literals; write it as make('x', debug=True)");
}
