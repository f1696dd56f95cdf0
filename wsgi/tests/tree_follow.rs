//! Applications that go on with the call of another one: further down, on another pool, or with room.
#![allow(clippy::unwrap_used)]

mod followers;
mod in_hand;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use followers::{GET, config, hands_over, place, second_pool, steps, tight};
use handwound_reactor::{PoolConfig, ThreadPool};
use handwound_testkit::{All, Choices, Sim, explore, explore_all, seeds};
use handwound_wsgi::testing::Server;
use handwound_wsgi::{Application, Call, Failure, application};

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

#[test]
fn going_on_with_room_in_every_order_of_reactor_and_worker() {
    explore_all(All::default(), |sim| {
        let (server, client) = in_hand::just_read(sim, steps(2, 100), tight(), GET);
        sim.advance(Duration::from_secs(1));
        assert_eq!(client.response().body(), &[b'x'; 200]);
        assert_eq!((server.pool.counts().busy, server.pool.counts().queued), (0, 0));
    });
}

/// A whole body counts on the end of its call to tell the reactor of it; and a little room is none, or who wants more would
/// be called again and again.
#[test]
fn who_waits_for_room_has_told_the_reactor_of_what_waits() {
    for (whole, bytes) in [(true, 100), (true, 60), (false, 60)] {
        explore(seeds(50), |sim| {
            let runs = Arc::new(AtomicUsize::new(0));
            let counted = runs.clone();
            let last: Arc<dyn Application> = Arc::new(application(move |call: &Call| {
                counted.fetch_add(1, Ordering::SeqCst);
                assert!(call.room_bytes()? >= 50);
                Ok(())
            }));
            let first = application(move |call: &Call| {
                call.start_response("200 OK", &[])?;
                if whole {
                    call.send_whole(&vec![b'x'; bytes])?
                } else {
                    call.write(&vec![b'x'; bytes])?
                }
                call.go_on_with_room(last.clone());
                Ok(())
            });
            let server = Server::prepare(sim, 1, first, tight());
            server.run(sim);
            let client = server.connect(sim);
            client.send(GET);
            sim.advance(Duration::from_secs(5));
            assert_eq!((client.response().body().len(), runs.load(Ordering::SeqCst)), (bytes, 1));
        });
    }
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
