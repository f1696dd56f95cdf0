//! A simulated server for the tests of this crate.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::net::SocketAddr;

use handwound_reactor::{Address, EventLoop, ListenOptions, ThreadPool};
use handwound_testkit::{Client, Sim};
use handwound_wsgi::{Application, Site, SiteConfig, WsgiResource};

/// A server that has not been started: the test decides what runs and when.
pub struct Server {
    pub event_loop: EventLoop,
    pub pool: ThreadPool,
    pub address: Address,
}

pub const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

impl Server {
    /// `application` at the root, on a started pool of its own of this many workers.
    pub fn new(sim: &Sim, workers: usize, application: impl Application) -> Server {
        Server::with_config(sim, workers, application, SiteConfig::default())
    }

    pub fn with_config(sim: &Sim, workers: usize, application: impl Application, config: SiteConfig) -> Server {
        let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
        let pool = ThreadPool::new(sim.threads(), workers..=workers);
        Server::on(event_loop, pool, application, config)
    }

    /// On the loop's own pool, which the loop stops.
    pub fn of_the_loop(sim: &Sim, workers: usize, application: impl Application, config: SiteConfig) -> Server {
        let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
        event_loop.suggest_thread_pool(workers..=workers);
        let pool = event_loop.thread_pool();
        Server::on(event_loop, pool, application, config)
    }

    fn on(event_loop: EventLoop, pool: ThreadPool, application: impl Application, config: SiteConfig) -> Server {
        let resource = WsgiResource::new(&event_loop, pool.clone(), application);
        let address = Address::from("127.0.0.1:80".parse::<SocketAddr>().unwrap());
        Site::with_config(resource, config).listen(&event_loop, &address, &ListenOptions::default()).unwrap();
        pool.start().unwrap();
        Server { event_loop, pool, address }
    }

    /// Runs the loop as a thread of the simulation.
    pub fn run(&self, sim: &Sim) {
        let event_loop = self.event_loop.clone();
        sim.spawn("reactor", move || {
            event_loop.run().unwrap();
        });
    }

    pub fn connect(&self, sim: &Sim) -> Client {
        sim.connect(&self.address)
    }
}

/// The body of the one response in `text`.
pub fn body(text: &str) -> &str {
    text.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default()
}
