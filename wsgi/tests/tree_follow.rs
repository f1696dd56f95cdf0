//! What may follow an application's return: another application, or an open response; and how it learns of a client that
//! leaves.
#![allow(clippy::unwrap_used)]

mod in_hand;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handwound_reactor::{PoolConfig, ThreadPool, Threads};
use handwound_testkit::{All, Choices, Sim, explore, explore_all, seeds};
use handwound_wsgi::testing::Server;
use handwound_wsgi::{Application, Call, Failure, OpenCall, SiteConfig, StartError, WriteError, application};

const GET: &str = "GET /a/b%20c/d HTTP/1.1\r\nHost: x\r\n\r\n";

fn config() -> SiteConfig {
    SiteConfig::default()
}

/// Says how its request is split.
fn place(call: &Call) -> Result<String, Failure> {
    call.start_response("200 OK", &[])?;
    let request = call.request();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let texts = |segments: Vec<Vec<u8>>| segments.iter().map(|segment| text(segment)).collect::<Vec<_>>();
    let (prepath, postpath) = (texts(request.prepath()), texts(request.postpath()));
    Ok(format!("{}|{} {prepath:?}{postpath:?}", text(request.script_name()), text(request.path_info())))
}

/// A pool beside the server's, started.
fn second_pool(sim: &Sim) -> ThreadPool {
    let pool = ThreadPool::new(sim.threads(), 1..=1);
    pool.start().unwrap();
    pool
}

fn hands_over(pool: &ThreadPool, next: impl Application) -> impl Application {
    let (pool, next) = (pool.clone(), Arc::new(next) as Arc<dyn Application>);
    application(move |call: &Call| {
        call.below(1).hand_over(&pool, next.clone());
        Ok(())
    })
}

#[test]
fn below_splits_the_path_elsewhere() {
    for (prepath, expected) in [
        (0, r#"|/a/b c/d [][a b c d]"#),
        (1, r#"/a|/b c/d [a][b c d]"#),
        (2, r#"/a/b c|/d [a b c][d]"#),
        (3, r#"/a/b c/d| [a b c d][]"#),
        (9, r#"/a/b c/d| [a b c d][]"#),
    ] {
        let sim = Sim::new(Choices::calm());
        let server = handwound_wsgi::testing::serve(&sim, 1, move |call: &Call| place(&call.below(prepath)));
        let client = server.connect(&sim);
        client.send(GET);
        sim.settle();
        assert_eq!(client.text().replace(['"', ','], ""), expected, "{prepath}");
    }
}

#[test]
fn another_pool_goes_on_with_the_call() {
    explore(seeds(100), |sim| {
        let pool = second_pool(sim);
        let server = Server::prepare(sim, 1, hands_over(&pool, place), config());
        server.run(sim);
        let client = server.connect(sim);
        for _ in 0..2 {
            client.send(GET);
            sim.advance(Duration::from_secs(1));
        }
        for response in client.responses() {
            assert_eq!(response.body(), r#"/a|/b c/d ["a"]["b c", "d"]"#);
        }
        assert_eq!((client.responses().len(), pool.counts().busy, server.pool.counts().busy), (2, 0, 0));
    });
}

#[test]
fn the_same_pool_goes_on_at_once_on_the_same_worker() {
    let sim = Sim::new(Choices::calm());
    let slot = Arc::new(Mutex::new(None::<ThreadPool>));
    let own = slot.clone();
    let twice = move |call: &Call| {
        let pool = own.lock().unwrap().clone().unwrap();
        let second = hands_over(&pool, application(place));
        call.hand_over(&pool, Arc::new(second));
        Ok(())
    };
    // With a queue of one and one worker nothing could be queued behind itself.
    let server = Server::prepare(&sim, 1, twice, config());
    *slot.lock().unwrap() = Some(server.pool.clone());
    server.run(&sim);
    let client = server.connect(&sim);
    client.send(GET);
    sim.settle();
    assert_eq!(client.text(), r#"/a|/b c/d ["a"]["b c", "d"]"#);
}

#[test]
fn a_pool_that_does_not_take_it_makes_a_503() {
    type Spoil = fn(&Sim, &ThreadPool);
    let spoil: [Spoil; 3] = [
        |_, pool| pool.begin_stop(|| {}),
        // Takes it, and is stopped before it was ever started.
        |sim, pool| {
            let pool = pool.clone();
            sim.spawn("stopper", move || {
                handwound_testkit::sleep(Duration::from_millis(500));
                pool.begin_stop(|| {});
            });
        },
        |_, pool| pool.submit(|| {}).unwrap(),
    ];
    for (which, spoil) in spoil.into_iter().enumerate() {
        explore(seeds(30), |sim| {
            let mut bounds = PoolConfig::from(1..=1);
            bounds.queued_jobs_max = 1;
            let pool = ThreadPool::new(sim.threads(), bounds);
            let server = Server::prepare(sim, 1, hands_over(&pool, place), config());
            server.run(sim);
            spoil(sim, &pool);
            let client = server.connect(sim);
            client.send(GET);
            sim.advance(Duration::from_secs(2));
            assert_eq!(client.response().status(), 503, "{which}");
            assert_eq!(server.pool.counts().busy, 0);
        });
    }
}

#[test]
fn who_fails_hands_nothing_over() {
    let sim = Sim::new(Choices::calm());
    let ran = Arc::new(AtomicUsize::new(0));
    let (pool, seen) = (second_pool(&sim), ran.clone());
    let next: Arc<dyn Application> = Arc::new(application(move |_call| {
        seen.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }));
    let server = handwound_wsgi::testing::serve(&sim, 1, move |call: &Call| -> Result<(), Failure> {
        call.hand_over(&pool, next.clone());
        Err(Failure::new("no"))
    });
    let client = server.connect(&sim);
    client.send(GET);
    sim.settle();
    assert_eq!((client.response().status().as_u16(), ran.load(Ordering::SeqCst)), (500, 0));
}

/// The client may leave before, between and within the two applications: nothing is left behind, and the second is not
/// begun for nobody.
#[test]
fn handing_over_against_a_disconnect_in_every_order() {
    explore_all(All::default(), |sim| {
        let pool = second_pool(sim);
        sim.run_task("worker-1");
        let (server, client) = in_hand::just_read(sim, hands_over(&pool, place), config(), GET);
        client.reset();
        sim.advance(Duration::from_secs(1));
        assert_eq!((pool.counts().busy, server.pool.counts().busy, pool.counts().queued), (0, 0, 0));
        assert_eq!(server.event_loop.connections(), 0);
    });
}

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

/// Writes `count` times `bytes` bytes, one time each time there is room.
struct Steps {
    count: usize,
    bytes: usize,
    held: Arc<()>,
}

fn steps(count: usize, bytes: usize) -> Steps {
    Steps { count, bytes, held: Arc::default() }
}

impl Application for Steps {
    fn call(&self, call: &Call) -> Result<(), Failure> {
        if !call.is_started() {
            call.start_response("200 OK", &[])?;
        }
        assert!(call.room_bytes()? > 0, "it goes on with room");
        call.write(&vec![b'x'; self.bytes])?;
        if self.count > 1 {
            call.go_on_with_room(Arc::new(Steps { count: self.count - 1, bytes: self.bytes, held: self.held.clone() }));
        }
        Ok(())
    }
}

fn tight() -> SiteConfig {
    let mut config = SiteConfig::default();
    config.response_bytes_max = 100;
    config
}

#[test]
fn going_on_with_room_in_every_order_of_reactor_and_worker() {
    explore_all(All::default(), |sim| {
        let (server, client) = in_hand::just_read(sim, steps(2, 100), tight(), GET);
        sim.advance(Duration::from_secs(1));
        assert_eq!(client.response().body(), &[b'x'; 200]);
        assert_eq!((server.pool.counts().busy, server.pool.counts().queued), (0, 0));
    });
}

#[test]
fn going_on_with_room_against_a_disconnect_in_every_order() {
    explore_all(All::default(), |sim| {
        let (server, client) = in_hand::just_read(sim, steps(2, 100), tight(), GET);
        client.reset();
        sim.advance(Duration::from_secs(1));
        assert_eq!((server.pool.counts().busy, server.pool.counts().queued), (0, 0));
        assert_eq!(server.event_loop.connections(), 0);
    });
}

/// What waits for room goes when its client does, at once.
#[test]
fn who_waits_for_room_is_dropped_with_the_client() {
    explore(seeds(50), |sim| {
        let held = Arc::new(());
        let mut steps = steps(10_000, 100);
        steps.held = held.clone();
        let server = Server::prepare(sim, 1, steps, tight());
        server.run(sim);
        let client = server.connect(sim);
        client.window(0);
        client.send(GET);
        sim.advance(Duration::from_secs(1));
        assert_eq!((server.pool.counts().busy, Arc::strong_count(&held)), (0, 3));
        client.reset();
        sim.advance(Duration::from_secs(1));
        assert_eq!((server.event_loop.connections(), Arc::strong_count(&held)), (0, 2));
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

/// Python's lock, for example, is not held by who sends a file.
#[test]
fn who_goes_on_with_room_runs_without_the_pools_hook() {
    struct Notes(Arc<Mutex<Vec<&'static str>>>);
    impl handwound_reactor::WorkerHook for Notes {
        fn before_work(&self) {
            self.0.lock().unwrap().push("take");
        }
        fn before_park(&self) {
            self.0.lock().unwrap().push("give");
        }
    }
    let sim = Sim::new(Choices::calm());
    let notes = Arc::new(Mutex::new(Vec::new()));
    let (first, second) = (notes.clone(), notes.clone());
    let next: Arc<dyn Application> = Arc::new(application(move |_call: &Call| {
        second.lock().unwrap().push("second");
        Ok(())
    }));
    let application = application(move |call: &Call| {
        first.lock().unwrap().push("first");
        call.start_response("200 OK", &[])?;
        call.go_on_with_room(next.clone());
        Ok(())
    });
    let pool = ThreadPool::new(sim.threads(), 1..=1);
    pool.set_hook(Arc::new(Notes(notes.clone())));
    pool.start().unwrap();
    let server = Server::prepare(&sim, 1, hands_over(&pool, application), config());
    server.run(&sim);
    let client = server.connect(&sim);
    client.send(GET);
    sim.advance(Duration::from_secs(1));
    assert_eq!(client.response().status(), 200);
    assert_eq!(*notes.lock().unwrap(), ["take", "give", "take", "first", "give", "second", "take", "give"]);
}
