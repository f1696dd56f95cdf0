//! The WSGI tutorial's answer by a Rust closure, for `tests/peers`: on PORT of this machine, by so many THREADS of a pool.
//! `cargo run --release -p handwound-wsgi --example bench -- 8080 4`

use std::net::SocketAddr;
use std::time::Duration;

use handwound_reactor::{EventLoop, ListenOptions, MioReactor, OsThreads, Phase, PoolConfig, ThreadPool};
use handwound_wsgi::{Site, WsgiResource, application};

/// How long a stop waits for requests under way.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(Ok(port)), Some(Ok(threads)), None) = (
        arguments.next().map(|port| port.parse::<u16>()),
        arguments.next().map(|threads| threads.parse::<usize>()),
        arguments.next(),
    ) else {
        eprintln!("usage: bench PORT THREADS");
        std::process::exit(2);
    };
    let ground = MioReactor::new()?;
    let beside = OsThreads::beside(&ground);
    let reactor = EventLoop::new(ground, beside);

    let pool = ThreadPool::new(reactor.threads(), PoolConfig::from(threads..=threads));
    pool.start()?;
    let stopped = pool.clone();
    reactor.add_trigger(Phase::AfterShutdown, move |_| {
        if let Err(busy) = stopped.stop(STOP_PATIENCE) {
            eprintln!("still running: {busy:?}");
        }
    });

    let seed = application(|call| {
        call.start_response("200 OK", &[("Content-type", "text/plain")])?;
        Ok("Hello, world!")
    });
    let at = SocketAddr::from(([127, 0, 0, 1], port)).into();
    Site::new(WsgiResource::new(&reactor, pool, seed)).listen(&reactor, &at, &ListenOptions::default())?;
    reactor.run().map(|_| ())
}
