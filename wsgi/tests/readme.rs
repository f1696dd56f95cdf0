//! The test that the README shows, in its very words, and that it does find what goes wrong.
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use handwound_wsgi::testing::prelude::*;

#[test]
fn slow_client_never_loses_a_response() {
    explore(seeds(2_000), |sim| {
        let server = sim.serve(threads(2), |req| {
            sleep(1.secs());
            ok(req.path())
        });
        let a = sim.connect(&server).write_in(1.bytes()).every(10.ms());
        let b = sim.connect(&server);
        a.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
        b.send("GET /b HTTP/1.1\r\nHost: x\r\n\r\n").reset_at(sim.any(0..20));
        sim.accept_fails_once(EMFILE);
        sim.settle();
        assert_eq!(a.response().body(), "/a");
        sim.assert_clean();
    });
}

/// What an application must not do: it keeps what belongs to a request where another finds it.
#[test]
fn the_same_test_finds_an_application_that_mixes_up_its_requests() {
    let failure = Exploration::random(seeds(200)).check(|sim| {
        let last = Mutex::new(String::new());
        let server = sim.serve(threads(2), move |req| {
            *last.lock().unwrap() = req.path();
            sleep(1.secs());
            ok(last.lock().unwrap().clone())
        });
        let a = sim.connect(&server).write_in(1.bytes()).every(10.ms());
        let b = sim.connect(&server);
        a.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
        b.send("GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
        sim.settle();
        assert_eq!((a.text(), b.text()), ("/a".into(), "/b".into()));
    });
    let message = failure.unwrap_err().message;
    assert!(message.contains(r#"left: ("/a", "/a")"#), "{message}");
}

#[test]
fn assert_clean_stops_a_served_site_and_sees_what_it_leaves() {
    explore(seeds(20), |sim| {
        sim.set_network(NetworkOptions::calm());
        let server = sim.serve(threads(2), |req| {
            sleep(1.secs());
            ok(req.path())
        });
        server.get(sim, "/");
        sim.advance(500.ms());
        let early = said(|| sim.assert_clean());
        assert!(early.contains("job: worker-") && early.contains("Sim::settle"), "{early}");
        sim.settle();
        sim.assert_clean();
        assert!(sim.tasks().iter().all(|task| task.state == handwound_testkit::TaskState::Done));
    });
}

#[track_caller]
fn said(what: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(what)).expect_err("a mistake is told");
    payload.downcast_ref::<String>().cloned().unwrap_or_else(|| (*payload.downcast::<&str>().unwrap()).to_owned())
}

/// A newcomer's mistakes, and the words that are to help.
#[test]
fn mistakes_are_told_with_what_to_do() {
    let sim = Sim::new(Choices::calm());
    let server = sim.serve(threads(1), |req| ok(req.path()));
    let client = server.get(&sim, "/");
    for (message, part) in [
        (said(|| drop(client.response())), "the world has not come to rest: Sim::settle lets it go on"),
        (said(|| sleep(1.secs())), "The test itself moves the clock: `sim.advance(duration)`"),
        (said(|| assert_eq!(sim.any(Vec::<u8>::new()), 0)), "the list is empty"),
    ] {
        assert!(message.contains(part), "{message}");
    }
    client.send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
    sim.settle();
    let two = said(|| drop(client.response()));
    assert!(two.contains("2 responses where `response()` expects one (`responses()` gives all)"), "{two}");
}
