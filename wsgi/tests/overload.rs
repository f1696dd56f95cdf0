//! A pool that takes no more: each request gets its answer, and the log a line now and then.
#![allow(clippy::unwrap_used)]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handwound_reactor::{Address, EventLoop, ListenOptions, PoolConfig, ThreadPool, Threads};
use handwound_testkit::{Choices, Sim};
use handwound_wsgi::{Call, Failure, Site, WsgiResource};

/// The lines of the log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Those about refused requests since the last time.
    fn take(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        text.lines().filter(|line| line.contains("503")).map(str::to_owned).collect()
    }
}

/// A server at `at` with one worker, which is busy for a minute, and a queue of one job, which is full.
fn overloaded(sim: &Sim, at: &Address) {
    let mut config = PoolConfig::from(1..=1);
    config.queued_jobs_max = 1;
    let pool = ThreadPool::new(sim.threads(), config);
    pool.start().unwrap();
    let threads = sim.threads();
    let busy = move |call: &Call| -> Result<&'static str, Failure> {
        threads.sleep(Duration::from_secs(60));
        call.start_response("200 OK", &[])?;
        Ok("at last")
    };
    let reactor = EventLoop::new(sim.reactor("server"), sim.threads());
    Site::new(WsgiResource::new(&reactor, pool, busy)).listen(&reactor, at, &ListenOptions::default()).unwrap();
    sim.spawn("reactor", move || drop(reactor.run()));
    for _ in 0..2 {
        sim.connect(at).send("GET /busy HTTP/1.1\r\nHost: x\r\n\r\n");
        sim.settle_now();
    }
}

#[test]
fn refused_requests_are_logged_once_a_second_with_their_number() {
    let lines = Lines::default();
    let written = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(move || written.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let sim = Sim::new(Choices::calm());
    let at = Address::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 80)));
    overloaded(&sim, &at);

    let client = sim.connect(&at);
    let refuse = |path: &str, times: usize| {
        for _ in 0..times {
            client.send(format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n"));
            sim.settle_now();
            assert!(client.take_received().starts_with(b"HTTP/1.1 503 "));
        }
    };
    let said = |last: &str, requests: u32| {
        let (line, told) = (lines.take(), format!("last=GET /{last} requests={requests} "));
        assert!(matches!(&*line, [line] if line.contains(&told)), "{told} in {line:?}");
    };
    refuse("first", 1);
    said("first", 1);
    refuse("more", 4);
    sim.advance(Duration::from_millis(999));
    refuse("more", 1);
    assert_eq!(lines.take(), [""; 0]);
    sim.advance(Duration::from_millis(1));
    refuse("later", 3);
    said("later", 6);
    sim.advance(Duration::from_secs(2));
    refuse("much-later", 1);
    said("much-later", 3);
}
