//! A site where something around the request is not as it should be: the pool, the configuration, the application.
#![allow(clippy::unwrap_used)]

use std::rc::Rc;
use std::time::Duration;

use handwound_reactor::{Address, EventLoop, ListenOptions, ThreadPool, Threads};
use handwound_testkit::{Choices, Parting, Sim};
use handwound_wsgi::testing::{Server, serve};
use handwound_wsgi::{Branch, Call, Failure, Rendered, Request, Resource, Response, Site, SiteConfig, WsgiResource};

const SECOND: Duration = Duration::from_secs(1);

fn hello(call: &Call) -> Result<&'static str, Failure> {
    call.start_response("200 OK", &[])?;
    Ok("hello")
}

/// Answers from the reactor's thread.
struct Fixed;

impl Resource for Fixed {
    fn render(&self, _request: &Request) -> Rendered {
        Rendered::Now(Response::text("200 OK", "fixed"))
    }
}

/// Has a child for a request of which it is told the whole path.
struct Guard;

impl Resource for Guard {
    fn get_child(&self, segment: &[u8], request: &Request) -> Option<Rc<dyn Resource>> {
        let is_ours = request.prepath() == [b"guard", segment];
        let is_whole = [request.script_name(), request.path_info()].concat() == request.raw_uri();
        (is_ours && is_whole).then(|| Rc::new(Fixed) as Rc<dyn Resource>)
    }

    fn render(&self, _request: &Request) -> Rendered {
        Rendered::Now(Response::text("403 Forbidden", "no"))
    }
}

/// Statuses and bodies of these requests to a tree with a fixed resource, and an application on `pool`.
fn answers(paths: &[&str], stopped: bool) -> Vec<(u16, String)> {
    let sim = Sim::new(Choices::calm());
    let reactor = EventLoop::new(sim.reactor("server"), sim.threads());
    let pool = ThreadPool::new(sim.threads(), 1..=1);
    pool.start().unwrap();
    if stopped {
        pool.stop(SECOND).unwrap();
    }
    let root = Branch::new();
    root.put_child("fixed", Fixed);
    root.put_child("guard", Guard);
    root.put_child("app", WsgiResource::new(&reactor, pool, hello));
    let at = Address::from(std::net::SocketAddr::from(([127, 0, 0, 1], 80)));
    Site::new(root).listen(&reactor, &at, &ListenOptions::default()).unwrap();
    sim.spawn("reactor", move || drop(reactor.run()));
    let client = sim.connect(&at);
    let mut answers = Vec::new();
    for path in paths {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        sim.advance(SECOND);
        let answer = String::from_utf8(client.take_received()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        answers.push((head[9..12].parse().unwrap(), body.to_owned()));
    }
    answers
}

#[test]
fn applications_and_fixed_answers_take_turns_on_one_connection() {
    let (app, fixed) = ((200, "hello".to_owned()), (200, "fixed".to_owned()));
    let found = answers(&["/app", "/fixed", "/app", "/fixed", "/fixed"], false);
    assert_eq!(found, [app.clone(), fixed.clone(), app, fixed.clone(), fixed]);
}

/// A resource on the way saw the path of the connection's last request, or none.
#[test]
fn who_is_asked_on_the_way_sees_the_path_of_this_request() {
    let found = answers(&["/guard/x", "/app/a/long/way", "/guard/y", "/app", "/guard/z"], false);
    assert_eq!(found.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 200, 200, 200, 200]);
}

/// Also where the last request has only lent its head to the exchange that is kept for the next.
#[test]
fn an_idle_connection_keeps_no_large_head_of_a_request_for_a_fixed_answer() {
    let sim = Sim::new(Choices::calm());
    let reactor = EventLoop::new(sim.reactor("server"), sim.threads());
    let pool = ThreadPool::new(sim.threads(), 1..=1);
    pool.start().unwrap();
    let root = Branch::new();
    root.put_child("fixed", Fixed);
    root.put_child("app", WsgiResource::new(&reactor, pool, hello));
    let at = Address::from(std::net::SocketAddr::from(([127, 0, 0, 1], 80)));
    Site::new(root).listen(&reactor, &at, &ListenOptions::default()).unwrap();
    let server = reactor.clone();
    sim.spawn("reactor", move || drop(server.run()));
    let client = sim.connect(&at);
    for (path, long) in [("app", ""), ("fixed", &*"x".repeat(30_000))] {
        client.send(format!("GET /{path} HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n"));
        sim.advance(SECOND);
    }
    assert!(client.received_text().ends_with("\r\n\r\nfixed"), "{}", client.received_text());
    let kept = reactor.memory().bytes();
    assert!(kept < 20_000, "{kept} bytes are kept");
}

#[test]
fn a_pool_that_has_stopped_is_a_503_and_keeps_the_connection() {
    let overloaded = (503, "The server is overloaded.\n".to_owned());
    assert_eq!(answers(&["/app", "/fixed"], true), [overloaded, (200, "fixed".to_owned())]);
}

#[test]
#[should_panic(expected = "this configuration cannot be served: head_bytes_max 1 is outside")]
fn a_configuration_that_contradicts_itself_is_no_site() {
    let mut config = SiteConfig::default();
    config.http.head_bytes_max = 1;
    let _ = Site::with_config(Branch::new(), config);
}

/// RFC 9112 section 8: where only the end of the connection ends a body, a failure must not look like it.
#[test]
fn a_failure_that_an_orderly_end_would_hide_is_a_reset() {
    let sim = Sim::new(Choices::calm());
    let server = serve(&sim, 1, |call: &Call| -> Result<(), Failure> {
        call.start_response("200 OK", &[])?;
        call.write(b"part")?;
        Err(Failure::new("broken half way"))
    });
    let client = server.connect(&sim);
    client.send("GET / HTTP/1.0\r\n\r\n");
    sim.advance(SECOND);
    assert_eq!(client.closing(), Parting::Reset);
}

/// A slow stream, each piece of which the client took all of before the next came. That it was little, and that a piece
/// was under way when the send timeout was over since the first, got it cut.
#[test]
fn who_takes_all_there_is_is_not_cut_because_that_is_little() {
    let sim = Sim::new(Choices::calm());
    let mut network = sim.network();
    network.receive_buffer_bytes = 100;
    sim.set_network(network);
    let threads = sim.threads();
    let server = serve(&sim, 1, move |call: &Call| -> Result<(), Failure> {
        call.start_response("200 OK", &[])?;
        for _ in 0..40 {
            call.write(&[b'x'; 600])?;
            threads.sleep(Duration::from_millis(3500));
        }
        Ok(())
    });
    let client = server.connect(&sim).read_in(100).every(Duration::from_millis(100));
    client.window(100);
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    sim.advance(200 * SECOND);
    assert_eq!(client.received_text().matches('x').count(), 40 * 600);
}

/// How much of a response a client has within 20 seconds that takes it at once, or nothing of it; and whether it is cut.
fn taken(send_timeout: Duration, send_bytes_per_second_min: u64, at_once: bool) -> (usize, bool) {
    let mut config = SiteConfig::default();
    (config.send_timeout, config.send_bytes_per_second_min) = (send_timeout, send_bytes_per_second_min);
    let sim = Sim::new(Choices::calm());
    let application = |call: &Call| -> Result<(), Failure> {
        call.start_response("200 OK", &[])?;
        Ok(call.write(&[b'x'; 5_000])?)
    };
    let server = Server::prepare(&sim, 1, application, config);
    server.run(&sim);
    let client = server.connect(&sim);
    if !at_once {
        client.window(1_000);
    }
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    sim.advance(20 * SECOND);
    (client.received_text().matches('x').count(), server.event_loop.connections() == 0)
}

/// It was late before it had been offered anything. And the product of the two was more than any number.
#[test]
fn who_takes_all_at_once_is_served_whatever_the_send_timeout() {
    for (timeout, rate) in [(Duration::ZERO, 240), (Duration::ZERO, 0), (Duration::MAX, 240), (Duration::MAX, u64::MAX)]
    {
        assert_eq!(taken(timeout, rate, true), (5_000, false), "{timeout:?} {rate}");
    }
    assert_eq!(taken(Duration::ZERO, 240, false), (0, true));
    assert_eq!(taken(Duration::MAX, 240, false), (0, false));
}
