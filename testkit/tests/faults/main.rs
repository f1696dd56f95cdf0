//! What goes wrong when a test says so: calls, connections, partitions, clocks.
#![allow(clippy::unwrap_used)]

mod calls;
mod clocks;
mod lines;
mod pace;
mod partitions;
mod trouble;

use std::io::{ErrorKind, IoSlice};

use handwound_reactor::{Address, Event, ListenOptions, Reactor, Sock};
use handwound_testkit::{Choices, MockReactor, Sim};

fn at(port: u16) -> Address {
    Address::Tcp(([127, 0, 0, 1], port).into())
}

fn listen(reactor: &mut MockReactor, port: u16) -> Sock {
    reactor.listen(&at(port), &ListenOptions::default()).unwrap()
}

fn ground() -> (Sim, MockReactor, Sock) {
    let sim = Sim::new(Choices::calm());
    let mut reactor = sim.reactor("server");
    let listener = listen(&mut reactor, 80);
    (sim, reactor, listener)
}

fn read(reactor: &mut MockReactor, sock: Sock) -> Result<Vec<u8>, ErrorKind> {
    let mut into = [0; 4096];
    reactor.read(sock, &mut into).map(|read| into[..read.bytes].to_vec()).map_err(|error| error.kind())
}

fn write(reactor: &mut MockReactor, sock: Sock, bytes: &[u8]) -> Result<usize, ErrorKind> {
    reactor.write(sock, &[IoSlice::new(bytes)]).map_err(|error| error.kind())
}

fn poll(reactor: &mut MockReactor) -> Vec<Event> {
    let mut events = Vec::new();
    let now = reactor.now();
    reactor.poll(&mut events, Some(now)).unwrap();
    events
}
