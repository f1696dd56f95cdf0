//! Counts how many schedules of a three-job hand-off go through in a second: `--release` to be of use.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use handwound_reactor::Threads;
use handwound_testkit::{Sim, explore, seeds};

/// One thread hands three jobs to another, which tells when it has done each.
fn hand_off(sim: &Sim) {
    let threads = sim.threads();
    let (work, told) = (threads.gate("work"), threads.gate("told"));
    let queue = threads.shared("queue");
    let jobs = Arc::new(Mutex::new(0));
    let done = Arc::new(AtomicU32::new(0));
    let (w, t, q) = (work.clone(), told.clone(), Arc::clone(&jobs));
    let (d, ts) = (Arc::clone(&done), threads.clone());
    sim.spawn("worker", move || {
        while d.load(Ordering::Relaxed) < 3 {
            ts.visit(queue);
            let taken = std::mem::take(&mut *q.lock().expect("no panic under it"));
            if taken == 0 {
                w.park();
            } else {
                d.fetch_add(taken, Ordering::Relaxed);
                t.unpark();
            }
        }
    });
    let d = Arc::clone(&done);
    sim.spawn("waiter", move || {
        while d.load(Ordering::Relaxed) < 3 {
            told.park();
        }
    });
    sim.spawn("producer", move || {
        for _ in 0..3 {
            threads.visit(queue);
            *jobs.lock().expect("no panic under it") += 1;
            work.unpark();
        }
    });
    sim.settle();
    assert_eq!(done.load(Ordering::Relaxed), 3);
}

fn main() {
    let start = Instant::now();
    let report = explore(seeds(200_000), hand_off);
    let rate = report.runs as f64 / start.elapsed().as_secs_f64();
    println!("handoff_schedules_per_s {rate:.0}");
}
