//! Real applications, unmodified, under the real command, and once more inside WebTest's lint. Each needs its packages
//! from pip: from the environment that `HANDWOUND_TEST_PYTHON` names (its `bin/python`), or that stands in
//! `target/test-venv`; without them the test says that it is skipped. `tests/frameworks/README.md` says how to add one.
#![allow(clippy::unwrap_used)]

mod command;

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};

use command::{tell, test_python};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn folder() -> PathBuf {
    root().join("tests/frameworks")
}

/// A Python that has these packages; tells their versions, or that the test is skipped.
fn python_with(test: &str, packages: &[&str]) -> Option<PathBuf> {
    let python = test_python();
    let versions = "import sys, platform; from importlib.metadata import version\n\
                    print(platform.python_implementation(), platform.python_version(), end='')\n\
                    for name in sys.argv[1:]: print(f', {name} {version(name)}', end='')";
    let output = Command::new(&python).args(["-c", versions]).args(packages).output();
    let said = output.as_ref().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    if output.is_ok_and(|output| output.status.success()) {
        tell(&format!("frameworks::{test}: {said}"));
        return Some(python);
    }
    let packages = packages.join(", ");
    tell(&format!("SKIPPED frameworks::{test}: {} lacks one of {packages}; `.ci/run` makes one", python.display()));
    None
}

/// Python without a trace in the source tree.
fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(root());
    command
}

#[track_caller]
fn succeeded(output: Output, log: &str) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}\n{log}", String::from_utf8_lossy(&output.stderr));
    said
}

const LINTED: &[&str] = &["--linted"];

/// Any port, for this machine alone.
const PLAIN: &[&str] = &["--listen", "tcp:0:interface=127.0.0.1"];

type Environment = Vec<(&'static str, String)>;

struct Server {
    process: Child,
    port: String,
    log: Arc<Mutex<String>>,
}

impl Server {
    /// Serves with these options, which say where to listen.
    fn start(options: &[&str], python: &Path, application: &str, environment: Environment) -> Server {
        let mut process = quiet(Path::new(env!("CARGO_BIN_EXE_handwound")))
            .args(["web", "--app-dir", "tests/frameworks"])
            .args(options)
            .args(["--wsgi", application, "--python"])
            .arg(python)
            .envs(environment)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        let mut before = String::new();
        while !line.contains("listening on") {
            before.push_str(&line);
            line.clear();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "the server ended before it listened:\n{before}");
        }
        let (_, after) = line.split_once("127.0.0.1:").unwrap_or_default();
        let port = after.chars().take_while(char::is_ascii_digit).collect();
        let log = Arc::new(Mutex::new(String::new()));
        // What the application logs must not fill the pipe, and is wanted when a check fails.
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut log = kept.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Server { process, port, log }
    }

    /// Asks it to end, as an init system does; it ends in order.
    fn stop(mut self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}\n{}", self.log.lock().unwrap());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One application and how it is checked.
struct Case<'a> {
    test: &'a str,
    packages: &'a [&'a str],
    application: &'a str,
    kind: &'a str,
    /// For the command.
    serving: &'a [&'a str],
    /// For `check.py`.
    checking: &'a [&'a str],
}

impl Case<'_> {
    /// Starts the application and has `check.py` use it as clients do. `prepared` gives it an environment.
    fn run(&self, prepared: impl FnOnce(&Path) -> Environment) {
        let Some(python) = python_with(self.test, self.packages) else { return };
        let server = Server::start(self.serving, &python, self.application, prepared(&python));
        self.check(&python, &server, &server.port);
        server.stop();
    }

    /// Has `check.py` use what listens at this port.
    fn check(&self, python: &Path, server: &Server, port: &str) {
        let mut check = quiet(python);
        check.arg(folder().join("check.py")).args(["127.0.0.1", port, self.kind]);
        let output = check.args(self.checking).output().unwrap();
        let report = succeeded(output, &server.log.lock().unwrap());
        assert!(report.lines().filter(|line| line.starts_with("ok ")).count() >= 8, "too few checks ran:\n{report}");
        for skipped in report.lines().filter_map(|line| line.strip_prefix("skipped ")) {
            tell(&format!("SKIPPED frameworks::{}: {skipped}", self.test));
        }
    }
}

/// An application of one file, as it is.
fn plain(kind: &str, packages: &[&str]) {
    let application = format!("{kind}_app:application");
    Case { test: kind, packages, application: &application, kind, serving: PLAIN, checking: &[] }.run(|_| Vec::new());
}

/// The same inside WebTest's lint.
fn linted(kind: &str, packages: &[&str]) {
    let (test, application) = (format!("{kind}_linted"), format!("linted:{kind}"));
    let packages = &[packages, &["WebTest"]].concat();
    Case { test: &test, packages, application: &application, kind, serving: PLAIN, checking: LINTED }
        .run(|_| Vec::new());
}

macro_rules! frameworks {
    ($($name:ident, $linted:ident: $($package:literal),+;)+) => {$(
        #[test]
        fn $name() {
            plain(stringify!($name), &[$($package),+]);
        }

        #[test]
        fn $linted() {
            linted(stringify!($name), &[$($package),+]);
        }
    )+};
}

frameworks! {
    flask, flask_linted: "Flask", "Werkzeug";
    django, django_linted: "Django";
    pyramid, pyramid_linted: "pyramid", "WebOb";
    falcon, falcon_linted: "falcon";
    bottle, bottle_linted: "bottle";
    whitenoise, whitenoise_linted: "whitenoise";
}

#[test]
fn flask_from_a_factory() {
    let (test, application) = ("flask_from_a_factory", "factory_app:create_app(kind='flask')");
    Case { test, packages: &["Flask"], application, kind: "flask", serving: PLAIN, checking: &[] }.run(|_| Vec::new());
}

/// Needs no package: `wsgiref.validate` is Python's own.
#[test]
fn validated() {
    let application = "validated_app:application";
    Case { test: "validated", packages: &[], application, kind: "validated", serving: PLAIN, checking: LINTED }
        .run(|_| Vec::new());
}

#[test]
fn the_checkers_findings_are_noted() {
    let Some(python) = python_with("the_checkers_findings_are_noted", &["WebTest"]) else { return };
    let test = quiet(&python).args(["-W", "ignore"]).arg(folder().join("test_recorder.py")).output().unwrap();
    succeeded(test, "");
}

/// A Django site in a folder of its own: database, superuser, collected static files.
fn django_site(case: &Case<'_>, static_by: &str) {
    let site = tempfile::tempdir().unwrap();
    let environment = [
        ("SITE_FOLDER", site.path().to_str().unwrap().to_owned()),
        ("STATIC_BY", static_by.to_owned()),
        ("DJANGO_SETTINGS_MODULE", "django_site.settings".to_owned()),
        ("DJANGO_SUPERUSER_PASSWORD", "correct horse".to_owned()),
    ];
    case.run(|python| {
        let superuser = ["createsuperuser", "--username", "ada", "--email", "ada@example.com"];
        for command in [&["migrate"][..], &superuser, &["collectstatic"]] {
            let mut manage = quiet(python);
            manage.args(["-m", "django"]).args(command).args(["--noinput", "--pythonpath", "tests/frameworks"]);
            succeeded(manage.envs(environment.clone()).output().unwrap(), "");
        }
        environment.to_vec()
    });
}

const SITE: Case<'_> = Case {
    test: "django_admin",
    packages: &["Django"],
    application: "django_site.wsgi:application",
    kind: "django_site",
    serving: PLAIN,
    checking: &[],
};

#[test]
fn django_admin() {
    django_site(&SITE, "view");
}

#[test]
fn django_admin_linted() {
    let (packages, application) = (&["Django", "WebTest"], "linted:django_site");
    django_site(&Case { test: "django_admin_linted", packages, application, checking: LINTED, ..SITE }, "view");
}

#[test]
fn django_admin_with_whitenoise() {
    let (packages, kind) = (&["Django", "whitenoise"], "django_whitenoise");
    django_site(&Case { test: "django_admin_with_whitenoise", packages, kind, ..SITE }, "whitenoise");
}

#[test]
fn django_admin_in_two_processes() {
    let serving = &[PLAIN, &["--workers", "2"]].concat();
    django_site(&Case { test: "django_admin_in_two_processes", serving, ..SITE }, "view");
}

/// Bottle, which writes the scheme of the request into its redirects.
#[test]
fn bottle_over_https() {
    let test = "bottle_over_https";
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("certificate.pem"));
    let subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]).args(subject);
    let made = openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate).output();
    if !made.is_ok_and(|output| output.status.success()) {
        return tell(&format!("SKIPPED frameworks::{test}: there is no openssl that makes a certificate"));
    }
    let files = format!("privateKey={}:certKey={}", key.display(), certificate.display());
    let serving = &["--listen", &format!("ssl:0:interface=127.0.0.1:{files}")];
    let checking = &["--tls", certificate.to_str().unwrap()];
    let application = "bottle_app:application";
    Case { test, packages: &["bottle"], application, kind: "bottle", serving, checking }.run(|_| Vec::new());
}

/// nginx in front, with the very configuration that the page for gunicorn's users shows.
struct Nginx {
    process: Child,
    port: String,
    _folder: tempfile::TempDir,
}

impl Nginx {
    fn start(socket: &Path) -> Nginx {
        let page = std::fs::read_to_string(root().join("wsgi/docs/coming-from-gunicorn.md")).unwrap();
        let site = page.split("```nginx\n").nth(1).unwrap().split("```").next().unwrap();
        let site = site.replace("unix:/run/shop/shop.sock", &format!("unix:{}", socket.display()));
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..20 {
            // nginx takes no port 0. Who else gets this one meanwhile makes it end, and another is tried.
            let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let site = site.replace("listen 80;", &format!("listen {free}; proxy_buffering off;"));
            let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
            let folders: String = folders.iter().map(|name| format!("{name}_temp_path {name};\n")).collect();
            let main = "daemon off;\nmaster_process off;\nerror_log stderr;\npid nginx.pid;\nevents {}\n";
            let config = format!("{main}http {{\naccess_log off;\n{folders}{site}\n}}\n");
            std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
            let arguments = ["-e", "stderr", "-c", "nginx.conf", "-p"];
            let mut nginx = Command::new("nginx");
            let mut process = nginx.args(arguments).arg(folder.path()).stderr(Stdio::null()).spawn().unwrap();
            while process.try_wait().unwrap().is_none() {
                if TcpStream::connect(free).is_ok() {
                    return Nginx { process, port: free.port().to_string(), _folder: folder };
                }
            }
        }
        panic!("nginx never listens");
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn flask_behind_nginx() {
    let test = "flask_behind_nginx";
    if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
        return tell(&format!("SKIPPED frameworks::{test}: nginx is not installed"));
    }
    let Some(python) = python_with(test, &["Flask"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("shop.sock");
    let application = "flask_app:application";
    let serving = &["--listen", &format!("unix:{}:mode=666", socket.display())];
    let server = Server::start(serving, &python, application, Vec::new());
    let nginx = Nginx::start(&socket);
    Case { test, packages: &[], application, kind: "behind_nginx", serving, checking: &[] }.check(
        &python,
        &server,
        &nginx.port,
    );
    drop(nginx);
    server.stop();
}
