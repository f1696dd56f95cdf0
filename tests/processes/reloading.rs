//! New code in place of the old: on SIGHUP, and when a file changes.

use std::fs;

use crate::client::{Client, Load, assert_flawless, get, until_answered};
use crate::harness::{APP, Master, version};

#[test]
fn a_reload_under_load_drops_no_request_and_shows_the_new_code() {
    let master = Master::start(&["-w", "2"]);
    master.ready(2);
    let load = Load::start(master.port, 8);
    for name in ["two", "three"] {
        master.change(&version(name));
        master.signal("HUP");
        master.line("starting new workers");
        master.line("all workers are new");
        load.until_all_see(name);
    }
    let seen = load.end();
    assert_flawless(&seen);
    assert!(seen.iter().all(|seen| seen.versions[0] == "one"));
    master.stop();
}

#[test]
fn a_connection_that_rests_during_a_reload_is_told_its_last_answer_or_ends_in_order() {
    let master = Master::start(&["--pid", "pid"]);
    master.ready(1);
    let (mut resting, mut asking, mut unused) =
        (Client::new(master.port), Client::new(master.port), Client::new(master.port));
    let old = resting.get("/").unwrap();
    assert!(old.is_kept && asking.get("/").unwrap().is_kept);
    unused.connect().unwrap();
    // So that it has been accepted.
    get(master.port, "/");
    master.change(&version("two"));
    master.signal("HUP");
    master.line("all workers are new");
    // It still has a while for its next request, and so has a connection that was not used yet. Who is later than that,
    // as this test on a busy machine, finds an end in order; how long it is, the simulation knows.
    for client in [&mut asking, &mut unused] {
        let mut last = client.get("/").unwrap();
        while last.is_kept && last.version == "one" {
            // The word has not come to the old worker yet.
            last = client.get("/").unwrap();
        }
        match client.repeated {
            0 => assert_eq!((last.version.as_str(), last.is_kept, &last.pid), ("one", false, &old.pid)),
            _ => assert_eq!(last.version, "two"),
        }
    }
    assert_eq!(asking.get("/").unwrap().version, "two");
    assert!(resting.ends_in_order());
    master.stop();
}

#[test]
fn new_code_that_is_broken_leaves_the_old_to_go_on() {
    let master = Master::start(&["-w", "2"]);
    master.ready(2);
    master.change("raise KeyError('broken')\n");
    master.signal("HUP");
    let (_, before) = master.lines_up_to("ended with exit code 1 before it could serve; the old workers go on");
    let tracebacks = before.iter().filter(|line| line.contains("KeyError: 'broken'")).count();
    assert_eq!(tracebacks, 1, "{before:#?}");
    assert_eq!(get(master.port, "/").version, "one");
    master.change(&version("two"));
    master.signal("HUP");
    master.line("all workers are new");
    until_answered(master.port, "two");
    master.stop();
}

#[test]
fn a_changed_file_is_loaded_a_broken_one_shows_its_traceback_and_a_mended_one_is_loaded_again() {
    let mut master = Master::run(&format!("import part\n{APP}"), &["--reload"], |_| {});
    // Broken from the first: there is no module of this name.
    master.line("ModuleNotFoundError: No module named 'part'");
    master.line("waiting until a file is changed");
    fs::write(master.folder.path().join("part.py"), "").unwrap();
    master.change(&format!("import part\n{APP}\n"));
    master.serves();
    assert_eq!(get(master.port, "/").version, "one");

    master.change(&format!("import part\n{}", version("two")));
    master.line("app.py' has changed");
    master.line("all workers are new");
    until_answered(master.port, "two");

    // A part of it, and an error in the syntax, of which no module is left behind.
    fs::write(master.folder.path().join("part.py"), "def (:\n").unwrap();
    master.line("part.py' has changed");
    master.line("SyntaxError");
    master.line("the old workers go on");
    assert_eq!(get(master.port, "/").version, "two");

    // And one in a file that no worker has served with.
    fs::write(master.folder.path().join("other.py"), "def (:\n").unwrap();
    fs::write(master.folder.path().join("part.py"), "import other\n").unwrap();
    master.line("part.py' has changed");
    master.line("the old workers go on");
    fs::write(master.folder.path().join("other.py"), "").unwrap();
    master.line("other.py' has changed");
    master.line("all workers are new");
    until_answered(master.port, "two");
    master.stop();
}

#[test]
fn a_module_that_is_imported_late_is_watched_too() {
    let app = APP.replace("if path == '/die': os._exit(3)", "if path == '/late': import late");
    let mut master = Master::run(&app, &["--reload"], |_| {});
    let late = master.folder.path().join("late.py");
    fs::write(&late, "1\n").unwrap();
    master.serves();
    let first = get(master.port, "/late").pid;
    // Changed until the change is seen: it is asked for new files once a second.
    let mut client = Client::new(master.port);
    for round in 2.. {
        fs::write(&late, "1\n".repeat(round)).unwrap();
        if client.get("/late").unwrap().pid != first {
            break;
        }
    }
    master.line("late.py' has changed");
    master.stop();
}
