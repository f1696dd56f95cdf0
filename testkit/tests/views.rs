//! Diagnoses, diagrams, timelines and reports.
#![allow(clippy::unwrap_used)]

mod views_world;

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handwound_reactor::{Address, Close, EventLoop, ListenOptions, Protocol, Reactor, ThreadPool, Threads, Transport};
use handwound_testkit::{Choices, Sim, report};
use views_world::shouting;

/// What the closure panics with.
fn panics_with(does: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(does)).unwrap_err();
    payload.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn a_diagram_of_clients_reactor_and_worker() {
    insta::assert_snapshot!(shouting(Choices::calm()).diagram());
}

#[test]
fn a_diagram_tells_when_late_bytes_were_sent() {
    insta::assert_snapshot!(shouting(Choices::seed(3)).diagram());
}

#[test]
fn a_diagram_is_the_same_for_the_same_seed_and_bounded() {
    assert_eq!(shouting(Choices::seed(9)).diagram(), shouting(Choices::seed(9)).diagram());
    let sim = Sim::new(Choices::calm());
    assert_eq!(sim.diagram(), "(nothing to show)\n");
    let threads = sim.threads();
    sim.spawn("napper", move || (0..1000).for_each(|_| threads.sleep(Duration::from_secs(1))));
    sim.settle();
    let diagram = sim.diagram();
    assert!(diagram.contains("... 601 rows are left out here ..."), "{diagram}");
    assert_eq!(diagram.lines().count(), 402);
    assert!(diagram.contains("\n+1.000s ") && diagram.contains("\n+1000.000s "), "beginning and end: {diagram}");
}

/// Fifty clients of one server: most share a column, those with trouble and those without an answer do not.
#[test]
fn a_diagram_of_fifty_clients_stays_readable() {
    let crowd = || {
        let sim = Sim::new(Choices::calm());
        let server = handwound_wsgi::testing::serve(&sim, 8, |call: &handwound_wsgi::Call| {
            call.start_response("200 OK", &[])?;
            Ok(call.request().path_info().to_vec())
        });
        let clients: Vec<_> = (0..50).map(|client| server.get(&sim, &format!("/{client}"))).collect();
        sim.advance(Duration::from_millis(5));
        clients[17].reset();
        clients[31].send("GET /half HTTP/1.1\r\n");
        sim.advance(Duration::from_millis(5));
        sim.diagram()
    };
    let diagram = crowd();
    assert!(diagram.lines().all(|line| line.chars().count() <= 200), "{diagram}");
    assert_eq!(diagram, crowd());
    insta::assert_snapshot!(diagram);
}

/// As in servers whose main thread joins a worker that waits for the main thread.
fn joined() -> Sim {
    let sim = Sim::new(Choices::calm());
    let (answer, ended) = (sim.threads().gate("answer"), sim.threads().gate("worker has ended"));
    let (waits, ends) = (answer.clone(), ended.clone());
    sim.answered_by("worker has ended", "worker");
    sim.spawn("main", move || {
        answer.unpark();
        ended.park();
        answer.unpark();
    });
    sim.spawn("worker", move || {
        waits.park();
        waits.park();
        ends.unpark();
    });
    let (threads, bystander) = (sim.threads(), sim.threads().gate("never"));
    sim.spawn("bystander", move || {
        threads.sleep(Duration::from_secs(2));
        bystander.park();
    });
    sim.settle();
    sim
}

#[test]
fn a_deadlock_is_a_ring_of_names() {
    let sim = joined();
    insta::assert_snapshot!(sim.deadlock().unwrap());
    assert_eq!(panics_with(|| sim.assert_no_deadlock()), sim.deadlock().unwrap().to_string());
    assert!(report(&sim).contains("deadlock at +2.000s: main -> worker -> main"));
    let waits = sim.waits();
    assert_eq!((waits.len(), waits[1].at.as_str(), waits[1].answered_by.as_deref()), (3, "answer", Some("main")));
}

#[test]
fn idle_workers_of_a_listening_reactor_are_no_deadlock() {
    let sim = shouting(Choices::calm());
    assert_eq!(sim.deadlock(), None);
    sim.assert_no_deadlock();
    let report = sim.report_deadlock().unwrap();
    assert!(report.contains("worker is parked at gate `jobs` without end; last unparked by loop at"), "{report}");
    assert!(report.contains("loop polls reactor `server` without end; last woken by worker"), "{report}");
}

#[test]
fn a_livelock_tells_who_goes_round_and_how() {
    let sim = Sim::new(Choices::calm());
    sim.set_steps_max(1000);
    let (ping, pong) = (sim.threads().gate("ping"), sim.threads().gate("pong"));
    let (to, from) = (ping.clone(), pong.clone());
    sim.spawn("one", move || {
        loop {
            to.unpark();
            from.park();
        }
    });
    sim.spawn("two", move || {
        loop {
            ping.park();
            pong.unpark();
        }
    });
    insta::assert_snapshot!(panics_with(|| sim.settle()));
}

/// The text without lines and columns of this file, which change with every edit.
fn without_lines(text: &str) -> String {
    let mut parts = text.split("views.rs:");
    let mut clean = parts.next().unwrap().to_owned();
    for part in parts {
        clean += "views.rs:[line]";
        clean += part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
    }
    clean
}

#[test]
fn what_is_left_over_says_who_made_it_and_where() {
    let sim = shouting(Choices::calm());
    sim.watch("lease", || vec!["1 not given back".to_owned()]);
    sim.watch("nothing", Vec::new);
    insta::assert_snapshot!(without_lines(&panics_with(|| sim.assert_clean())));
}

/// What `response` says when there is none: the answer is held up by a deadlock, or nobody has let the world go on.
#[test]
fn a_response_that_has_not_come_says_who_waits_for_what() {
    let sim = Sim::new(Choices::calm());
    let (threads, keys) = (sim.threads(), ["left", "right"].map(|name| sim.threads().gate(name)));
    let server = handwound_wsgi::testing::serve(&sim, 2, move |call: &handwound_wsgi::Call| {
        // Each holds one key, and waits for the other's.
        let (mine, other) = if call.request().path_info() == b"/left" { (0, 1) } else { (1, 0) };
        threads.sleep(Duration::from_secs(1));
        keys[other].park();
        keys[mine].unpark();
        call.start_response("200 OK", &[])?;
        Ok("never")
    });
    sim.answered_by("left", "worker-2");
    sim.answered_by("right", "worker-1");
    let (left, right) = (server.get(&sim, "/left"), server.get(&sim, "/right"));
    let early = panics_with(|| drop(left.response()));
    sim.settle_now();
    let asleep = panics_with(|| drop(left.response()));
    sim.settle();
    let late = panics_with(|| drop(right.response()));
    insta::assert_snapshot!(without_lines(&format!("{early}\n{asleep}\n{late}")));
}

/// Everything that an event loop and its pool can leave behind, each with the line that made it.
#[test]
fn timers_jobs_sockets_threads_and_gates_name_their_places() {
    let sim = Sim::new(Choices::calm());
    let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
    let at = Address::Tcp("127.0.0.1:80".parse().unwrap());
    event_loop.listen(&at, &ListenOptions::default(), |_peer| Patient).unwrap();
    event_loop.suggest_thread_pool(1..=1);
    let pool = event_loop.thread_pool();
    event_loop.call_later(Duration::from_secs(3600), |_| {});
    let running = event_loop.clone();
    sim.spawn("loop", move || drop(running.run()));
    let client = sim.connect(&at);
    client.send("abc");
    let (threads, gate) = (sim.threads(), sim.threads().gate("never"));
    pool.submit(move || gate.park()).unwrap();
    pool.submit_with_result(|| 1, |_| {}).unwrap();
    sim.settle_now();
    sim.spawn("sleeper", move || threads.sleep(Duration::from_secs(7200)));
    sim.settle_now();
    event_loop.call_from_thread(|_| {}).unwrap();
    insta::assert_snapshot!(without_lines(&sim.leftovers()));
    // The same places by themselves, for tests of one's own.
    let timer = &event_loop.outstanding()[2];
    assert_eq!((timer.kind, timer.place.map(|place| place.file().ends_with("views.rs"))), ("timer", Some(true)));
    let jobs = pool.outstanding();
    assert!(jobs[0].what.starts_with("worker-1 runs a call submitted at ") && jobs.len() == 2, "{jobs:?}");
}

/// Waits for more, for five seconds.
struct Patient;

impl Protocol for Patient {
    fn received(&mut self, transport: &mut Transport, _bytes: &[u8]) {
        transport.set_timeout(Duration::from_secs(5));
    }
}

#[test]
fn asking_what_is_queued_changes_neither_jobs_nor_their_order() {
    let sim = Sim::new(Choices::calm());
    let pool = ThreadPool::new(sim.threads(), 1..=1);
    let done = Arc::new(Mutex::new(Vec::new()));
    for job in 0..5 {
        let done = Arc::clone(&done);
        pool.submit(move || done.lock().unwrap().push(job)).unwrap();
    }
    assert_eq!(pool.outstanding().len(), 5);
    pool.start().unwrap();
    sim.settle();
    assert_eq!(*done.lock().unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(pool.outstanding(), []);
    pool.begin_stop(|| {});
    sim.settle();
    sim.assert_clean();
}

/// A stopped loop's own timers are no leftovers; those of its user, who will never be called, are.
#[test]
fn a_stopped_loop_leaves_only_what_its_user_left() {
    let stopped = |call_later: bool| {
        let sim = Sim::new(Choices::calm());
        let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
        let running = event_loop.clone();
        sim.spawn("loop", move || drop(running.run()));
        sim.settle_now();
        if call_later {
            event_loop.call_later(Duration::from_secs(60), |_| {});
        }
        event_loop.call_from_thread(|event_loop| event_loop.stop().unwrap()).unwrap();
        sim.settle_now();
        without_lines(&sim.leftovers())
    };
    assert_eq!(stopped(false), "");
    assert_eq!(stopped(true), "  timer: a delayed call, due at +60.000s (testkit/tests/views.rs:[line])\n");
}

#[test]
fn a_socket_left_open_names_the_client_and_who_accepted() {
    let sim = Sim::new(Choices::calm());
    let mut reactor = sim.reactor("server");
    let at = Address::Tcp("127.0.0.1:80".parse().unwrap());
    let listener = reactor.listen(&at, &ListenOptions::default()).unwrap();
    let client = sim.connect(&at);
    let accepted = reactor.accept(listener).unwrap();
    client.send("abc");
    let left = sim.leftovers();
    assert!(left.contains("server has conn 0 with client 0 (made at "), "{left}");
    assert!(left.contains(") open (3 bytes unread), opened by the test at +0.000s (testkit/tests/views.rs:"), "{left}");
    reactor.close(accepted.0, Close::Graceful);
    reactor.close(listener, Close::Graceful);
    assert_eq!(sim.leftovers(), "");
}

#[test]
fn the_timeline_asks_for_nothing_from_outside() {
    let page = shouting(Choices::calm()).timeline_html();
    for outside in ["http:", "https:", "src=", "href=", "import ", "url(", "fetch("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("default-src 'none'"));
}

/// A page as Chromium shows it: its DOM once its script has run. `None`, and said so, without Chromium.
fn in_chromium(test: &str, sim: &Sim, view: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("timeline.html");
    std::fs::write(&page, sim.timeline_html()).unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--no-first-run", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("file://{}#{view}", page.display()))
        .output();
    match output {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) => {
            // Not by eprintln, which is captured: who reads the log should know.
            let _ = writeln!(std::io::stderr(), "SKIPPED {test}: cannot run chromium ({error})");
            None
        }
    }
}

/// What the page says of itself in an attribute.
fn attribute(page: &str, name: &str) -> usize {
    page.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
}

/// As many events as a long run has: all are there, and a picture of them costs no more than its pixels.
#[test]
fn a_timeline_of_tens_of_thousands_of_events_stays_usable() {
    const TEST: &str = "a_timeline_of_tens_of_thousands_of_events_stays_usable";
    let sim = Sim::new(Choices::calm());
    let server = handwound_wsgi::testing::serve(&sim, 4, |call: &handwound_wsgi::Call| {
        call.start_response("200 OK", &[])?;
        Ok(call.request().path_info().to_vec())
    });
    let clients: Vec<_> = (0..40).map(|_| server.connect(&sim)).collect();
    while sim.trace().lines().count() < 30_000 {
        clients.iter().for_each(|client| drop(client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")));
        sim.advance(Duration::from_millis(1));
    }
    let events = sim.trace().lines().count();
    let Some(page) = in_chromium(TEST, &sim, "hide=&zoom=0.001") else { return };
    assert!(page.contains("data-ready=\"yes\"") && page.contains(&format!("{events} of {events} events")));
    let all = attribute(&page, "data-drawn");
    assert!(all > 100 && all < events / 2, "{all} of {events}: what falls on one pixel is drawn once");
    let near = attribute(&in_chromium(TEST, &sim, "hide=&zoom=30").unwrap(), "data-drawn");
    assert!(near > 10 && near < 1_000, "{near}: what is out of sight is not drawn");
    let filtered = in_chromium(TEST, &sim, "hide=&q=client+7").unwrap();
    let shown: usize =
        filtered.split(&format!(" of {events} events")).next().unwrap().rsplit('>').next().unwrap().parse().unwrap();
    assert!(shown > 100 && shown < events / 4, "{shown}");
}

#[test]
fn the_timeline_shows_filters_and_selects_in_a_browser() {
    const TEST: &str = "the_timeline_shows_filters_and_selects_in_a_browser";
    let sim = shouting(Choices::seed(3));
    let Some(page) = in_chromium(TEST, &sim, "hide=&theme=dark") else { return };
    let events = sim.trace().lines().count();
    assert!(page.contains("class=\"dark\"") && page.contains("data-ready=\"yes\""), "{page}");
    assert!(page.contains(&format!("{events} of {events} events, 5 lanes")), "{page}");

    let page = in_chromium(TEST, &sim, "hide=&theme=light&q=unparks").unwrap();
    // Those who unpark, and those who pass the gate because of it.
    let count = |what: &str| sim.trace().matches(what).count();
    let shown = count(" unparks jobs") + count(" passes gate jobs");
    assert!(page.contains(&format!("{shown} of {events} events, 2 lanes")), "{page}");
    assert!(!page.contains("class=\"dark\""));

    let accept = sim.trace().lines().position(|line| line.contains("accepts conn 0")).unwrap();
    let page = in_chromium(TEST, &sim, &format!("sel={accept}&axis=time&zoom=200")).unwrap();
    assert!(page.contains("<h2>loop accepts conn 0</h2>"), "{page}");
    assert!(page.contains("because of <a") && page.contains("client 0 connects, conn 0"), "{page}");
    assert!(page.contains("Axis: time"), "{page}");
}
