//! What is printed when an exploration fails: read as a user would, by running failing tests in a process of their own.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handwound_reactor::{Address, Close, EventLoop, ListenOptions, Protocol, Threads, Transport};
use handwound_testkit::strategies::{schedule, simulate};
use handwound_testkit::{All, Choices, Client, Exploration, Sim, explore, explore_all, for_every_cut, report, seeds};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Reads a line, thinks for a second on a worker, and sends it back. Planted: a line that is cut is answered twice.
struct Shouter {
    line: Vec<u8>,
    pieces: usize,
}

impl Protocol for Shouter {
    fn received(&mut self, transport: &mut Transport, bytes: &[u8]) {
        self.line.extend(bytes);
        self.pieces += 1;
        if self.line.ends_with(b"\n") {
            let answer = self.line.to_ascii_uppercase().repeat(self.pieces.min(2));
            transport.write(&answer);
            (self.line, self.pieces) = (Vec::new(), 0);
        }
    }
}

fn shouter(sim: &Sim) -> Client {
    let event_loop = EventLoop::new(sim.reactor("shouter"), sim.threads());
    let address = Address::Tcp("127.0.0.1:7".parse().unwrap());
    let new = |_: &Address| Shouter { line: Vec::new(), pieces: 0 };
    event_loop.listen(&address, &ListenOptions::default(), new).unwrap();
    sim.spawn("loop", move || drop(event_loop.run()));
    sim.connect(&address)
}

fn answered_twice(sim: &Sim) {
    let client = shouter(sim);
    client.send("one\n");
    sim.advance(Duration::from_secs(1));
    client.send("two\n");
    sim.settle();
    assert_eq!(client.received_text(), "ONE\nTWO\n");
}

fn counts_lost(sim: &Sim) {
    let count = Arc::new(Mutex::new(0));
    let counter = sim.threads().shared("counter");
    for name in ["one", "two"] {
        let (threads, count) = (sim.threads(), Arc::clone(&count));
        sim.spawn(name, move || {
            threads.visit(counter);
            let read = *count.lock().unwrap();
            threads.visit(counter);
            *count.lock().unwrap() = read + 1;
        });
    }
    sim.settle();
    assert_eq!(*count.lock().unwrap(), 2, "a count is lost");
}

/// The reactor joins its worker, which waits for the reactor to take its output.
fn joined(sim: &Sim) {
    let (room, ended) = (sim.threads().gate("room to write"), sim.threads().gate("worker has ended"));
    let (waits, ends) = (room.clone(), ended.clone());
    sim.answered_by("worker has ended", "worker");
    sim.spawn("worker", move || {
        (0..2).for_each(|_| waits.park());
        ends.unpark();
    });
    sim.spawn("reactor", move || {
        room.unpark();
        ended.park();
    });
    sim.settle();
    sim.assert_no_deadlock();
}

fn goes_round(sim: &Sim) {
    sim.set_steps_max(1_000);
    let (threads, flag) = (sim.threads(), sim.threads().shared("flag"));
    let never = sim.threads().gate("never");
    sim.spawn("spinner", move || {
        loop {
            threads.visit(flag);
        }
    });
    sim.spawn("sleeper", move || never.park());
    sim.settle();
}

/// Fails in the way that `PLANTED` says.
#[test]
#[ignore = "fails by intent: the tests below run it, and read what it prints"]
fn planted() {
    match std::env::var("PLANTED").unwrap().as_str() {
        "random" => drop(explore(seeds(200), answered_twice)),
        "pct" => drop(Exploration::pct(2, seeds(200)).run(counts_lost)),
        "all" => drop(explore_all(All::default(), counts_lost)),
        "deadlock" => drop(explore(seeds(10), joined)),
        "livelock" => drop(Exploration::all().run(goes_round)),
        "cut" => drop(for_every_cut("one\n", |sim, cut| {
            let client = shouter(sim);
            cut.send(sim, &client);
            assert!(cut.resets() || client.received_text() == "ONE\n", "answered as {:?}", client.received_text());
        })),
        "property" => {
            // Not by `proptest!`, whose chance is another each time.
            let property = |(schedule, lines): (Vec<u8>, usize)| {
                simulate(Choices::bytes(schedule), |sim| {
                    let client = shouter(sim);
                    (0..lines).for_each(|_| drop(client.send("one\n")));
                    sim.settle();
                    prop_assert!(client.received().len() < 12, "{} bytes", client.received().len());
                    Ok(())
                })
            };
            TestRunner::deterministic()
                .run(&(schedule(), 0..5_usize), property)
                .unwrap_or_else(|error| panic!("{error}"));
        }
        "report" => {
            let sim = Sim::new(Choices::calm());
            eprint!("{}", report(&sim));
            panic!("by intent");
        }
        other => panic!("nothing is planted as {other}"),
    }
}

/// What `planted` prints, with `HANDWOUND_TIMELINE` as `timeline`.
fn printed(planted: &str, timeline: Option<&Path>) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "planted", "--ignored", "--nocapture", "--test-threads=2"]).env("PLANTED", planted);
    for name in ["HANDWOUND_REPLAY", "HANDWOUND_SEED", "HANDWOUND_TIMELINE", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    if let Some(timeline) = timeline {
        command.env("HANDWOUND_TIMELINE", timeline);
    }
    let output = command.output().unwrap();
    assert!(!output.status.success(), "it fails by intent");
    String::from_utf8(output.stderr).unwrap()
}

/// The failure's own message, with what differs from machine to machine, and the replay's letters, left out.
fn redacted(text: &str, folder: &Path) -> String {
    redacted_from(text, "the test failed in run", folder)
}

fn redacted_from(text: &str, start: &str, folder: &Path) -> String {
    let start = text.find(start).unwrap_or_else(|| panic!("no failure in:\n{text}"));
    let folder = folder.canonicalize().unwrap();
    let text = text[start..].replace(folder.to_str().unwrap(), "[folder]").replace('\\', "/");
    let mut clean = String::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        if let Some((before, after)) = line.split_once("=v1:") {
            let after = after.find(' ').map_or("", |end| &after[end..]);
            line = format!("{before}=v1:[choices]{after}");
        }
        if let Some((before, _)) = line.split_once(".rs:") {
            line = format!("{before}.rs:[place]");
        }
        clean.push_str(&line);
        clean.push('\n');
    }
    clean
}

#[track_caller]
fn check(planted: &str) {
    let folder = tempfile::tempdir().unwrap();
    let text = printed(planted, Some(folder.path()));
    insta::assert_snapshot!(planted, redacted(&text, folder.path()));
    let page = std::fs::read_to_string(folder.path().join("views_failures.planted.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>"), "{page:.80}");
}

#[test]
fn a_failure_by_chance_is_told_with_all_that_is_needed() {
    check("random");
}

#[test]
fn a_failure_by_priorities_is_told_alike() {
    check("pct");
}

#[test]
fn a_failure_of_a_search_shows_the_shared_things_that_were_visited() {
    check("all");
}

#[test]
fn a_deadlock_is_told_with_its_ring() {
    check("deadlock");
}

#[test]
fn a_livelock_is_told_with_its_round_and_drawn_short() {
    check("livelock");
}

#[test]
fn a_failing_cut_is_told_with_the_conversation() {
    check("cut");
}

/// Proptest shrinks such a case by itself; what it prints in the end has the diagram of the smallest.
#[test]
fn a_property_that_fails_shows_the_smallest_case() {
    let folder = tempfile::tempdir().unwrap();
    let text = printed("property", Some(folder.path()));
    let text = redacted_from(text.split("minimal failing input").next().unwrap(), "Test failed: ", folder.path());
    insta::assert_snapshot!("property", text);
}

/// The line that the report ends with repeats the run, and tells it again.
#[test]
fn the_printed_line_repeats_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let first = printed("random", Some(folder.path()));
    let line = first.split("HANDWOUND_REPLAY=").nth(1).unwrap().split(' ').next().unwrap();
    let failure = Exploration::replay(line).check(answered_twice).unwrap_err();
    assert!(failure.message.contains("assertion `left == right` failed"), "{failure}");
    let diagram =
        |text: &str| text.split("what happened:").nth(1).unwrap().split("the run ends here").next().unwrap().to_owned();
    assert_eq!(diagram(&first), diagram(&failure.to_string()));
    assert_eq!(failure.timeline, None, "`check` writes no files");
}

#[test]
fn a_timeline_that_cannot_be_written_is_a_note_and_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a file");
    std::fs::write(&file, "").unwrap();
    let text = printed("random", Some(&file.join("inside")));
    let note = text.lines().find(|line| line.starts_with("note: the")).unwrap();
    assert!(note.starts_with("note: the timeline could not be written to ") && note.contains("a file"), "{note}");
    assert!(note.ends_with("set HANDWOUND_TIMELINE to a folder that can be written to, or to `off`"), "{note}");
    assert!(text.contains("assertion `left == right` failed") && text.contains("HANDWOUND_REPLAY="), "{text}");
}

#[test]
fn a_timeline_can_be_turned_off_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = printed("random", Some(Path::new("off")));
    assert!(!text.contains(".html") && !text.contains("note: the timeline"), "{text}");
    let file = folder.path().join("deep/one.html");
    let text = printed("random", Some(&file));
    assert!(text.contains("to be opened in a browser: ") && text.contains("one.html") && file.exists(), "{text}");
    let text = printed("report", Some(folder.path()));
    assert!(text.starts_with("what happened:\n\n(nothing to show)") || text.contains("\nwhat happened:\n\n"), "{text}");
    assert!(folder.path().join("views_failures.planted.html").exists());
}

#[test]
fn a_timeline_goes_to_the_target_folder_by_itself() {
    let text = printed("all", None);
    let line = text.lines().find(|line| line.contains("to be opened in a browser: ")).unwrap();
    let path = Path::new(line.split("browser: ").nth(1).unwrap());
    assert!(path.ends_with("handwound/views_failures.planted.html"), "{line}");
    let target = path.parent().unwrap().parent().unwrap();
    assert!(std::env::current_exe().unwrap().canonicalize().unwrap().starts_with(target), "{line}");
    assert!(path.exists());
}

/// What a socket's close says of itself is not needed here, but a failure in a thread is told like one in the test.
#[test]
fn a_failure_in_a_thread_names_its_place_and_shows_where_it_ended() {
    let failure = Exploration::random(seeds(1))
        .check(|sim| {
            let mut reactor = sim.reactor("r");
            sim.spawn("clumsy", move || {
                let at = Address::Tcp("127.0.0.1:9".parse().unwrap());
                let listener =
                    handwound_reactor::Reactor::listen(&mut reactor, &at, &ListenOptions::default()).unwrap();
                handwound_reactor::Reactor::close(&mut reactor, listener, Close::Graceful);
                handwound_reactor::Reactor::accept(&mut reactor, listener).unwrap();
            });
            sim.settle();
        })
        .unwrap_err();
    assert!(failure.place.as_ref().unwrap().contains("views_failures.rs"), "{failure}");
    assert!(failure.diagram.contains("* PANICS"), "{failure}");
}
