//! What a simulation costs, per second of processor time: `cargo bench -p handwound-testkit --bench simulation`.
//!
//! One figure a line, a name and a number, the median of several rounds. With arguments, only the figures whose
//! names contain one of them. With `--once`, a single small round of each, to look at under a profiler.
#![allow(clippy::unwrap_used)]

mod planted;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use handwound_reactor::ThreadPool;
use handwound_testkit::{Choices, NetworkOptions, Sim, explore, seeds};
use handwound_wsgi::testing::Server;
use handwound_wsgi::{Call, Failure, SiteConfig};
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: usize = 5;
const CLIENTS: u64 = 8;
const GET: &[u8] = b"GET /hello HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";
const BODY: &str = "Hello, world!";

/// Its name, and how it is measured.
type Figure = (&'static str, fn() -> f64);

fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let asked = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
    let figures: [Figure; 9] = [
        ("http_roundtrips_per_cpu_s", || per_cpu_second(|| round_trips(&short(), 32, of(6_250)))),
        ("http_roundtrips_cooperative_per_cpu_s", || per_cpu_second(|| round_trips(&calm(), 1, of(200_000)))),
        ("http_roundtrips_rough_per_cpu_s", || per_cpu_second(|| round_trips(&rough(), 32, of(3_000)))),
        ("handoff_schedules_per_cpu_s", || per_cpu_second(hand_offs)),
        ("idle_hour_us", || 1e6 / per_cpu_second(idle_hours)),
        ("steps_per_cpu_s", || per_cpu_second(steps)),
        ("memory_growth_kib_over_10m_steps", memory_growth_kib),
        ("shrunk_choices", || shrunk().shrunk_choices as f64),
        ("find_and_shrink_ms", || 1e3 / per_cpu_second(|| shrunk().run.min(1))),
    ];
    for (name, measure) in figures {
        if asked(name) {
            let figure = measure();
            if figure < 100.0 { println!("{name} {figure:.3}") } else { println!("{name} {figure:.0}") }
        }
    }
}

fn cpu_time() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec as u64, spent.tv_nsec as u32)
}

/// How many of `whole` in a round: fewer under a profiler.
fn of(whole: u64) -> u64 {
    if once() { whole / 25 } else { whole }
}

fn once() -> bool {
    std::env::args().any(|argument| argument == "--once")
}

/// How often a second something happens that `round` has happen so many times.
fn per_cpu_second(mut round: impl FnMut() -> u64) -> f64 {
    if once() {
        // Not by processor time: profilers that emulate the processor may lack that clock.
        let before = Instant::now();
        return round() as f64 / before.elapsed().as_secs_f64();
    }
    round();
    let mut rates: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let before = cpu_time();
            let count = round();
            count as f64 / (cpu_time() - before).as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[ROUNDS / 2]
}

// HTTP, through the whole stack.

/// How a run is made: its choices, and its network.
struct Manner(fn(u64) -> Choices, NetworkOptions);

/// Threads go on until they wait; whole reads and writes.
fn calm() -> Manner {
    Manner(|_| Choices::calm().unrecorded(), NetworkOptions::calm())
}

/// Threads take turns as seeds say; reads and writes come short.
fn short() -> Manner {
    let mut network = NetworkOptions::calm();
    (network.short_reads, network.short_writes) = (true, true);
    Manner(|seed| Choices::seed(seed).unrecorded(), network)
}

/// The same, and readiness cannot be relied on, and bytes are under way for up to 200 ms.
fn rough() -> Manner {
    Manner(|seed| Choices::seed(seed).unrecorded(), NetworkOptions::rough())
}

fn hello(call: &Call) -> Result<&'static str, Failure> {
    call.start_response("200 OK", &[("Content-Type", "text/plain"), ("Content-Length", "13")])?;
    Ok(BODY)
}

fn round_trips(manner: &Manner, runs: u64, each: u64) -> u64 {
    (0..runs).map(|seed| serve(&Sim::new(manner.0(seed)), manner.1, 2 + seed as usize % 3, each)).sum()
}

/// So many requests and their answers, over eight connections that stay open.
fn serve(sim: &Sim, network: NetworkOptions, workers: usize, count: u64) -> u64 {
    let server = prepare(sim, network, workers);
    ask(sim, &server, count)
}

fn prepare(sim: &Sim, network: NetworkOptions, workers: usize) -> Server {
    sim.set_network(network);
    sim.set_steps_max(u64::MAX);
    let server = Server::prepare(sim, workers, hello, SiteConfig::default());
    server.run(sim);
    server
}

fn ask(sim: &Sim, server: &Server, count: u64) -> u64 {
    let answered = Arc::new(AtomicU64::new(0));
    for _ in 0..CLIENTS {
        let client = sim.connect(&server.address);
        let answered = Arc::clone(&answered);
        let mut left = count / CLIENTS;
        client.script(move |received, send| {
            if !received.ends_with(BODY.as_bytes()) {
                return 0;
            }
            assert!(received.starts_with(b"HTTP/1.1 200 OK\r\n"));
            answered.fetch_add(1, Relaxed);
            left -= 1;
            if left > 0 {
                send.extend_from_slice(GET);
            }
            received.len()
        });
        client.send(GET);
    }
    sim.settle();
    assert_eq!(answered.load(Relaxed), count / CLIENTS * CLIENTS);
    std::hint::black_box(sim.trace_hash());
    count / CLIENTS * CLIENTS
}

// Hand-offs.

/// Three jobs through a pool of two workers, in a world of their own each time.
fn hand_offs() -> u64 {
    let report = explore(seeds(of(50_000)), |sim| {
        let pool = ThreadPool::new(sim.threads(), 2..=2);
        pool.start().unwrap();
        let done = Arc::new(AtomicU32::new(0));
        for _ in 0..3 {
            let done = Arc::clone(&done);
            pool.submit(move || {
                done.fetch_add(1, Relaxed);
            })
            .unwrap();
        }
        pool.stop(Duration::from_secs(1)).unwrap();
        assert_eq!(done.load(Relaxed), 3);
    });
    report.runs
}

/// A planted defect in a run of 40 requests, found by chance and made small.
fn shrunk() -> Box<handwound_testkit::Failure> {
    planted::shrink(&|sim| planted::lost_wakeup(sim, planted::REQUESTS))
}

// Time, steps and memory.

/// A server with an idle connection, its keep-alive deadline far away.
fn idle_hours() -> u64 {
    const HOURS: u64 = 20_000;
    let sim = Sim::new(Choices::seed(1));
    sim.set_network(NetworkOptions::calm());
    let server = Server::prepare(&sim, 2, hello, SiteConfig::default());
    server.run(&sim);
    sim.settle();
    for _ in 0..HOURS {
        sim.advance(Duration::from_secs(3600));
    }
    HOURS
}

/// Two threads that hand a token to and fro, every move drawn.
fn steps() -> u64 {
    const STEPS: u64 = 1_000_000;
    let sim = Sim::new(Choices::seed(1));
    ping_pong(&sim, STEPS / 4);
    sim.settle();
    STEPS
}

fn ping_pong(sim: &Sim, rounds: u64) {
    use handwound_reactor::Threads;
    let gates = [sim.threads().gate("one"), sim.threads().gate("other")];
    gates[0].unpark();
    for (index, name) in ["one", "other"].into_iter().enumerate() {
        let (mine, theirs) = (gates[index].clone(), gates[1 - index].clone());
        sim.spawn(name, move || {
            for _ in 0..rounds {
                mine.park();
                theirs.unpark();
            }
        });
    }
}

/// How much more memory is resident after ten million steps of a busy server than before. The world has what it keeps
/// by then: the last events, and what the last clients have said.
fn memory_growth_kib() -> f64 {
    let manner = short();
    let (sim, resident) = (Sim::new(manner.0(1)), || {
        let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux tells how much memory a process has");
        pages.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).expect("a number of pages") * 4.0
    });
    let mut after_first = 0.0;
    let server = prepare(&sim, manner.1, 2);
    const BEFORE: u64 = 10_000_000;
    while sim.steps() < BEFORE + 10_000_000 {
        if sim.steps() < BEFORE {
            after_first = resident();
        }
        ask(&sim, &server, 10_000);
    }
    resident() - after_first
}
