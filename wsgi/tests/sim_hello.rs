//! A whole server in a simulation: the shortest test there is.
#![allow(clippy::unwrap_used)]

use handwound_reactor::{EventLoop, ListenOptions};
use handwound_testkit::{Choices, Sim};
use handwound_wsgi::{Call, Failure, Site, WsgiResource};

fn hello(call: &Call) -> Result<&'static str, Failure> {
    call.start_response("200 OK", &[("Content-Type", "text/plain")])?;
    Ok("Hello, world!")
}

#[test]
fn a_client_gets_its_answer() {
    let sim = Sim::new(Choices::seed(7));
    let reactor = EventLoop::new(sim.reactor("server"), sim.threads());
    let resource = WsgiResource::new(&reactor, reactor.thread_pool(), hello);
    let at = "127.0.0.1:80".parse::<std::net::SocketAddr>().unwrap().into();
    Site::new(resource).listen(&reactor, &at, &ListenOptions::default()).unwrap();
    sim.spawn("loop", move || drop(reactor.run()));

    let client = sim.connect(&at);
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    sim.advance(std::time::Duration::from_secs(1));
    println!("{}", sim.trace());
    assert!(client.received_text().ends_with("Hello, world!"), "{}", client.received_text());
}
