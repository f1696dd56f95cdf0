//! Whole servers in a simulation, and clients that speak HTTP (feature `testing`).
//!
//! ```
//! use handwound_wsgi::testing::prelude::*;
//!
//! explore(seeds(20), |sim| {
//!     let server = sim.serve(threads(2), |req| ok(req.path()));
//!     let (a, b) = (server.get(sim, "/a"), server.get(sim, "/b"));
//!     sim.settle();
//!     assert_eq!((a.text(), b.text()), ("/a".to_owned(), "/b".to_owned()));
//!     sim.assert_clean();
//! });
//! ```

mod content;
pub mod prelude;
mod serving;
#[cfg(feature = "proptest")]
pub mod strategies;
#[cfg(feature = "tls")]
pub mod tls;

use std::net::SocketAddr;
use std::ops::Deref;

use handwound_reactor::{Address, EventLoop, ListenOptions, ThreadPool};
use handwound_testkit::{Break, Client, Destination, Pace, Sim, Way};

pub use content::Content;
pub use serving::{Reply, Serve, Workers, ok, threads};

use crate::{Application, Site, SiteConfig, WsgiResource};

/// A server in a simulation.
pub struct Server {
    /// Its loop. Once it runs as a thread of the simulation, speak to it through
    /// [`call_from_thread`](EventLoop::call_from_thread).
    pub event_loop: EventLoop,
    /// The pool its application runs on, started.
    pub pool: ThreadPool,
    /// Where it listens.
    pub address: Address,
}

/// Serves `application` at the root of a server in `sim`, on the loop's own pool of this many workers. The loop runs as
/// the thread `reactor`. It is [watched](Server::watch). For closures [`Serve::serve`] is shorter.
///
/// # Panics
/// If the simulation has no threads left to give.
#[track_caller]
pub fn serve(sim: &Sim, workers: usize, application: impl Application) -> Server {
    let server = Server::prepare(sim, workers, application, SiteConfig::default());
    server.run(sim);
    server.watch(sim);
    server
}

impl Server {
    /// As [`serve`], but the loop does not run yet: the test takes its turns, or calls [`run`](Server::run).
    ///
    /// # Panics
    /// If the simulation has no threads left to give.
    #[track_caller]
    pub fn prepare(sim: &Sim, workers: usize, application: impl Application, config: SiteConfig) -> Server {
        let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
        event_loop.suggest_thread_pool(workers..=workers);
        let pool = event_loop.thread_pool();
        pool.start().expect("a simulation refuses a thread only where a test has asked for that");
        let resource = WsgiResource::new(&event_loop, pool.clone(), application);
        let address = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 80)));
        Site::with_config(resource, config)
            .listen(&event_loop, &address, &ListenOptions::default())
            .expect("port 80 of this simulated host is free");
        Server { event_loop, pool, address }
    }

    /// Runs the loop as the thread `reactor` of the simulation, until it is stopped.
    #[track_caller]
    pub fn run(&self, sim: &Sim) {
        let event_loop = self.event_loop.clone();
        sim.spawn("reactor", move || {
            event_loop.run().expect("a simulated reactor does not break");
        });
    }

    /// Has [`Sim::assert_clean`] stop this server before it looks, unless the test has: listener, loop and workers may
    /// stay until then, and must be gone afterwards; connections, timers and jobs must be gone before. Keeps the loop and
    /// the pool until `sim` is dropped, so that what is left in them is seen.
    pub fn watch(&self, sim: &Sim) {
        let kept = (self.event_loop.clone(), self.pool.clone());
        sim.watch("connections", move || {
            let (event_loop, _pool) = &kept;
            match event_loop.connections() {
                0 => Vec::new(),
                open => vec![format!("{open} open")],
            }
        });
        let event_loop = self.event_loop.clone();
        sim.at_end(move || {
            // Refused where it has been stopped already.
            let _ = event_loop.call_from_thread(|event_loop| {
                let _ = event_loop.stop();
            });
        });
    }

    /// A client that has sent nothing yet.
    #[track_caller]
    pub fn connect(&self, sim: &Sim) -> HttpClient {
        sim.connect(self)
    }

    /// A client that has asked for `path`.
    #[track_caller]
    pub fn get(&self, sim: &Sim, path: &str) -> HttpClient {
        let client = self.connect(sim);
        client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        client
    }
}

/// `sim.connect(&server)` makes an [`HttpClient`].
impl Destination for Server {
    type Client = HttpClient;

    fn client(&self, sim: &Sim) -> HttpClient {
        HttpClient { client: sim.connect(&self.address) }
    }
}

/// A scripted client that understands responses. All that a [`Client`] can do, it can. Copies are the same client.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client,
}

impl Deref for HttpClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl HttpClient {
    /// As [`Client::write_in`].
    pub fn write_in(&self, bytes: usize) -> Pace<HttpClient> {
        self.client.write_in(bytes).returning(self.clone())
    }

    /// As [`Client::read_in`].
    pub fn read_in(&self, bytes: usize) -> Pace<HttpClient> {
        self.client.read_in(bytes).returning(self.clone())
    }

    /// As [`Client::reset_at`].
    #[track_caller]
    pub fn reset_at(&self, byte: impl TryInto<u64>) -> HttpClient {
        self.break_at(Way::ToServer, byte, Break::Reset)
    }

    /// As [`Client::cut_at`].
    #[track_caller]
    pub fn cut_at(&self, byte: impl TryInto<u64>) -> HttpClient {
        self.break_at(Way::ToServer, byte, Break::Cut)
    }

    /// As [`Client::break_at`].
    #[track_caller]
    pub fn break_at(&self, way: Way, byte: impl TryInto<u64>, how: Break) -> HttpClient {
        self.client.break_at(way, byte, how);
        self.clone()
    }

    /// The final responses that have come whole; what has not is left out, as after a broken connection.
    ///
    /// # Panics
    /// If what came breaks the rules of HTTP otherwise.
    #[track_caller]
    pub fn whole_responses(&self) -> Vec<http::Response<Content>> {
        let received = self.received();
        let mut rest = received.as_slice();
        let mut responses = Vec::new();
        while !rest.is_empty() {
            // One whose length only the end tells is whole if it ends as it should.
            let ended = self.closing() == handwound_testkit::Parting::Finished;
            match parse(rest, ended) {
                Ok((response, after)) => {
                    if !response.status().is_informational() {
                        responses.push(response);
                    }
                    rest = after;
                }
                Err(problem) if problem.starts_with("an unfinished") || problem.starts_with("a body of unknown") => {
                    break;
                }
                Err(problem) if problem.starts_with("a chunk without") => break,
                Err(problem) => self.complain(&problem),
            }
        }
        responses
    }

    /// The only response so far, which is complete.
    ///
    /// # Panics
    /// If there is none or more than one, or what came breaks the rules of HTTP; the message shows all that came, whether
    /// the world could go on, and who waits for what.
    #[track_caller]
    pub fn response(&self) -> http::Response<Content> {
        let mut responses = self.responses();
        match responses.len() {
            1 => responses.remove(0),
            0 => self.complain("no response"),
            more => {
                self.complain(&format!("{more} responses where `response()` expects one (`responses()` gives all)"))
            }
        }
    }

    /// Fails, with all that came and why no more may have come.
    #[track_caller]
    fn complain(&self, problem: &str) -> ! {
        let received = match self.received_text() {
            text if text.is_empty() => "nothing".to_owned(),
            text => format!("\n{text}\n"),
        };
        panic!("{problem} in what came: {received}\n{}", self.diagnosis());
    }

    /// The body of the only [`response`](HttpClient::response), as text; what is not UTF-8 becomes U+FFFD.
    ///
    /// # Panics
    /// As [`response`](HttpClient::response).
    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.response().body()).into_owned()
    }

    /// All final responses so far, each complete. Those to HEAD requests are not understood: their length says nothing.
    ///
    /// # Panics
    /// If what came breaks the rules of HTTP, or a response is not complete; the message is that of
    /// [`response`](HttpClient::response).
    #[track_caller]
    pub fn responses(&self) -> Vec<http::Response<Content>> {
        let received = self.received();
        let mut rest = received.as_slice();
        let mut responses = Vec::new();
        while !rest.is_empty() {
            match parse(rest, self.is_closed()) {
                Ok((response, after)) => {
                    if !response.status().is_informational() {
                        responses.push(response);
                    }
                    rest = after;
                }
                Err(problem) => self.complain(&problem),
            }
        }
        responses
    }
}

type Parsed<'a> = (http::Response<Content>, &'a [u8]);

fn parse(bytes: &[u8], closed: bool) -> Result<Parsed<'_>, String> {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(|error| error.to_string())? else {
        return Err("an unfinished head".to_owned());
    };
    let mut response = http::Response::builder().status(head.code.unwrap_or_default());
    for field in head.headers.iter() {
        response = response.header(field.name, field.value);
    }
    let field = |name: &str| head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
    let rest = &bytes[length..];
    let bodiless = matches!(head.code, Some(100..=199 | 204 | 304));
    let (body, after) = if bodiless {
        (Vec::new(), rest)
    } else if field("Transfer-Encoding").is_some() {
        chunks(rest)?
    } else if let Some(field) = field("Content-Length") {
        let length = std::str::from_utf8(field.value).ok().and_then(|text| text.parse::<usize>().ok());
        let length = length.ok_or("a broken Content-Length")?;
        let body = rest.get(..length).ok_or("an unfinished body")?;
        (body.to_vec(), &rest[length..])
    } else if closed {
        (rest.to_vec(), &rest[rest.len()..])
    } else {
        return Err("a body of unknown length that has not ended".to_owned());
    };
    Ok((response.body(Content(body)).map_err(|error| error.to_string())?, after))
}

fn chunks(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), String> {
    let mut body = Vec::new();
    loop {
        let end = memchr::memmem::find(rest, b"\r\n").ok_or("an unfinished chunk")?;
        let size = std::str::from_utf8(&rest[..end]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let size = size.ok_or("a broken chunk size")?;
        let chunk = rest.get(end + 2..end + 2 + size).ok_or("an unfinished chunk")?;
        body.extend_from_slice(chunk);
        rest = rest[end + 2 + size..].strip_prefix(b"\r\n").ok_or("a chunk without its end")?;
        if size == 0 {
            return Ok((body, rest));
        }
    }
}
