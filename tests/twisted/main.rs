//! Resources, scripts and folders as `handwound web` serves them, and beside Twisted's own. What compares with Twisted
//! needs it from pip: from the environment that `HANDWOUND_TEST_PYTHON` names (its `bin/python`), or that stands in
//! `target/test-venv`; without it those tests say that they are skipped. Numbers are those of the list of behaviours.
#![allow(clippy::unwrap_used)]

#[path = "../command/mod.rs"]
mod command;
mod rendering;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use command::{DEADLINE, folder, tell, test_python};

/// The listing of Twisted's own tutorial.
const TUTORIAL: &str = "\
from twisted.web.wsgi import WSGIResource
from twisted.internet import reactor

def application(environ, start_response):
    start_response('200 OK', [('Content-type', 'text/plain')])
    return ['Hello, world!']

resource = WSGIResource(reactor, reactor.getThreadPool(), application)
";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A Python that has Twisted, if there is one.
fn python_with_twisted(test: &str) -> Option<PathBuf> {
    let python = test_python();
    let import = Command::new(&python).args(["-c", "import twisted.web"]).stderr(Stdio::null()).status();
    if import.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    tell(&format!("SKIPPED twisted::{test}: {} has no Twisted; `.ci/run` makes one", python.display()));
    None
}

fn handwound(python: Option<&Path>, folder: &Path) -> Command {
    let mut command = command::handwound();
    command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(folder);
    command.arg("web");
    match python {
        Some(python) => command.arg("--python").arg(python),
        // The standard library alone: what else may be installed there is not found.
        None => command.env("PYTHONNOUSERSITE", "1").env("PYTHONPATH", hidden_twisted()),
    };
    command.stdout(Stdio::null());
    command
}

/// A folder that makes Twisted look as if it were not installed, also where it is.
fn hidden_twisted() -> PathBuf {
    root().join("tests/twisted/without")
}

/// A command that serves.
struct Server {
    child: Child,
    err: Receiver<String>,
    port: u16,
    _folder: Option<tempfile::TempDir>,
}

impl Server {
    /// Serves what is in this folder.
    fn start(python: Option<&Path>, files: &[(&str, &str)], arguments: &[&str]) -> Server {
        let folder = folder(files);
        let mut server = Server::start_in(python, folder.path(), arguments);
        server._folder = Some(folder);
        server
    }

    fn start_in(python: Option<&Path>, folder: &Path, arguments: &[&str]) -> Server {
        let mut command = handwound(python, folder);
        command.args(["--listen", "tcp:0:interface=127.0.0.1"]).args(arguments);
        let mut child = command.spawn().unwrap();
        let err = lines(child.stderr.take().unwrap());
        let mut server = Server { child, err, port: 0, _folder: None };
        let line = server.next_line_with("listening on");
        let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next());
        server.port = port.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("no port in: {line}"));
        server
    }

    /// The next line on stderr that holds `text`.
    fn next_line_with(&self, text: &str) -> String {
        loop {
            let line = self.err.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("never says {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    fn ask(&self, request: &str) -> Answer {
        ask(self.port, request)
    }

    fn get(&self, target: &str) -> Answer {
        self.ask(&format!("GET {target} HTTP/1.0\r\nHost: x\r\n\r\n"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The whole answer to a request that asks for the connection's end.
fn ask(port: u16, request: &str) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    Answer(String::from_utf8(answer).unwrap())
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    receiver
}

#[derive(Debug)]
struct Answer(String);

impl Answer {
    fn status(&self) -> u16 {
        self.0.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no answer: {self:?}"))
    }

    fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").expect("an answer has a head").1
    }

    fn header(&self, name: &str) -> Option<&str> {
        let head = self.0.split_once("\r\n\r\n")?.0;
        head.lines()
            .find_map(|line| line.split_once(": ").filter(|(found, _)| found.eq_ignore_ascii_case(name)))
            .map(|(_, value)| value)
    }
}

/// Whether the command, started like this, says these lines and ends with 1.
#[track_caller]
fn refused(files: &[(&str, &str)], arguments: &[&str], last: &str) -> Vec<String> {
    let folder = folder(files);
    let output = handwound(None, folder.path()).args(arguments).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<String> = err.lines().map(str::to_owned).collect();
    assert_eq!(output.status.code(), Some(1), "{err}");
    let found = lines.last().unwrap_or_else(|| panic!("says nothing"));
    assert!(found.starts_with("handwound: ") && found.contains(last), "{err}");
    lines
}

fn serves_the_tutorial(python: Option<&Path>) {
    let server = Server::start(python, &[("hello.rpy", TUTORIAL)], &["--path", "."]);
    let answer = server.get("/hello.rpy");
    assert_eq!((answer.status(), answer.body()), (200, "Hello, world!"));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    // SPEC 20, and once, though the script makes another application for each request.
    server.next_line_with("asks for bytes");
    assert_eq!(server.get("/hello.rpy/below?x=1").body(), "Hello, world!");
    assert!(server.err.try_recv().is_err());
}

#[test]
fn spec_36_the_tutorial_works_without_twisted() {
    serves_the_tutorial(None);
}

#[test]
fn spec_36_the_tutorial_works_with_twisted() {
    let Some(python) = python_with_twisted("spec_36_the_tutorial_works_with_twisted") else { return };
    serves_the_tutorial(Some(&python));
}

#[test]
fn spec_36_the_rest_of_the_path_belongs_to_the_scripts_application() {
    let script = TUTORIAL.replace("['Hello, world!']", "[repr((environ['SCRIPT_NAME'], environ['PATH_INFO']))]");
    let server = Server::start(None, &[("hello.rpy", &script), ("sub/index.rpy", &script)], &["--path", "."]);
    assert_eq!(server.get("/hello.rpy").body(), "('/hello.rpy', '')");
    assert_eq!(server.get("/hello.rpy/").body(), "('/hello.rpy', '/')");
    assert_eq!(server.get("/hello.rpy/below").body(), "('/hello.rpy', '/below')");
    assert_eq!(server.get("/hello.rpy/a%20b//c").body(), "('/hello.rpy', '/a b//c')");
    assert_eq!(server.get("/sub/").body(), "('/sub/', '')");
}

const RESOURCE: &str = "
from handwound.web.resource import Resource

class Show(Resource):
    isLeaf = True
    def render_GET(self, request):
        return repr((__file__.rpartition('/')[2], type(registry).__name__, request.prepath, request.postpath)).encode()

resource = Show()
";

#[test]
fn spec_36_a_scripts_resource_answers_with_its_globals_there() {
    let server = Server::start(None, &[("show.rpy", RESOURCE)], &["--path", "."]);
    assert_eq!(server.get("/show.rpy/a%2Fb/").body(), "('show.rpy', 'Registry', [b'show.rpy'], [b'a/b', b''])");
    assert_eq!(server.ask("POST /show.rpy HTTP/1.0\r\nContent-Length: 1\r\n\r\nx").status(), 405);
}

#[test]
fn spec_36_a_script_runs_for_each_request_unless_it_calls_cache() {
    let script = |call: &str| {
        format!(
            "import builtins
from handwound.web.static import Data
builtins.runs = getattr(builtins, 'runs', 0) + 1
{call}
resource = Data(b'%d' % builtins.runs, 'text/plain')
"
        )
    };
    let server = Server::start(None, &[("each.rpy", &script("")), ("kept.rpy", &script("cache()"))], &["--path", "."]);
    assert_eq!([(); 3].map(|()| server.get("/each.rpy").body().to_owned()), ["1", "2", "3"]);
    assert_eq!([(); 3].map(|()| server.get("/kept.rpy").body().to_owned()), ["4", "4", "4"]);
    let server = Server::start(None, &[("anew.rpy", &script("recache()"))], &["--path", "."]);
    assert_eq!([(); 2].map(|()| server.get("/anew.rpy").body().to_owned()), ["1", "2"]);
}

#[test]
fn spec_36_a_script_without_a_resource_is_a_500_and_the_server_goes_on() {
    let scripts = [
        ("raises.rpy", "raise KeyError('a reason')"),
        ("syntax.rpy", "def (:"),
        ("none.rpy", "nothing = 1"),
        ("class.rpy", "from handwound.web.resource import Resource\nresource = Resource"),
        ("function.rpy", "def application(e, s): pass\nresource = application"),
        ("number.rpy", "resource = 7"),
        ("exits.rpy", "exit(3)"),
        ("good.rpy", RESOURCE),
    ];
    let server = Server::start(None, &scripts, &["--path", "."]);
    let check = |name: &str, log: &str| {
        let answer = server.get(name);
        assert_eq!((answer.status(), answer.header("content-type")), (500, Some("text/html; charset=utf-8")));
        assert!(!answer.body().contains("a reason") && !answer.body().contains("Traceback"), "{answer:?}");
        server.next_line_with(log);
    };
    check("/raises.rpy", "KeyError: 'a reason'");
    check("/raises.rpy/below", "KeyError: 'a reason'");
    check("/syntax.rpy", "SyntaxError");
    check("/none.rpy", "none.rpy: the script sets no 'resource'");
    check("/class.rpy", "write resource = Resource()");
    check("/function.rpy", "WSGIResource(reactor, reactor.getThreadPool(), application)");
    check("/number.rpy", "'resource' is a int, not a resource");
    check("/exits.rpy", "the script called exit(3)");
    assert_eq!(server.get("/good.rpy").status(), 200);
}

#[test]
fn spec_38_display_tracebacks_shows_them_to_clients() {
    let script = RESOURCE.replace("return repr", "raise ValueError('<&>')\n        return repr");
    let files = [("raises.rpy", "raise KeyError('a reason')"), ("renders.rpy", &*script)];
    let server = Server::start(None, &files, &["--path", ".", "--display-tracebacks"]);
    let answer = server.get("/raises.rpy");
    assert_eq!(answer.status(), 500);
    assert!(
        answer.body().contains("Traceback") && answer.body().contains("KeyError: &#x27;a reason&#x27;"),
        "{answer:?}"
    );
    assert!(server.get("/renders.rpy").body().contains("ValueError: &lt;&amp;&gt;"));
    let server = Server::start(None, &files, &["--path", "."]);
    assert_eq!(server.get("/renders.rpy").status(), 500);
    assert!(!server.get("/renders.rpy").body().contains("ValueError"));
    server.next_line_with("ValueError: <&>");
}

#[test]
fn spec_37_a_folder_is_served() {
    let files = [("index.html", "<p>index"), ("a.txt", "text"), ("sub/b.json", "{}"), ("x.md", "md")];
    let server = Server::start(None, &files, &["--path", "."]);
    let check = |target: &str, status: u16, content_type: &str, body: &str| {
        let answer = server.get(target);
        let found = (answer.status(), answer.header("content-type").unwrap_or_default());
        assert_eq!(found, (status, content_type), "{target}: {answer:?}");
        assert!(answer.body().contains(body), "{target}: {answer:?}");
    };
    check("/", 200, "text/html", "<p>index");
    check("/a.txt", 200, "text/plain", "text");
    check("/sub/b.json", 200, "application/json", "{}");
    assert_eq!(server.get("/sub").header("location"), Some("/sub/"));
    assert!(server.get("/sub/").body().contains("b.json"));
    assert_eq!(server.get("/none").status(), 404);
    assert_eq!(server.get("/../a.txt").status(), 404);
}

#[test]
fn spec_38_options_of_files_reach_them() {
    let files = [("start.page", "start"), ("a.html", "<p>a"), ("b.txt", "b")];
    let arguments = ["--path", ".", "--index", "start.page", "--mime-type", "text/x-own", "--ignore-ext", ".html"];
    let server = Server::start(None, &files, &arguments);
    let answer = server.get("/");
    assert_eq!((answer.body(), answer.header("content-type")), ("start", Some("text/x-own")));
    assert_eq!((server.get("/a").body(), server.get("/b").status()), ("<p>a", 404));
    let server = Server::start(None, &files, &["--path", ".", "--allow-ignore-ext"]);
    assert_eq!((server.get("/a").body(), server.get("/b").body()), ("<p>a", "b"));
}

#[test]
fn spec_38_a_resource_script_is_the_root() {
    let server = Server::start(None, &[("root.rpy", RESOURCE)], &["--resource-script", "root.rpy"]);
    assert_eq!(server.get("/a/b").body(), "('root.rpy', 'Registry', [], [b'a', b'b'])");
    let server = Server::start(None, &[("hello.rpy", TUTORIAL)], &["--resource-script", "hello.rpy"]);
    assert_eq!(server.get("/any/where").body(), "Hello, world!");
}

#[test]
fn spec_38_a_wrong_resource_script_is_one_line() {
    let alone = |files: &[(&str, &str)], last: &str| {
        let lines = refused(files, &["--resource-script", "root.rpy"], last);
        assert_eq!(lines.len(), 1, "{lines:?}");
    };
    alone(&[], "no file '");
    alone(&[("root.rpy", "")], "root.rpy: the script sets no 'resource'");
    alone(&[("root.rpy", "resource = 'x'")], "'resource' is a str, not a resource");
    // What it raises shows where.
    let lines =
        refused(&[("root.rpy", "raise KeyError(1)")], &["--resource-script", "root.rpy"], "root.rpy: KeyError: 1");
    assert_eq!(lines.len(), 5, "{lines:?}");
    refused(&[("root.rpy", "import twisted.conch")], &["--resource-script", "root.rpy"], "Twisted is not installed");
    refused(&[], &["--path", "nowhere"], "no folder '");
}

#[test]
fn scripts_find_twisteds_names_without_twisted() {
    let script = "
from twisted.web import resource, server, static, vhost, util, http, error, pages, wsgi, script
from twisted.web.http_headers import Headers
from twisted.internet import defer, reactor, error as internet_error
from twisted.python.threadpool import ThreadPool
import twisted.web.server, handwound.web.server, handwound.internet.reactor, sys

assert twisted.web.server is handwound.web.server is server
assert reactor is handwound.internet.reactor and sys.modules['twisted.internet.reactor'] is reactor
class Later(resource.Resource):
    isLeaf = True
    def render_GET(self, request):
        reactor.callLater(0, self.answer, request)
        return server.NOT_DONE_YET
    def answer(self, request):
        request.write(b'later')
        request.finish()
resource = Later()
";
    let server = Server::start(None, &[("later.rpy", script)], &["--path", "."]);
    assert_eq!(server.get("/later.rpy").body(), "later");
}

/// Serves the tree of `tests/twisted` with `script`, and asks it and Twisted the same.
fn compare(test: &str, script: &str, more: &[&str]) {
    let Some(python) = python_with_twisted(test) else { return };
    let folder = root().join("tests/twisted");
    let mut twisted = Command::new(&python)
        .arg("serve.py")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(twisted.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let server = Server::start_in(Some(&python), &folder, &["--resource-script", script]);
    let output = Command::new(&python)
        .args(["compare.py", port.trim(), &server.port.to_string()])
        .args(more)
        .current_dir(&folder)
        .output()
        .unwrap();
    let _ = twisted.kill();
    let _ = twisted.wait();
    let (said, trouble) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{trouble}");
    let asked = said.split("asked ").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|n| n.parse().ok());
    assert!(asked > Some(200), "{said}");
}

#[test]
fn a_tree_answers_as_twisteds_does() {
    compare("a_tree_answers_as_twisteds_does", "tree.rpy", &[]);
}

#[test]
fn twisteds_own_resources_are_served_as_twisted_serves_them() {
    compare("twisteds_own_resources_are_served_as_twisted_serves_them", "theirs.rpy", &["--theirs"]);
}
