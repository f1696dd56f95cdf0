//! Where a page is followed: a folder of its own, in which its files are saved and its commands run one after the other,
//! as its reader would. A server that a command starts serves until the next server, or the end of the page.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};

use crate::line::{self, Line, Meant};

/// The Python that the command was built with.
const PYTHON: &str = env!("HANDWOUND_BUILT_WITH");

pub struct Folder {
    place: tempfile::TempDir,
    server: Option<Server>,
    /// What the last command printed.
    printed: String,
}

struct Server {
    process: Child,
    log: Arc<Mutex<String>>,
    /// Ports of the page, and what stands for them.
    ports: Vec<(String, String)>,
}

pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn command() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_handwound"))
}

/// Whether there is such a program.
pub fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// A command of Python's as it is here, if it is one; `None` in it where there is nothing to run it.
pub fn tool(command: &str) -> Option<Option<String>> {
    if let Some(rest) = command.strip_prefix("python -m handwound.testing ") {
        return Some(Some(format!("'{PYTHON}' -m handwound.testing {rest}")));
    }
    let rest = command.strip_prefix("pytest ")?;
    // As a plugin that is found among what is installed.
    let plugin = "-p handwound.testing._pytest -p no:cacheprovider";
    let with = |python: String| format!("'{python}' -m pytest {plugin} {rest}");
    let python = std::env::var("HANDWOUND_TEST_PYTHON").ok();
    Some(python.filter(|python| has_pytest(python)).map(with))
}

fn has_pytest(python: &str) -> bool {
    let found = Command::new(python).args(["-c", "import pytest"]).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

impl Folder {
    pub fn new() -> Folder {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join(".curlrc"), "silent\nshow-error\nmax-time = 60\n").unwrap();
        Folder { place, server: None, printed: String::new() }
    }

    /// Saves a file, as the page says.
    pub fn save(&self, name: &str, text: &str) {
        let path = self.place.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = [command().parent().unwrap().to_owned()];
        let path = std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&path))).unwrap();
        let mut program = Command::new(program);
        program.current_dir(self.place.path()).env("PATH", path).env("CURL_HOME", self.place.path());
        program.env("PYTHONDONTWRITEBYTECODE", "1").env_remove("VIRTUAL_ENV").stdin(Stdio::null());
        program
    }

    /// Runs one command of a page.
    ///
    /// # Errors
    /// What it said, when it failed.
    pub fn run(&mut self, text: &str) -> Result<(), String> {
        let line = Line::read(text);
        let Some(arguments) = line.handwound() else { return self.shell(text) };
        let shells_own = arguments.iter().position(|word| matches!(word.as_str(), ">" | "|" | "&&"));
        match line::meant(&arguments[..shells_own.unwrap_or(arguments.len())])? {
            // What it prints may go through the shell's pipes.
            Meant::Prints if line.words[0] == "handwound" => self.shell(text),
            Meant::Prints => {
                let output = self.program(command()).args(arguments).output().unwrap();
                self.ended(output.status.success(), &output.stdout, &output.stderr)
            }
            Meant::Serves(web) => self.serve(&line, arguments, &line::ports(&web)),
        }
    }

    /// Anything but our own command.
    fn shell(&mut self, text: &str) -> Result<(), String> {
        let mut text = text.to_owned();
        for (documented, real) in self.server.iter().flat_map(|server| &server.ports) {
            text = text.replace(&format!(":{documented}"), &format!(":{real}"));
        }
        let output = self.program("sh").args(["-ec", &text]).output().unwrap();
        self.ended(output.status.success(), &output.stdout, &output.stderr)
    }

    fn ended(&mut self, well: bool, out: &[u8], err: &[u8]) -> Result<(), String> {
        self.printed = String::from_utf8_lossy(out).into_owned();
        let log = self.server.as_ref().map(|server| server.log.lock().unwrap().clone()).unwrap_or_default();
        match well {
            true => Ok(()),
            false => Err(format!("{}{}\n{log}", self.printed, String::from_utf8_lossy(err))),
        }
    }

    /// The last command printed each of these lines.
    pub fn prints(&self, lines: &str) -> Result<(), String> {
        let missing = lines.lines().find(|line| !self.printed.contains(line.trim()));
        match missing {
            None => Ok(()),
            Some(line) => Err(format!("'{line}' was not printed, but:\n{}", self.printed)),
        }
    }

    fn serve(&mut self, line: &Line, arguments: &[String], documented: &[String]) -> Result<(), String> {
        self.stop()?;
        let mut program = self.program(command());
        program.args(line::any_ports(arguments)).envs(line.variables.iter().cloned());
        if documented == ["8080"] && !arguments.iter().any(|word| word.contains("8080")) {
            program.args(["--port", "0"]);
        }
        if line.words[0] == "cargo" {
            program.current_dir(repository());
        }
        let mut process = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let out = process.stdout.take().unwrap();
        drop(keep(out, Arc::clone(&log)));
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("listening on") {
            said.clear();
            if stderr.read_line(&mut said).unwrap() == 0 {
                let _ = process.wait();
                return Err(format!("the server ended before it listened:\n{}", log.lock().unwrap()));
            }
            log.lock().unwrap().push_str(&said);
        }
        drop(keep(stderr, Arc::clone(&log)));
        let ports = documented.iter().cloned().zip(line::ports_said(&said)).collect();
        self.server = Some(Server { process, log, ports });
        Ok(())
    }

    /// Stops what serves, as an init system does.
    ///
    /// # Errors
    /// It did not end in order.
    pub fn stop(&mut self) -> Result<(), String> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        kill_process(Pid::from_child(&server.process), Signal::TERM).unwrap();
        let status = server.process.wait().unwrap();
        match status.success() {
            true => Ok(()),
            false => Err(format!("the server ended with {status}:\n{}", server.log.lock().unwrap())),
        }
    }

    /// Runs a program of Python with the package `handwound`, as after its installation. What serves for ever is
    /// stopped as soon as it runs, unless it stops by itself, and takes any port.
    pub fn python(&mut self, text: &str) -> Result<(), String> {
        let package = self.package();
        let mut text = text.to_owned();
        if !text.contains("reactor.stop") {
            text = text.replace("reactor.run()", "reactor.callWhenRunning(reactor.stop)\nreactor.run()");
        }
        let program = with_any_port(&text);
        let output = self.program(PYTHON).env("PYTHONPATH", package).args(["-W", "error", "-c", &program]).output();
        let output = output.unwrap();
        self.ended(output.status.success(), &output.stdout, &output.stderr)
    }

    /// Runs a command that wants the package; of a `tool`.
    ///
    /// # Errors
    /// What it said, when it ended in the wrong way.
    pub fn with_package(&mut self, command: &str, has_to_fail: bool) -> Result<(), String> {
        let package = self.package();
        let mut program = self.program("sh");
        program.args(["-ec", command]).env("PYTHONPATH", package).env("HANDWOUND_TIMELINE", self.place.path());
        let output = program.output().unwrap();
        self.printed = String::from_utf8_lossy(&output.stdout).into_owned();
        match (output.status.code(), has_to_fail) {
            (Some(0), false) | (Some(1), true) => Ok(()),
            (Some(0), true) => Err(format!("it does not fail, but says:\n{}", self.printed)),
            _ => Err(format!("{}{}", self.printed, String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// The package beside its compiled part.
    fn package(&self) -> PathBuf {
        let folder = self.place.path().join(".package");
        if !folder.exists() {
            copy(&repository().join("wsgi/python/handwound"), &folder.join("handwound"));
            let name = format!("{}handwound_python{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
            let compiled = command().parent().unwrap().join("deps").join(name);
            fs::copy(compiled, folder.join("handwound/_native.so")).unwrap();
        }
        folder
    }

    /// nginx reads this as a site of its own.
    pub fn nginx(&mut self, text: &str) -> Result<Skipped, String> {
        if !on_path("nginx") {
            return Ok(Some("nginx is not installed"));
        }
        let text = text.replace("listen 80;", "listen unix:nginx.sock;").replace("listen 443", "listen unix:tls.sock");
        let logs = "error_log stderr;\npid nginx.pid;\nevents {}\n";
        let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let folders: String = folders.iter().map(|name| format!("{name}_temp_path {name};\n")).collect();
        self.save("nginx.conf", &format!("{logs}http {{\naccess_log off;\n{folders}{text}\n}}\n"));
        let output = self.program("nginx").args(["-t", "-p", ".", "-c", "nginx.conf"]).output().unwrap();
        self.ended(output.status.success(), &output.stdout, &output.stderr).map(|()| None)
    }

    /// systemd reads this as a unit; its command is one of ours.
    pub fn unit(&mut self, text: &str) -> Result<Skipped, String> {
        let mut unit = String::new();
        for line in text.replace("\\\n", " ").lines() {
            if let Some(command_line) = line.strip_prefix("ExecStart=") {
                let command_line = Line::read(command_line);
                let arguments = command_line.handwound().ok_or("ExecStart= starts something else than handwound")?;
                line::meant(arguments)?;
                unit.push_str(&format!("ExecStart={} {}\n", command().display(), arguments.join(" ")));
            } else if !line.starts_with("User=") {
                unit.push_str(&format!("{line}\n"));
            }
        }
        if !on_path("systemd-analyze") {
            return Ok(Some("systemd-analyze is not installed"));
        }
        let socket = unit.contains("[Socket]");
        let name = if socket { "test-shop.socket" } else { "test-shop.service" };
        self.save(name, &unit);
        if socket {
            self.save("test-shop.service", &format!("[Service]\nExecStart={}\n", command().display()));
        }
        let output =
            self.program("systemd-analyze").args(["verify", "--man=no", &format!("./{name}")]).output().unwrap();
        // Of the units of this machine it complains too.
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let wrong: Vec<&str> = said.lines().filter(|line| line.contains("test-shop")).collect();
        match wrong.is_empty() {
            true => Ok(None),
            false => Err(wrong.join("\n")),
        }
    }
}

/// Why something was left out, if it was.
pub type Skipped = Option<&'static str>;

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.process.kill();
            let _ = server.process.wait();
        }
    }
}

/// `listenTCP(0` for every port.
fn with_any_port(text: &str) -> String {
    let mut changed = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("listenTCP(") {
        let (before, after) = rest.split_at(at + "listenTCP(".len());
        changed.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() < after.len() {
            changed.push('0');
        }
    }
    changed + rest
}

fn keep(from: impl Read + Send + 'static, log: Arc<Mutex<String>>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => fs::copy(entry.path(), to).map(drop).unwrap(),
        }
    }
}
