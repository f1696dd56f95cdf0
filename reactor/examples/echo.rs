//! An echo server that does not run ahead of slow readers: `cargo run -p handwound-reactor --example echo`, then
//! `nc localhost 7007`. The test below runs the same protocol without a socket.

use handwound_reactor::{EventLoop, ListenOptions, MioReactor, OsThreads, Protocol, Transport};

struct Echo;

impl Protocol for Echo {
    fn received(&mut self, transport: &mut Transport, bytes: &[u8]) {
        transport.write(bytes);
        if transport.is_full() {
            transport.pause_reading();
        }
    }

    fn drained(&mut self, transport: &mut Transport) {
        transport.resume_reading();
    }
}

fn main() -> std::io::Result<()> {
    let ground = MioReactor::new()?;
    let threads = OsThreads::beside(&ground);
    let reactor = EventLoop::new(ground, threads);
    let at = std::net::SocketAddr::from(([127, 0, 0, 1], 7007)).into();
    reactor.listen(&at, &ListenOptions::default(), |_peer| Echo)?;
    println!("echo on {at}; stop with Ctrl-C");
    reactor.run().map(|_| ())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use handwound_reactor::{Address, LoopConfig};
    use handwound_testkit::{Sim, explore, seeds};
    use std::time::Duration;

    fn address() -> Address {
        "127.0.0.1:7007".parse::<std::net::SocketAddr>().unwrap().into()
    }

    fn serve(sim: &Sim, config: LoopConfig) -> EventLoop {
        let reactor = EventLoop::with_config(sim.reactor("echo"), sim.threads(), config);
        reactor.listen(&address(), &ListenOptions::default(), |_peer| Echo).unwrap();
        let running = reactor.clone();
        sim.spawn("loop", move || {
            running.run().unwrap();
        });
        reactor
    }

    #[test]
    fn every_byte_comes_back_in_order_however_the_network_cuts_them() {
        explore(seeds(200), |sim| {
            serve(sim, LoopConfig::default());
            let client = sim.connect(&address());
            let sent: Vec<u8> = (0..50_000u32).map(|n| n as u8).collect();
            client.send(&sent);
            client.finish();
            sim.settle();
            assert_eq!(client.received(), sent);
            assert!(client.is_closed(), "the server closes when the client has sent all");
        });
    }

    #[test]
    fn a_client_that_reads_nothing_cannot_fill_the_memory() {
        explore(seeds(20), |sim| {
            let mut config = LoopConfig::default();
            (config.output_high_bytes, config.output_low_bytes) = (20_000, 5_000);
            let chunk = config.read_chunk_bytes;
            let server = serve(sim, config);
            let client = sim.connect(&address());
            client.window(100);
            client.send(vec![b'x'; 1_000_000]);
            sim.advance(Duration::from_secs(10));
            // Held by the server: one read beyond the mark. The rest waits in the network or is not sent at all.
            let elsewhere = 3 * sim.network().receive_buffer_bytes;
            assert!(client.unsent_bytes() >= 1_000_000 - 20_000 - chunk - elsewhere);
            assert_eq!(server.connections(), 1);
        });
    }
}
