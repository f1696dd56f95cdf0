//! Real applications, unmodified, under the real command. Each needs its package from pip: from the environment that
//! `HANDWOUND_TEST_PYTHON` names (its `bin/python`), or that stands in `target/test-venv`; without it the test says
//! that it is skipped.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A Python that has `package`.
fn python_with(package: &str) -> Option<PathBuf> {
    let python = std::env::var_os("HANDWOUND_TEST_PYTHON")
        .map(PathBuf::from)
        .or_else(|| Some(root().join("target/test-venv/bin/python")).filter(|python| python.exists()))
        .unwrap_or_else(|| PathBuf::from("python3"));
    let import = Command::new(&python).args(["-c", &format!("import {package}")]).stderr(Stdio::null()).status();
    if import.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    // Past the test harness, which would swallow it.
    let mut stderr = std::io::stderr();
    let _ =
        writeln!(stderr, "SKIPPED frameworks::{package}: {} has no {package}; `.ci/run` makes one", python.display());
    None
}

struct Server {
    process: Child,
    port: String,
}

impl Server {
    fn start(python: &Path, application: &str) -> Server {
        let mut process = Command::new(env!("CARGO_BIN_EXE_handwound"))
            .args(["web", "--listen", "tcp:0:interface=127.0.0.1", "--app-dir", "tests/frameworks"])
            .args(["--wsgi", application, "--python"])
            .arg(python)
            .current_dir(root())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "the server ended before it listened");
        }
        let (_, after) = line.split_once("127.0.0.1:").unwrap();
        let port = after.chars().take_while(char::is_ascii_digit).collect();
        // What the application logs must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Server { process, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts `application` and has `check.py` use it as clients do.
fn check(package: &str, application: &str, kind: &str) {
    let Some(python) = python_with(package) else { return };
    let server = Server::start(&python, application);
    let output = Command::new(&python)
        .arg(root().join("tests/frameworks/check.py"))
        .args(["127.0.0.1", &server.port, kind])
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(report.lines().filter(|line| line.starts_with("ok ")).count() > 20, "too few checks ran:\n{report}");
}

#[test]
fn flask() {
    check("flask", "flask_app:application", "flask");
}

#[test]
fn django() {
    check("django", "django_app:application", "django");
}

#[test]
fn bottle() {
    check("bottle", "bottle_app:application", "bottle");
}

/// Needs no package: `wsgiref.validate` is Python's own.
#[test]
fn validated() {
    check("wsgiref", "validated_app:application", "validated");
}
