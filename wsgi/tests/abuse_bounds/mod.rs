//! A small server under attack, an honest client beside the attackers, and what may be kept for them all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use handwound_reactor::{Address, EventLoop, ListenOptions, LoopConfig, ThreadPool};
use handwound_wsgi::testing::prelude::*;
use handwound_wsgi::{Call, Failure, Rendered, Request, Resource, Response, Site, SiteConfig, WsgiResource};

/// An honest request takes this long at most, whatever others do. The network alone may take some of it.
pub const HONEST_MAX: Duration = Duration::from_secs(5);
pub const WORKERS: usize = 3;

pub fn site_config() -> SiteConfig {
    let mut config = SiteConfig::default();
    config.http.head_bytes_max = 4_000;
    config.http.header_count_max = 50;
    config.http.pipelined_bytes_max = 4_000;
    config.body_memory_bytes_max = 6_000;
    config.response_bytes_max = 8_000;
    config
}

fn loop_config() -> LoopConfig {
    let mut config = LoopConfig::default();
    config.read_chunk_bytes = 2_000;
    config.read_per_turn_bytes_max = 8_000;
    (config.output_high_bytes, config.output_low_bytes) = (10_000, 2_000);
    config
}

/// A server whose bounds are small, and watched.
pub struct Watched {
    pub server: Server,
    /// How often the application was called for each of `/honest`, `/body`, and anything else.
    pub calls: Arc<[AtomicUsize; 3]>,
    site: SiteConfig,
    /// How many clients there have been, the honest ones included.
    clients: AtomicUsize,
    /// The most that was seen of each purpose, for the test to see that it was an attack.
    pub most: std::cell::RefCell<std::collections::BTreeMap<&'static str, usize>>,
}

impl Watched {
    /// Answers `/large/N` with N bytes in one write, `/fixed` without the application, and anything else with its path.
    pub fn new(sim: &Sim) -> Watched {
        Watched::with_config(sim, site_config())
    }

    pub fn with_config(sim: &Sim, site: SiteConfig) -> Watched {
        // What a network does is drawn; that a line is so slow that no answer could come in time is not of interest.
        let mut network = sim.network();
        (network.bytes_per_second, network.receive_buffer_bytes) = (None, 4_000);
        sim.set_network(network);
        let event_loop = EventLoop::with_config(sim.reactor("server"), sim.threads(), loop_config());
        event_loop.suggest_thread_pool(WORKERS..=WORKERS);
        let pool: ThreadPool = event_loop.thread_pool();
        let calls = Arc::new([const { AtomicUsize::new(0) }; 3]);
        let resource = Root(WsgiResource::new(&event_loop, pool.clone(), application(Arc::clone(&calls))));
        let address = Address::Tcp(([127, 0, 0, 1], 80).into());
        Site::with_config(resource, site.clone()).listen(&event_loop, &address, &ListenOptions::default()).unwrap();
        let server = Server { event_loop, pool, address };
        server.run(sim);
        server.watch(sim);
        let clients = AtomicUsize::new(0);
        Watched { server, calls, site, clients, most: Default::default() }
    }

    pub fn connect(&self, sim: &Sim) -> HttpClient {
        self.clients.fetch_add(1, Relaxed);
        self.server.connect(sim)
    }

    /// Connects many, each of which is then told by `attack` what to do.
    pub fn attack(&self, sim: &Sim, count: usize, attack: impl Fn(&HttpClient)) -> Vec<HttpClient> {
        (0..count).map(|_| self.connect(sim)).inspect(attack).collect()
    }

    /// Lets time pass, and looks after each step of the world whether all is within its bounds.
    pub fn pass(&self, sim: &Sim, time: Duration) {
        self.pass_until(sim, time, || false);
    }

    fn pass_until(&self, sim: &Sim, time: Duration, done: impl Fn() -> bool) {
        let end = sim.now() + time;
        while sim.now() < end && !done() && sim.step() {
            self.check();
        }
    }

    /// What one connection may keep of each kind, in allocated bytes. Buffers grow by doubling: each is twice what it may
    /// hold.
    pub fn bounds(&self) -> [(&'static str, usize); 5] {
        let (site, http) = (&self.site, &self.site.http);
        let of_loop = self.server.event_loop.config();
        let response_head = 1_000;
        // More than a head, or what is sent ahead, and one read beyond; used bytes are as many before they are dropped.
        let input = 2 * 2 * (http.head_bytes_max.max(http.pipelined_bytes_max) + of_loop.read_chunk_bytes);
        // This request's, and the last one's memory for the next.
        let heads = 2 * 2 * (http.head_bytes_max + of_loop.read_chunk_bytes + http.header_count_max * 64);
        // What is to go to a file waits for a piece worth writing.
        let body = 2 * site.body_memory_bytes_max.max(2 * (64 << 10));
        // In the exchange, taken from it, and framed.
        let response = 2 * 3 * (site.response_bytes_max + response_head);
        // Below its mark it takes one helping more; what is written is dropped at the mark.
        let output = 2 * (2 * of_loop.output_high_bytes + site.response_bytes_max + response_head);
        [("input", input), ("heads", heads), ("body", body), ("response", response), ("output", output)]
    }

    fn check(&self) {
        let Server { event_loop, pool, .. } = &self.server;
        let memory = event_loop.memory();
        let bounds = self.bounds();
        for (purpose, kept) in memory.purposes() {
            let bound = bounds.iter().find(|(name, _)| *name == purpose).expect("each purpose has a bound").1;
            let largest = kept.largest_bytes;
            assert!(largest <= bound, "{largest} bytes of {purpose} on one connection, where {bound} may be");
            let most = &mut *self.most.borrow_mut();
            let before = most.entry(purpose).or_default();
            *before = largest.max(*before);
        }
        // One entry for each connection, whatever its application writes; one request for each that was not answered.
        let clients = self.clients.load(Relaxed);
        assert!(event_loop.remote().len() <= clients, "{} mailbox entries of {clients}", event_loop.remote().len());
        assert!(pool.counts().queued <= clients, "{} requests wait of {clients} clients", pool.counts().queued);
    }

    /// An honest request is answered in time.
    #[track_caller]
    pub fn serves(&self, sim: &Sim, time_max: Duration) {
        let client = self.connect(sim);
        client.send("GET /honest HTTP/1.1\r\nHost: x\r\n\r\n");
        self.pass_until(sim, time_max, || client.received_text().ends_with("/honest"));
        assert_eq!(client.text(), "/honest");
        client.close();
    }

    /// The attack is over: nothing of it is left.
    pub fn ends_clean(&self, sim: &Sim, attackers: &[HttpClient]) {
        attackers.iter().for_each(|attacker| attacker.reset());
        self.pass(sim, Duration::from_secs(3_600));
        assert_eq!((self.server.event_loop.memory().bytes(), self.server.event_loop.connections()), (0, 0));
        sim.assert_clean();
    }
}

/// The application, beside a resource that answers from the reactor's thread.
struct Root(WsgiResource);

impl Resource for Root {
    fn is_leaf(&self) -> bool {
        true
    }

    fn render(&self, request: &Request) -> Rendered {
        match request.path().as_str() {
            "/fixed" => Rendered::Now(Response::text("200 OK", &"f".repeat(500))),
            _ => self.0.render(request),
        }
    }
}

fn application(calls: Arc<[AtomicUsize; 3]>) -> impl Fn(&Call) -> Result<(), Failure> {
    move |call| {
        let path = call.path();
        let which = ["/honest", "/body"].iter().position(|known| path == *known).unwrap_or(2);
        calls[which].fetch_add(1, Relaxed);
        call.start_response("200 OK", &[])?;
        match path.strip_prefix("/large/") {
            Some(bytes) => call.send_whole(&vec![b'x'; bytes.parse().unwrap()])?,
            None => call.send_whole(path.as_bytes())?,
        }
        Ok(())
    }
}
