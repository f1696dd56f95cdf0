//! What a call asks for on the way to whoever answers it: header fields, and to be told of a client that leaves.
#![allow(clippy::unwrap_used)]

mod in_hand;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handwound_reactor::ThreadPool;
use handwound_testkit::{All, Choices, Sim, explore_all};
use handwound_wsgi::{Application, Call, OpenCall, SiteConfig, application};

const GET: &str = "GET /a/b%20c/d HTTP/1.1\r\nHost: x\r\n\r\n";

/// An application whose clients are to be told of when they leave, and how often that was.
fn watches() -> (impl Application, Arc<AtomicUsize>, Arc<Mutex<Option<OpenCall>>>) {
    let (told, slot) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
    let (counted, kept) = (told.clone(), slot.clone());
    let watches = application(move |call: &Call| {
        let told = counted.clone();
        let tell = move || {
            told.fetch_add(1, Ordering::SeqCst);
        };
        call.on_disconnect(Box::new(tell));
        *kept.lock().unwrap() = Some(call.keep_open());
        Ok(())
    });
    (watches, told, slot)
}

/// The end may come before the request is asked about, or after, in every order.
#[test]
fn a_client_that_ends_its_side_has_left_for_whoever_asks() {
    explore_all(All::default(), |sim| {
        let (watches, told, slot) = watches();
        let (server, client) = in_hand::just_read(sim, watches, SiteConfig::default(), GET);
        client.finish();
        sim.advance(Duration::from_secs(1));
        assert_eq!((told.load(Ordering::SeqCst), server.event_loop.connections()), (1, 0));
        slot.lock().unwrap().take().unwrap().finish();
    });
}

#[test]
fn a_client_that_ends_its_side_is_served_where_nobody_asks() {
    let sim = Sim::new(Choices::calm());
    let slot = Arc::new(Mutex::new(None));
    let kept = slot.clone();
    let opens = application(move |call: &Call| {
        call.start_response("200 OK", &[])?;
        call.write(b"begun")?;
        *kept.lock().unwrap() = Some(call.keep_open());
        Ok(())
    });
    let server = handwound_wsgi::testing::serve(&sim, 1, opens);
    let client = server.connect(&sim);
    client.send(GET);
    client.finish();
    sim.settle();
    let open: OpenCall = slot.lock().unwrap().take().unwrap();
    open.finish();
    sim.settle();
    assert_eq!(client.text(), "begun");
}

/// Fields that were settled before the call was handed over.
#[test]
fn fields_go_out_with_whatever_answers() {
    let sim = Sim::new(Choices::calm());
    let pool = ThreadPool::new(sim.threads(), 1..=1);
    pool.start().unwrap();
    let dressed = application(|call: &Call| {
        call.start_response("200 OK", &[("x-own", "1"), ("Set-Cookie", "a=1"), ("Content-Type", "text/plain")])?;
        Ok("x")
    });
    let (dressed, other) = (Arc::new(dressed) as Arc<dyn Application>, pool.clone());
    let adds = move |call: &Call| {
        let field = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        call.add_fields(vec![field("X-Own", "2"), field("X-Way", "3"), field("Set-Cookie", "b=2")]);
        call.add_fields(vec![field("content-type", "text/html"), field("X-Way", "4")]);
        call.hand_over(&other, dressed.clone());
        Ok(())
    };
    let server = handwound_wsgi::testing::serve(&sim, 1, application(adds));
    let client = server.connect(&sim);
    client.send(GET);
    sim.settle();
    let text = client.received_text();
    let fields = text.split("\r\nDate: ").next().unwrap().split("\r\n").skip(1).collect::<Vec<_>>();
    let own = ["x-own: 1", "Set-Cookie: a=1", "Content-Type: text/plain"];
    assert_eq!(fields, [&own[..], &["X-Way: 3", "Set-Cookie: b=2", "X-Way: 4"]].concat(), "{text}");
    pool.begin_stop(|| {});
    sim.settle();
}

/// An open call may go to another application, which may go on as it likes.
#[test]
fn an_open_call_can_be_handed_over() {
    let sim = Sim::new(Choices::calm());
    let slot = Arc::new(Mutex::new(None));
    let kept = slot.clone();
    let opens = application(move |call: &Call| {
        *kept.lock().unwrap() = Some(call.keep_open());
        Ok(())
    });
    let server = handwound_wsgi::testing::serve(&sim, 1, opens);
    let client = server.connect(&sim);
    client.send(GET);
    sim.settle();
    let place: Arc<dyn Application> = Arc::new(application(|call: &Call| {
        if !call.is_started() {
            call.start_response("200 OK", &[])?;
            call.write(call.request().path_info())?;
            call.go_on_with_room(Arc::new(application(|call: &Call| Ok(call.write(b" and more")?))));
        }
        Ok(())
    }));
    let open: OpenCall = slot.lock().unwrap().take().unwrap();
    let below = open.below(1);
    below.hand_over(&server.pool, place);
    open.finish();
    sim.settle();
    assert_eq!(client.text(), "/b c/d and more");
    sim.assert_clean();
}
