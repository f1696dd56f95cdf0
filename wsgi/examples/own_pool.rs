//! A Rust application on a thread pool of one's own, which is then also one's own to start and stop:
//! `cargo run --release -p handwound-wsgi --example own_pool`

use std::time::Duration;

use handwound_reactor::{EventLoop, ListenOptions, MioReactor, OsThreads, Phase, PoolConfig, ThreadPool};
use handwound_wsgi::{Branch, Site, WsgiResource, application};

fn main() -> std::io::Result<()> {
    let ground = MioReactor::new()?;
    let threads = OsThreads::beside(&ground);
    let reactor = EventLoop::new(ground, threads);

    let mut config = PoolConfig::from(2..=8);
    config.name = "reports".to_owned();
    let pool = ThreadPool::new(reactor.threads(), config);
    pool.start()?;
    let stopped = pool.clone();
    reactor.add_trigger(Phase::AfterShutdown, move |_| {
        if let Err(busy) = stopped.stop(Duration::from_secs(1)) {
            eprintln!("still running: {busy:?}");
        }
    });

    let root = Branch::new();
    let report = application(|call| {
        call.start_response("200 OK", &[("Content-Type", "text/plain")])?;
        Ok(format!("a report on {}", String::from_utf8_lossy(call.request().path_info())))
    });
    root.put_child("reports", WsgiResource::new(&reactor, pool, report));

    let at = std::net::SocketAddr::from(([127, 0, 0, 1], 8080)).into();
    Site::new(root).listen(&reactor, &at, &ListenOptions::default())?;
    println!("reports on http://{at}/reports/; stop with Ctrl-C");
    reactor.run().map(|_| ())
}
