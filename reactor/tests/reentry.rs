//! Callbacks that call the loop they are called by: closing listeners, stopping, submitting work.
#![allow(clippy::unwrap_used)]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use handwound_reactor::{Address, EventLoop, ListenOptions, Listening, Protocol, Transport};
use handwound_testkit::{Choices, Sim};

fn address() -> Address {
    std::net::SocketAddr::from(([127, 0, 0, 1], 7007)).into()
}

type Act = Rc<dyn Fn(&EventLoop)>;

/// Calls its act when it is connected; says `stop` when it is told to stop.
struct Acting(Act);

impl Protocol for Acting {
    fn connected(&mut self, transport: &mut Transport) {
        (self.0)(&transport.event_loop());
    }

    fn received(&mut self, _transport: &mut Transport, _bytes: &[u8]) {}

    fn stopping(&mut self, transport: &mut Transport) {
        transport.write(b"stop");
        transport.close();
    }
}

fn run(sim: &Sim, event_loop: &EventLoop) {
    let running = event_loop.clone();
    sim.spawn("loop", move || {
        running.run().unwrap();
    });
}

#[test]
fn a_listener_closed_by_the_connection_it_accepts_takes_no_other() {
    let sim = Sim::new(Choices::calm());
    let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
    let place: Rc<RefCell<Option<Listening>>> = Rc::default();
    let listening = place.clone();
    let accepted = Rc::new(Cell::new(0));
    let count = accepted.clone();
    let close: Act = Rc::new(move |event_loop| {
        count.set(count.get() + 1);
        if let Some(listening) = listening.take() {
            listening.close(event_loop);
        }
    });
    *place.borrow_mut() =
        Some(event_loop.listen(&address(), &ListenOptions::default(), move |_| Acting(close.clone())).unwrap());
    let _clients = [sim.connect(&address()), sim.connect(&address())];
    run(&sim, &event_loop);
    sim.advance(Duration::from_secs(1));
    assert_eq!((accepted.get(), event_loop.connections()), (1, 1));
    assert_eq!(sim.sockets().len(), 1, "the connection only: {:?}", sim.sockets());
}

#[test]
fn a_stop_from_within_a_connection_tells_that_one_too_and_closes_its_listener() {
    let sim = Sim::new(Choices::calm());
    let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
    let stop: Act = Rc::new(|event_loop| event_loop.stop_within(Duration::from_secs(30)).unwrap());
    event_loop.listen(&address(), &ListenOptions::default(), move |_| Acting(stop.clone())).unwrap();
    let clients = [sim.connect(&address()), sim.connect(&address())];
    run(&sim, &event_loop);
    sim.advance(Duration::from_secs(1));
    assert!(!event_loop.is_running(), "nothing is left to wait for");
    assert_eq!((clients[0].received_text().as_str(), clients[1].received_text().as_str()), ("stop", ""));
    sim.assert_clean();
}
