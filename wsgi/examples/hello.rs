//! A Rust application on the reactor's own thread pool: `cargo run --release -p handwound-wsgi --example hello`

use handwound_reactor::{EventLoop, ListenOptions, MioReactor, OsThreads};
use handwound_wsgi::{Call, Failure, Site, WsgiResource};

fn application(call: &Call) -> Result<&'static str, Failure> {
    call.start_response("200 OK", &[("Content-type", "text/plain")])?;
    Ok("Hello, world!")
}

fn main() -> std::io::Result<()> {
    let ground = MioReactor::new()?;
    let threads = OsThreads::beside(&ground);
    let reactor = EventLoop::new(ground, threads);

    let resource = WsgiResource::new(&reactor, reactor.thread_pool(), application);
    let at = std::net::SocketAddr::from(([127, 0, 0, 1], 8080)).into();
    Site::new(resource).listen(&reactor, &at, &ListenOptions::default())?;
    reactor.run()?;
    Ok(())
}
