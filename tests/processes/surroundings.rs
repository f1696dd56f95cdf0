//! What workers get from where they run, and what they pass on.

use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::client::{get, until_answered};
use crate::harness::{APP, DEADLINE, Master, version};

#[test]
fn a_service_manager_is_told_of_the_start_a_reload_and_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let told = || {
        let mut bytes = [0; 256];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let mut master = Master::run(APP, &["-w", "2"], |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    master.serves();
    assert_eq!(told(), "READY=1");
    master.ready(2);
    master.signal("HUP");
    assert!(told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(told(), "READY=1");
    master.stop();
    assert_eq!(told(), "STOPPING=1");
}

#[test]
fn standard_input_is_the_masters() {
    let app = "import sys\nprint('read', sys.stdin.readline(), flush=True)\n";
    let mut master = Master::run(&format!("{app}{APP}"), &["--pid", "pid"], |command| {
        command.stdin(Stdio::piped());
    });
    master.child.stdin.take().unwrap().write_all(b"from outside\n").unwrap();
    master.serves();
    assert_eq!(master.out.recv_timeout(DEADLINE).unwrap(), "read from outside");
    master.stop();
}

#[test]
#[cfg(target_os = "linux")]
fn what_an_application_starts_gets_none_of_our_descriptors_and_is_no_worker() {
    let app = "
import subprocess
found = subprocess.run(['ls', '-l', '/proc/self/fd'], close_fds=False, capture_output=True, text=True).stdout
print('sockets', 'socket:' in found, flush=True)
";
    let mut master = Master::run(&format!("{app}{APP}"), &["-w", "2"], |_| {});
    master.serves();
    assert_eq!(master.out.recv_timeout(DEADLINE).unwrap(), "sockets False");
    master.stop();
}

#[test]
#[cfg(target_os = "linux")]
fn a_worker_whose_master_has_gone_before_it_came_up_does_not_take_its_place() {
    let (input, gone) = UnixStream::pair().unwrap();
    let socket = fs::metadata(format!("/proc/self/fd/{}", input.as_raw_fd())).unwrap();
    drop(gone);
    let master = Master::run(APP, &["-w", "2"], |command| {
        command.env("HANDWOUND_WORKER", format!("{}:{}", socket.dev(), socket.ino()));
        command.stdin(std::os::fd::OwnedFd::from(input));
    });
    let (status, said) = master.end();
    assert!(!status.success() && !said.iter().any(|line| line.contains("listening")), "{status}: {said:#?}");
}

#[test]
fn a_unix_socket_stays_through_a_reload_and_goes_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let master = Master::start(&["--bind", &format!("unix:{}", path.display()), "-w", "2"]);
    master.ready(2);
    let ask = || {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        std::io::read_to_string(stream).unwrap()
    };
    assert!(ask().ends_with(" True"));
    master.signal("HUP");
    master.line("all workers are new");
    assert!(ask().ends_with(" True"));
    master.stop();
    assert!(!path.exists());
}

#[test]
fn other_signals_of_a_server_end_nobody() {
    let master = Master::start(&["-w", "2"]);
    master.ready(2);
    let first = get(master.port, "/");
    master.signal("USR1");
    // Told after it, and so done after it.
    master.signal("HUP");
    let (_, before) = master.lines_up_to("all workers are new");
    assert!(!before.iter().any(|line| line.contains("was ended by")), "{before:#?}");
    let start = Instant::now();
    while get(master.port, "/").pid == first.pid {
        assert!(start.elapsed() < DEADLINE, "it was not replaced");
    }
    master.stop();
}

/// As a wheel has it: the package, and the same library in it as a module.
#[test]
#[cfg(target_os = "linux")]
fn workers_of_a_python_that_runs_already_are_such_ones_too() {
    let packages = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = Path::new(env!("CARGO_BIN_EXE_handwound")).parent().unwrap().join("deps/libhandwound_python.so");
    let package = packages.path().join("handwound");
    let copied = Command::new("cp").arg("-r").arg(root.join("wsgi/python/handwound")).arg(&package).status().unwrap();
    assert!(copied.success());
    fs::copy(library, package.join("_native.so")).unwrap();
    let mut python = Command::new(env!("HANDWOUND_BUILT_WITH"));
    python.args(["-m", "handwound"]);
    let mut master = Master::run_as(python, APP, &["-w", "2"], |command| {
        command.env("PYTHONPATH", packages.path());
    });
    master.serves();
    master.ready(2);
    assert_eq!(get(master.port, "/").multiprocess, "True");
    master.change(&version("two"));
    master.signal("HUP");
    master.line("all workers are new");
    until_answered(master.port, "two");
    // Python has a handler of its own for this one, which would raise at the end.
    master.signal("INT");
    let (status, said) = master.end();
    assert!(status.success(), "{said:#?}");
}

#[test]
fn a_quiet_log_level_leaves_out_what_goes_well() {
    let master = Master::start(&["-w", "2", "--log-level", "warning"]);
    assert_eq!(get(master.port, "/").version, "one");
    fs::write(master.folder.path().join("app.py"), "raise KeyError\n").unwrap();
    master.signal("HUP");
    let (_, before) = master.lines_up_to("the old workers go on");
    assert!(!before.iter().any(|line| line.contains(" serves") || line.contains("starting new")), "{before:#?}");
    master.stop();
}
