//! What clients see of a site, in a simulation: the container's own code on the mock, whatever the network does.
//! Numbers in names are those of the behaviour that the container promises; see ARCHITECTURE.md.
#![allow(clippy::unwrap_used)]

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use handwound_reactor::{EventLoop, ThreadPool, Threads};
use handwound_testkit::{Choices, Sim, explore, seeds};
use handwound_wsgi::testing::{Server, serve};
use handwound_wsgi::{
    Application, Branch, Call, Chunks, Failure, Rendered, Request, Resource, Response, Site, SiteConfig, WsgiResource,
};

fn hello(call: &Call) -> Result<&'static str, Failure> {
    call.start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok("Hello, world!")
}

/// Answers with the body it got.
fn echo(call: &Call) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    call.body().read_to_end(&mut body)?;
    call.start_response("200 OK", &[])?;
    Ok(body)
}

/// Sends `input` to `application` under 50 seeds and compares all that comes back, dates taken out.
#[track_caller]
fn check(application: fn(&Call) -> Result<Vec<u8>, Failure>, input: &str, expected: &[&str]) {
    explore(seeds(50), |sim| {
        let server = serve(sim, 2, application);
        let client = server.connect(sim);
        client.send(input);
        sim.advance(Duration::from_secs(5));
        let text = client.received_text();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("Date: ")).collect();
        assert_eq!(lines, expected, "in\n{text}");
    });
}

const SERVER: &str = "Server: handwound/0.1";

#[test]
fn spec_18_chunks_under_a_declared_length_are_sent_plain() {
    fn pieces(call: &Call) -> Result<Vec<u8>, Failure> {
        call.start_response("200 OK", &[("Content-Length", "5")])?;
        for piece in ["he", "", "llo"] {
            call.write(piece.as_bytes())?;
        }
        Ok(Vec::new())
    }
    let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    check(pieces, get, &["HTTP/1.1 200 OK", SERVER, "Content-Length: 5", "", "hello"]);
}

#[test]
fn spec_19_framing_follows_version_and_method() {
    fn stream(call: &Call) -> Result<Vec<u8>, Failure> {
        call.start_response("200 OK", &[])?;
        call.write(b"one")?;
        Ok(Vec::new())
    }
    fn nothing(call: &Call) -> Result<Vec<u8>, Failure> {
        call.start_response("204 No Content", &[])?;
        call.write(b"not to be seen")?;
        Ok(Vec::new())
    }
    let chunked = ["HTTP/1.1 200 OK", SERVER, "Transfer-Encoding: chunked", "", "3", "one", "0", ""];
    check(stream, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", &chunked);
    check(stream, "GET / HTTP/1.0\r\n\r\n", &["HTTP/1.1 200 OK", SERVER, "Connection: close", "", "one"]);
    check(nothing, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", &["HTTP/1.1 204 No Content", SERVER, ""]);
    check(echo, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", &["HTTP/1.1 200 OK", SERVER, "Content-Length: 0", ""]);
}

#[test]
fn spec_28_bodies_arrive_whole_also_in_chunks_and_after_a_100() {
    let chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    check(echo, chunked, &["HTTP/1.1 200 OK", SERVER, "Content-Length: 5", "", "abcde"]);

    let sim = Sim::new(Choices::calm());
    let server = serve(&sim, 1, echo);
    let client = server.connect(&sim);
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    sim.advance(Duration::from_secs(1));
    assert_eq!(client.received_text(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("abcde");
    sim.advance(Duration::from_secs(1));
    assert_eq!(client.response().body(), b"abcde");
}

#[test]
fn a_body_past_the_limit_of_memory_goes_to_a_file_and_back() {
    explore(seeds(10), |sim| {
        let mut config = SiteConfig::default();
        config.body_memory_bytes_max = 1000;
        let server = Server::prepare(sim, 1, echo, config);
        server.run(sim);
        let body: Vec<u8> = (0..30_000u32).map(|n| n as u8).collect();
        let client = server.connect(sim);
        client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n");
        client.send(&body);
        sim.advance(Duration::from_secs(5));
        assert!(*client.response().body() == body);
    });
}

#[test]
fn a_body_that_finds_no_room_is_a_507_and_nothing_of_it_is_taken_for_a_request() {
    let sim = Sim::new(Choices::calm());
    let mut config = SiteConfig::default();
    config.body_memory_bytes_max = 4;
    config.body_folder = Some("/no/such/folder".into());
    let server = Server::prepare(&sim, 1, |call: &Call| hello(call), config);
    server.run(&sim);
    let (whole, half) = (server.connect(&sim), server.connect(&sim));
    let post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\n";
    whole.send(format!("{post}Host: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n"));
    half.send(post);
    sim.advance(Duration::from_secs(1));
    let statuses: Vec<_> = whole.responses().iter().map(|response| response.status().as_u16()).collect();
    assert_eq!((statuses, whole.is_closed()), (vec![507, 200], false));
    assert_eq!((half.response().status().as_u16(), half.is_closed()), (507, true));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    explore(seeds(100), |sim| {
        let server = serve(sim, 2, |call: &Call| {
            call.start_response("200 OK", &[])?;
            Ok(call.request().path_info().to_vec())
        });
        let client = server.connect(sim);
        let requests: String = (0..20).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n")).collect();
        client.send(requests);
        sim.advance(Duration::from_secs(10));
        let paths: Vec<_> =
            client.responses().iter().map(|response| String::from_utf8_lossy(response.body()).into_owned()).collect();
        assert_eq!(paths, (0..20).map(|n| format!("/{n}")).collect::<Vec<_>>());
    });
}

/// Makes an application for each request, and knows which of them are still held.
struct Fresh(ThreadPool, Rc<RefCell<Vec<Weak<dyn Application>>>>);

impl Resource for Fresh {
    fn is_leaf(&self) -> bool {
        true
    }

    fn render(&self, _request: &Request) -> Rendered {
        let application: Arc<dyn Application> = Arc::new(echo);
        self.1.borrow_mut().push(Arc::downgrade(&application));
        Rendered::Pooled { pool: self.0.clone(), application }
    }
}

#[test]
fn an_idle_connection_keeps_no_file_of_its_last_request() {
    let sim = Sim::new(Choices::seed(1));
    let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
    let made: Rc<RefCell<Vec<Weak<dyn Application>>>> = Rc::default();
    let mut config = SiteConfig::default();
    config.body_memory_bytes_max = 10;
    let address = "127.0.0.1:80".parse::<std::net::SocketAddr>().unwrap().into();
    let site = Site::with_config(Fresh(event_loop.thread_pool(), made.clone()), config);
    site.listen(&event_loop, &address, &Default::default()).unwrap();
    let running = event_loop.clone();
    sim.spawn("reactor", move || drop(running.run().unwrap()));
    let client = sim.connect(&address);
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\nin the file.");
    sim.advance(Duration::from_secs(5));
    assert!(client.received_text().ends_with("\r\n\r\nin the file.") && !client.is_closed());
    // With the exchange goes all that it held.
    assert_eq!(made.borrow()[0].strong_count(), 0);
}

/// Answers at once; counts how often.
struct Counting(Rc<Cell<usize>>);

impl Resource for Counting {
    fn is_leaf(&self) -> bool {
        true
    }

    fn render(&self, _request: &Request) -> Rendered {
        self.0.set(self.0.get() + 1);
        Rendered::Now(Response::new("200 OK", &[], &[b'x'; 10_000]))
    }
}

#[test]
fn requests_of_a_client_that_reads_no_answers_are_held_back() {
    let sim = Sim::new(Choices::seed(1));
    let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
    let rendered = Rc::new(Cell::new(0));
    let address = "127.0.0.1:80".parse::<std::net::SocketAddr>().unwrap().into();
    Site::new(Counting(rendered.clone())).listen(&event_loop, &address, &Default::default()).unwrap();
    let running = event_loop.clone();
    sim.spawn("reactor", move || drop(running.run().unwrap()));
    let client = sim.connect(&address);
    client.window(0);
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2000));
    sim.advance(Duration::from_secs(40));
    let bound = event_loop.config().output_high_bytes + 2 * sim.network().receive_buffer_bytes;
    assert!(rendered.get() <= 2 + bound / 10_000, "{} answers for a client that reads none", rendered.get());

    client.read_eagerly();
    sim.advance(Duration::from_secs(20));
    assert_eq!((rendered.get(), client.is_closed()), (2000, false));
}

/// How a misbehaving application's response and connection end: status, and whether the next request is served.
#[track_caller]
fn misbehaves(application: fn(&Call) -> Result<Vec<u8>, Failure>, status: u16, kept: bool) {
    explore(seeds(50), |sim| {
        let server = serve(sim, 1, move |call: &Call| match call.request().path_info() {
            b"/next" => hello(call).map(Vec::from),
            _ => application(call),
        });
        let client = server.connect(sim);
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        sim.advance(Duration::from_secs(5));
        client.send("GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
        sim.advance(Duration::from_secs(5));
        let responses = client.responses();
        assert_eq!(responses[0].status(), status);
        assert_eq!((responses.len() == 2, !client.is_closed()), (kept, kept), "{}", client.received_text());
    });
}

#[test]
fn spec_21_a_failure_before_output_is_a_500_and_keeps_the_connection() {
    misbehaves(|_| Err(Failure::new("broken on purpose")), 500, true);
    misbehaves(|_| panic!("broken on purpose"), 500, true);
    misbehaves(
        |call| {
            call.start_response("200 OK", &[])?;
            Err(Failure::new("broken after start_response, before any byte"))
        },
        500,
        true,
    );
}

#[test]
fn spec_16_a_head_that_breaks_a_rule_is_a_500_and_closes() {
    for header in ["a\r\nX-Injected: 1", "a\nb", "a\0b"] {
        let sim = Sim::new(Choices::calm());
        let server = serve(&sim, 1, move |call: &Call| {
            call.start_response("200 OK", &[("X-A", header)])?;
            Ok("never sent")
        });
        let client = server.get(&sim, "/");
        sim.advance(Duration::from_secs(5));
        assert_eq!(client.response().status(), 500);
        assert!(client.is_closed() && !client.received_text().contains("X-Injected"));
    }
    misbehaves(|call| call.start_response("OK 200", &[]).map(|()| Vec::new()).map_err(Failure::from), 500, false);
    misbehaves(
        |call| call.start_response("200 OK", &[("Connection", "close")]).map(|()| Vec::new()).map_err(Failure::from),
        500,
        false,
    );
}

#[test]
fn spec_23_no_start_response_is_a_500() {
    misbehaves(|_| Ok(Vec::new()), 500, true);
    misbehaves(|_| Ok(b"a body without a head".to_vec()), 500, true);
}

/// What came back of a response that does not end as it should, and how the connection ended.
fn cut_short(application: fn(&Call) -> Result<Vec<u8>, Failure>) -> String {
    let sim = Sim::new(Choices::calm());
    let server = serve(&sim, 1, application);
    let client = server.get(&sim, "/");
    sim.advance(Duration::from_secs(5));
    assert!(client.is_closed(), "nothing else tells the client");
    let text = client.received_text();
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn spec_18_a_body_of_the_wrong_length_never_passes_for_a_right_one() {
    let short = cut_short(|call| {
        call.start_response("200 OK", &[("Content-Length", "10")])?;
        Ok(b"four".to_vec())
    });
    assert_eq!(short, "four");
    fn long(call: &Call) -> Result<Vec<u8>, Failure> {
        call.start_response("200 OK", &[("Content-Length", "2")])?;
        Ok(b"four".to_vec())
    }
    check(long, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", &["HTTP/1.1 200 OK", SERVER, "Content-Length: 2", "", "fo"]);
}

#[test]
fn spec_21_a_failure_after_output_leaves_no_last_chunk() {
    let cut = cut_short(|call| {
        call.start_response("200 OK", &[])?;
        call.write(b"part")?;
        Err(Failure::new("broken half way"))
    });
    assert_eq!(cut, "4\r\npart\r\n");
}

#[test]
fn slow_heads_and_silence_end_by_the_clock() {
    let sim = Sim::new(Choices::calm());
    let server = serve(&sim, 1, hello);
    let (slow, silent) = (server.connect(&sim), server.connect(&sim));
    slow.send("GET / HT");
    sim.advance(Duration::from_secs(14));
    assert!(!slow.is_closed());
    sim.advance(Duration::from_secs(1));
    assert_eq!(slow.response().status(), 408);
    assert!(!silent.is_closed());
    sim.advance(Duration::from_secs(15));
    assert_eq!((silent.is_closed(), silent.received_text().as_str()), (true, ""));
}

#[test]
fn a_client_that_takes_nothing_is_cut_and_frees_its_worker() {
    let sim = Sim::new(Choices::seed(4));
    let server = serve(&sim, 1, |call: &Call| {
        call.start_response("200 OK", &[])?;
        Ok(Chunks((0..100_000).map(|_| [b'x'; 1000])))
    });
    let client = server.connect(&sim);
    client.window(0);
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    sim.advance(Duration::from_secs(50));
    assert_eq!(server.pool.counts().busy, 1);
    sim.advance(Duration::from_secs(20));
    assert_eq!((server.pool.counts().busy, server.event_loop.connections()), (0, 0));
}

#[test]
fn accepting_goes_on_after_the_system_ran_out_of_descriptors() {
    let sim = Sim::new(Choices::calm());
    let server = serve(&sim, 1, hello);
    sim.accept_fails_once(std::io::Error::from_raw_os_error(24));
    sim.accept_fails_once(ErrorKind::ConnectionAborted);
    let client = server.get(&sim, "/");
    sim.settle_now();
    assert_eq!(client.received_text(), "", "the pause has begun");
    sim.advance(Duration::from_secs(1));
    assert_eq!(client.response().body(), b"Hello, world!");
}

#[test]
fn a_stop_leaves_no_timer_of_a_listener_that_rests() {
    let sim = Sim::new(Choices::calm());
    let server = serve(&sim, 1, hello);
    sim.accept_fails_once(std::io::Error::from_raw_os_error(24));
    let _client = server.connect(&sim);
    sim.settle_now();
    assert_eq!(server.event_loop.pending_timers(), 1, "the pause has begun");
    server.event_loop.call_from_thread(|event_loop| event_loop.stop().unwrap()).unwrap();
    sim.settle_now();
    assert_eq!(server.event_loop.pending_timers(), 0, "and ended with its listener");
}

#[test]
fn a_stop_lets_a_response_end_and_says_close() {
    let sim = Sim::new(Choices::calm());
    let threads = sim.threads();
    let server = serve(&sim, 1, move |call: &Call| {
        threads.sleep(Duration::from_secs(2));
        hello(call)
    });
    let (busy, idle) = (server.get(&sim, "/"), server.connect(&sim));
    sim.advance(Duration::from_secs(1));
    server.event_loop.call_from_thread(|reactor| reactor.stop_within(Duration::from_secs(10)).unwrap()).unwrap();
    sim.advance(Duration::from_millis(500));
    assert!(idle.is_closed() && !busy.is_closed());
    sim.advance(Duration::from_secs(1));
    assert_eq!(busy.response().headers()["connection"], "close");
    assert!(busy.is_closed());
    // The loop waits for the client to close its side too, but not for long.
    sim.advance(Duration::from_secs(2));
    assert!(!server.event_loop.is_running());
    sim.assert_clean();
}

/// Shows where the walk ended.
struct Shown;

impl Resource for Shown {
    fn is_leaf(&self) -> bool {
        true
    }

    fn render(&self, request: &Request) -> Rendered {
        let (script, path) = (request.script_name().escape_ascii(), request.path_info().escape_ascii());
        Rendered::Now(Response::text("200 OK", &format!("{script}|{path}")))
    }
}

/// PEP 3333, environ Variables.
#[test]
fn spec_1_to_4_the_path_is_split_where_the_walk_ends() {
    use handwound_reactor::{Address, EventLoop, ListenOptions};
    let ask = |at_root: bool, method: &str, path: &str| {
        let sim = Sim::new(Choices::calm());
        let reactor = EventLoop::new(sim.reactor("server"), sim.threads());
        let at = Address::from(std::net::SocketAddr::from(([127, 0, 0, 1], 80)));
        let root = Branch::new();
        root.put_child("foo", Shown);
        let a = Branch::new();
        a.put_child("", Shown);
        a.put_child("b c", Shown);
        root.put_child("a", a);
        let site = if at_root { handwound_wsgi::Site::new(Shown) } else { handwound_wsgi::Site::new(root) };
        site.listen(&reactor, &at, &ListenOptions::default()).unwrap();
        sim.spawn("reactor", move || drop(reactor.run()));
        let client = sim.connect(&at);
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        sim.advance(Duration::from_secs(1));
        client.received_text().split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    let walk = |at_root, path| ask(at_root, "GET", path);
    assert_eq!(walk(false, "/foo"), "/foo|");
    assert_eq!(walk(false, "/foo/"), "/foo|/");
    assert_eq!(walk(false, "/foo//x"), "/foo|//x");
    assert_eq!(walk(true, "/"), "|/");
    assert_eq!(walk(true, "//"), "|//");
    assert_eq!(walk(true, "/%ff?q"), "|/\\xff");
    assert_eq!(walk(false, "/a/"), "/a/|");
    assert_eq!(walk(false, "/a/b%20c/d%2Fe"), "/a/b c|/d/e");
    assert_eq!(walk(false, "/foo%2Fbar"), "No such resource.\n");
    // `*` is no place, so SCRIPT_NAME, which names one, is empty.
    assert_eq!(ask(true, "OPTIONS", "*"), "|*");
    assert_eq!(ask(false, "OPTIONS", "*"), "No such resource.\n");
}

/// A pool of one's own serves beside the loop's.
#[test]
fn two_pools_in_one_tree() {
    use handwound_reactor::{Address, EventLoop, ListenOptions, ThreadPool};
    let sim = Sim::new(Choices::calm());
    let reactor = EventLoop::new(sim.reactor("server"), sim.threads());
    let own = ThreadPool::new(sim.threads(), 1..=1);
    own.start().unwrap();
    let root = Branch::new();
    root.put_child("own", WsgiResource::new(&reactor, own.clone(), hello));
    root.put_child("loop", WsgiResource::new(&reactor, reactor.thread_pool(), hello));
    let at = Address::from(std::net::SocketAddr::from(([127, 0, 0, 1], 80)));
    handwound_wsgi::Site::new(root).listen(&reactor, &at, &ListenOptions::default()).unwrap();
    let loops_pool = reactor.thread_pool();
    sim.spawn("reactor", move || drop(reactor.run()));
    let client = sim.connect(&at);
    client.send("GET /own HTTP/1.1\r\nHost: x\r\n\r\nGET /loop HTTP/1.1\r\nHost: x\r\n\r\n");
    sim.advance(Duration::from_secs(1));
    assert_eq!(client.received_text().matches("Hello, world!").count(), 2);
    assert_eq!((own.counts().threads, loops_pool.counts().threads), (1, 5));
}
