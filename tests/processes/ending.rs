//! How a master and its workers end, and that they all do.

use std::fs;
use std::process::Command;

use crate::client::{Client, get};
use crate::harness::{DEADLINE, Master, kill};

/// A request that waits for a file, and the worker that has it.
fn waiting(master: &Master) -> (Client, String) {
    let mut client = Client::new(master.port);
    client.send("/wait").unwrap();
    let line = master.out.recv_timeout(DEADLINE).unwrap();
    (client, line.strip_prefix("waiting ").unwrap().to_owned())
}

#[test]
fn a_stop_finishes_what_is_under_way() {
    for signal in ["TERM", "INT"] {
        let master = Master::start(&["-w", "2"]);
        master.ready(2);
        let (mut slow, pid) = waiting(&master);
        master.signal(signal);
        master.line(&format!("SIG{signal}: finishing what is under way, for at most 30 s"));
        fs::write(master.folder.path().join("go"), "").unwrap();
        let answer = slow.answer().unwrap();
        assert_eq!((answer.pid, answer.is_kept), (pid, false));
        let (status, said) = master.end();
        assert!(status.success(), "{said:#?}");
    }
}

#[test]
fn ctrl_c_on_a_terminal_which_tells_all_processes_ends_all_in_order() {
    let master = Master::start(&["-w", "2"]);
    master.ready(2);
    let (mut slow, _) = waiting(&master);
    kill(&format!("-{}", master.child.id()), "INT");
    master.line("SIGINT: finishing what is under way");
    fs::write(master.folder.path().join("go"), "").unwrap();
    slow.answer().unwrap();
    let (status, said) = master.end();
    assert!(status.success(), "{said:#?}");
}

#[test]
fn a_service_manager_that_ends_all_processes_at_once_has_them_end_in_order() {
    let master = Master::start(&["-w", "2"]);
    master.ready(2);
    let (mut slow, _) = waiting(&master);
    kill(&format!("-{}", master.child.id()), "TERM");
    master.line("SIGTERM: finishing what is under way");
    fs::write(master.folder.path().join("go"), "").unwrap();
    slow.answer().unwrap();
    let (status, said) = master.end();
    assert!(status.success(), "{said:#?}");
}

#[test]
fn a_second_signal_ends_all_at_once() {
    let master = Master::start(&["-w", "2"]);
    master.ready(2);
    let (mut slow, _) = waiting(&master);
    master.signal("TERM");
    master.line("another signal ends it at once");
    master.signal("TERM");
    let (status, said) = master.end();
    assert_eq!(status.code(), Some(143), "{said:#?}");
    assert!(slow.answer().is_err());
}

#[test]
fn what_does_not_end_in_time_is_named_and_left_behind() {
    let master = Master::start(&["-w", "2", "--graceful-timeout", "0.1"]);
    master.ready(2);
    let (mut slow, _) = waiting(&master);
    master.signal("TERM");
    let (status, said) = master.end();
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("is stuck in GET /wait")), "{said:#?}");
    assert!(slow.answer().is_err());
}

#[test]
fn a_worker_that_does_nothing_any_more_is_killed() {
    let master = Master::start(&["-w", "2", "--graceful-timeout", "0.1"]);
    master.ready(2);
    kill(&get(master.port, "/").pid, "STOP");
    master.signal("TERM");
    master.line("has not ended in time; it is killed");
    let (status, _) = master.end();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn workers_end_when_their_master_is_killed() {
    let mut master = Master::start(&["-w", "2"]);
    master.ready(2);
    let (mut slow, _) = waiting(&master);
    master.child.kill().unwrap();
    master.child.wait().unwrap();
    master.line("the master has gone");
    // In order, as ever.
    fs::write(master.folder.path().join("go"), "").unwrap();
    slow.answer().unwrap();
    master.rest();
}

#[test]
fn an_application_that_is_broken_ends_the_master_with_one_traceback() {
    let master = Master::run("import not_installed_here\n", &["-w", "3"], |_| {});
    let (status, said) = master.end();
    assert_eq!(status.code(), Some(1));
    assert_eq!(said.iter().filter(|line| line.starts_with("Traceback ")).count(), 1, "{said:#?}");
    assert!(said.contains(&"ModuleNotFoundError: No module named 'not_installed_here'".to_owned()), "{said:#?}");
    assert!(said.last().unwrap().ends_with("before it could serve; nothing is served"), "{said:#?}");
}

#[test]
fn a_stop_while_the_application_is_imported_needs_no_patience() {
    let app = "import threading\nprint('importing', flush=True)\nthreading.Event().wait()\n";
    let master = Master::run(app, &["-w", "2"], |_| {});
    assert_eq!(master.out.recv_timeout(DEADLINE).unwrap(), "importing");
    master.signal("TERM");
    let (status, said) = master.end();
    assert!(status.success(), "{said:#?}");
}

#[test]
fn the_pid_file_names_the_master_while_it_lives_and_keeps_a_second_one_off() {
    let master = Master::start(&["--pid", "server.pid"]);
    let path = master.folder.path().join("server.pid");
    let pid = master.child.id();
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{pid}\n"));
    let second = Command::new(env!("CARGO_BIN_EXE_handwound"))
        .args(["web", "app:application", "--port", "0", "--pid", "server.pid"])
        .current_dir(master.folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert_eq!(
        said,
        format!(
            "handwound: process {pid} runs already, says 'server.pid'; stop it with 'kill {pid}', or choose another --pid\n"
        )
    );
    assert_eq!(get(master.port, "/").version, "one");
    master.signal("TERM");
    master.rest();
    crate::harness::until_exists(&path, false);
}
