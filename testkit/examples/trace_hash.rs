//! Prints the hash of a busy mixed run: many clients, workers and faults. The same seed prints the same, whatever
//! the machine is doing: `cargo run -q --release -p handwound-testkit --example trace_hash -- 7`.
//!
//! More words: `--runs 1000` makes so many runs and prints once, `--os-threads` runs the workers on OS threads,
//! `--trace` writes the trace to standard error, and `--log` all log events.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use handwound_reactor::Threads;
use handwound_testkit::{Backend, Choices, NetworkOptions, Sim};
use handwound_wsgi::testing::serve;
use handwound_wsgi::{Call, Chunks, Failure};

const KEEP_ALIVE: &[u8] = b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n";

fn busy(seed: u64, backend: Backend) -> Sim {
    let sim = Sim::new(Choices::seed(seed));
    sim.set_network(NetworkOptions::rough());
    sim.set_backend(backend);
    sim.switch_at_sockets(true);
    let threads = sim.threads();
    let server = serve(&sim, 4, move |call: &Call| -> Result<_, Failure> {
        call.start_response("200 OK", &[("Content-Type", "text/plain")])?;
        let path = call.request().path_info().to_vec();
        if path == b"/slow" {
            threads.sleep(Duration::from_millis(250));
        }
        if path == b"/fails" {
            return Err(Failure::new("asked to fail"));
        }
        let pieces = if path == b"/long" { 40 } else { 1 };
        Ok(Chunks((0..pieces).map(move |_| path.repeat(if pieces > 1 { 500 } else { 1 }))))
    });
    for round in 0..6 {
        sim.accept_fails_once(std::io::ErrorKind::ConnectionAborted);
        let paths = ["/quick", "/slow", "/long", "/fails", "/long", "/quick", "/slow"];
        let clients: Vec<_> = paths.iter().map(|path| server.get(&sim, path)).collect();
        clients[2].window(1000);
        let busy = server.connect(&sim);
        let mut left = 20;
        busy.script(move |received, send| {
            if !received.ends_with(b"/quick") && !received.ends_with(b"\r\n0\r\n\r\n") {
                return 0;
            }
            left -= 1;
            send.extend_from_slice(if left > 0 { KEEP_ALIVE } else { b"" });
            received.len()
        });
        busy.send(KEEP_ALIVE);
        for piece in b"POST /posted HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nsome body".chunks(7) {
            clients[5].send(piece);
            sim.advance(Duration::from_millis(u64::from(sim.choose("pause in ms", 50))));
        }
        match sim.choose("parting", 4) {
            0 => clients[4].reset(),
            1 => clients[4].close(),
            2 => clients[1].finish(),
            _ => {}
        }
        sim.advance(Duration::from_millis(300));
        while round % 2 == 0 && clients[2].read(700) > 0 {
            sim.settle_now();
        }
    }
    let remote = server.event_loop.remote().clone();
    remote.call_from_thread(|event_loop| event_loop.stop().unwrap()).unwrap();
    sim.advance(Duration::from_secs(120));
    sim
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (mut seed, mut runs, mut backend, mut trace) = (0, 1, Backend::Coroutines, false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--runs" => runs = arguments.next().and_then(|runs| runs.parse().ok()).expect("--runs and a number"),
            "--os-threads" => backend = Backend::OsThreads,
            "--trace" => trace = true,
            "--log" => {
                let every = tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::TRACE);
                every.with_writer(std::io::stderr).init();
            }
            number => seed = number.parse().expect("a seed is a number"),
        }
    }
    let sim = busy(seed, backend);
    let hash = sim.trace_hash();
    if trace {
        eprint!("{}", sim.trace());
    }
    drop(sim);
    for run in 1..runs {
        assert_eq!(busy(seed, backend).trace_hash(), hash, "run {run}, counted from zero, is another");
    }
    println!("{hash:016x}");
}

/// Run side by side: what happens in one world does not reach another.
#[cfg(test)]
mod tests {
    use super::*;

    fn check() {
        let seed = std::env::var("TRACE_HASH_SEED").map_or(1, |seed| seed.parse().unwrap());
        let hash = busy(seed, Backend::Coroutines).trace_hash();
        println!("trace hash {hash:016x}");
        assert_eq!(hash, busy(seed, Backend::OsThreads).trace_hash());
        assert_ne!(hash, busy(seed + 1, Backend::Coroutines).trace_hash());
    }

    macro_rules! side_by_side {
        ($($name:ident)*) => { $(#[test] fn $name() { check(); })* };
    }

    side_by_side!(a b c d e f g h i j k l m n o p);
}
