//! A small world to look at.

use std::io::{ErrorKind, IoSlice};
use std::time::Duration;

use handwound_reactor::{Address, Close, ListenOptions, Reactor, Threads};
use handwound_testkit::{Choices, Sim};

/// An echo server that has a worker shout, and two clients of which one resets.
pub fn shouting(choices: Choices) -> Sim {
    let sim = Sim::new(choices);
    let (mut reactor, threads) = (sim.reactor("server"), sim.threads());
    let at = Address::Tcp("127.0.0.1:0".parse().unwrap());
    let listener = reactor.listen(&at, &ListenOptions::default()).unwrap();
    let address = reactor.local_address(listener).unwrap();
    let waker = reactor.waker();
    let (work, results) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    let gate = threads.gate("jobs");
    let jobs = gate.clone();
    sim.spawn("worker", move || {
        loop {
            gate.park();
            while let Ok::<(_, Vec<u8>), _>((sock, mut text)) = work.1.try_recv() {
                threads.sleep(Duration::from_millis(10));
                text.make_ascii_uppercase();
                results.0.send((sock, text)).unwrap();
                waker.wake();
            }
        }
    });
    sim.spawn("loop", move || {
        let (mut events, mut socks, mut buffer) = (Vec::new(), Vec::new(), [0; 256]);
        loop {
            while let Ok((sock, _)) = reactor.accept(listener) {
                socks.push(sock);
            }
            socks.retain(|&sock| {
                loop {
                    match reactor.read(sock, &mut buffer) {
                        Ok(got) if got.bytes > 0 => {
                            work.0.send((sock, buffer[..got.bytes].to_vec())).unwrap();
                            jobs.unpark();
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                        _ => {
                            reactor.close(sock, Close::Graceful);
                            return false;
                        }
                    }
                }
            });
            for (sock, text) in results.1.try_iter() {
                let _ = reactor.write(sock, &[IoSlice::new(&text)]);
            }
            reactor.poll(&mut events, None).unwrap();
        }
    });
    let (a, b) = (sim.connect(&address), sim.connect(&address));
    a.send("first\n");
    sim.advance(Duration::from_millis(5));
    b.send("second, ");
    b.send("in two\nmore\n");
    sim.advance(Duration::from_millis(20));
    b.reset();
    a.send("last");
    a.finish();
    sim.settle();
    sim
}
