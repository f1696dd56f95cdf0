//! What workers get from where they run, and what they pass on.

use std::fs;
use std::io::Write;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Stdio;
use std::time::Instant;

use crate::client::get;
use crate::harness::{APP, DEADLINE, Master};

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
