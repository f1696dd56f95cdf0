//! Responses that are kept open when their application returns, and clients that leave meanwhile.
#![allow(clippy::unwrap_used)]

mod followers;
mod in_hand;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use followers::{GET, config, place, second_pool, steps, tight};
use handwound_reactor::Threads;
use handwound_testkit::{All, Choices, Sim, explore, explore_all, seeds};
use handwound_wsgi::testing::Server;
use handwound_wsgi::{Application, Call, Failure, OpenCall, StartError, WriteError, application};

/// Keeps its call open and gives it to whoever looks into the second part.
fn opens(begin: bool) -> (impl Application, Arc<Mutex<Option<OpenCall>>>) {
    let slot = Arc::new(Mutex::new(None));
    let kept = slot.clone();
    let opens = application(move |call: &Call| {
        if begin {
            call.start_response("200 OK", &[])?;
            call.write(b"begun ")?;
        }
        *kept.lock().unwrap() = Some(call.keep_open());
        Ok(())
    });
    (opens, slot)
}

#[test]
fn an_open_response_ends_when_it_is_finished() {
    let sim = Sim::new(Choices::calm());
    let (opens, slot) = opens(true);
    let server = handwound_wsgi::testing::serve(&sim, 1, opens);
    let client = server.connect(&sim);
    client.send(GET);
    sim.advance(Duration::from_secs(1));
    assert!(client.whole_responses().is_empty() && client.received_text().contains("begun "));
    assert_eq!(server.pool.counts().busy, 0, "the worker is free");

    let open = slot.lock().unwrap().take().unwrap();
    let late = open.clone();
    open.write(b"and done").unwrap();
    open.finish();
    sim.advance(Duration::from_secs(1));
    assert_eq!(client.text(), "begun and done");
    assert_eq!(late.write(b"x"), Err(WriteError::Ended));
    assert_eq!(late.start_response("200 OK", &[]), Err(StartError::Ended));
    // Too late for any of it.
    late.keep_open().fail(Failure::new("no"));
    late.hand_over(&server.pool, Arc::new(application(place)));
    late.on_disconnect(Box::new(|| panic!("the response has ended")));
    client.send(GET);
    sim.advance(Duration::from_secs(1));
    slot.lock().unwrap().take().unwrap().finish();
    sim.advance(Duration::from_secs(1));
    assert_eq!(client.responses().len(), 2);
    sim.settle();
    sim.assert_clean();
}

#[test]
fn an_open_response_that_is_dropped_or_fails_never_looks_complete() {
    for begin in [false, true] {
        for fail in [false, true] {
            let sim = Sim::new(Choices::calm());
            let (opens, slot) = opens(begin);
            let server = handwound_wsgi::testing::serve(&sim, 1, opens);
            let client = server.connect(&sim);
            client.send(GET);
            sim.settle();
            let open = slot.lock().unwrap().take().unwrap();
            if fail {
                open.fail(Failure::new("no"))
            } else {
                drop(open)
            }
            sim.settle();
            if begin {
                assert!(client.is_closed() && client.whole_responses().is_empty());
            } else {
                assert_eq!(client.response().status(), 500);
            }
        }
    }
}

#[test]
fn finishing_before_the_return_is_the_end_and_what_comes_later_is_only_logged() {
    explore(seeds(100), |sim| {
        let server = handwound_wsgi::testing::serve(sim, 1, |call: &Call| -> Result<(), Failure> {
            let open = call.keep_open();
            call.start_response("200 OK", &[])?;
            open.send_whole(b"done")?;
            open.finish();
            assert_eq!(call.write(b"more"), Err(WriteError::Ended));
            Err(Failure::new("too late to matter"))
        });
        let client = server.connect(sim);
        client.send(GET);
        client.send(GET);
        sim.settle();
        assert_eq!(client.responses().iter().map(|response| response.body().len()).collect::<Vec<_>>(), [4, 4]);
        sim.assert_clean();
    });
}

/// A thread finishes while the application returns and the client leaves: the client has all or nothing, who asked learns
/// of the disconnect at most once, and nothing is left.
#[test]
fn finishing_against_a_disconnect_and_the_return_in_every_order() {
    explore_all(All::default(), |sim| {
        let (threads, told) = (sim.threads(), Arc::new(AtomicUsize::new(0)));
        let counted = told.clone();
        let opens = move |call: &Call| {
            let (open, told) = (call.keep_open(), counted.clone());
            call.on_disconnect(Box::new(move || {
                told.fetch_add(1, Ordering::SeqCst);
            }));
            call.start_response("200 OK", &[])?;
            let body = move || {
                let _ = open.send_whole(b"all");
                open.finish();
            };
            threads.spawn("finisher", Box::new(body))?;
            Ok(())
        };
        let (server, client) = in_hand::just_read(sim, opens, config(), GET);
        client.reset();
        sim.advance(Duration::from_secs(1));
        assert!(told.load(Ordering::SeqCst) <= 1);
        assert_eq!((server.pool.counts().busy, server.event_loop.connections()), (0, 0));
    });
}

#[test]
fn on_disconnect_is_told_once_and_a_panic_in_it_goes_no_further() {
    explore(seeds(100), |sim| {
        let told = Arc::new(AtomicUsize::new(0));
        let (counted, slot) = (told.clone(), Arc::new(Mutex::new(None)));
        let kept = slot.clone();
        let server = Server::prepare(
            sim,
            1,
            application(move |call: &Call| {
                call.on_disconnect(Box::new(|| panic!("a bad callback")));
                let told = counted.clone();
                call.on_disconnect(Box::new(move || {
                    told.fetch_add(1, Ordering::SeqCst);
                }));
                *kept.lock().unwrap() = Some(call.keep_open());
                Ok(())
            }),
            config(),
        );
        server.run(sim);
        let client = server.connect(sim);
        client.send(GET);
        sim.advance(Duration::from_millis(500));
        client.reset();
        sim.advance(Duration::from_millis(500));
        assert_eq!(told.load(Ordering::SeqCst), 1);
        let open: OpenCall = slot.lock().unwrap().take().unwrap();
        assert!(open.is_disconnected());
        // Who asks now is told at once.
        let counted = told.clone();
        open.on_disconnect(Box::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        }));
        assert_eq!(told.load(Ordering::SeqCst), 2);
        open.finish();
        // The server goes on.
        let client = server.connect(sim);
        client.send(GET);
        sim.advance(Duration::from_millis(500));
        slot.lock().unwrap().take().unwrap().finish();
        sim.advance(Duration::from_millis(500));
        assert_eq!(client.response().status(), 500);
    });
}

/// Who answers an open call from a thread of its own may run an application there: `finish` is its return. It cut what
/// was still to follow.
#[test]
fn what_an_open_call_is_to_go_on_with_follows_its_finish() {
    for (count, early) in [(3, false), (3, true), (1, false)] {
        explore(seeds(60), |sim| {
            let threads = sim.threads();
            let opens = application(move |call: &Call| {
                let (open, steps) = (call.keep_open(), steps(count, 100));
                let body = move || match steps.call(&open) {
                    Ok(()) => open.finish(),
                    Err(failure) => open.fail(failure),
                };
                threads.spawn("answers", Box::new(body))?;
                if early {
                    threads.sleep(Duration::from_millis(100));
                }
                Ok(())
            });
            let server = Server::prepare(sim, 1, opens, tight());
            server.run(sim);
            let client = server.connect(sim);
            client.send(GET);
            sim.advance(Duration::from_secs(5));
            assert_eq!(client.response().body().len(), count * 100);
            assert_eq!((server.pool.counts().busy, server.pool.counts().queued), (0, 0));
        });
    }
}

#[test]
fn an_open_call_that_is_handed_over_follows_its_finish() {
    explore(seeds(60), |sim| {
        let pool = second_pool(sim);
        let (threads, next) = (sim.threads(), Arc::new(application(place)) as Arc<dyn Application>);
        let opens = application(move |call: &Call| {
            let (open, pool, next) = (call.keep_open(), pool.clone(), next.clone());
            let body = move || {
                open.below(1).hand_over(&pool, next);
                open.finish();
            };
            threads.spawn("answers", Box::new(body))?;
            Ok(())
        });
        let server = Server::prepare(sim, 1, opens, config());
        server.run(sim);
        let client = server.connect(sim);
        client.send(GET);
        sim.advance(Duration::from_secs(5));
        assert_eq!(client.text(), r#"/a|/b c/d ["a"]["b c", "d"]"#);
    });
}

/// The reactor, the thread that finishes and the client's leaving, in every order.
#[test]
fn finishing_with_more_to_come_against_a_disconnect_in_every_order() {
    explore_all(All::default(), |sim| {
        let threads = sim.threads();
        let opens = application(move |call: &Call| {
            let open = call.keep_open();
            call.start_response("200 OK", &[])?;
            let body = move || {
                open.go_on_with_room(Arc::new(application(|_call: &Call| Ok(()))));
                open.finish();
            };
            threads.spawn("finisher", Box::new(body))?;
            Ok(())
        });
        let (server, client) = in_hand::just_read(sim, opens, tight(), GET);
        client.reset();
        sim.advance(Duration::from_secs(1));
        assert_eq!((server.pool.counts().busy, server.pool.counts().queued), (0, 0));
        assert_eq!(server.event_loop.connections(), 0);
    });
}
