//! Workers that die, that have served enough, and more or fewer of them.

use crate::client::{Client, Load, assert_flawless, get};
use crate::harness::{APP, Master, kill};

#[test]
fn several_processes_share_the_port_and_say_so_to_the_application() {
    let master = Master::start(&["-w", "2"]);
    master.ready(2);
    let mut pids = Vec::new();
    // Each takes connections; which one takes the next is the system's choice.
    while pids.len() < 2 {
        let answer = get(master.port, "/");
        assert_eq!(answer.multiprocess, "True");
        if !pids.contains(&answer.pid) {
            pids.push(answer.pid);
        }
    }
    assert!(!pids.contains(&master.child.id().to_string()));
    master.stop();
}

#[test]
fn a_worker_killed_under_load_costs_its_own_connections_only_and_is_replaced() {
    let master = Master::start(&["-w", "2"]);
    master.ready(2);
    let load = Load::start(master.port, 6);
    kill(&get(master.port, "/").pid, "KILL");
    assert!(master.line("was ended by SIGKILL; the next one starts in 0.1 s").contains("(process "));
    master.ready(1);
    let seen = load.end();
    for seen in &seen {
        // Whoever had a request under way with that worker lost it, and nobody else anything.
        assert!(seen.failures.len() <= 1, "{:?}", seen.failures);
        assert!(seen.answers > 0);
    }
    let load = Load::start(master.port, 6);
    (0..50).for_each(|_| drop(get(master.port, "/")));
    assert_flawless(&load.end());
    master.stop();
}

#[test]
fn workers_that_die_again_and_again_are_started_with_longer_and_longer_pauses() {
    let master = Master::start(&["-w", "1", "--pid", "pid"]);
    for pause in ["0.1", "0.2", "0.4", "0.8"] {
        master.ready(1);
        assert!(Client::new(master.port).get("/die").is_err());
        master.line(&format!("ended with exit code 3; the next one starts in {pause} s"));
    }
    master.ready(1);
    assert_eq!(get(master.port, "/").version, "one");
    master.stop();
}

#[test]
fn workers_are_replaced_after_max_requests_without_a_dropped_request() {
    let master = Master::start(&["-w", "2", "--max-requests", "40", "--max-requests-jitter", "20"]);
    let load = Load::start(master.port, 4);
    for _ in 0..4 {
        master.line("has served its --max-requests and is replaced");
    }
    assert_flawless(&load.end());
    master.stop();
}

#[test]
fn one_more_and_one_less() {
    let master = Master::start(&["--pid", "pid"]);
    master.ready(1);
    let first = get(master.port, "/");
    assert_eq!(first.multiprocess, "False");
    master.signal("TTIN");
    master.line("2 workers from here on");
    master.ready(1);
    master.signal("TTOU");
    master.line("1 worker from here on");
    assert_eq!(get(master.port, "/").version, "one");
    master.stop();
}

#[test]
fn what_gunicorn_would_upgrade_at_ends_nothing() {
    let master = Master::start(&["--pid", "pid"]);
    master.ready(1);
    master.signal("USR2");
    master.line("SIGHUP starts workers of the program that is there now");
    assert_eq!(get(master.port, "/").version, "one");
    master.stop();
}

#[test]
fn a_worker_that_somebody_ends_finishes_its_request_and_has_a_successor_at_once() {
    let master = Master::start(&["--pid", "pid"]);
    master.ready(1);
    let mut waiting = Client::new(master.port);
    waiting.send("/wait").unwrap();
    let line = master.out.recv().unwrap();
    let pid = line.strip_prefix("waiting ").unwrap();
    kill(pid, "TERM");
    master.ready(1);
    assert_ne!(get(master.port, "/").pid, pid);
    std::fs::write(master.folder.path().join("go"), "").unwrap();
    assert_eq!(waiting.answer().unwrap().pid, pid);
    master.stop();
}

#[test]
fn a_connection_that_waits_in_the_queue_outlives_the_worker_that_would_have_taken_it() {
    // The only worker blocks in a request before it can accept; what connects meanwhile waits in the socket.
    let app = APP.replace("go = threading.Event()", "go = threading.Event()\nif os.path.exists('slow'): os._exit(4)");
    let mut master = Master::run(&app, &["--pid", "pid"], |_| {});
    master.serves();
    master.ready(1);
    let pid = get(master.port, "/").pid;
    // Nobody comes in its place as long as this file is there.
    std::fs::write(master.folder.path().join("slow"), "").unwrap();
    kill(&pid, "KILL");
    master.line("ended with exit code 4 before it could serve");
    let mut early: Vec<_> = (0..20).map(|_| Client::new(master.port)).collect();
    early.iter_mut().for_each(|client| client.send("/").unwrap());
    std::fs::remove_file(master.folder.path().join("slow")).unwrap();
    for client in &mut early {
        assert_ne!(client.answer().unwrap().pid, pid);
    }
    master.stop();
}
