//! Pools of workers, and the end of everything.

use std::collections::VecDeque;
use std::time::Duration;

use handwound_reactor::{Reactor, Threads, Unparked};
use handwound_testkit::Sim;

use crate::common::{Cell, settle_all};
use crate::{Defect, FoundBy::Orders, Twin};

pub(crate) const DEFECTS: &[Defect] = &[
    Defect {
        name: "job lost between submit and stop",
        goes_wrong: "looks whether the pool stops, then queues in a second step; the job was accepted and never runs",
        found_by: Orders,
        within: 50,
        says: "1 accepted, 0 run",
        run: lost_at_stop,
    },
    Defect {
        name: "queue dropped at stop",
        goes_wrong: "a worker leaves as soon as it sees that the pool stops, with jobs still queued",
        found_by: Orders,
        within: 10,
        says: "2 accepted, 0 run",
        run: dropped_at_stop,
    },
    Defect {
        name: "wait cycle at shutdown",
        goes_wrong: "the reactor's thread joins a worker that waits for an answer of the reactor's thread",
        found_by: Orders,
        within: 10,
        says: "reactor is parked at gate `worker has ended` without end",
        run: wait_cycle,
    },
    Defect {
        name: "standby flag left set",
        goes_wrong: "says that a worker is on its way, cannot start one, and never tries again",
        found_by: Orders,
        within: 10,
        says: "1 job left",
        run: standby_flag,
    },
    Defect {
        name: "idle worker leaves with a job on its way",
        goes_wrong: "sees an empty queue and signs off in two steps; a submit between them counts on it",
        found_by: Orders,
        within: 10,
        says: "1 job left",
        run: idle_worker_leaves,
    },
    Defect {
        name: "place not given back when a job fails",
        goes_wrong: "an early return skips the end of the job's count; the pool stays full",
        found_by: Orders,
        within: 10,
        says: "still 1 busy",
        run: place_kept,
    },
    Defect {
        name: "stopped twice",
        goes_wrong: "two threads stop at once; both see that nobody has, and the last rites run twice",
        found_by: Orders,
        within: 10,
        says: "stopped 2 times",
        run: stopped_twice,
    },
];

#[derive(Default)]
struct Pool {
    jobs: VecDeque<u32>,
    stopping: bool,
}

/// A worker that takes jobs until the pool stops. `leaves_early`: with jobs still queued.
fn worker(sim: &Sim, pool: &Cell<Pool>, run: &Cell<u32>, leaves_early: bool) -> handwound_reactor::Gate {
    let gate = sim.threads().gate("work");
    let (pool, run, work) = (pool.clone(), run.clone(), gate.clone());
    sim.spawn("worker", move || {
        loop {
            let (job, stopping) = pool.with(|pool| {
                let leaves = pool.stopping && leaves_early;
                (if leaves { None } else { pool.jobs.pop_front() }, pool.stopping)
            });
            match job {
                Some(_) => run.with(|run| *run += 1),
                None if stopping => return,
                None => work.park(),
            }
        }
    });
    gate
}

fn lost_at_stop(sim: &Sim, twin: Twin) {
    let (pool, run, accepted) =
        (Cell::new(sim, "pool", Pool::default()), Cell::new(sim, "run", 0), Cell::new(sim, "accepted", 0));
    let gate = worker(sim, &pool, &run, false);
    let (submits, takes, wakes) = (pool.clone(), accepted.clone(), gate.clone());
    sim.spawn("submits", move || {
        let queued = if twin.is_wrong() {
            let open = submits.with(|pool| !pool.stopping);
            if open {
                submits.with(|pool| pool.jobs.push_back(1));
            }
            open
        } else {
            submits.with(|pool| {
                if !pool.stopping {
                    pool.jobs.push_back(1);
                }
                !pool.stopping
            })
        };
        if queued {
            takes.set(1);
            wakes.unpark();
        }
    });
    sim.spawn("stops", move || {
        pool.with(|pool| pool.stopping = true);
        gate.unpark();
    });
    settle_all(sim);
    let (accepted, run) = (accepted.get(), run.get());
    assert_eq!(accepted, run, "{accepted} accepted, {run} run");
}

fn dropped_at_stop(sim: &Sim, twin: Twin) {
    let (pool, run) = (Cell::new(sim, "pool", Pool::default()), Cell::new(sim, "run", 0));
    let gate = worker(sim, &pool, &run, twin.is_wrong());
    sim.spawn("submits and stops", move || {
        for job in 0..2 {
            pool.with(|pool| pool.jobs.push_back(job));
            gate.unpark();
        }
        pool.with(|pool| pool.stopping = true);
        gate.unpark();
    });
    settle_all(sim);
    let run = run.get();
    assert_eq!(run, 2, "2 accepted, {run} run");
}

/// A worker asks something of the reactor's thread and waits; meanwhile that thread is told to stop.
fn wait_cycle(sim: &Sim, twin: Twin) {
    let threads = sim.threads();
    let mut reactor = sim.reactor("loop");
    let (ended, answer) = (threads.gate("worker has ended"), threads.gate("answer"));
    let calls = Cell::new(sim, "mailbox", 0);
    let (worker_done, stop) = (Cell::new(sim, "worker done", false), Cell::new(sim, "stop", false));
    let (wakes, stops) = (reactor.waker(), reactor.waker());
    let (mailbox, told, done, joined, answers) =
        (calls.clone(), stop.clone(), worker_done.clone(), ended.clone(), answer.clone());
    sim.spawn("reactor", move || {
        let mut events = Vec::new();
        loop {
            if mailbox.with(std::mem::take) > 0 {
                answers.unpark();
            }
            if told.get() && twin.is_wrong() {
                joined.park();
                return;
            }
            // The right one goes on answering until the worker has ended.
            if told.get() && done.get() {
                return;
            }
            reactor.poll(&mut events, None).unwrap();
        }
    });
    sim.spawn("worker", move || {
        calls.with(|calls| *calls += 1);
        wakes.wake();
        answer.park();
        worker_done.set(true);
        ended.unpark();
        wakes.wake();
    });
    sim.spawn("signal", move || {
        stop.set(true);
        stops.wake();
    });
    settle_all(sim);
}

fn standby_flag(sim: &Sim, twin: Twin) {
    let (jobs, starting) = (Cell::new(sim, "jobs", 0), Cell::new(sim, "starting", false));
    if sim.choose("the first start fails", 2) == 1 {
        sim.spawn_fails_once();
    }
    for _ in 0..2 {
        jobs.with(|jobs| *jobs += 1);
        if starting.with(|starting| std::mem::replace(starting, true)) {
            continue;
        }
        let (todo, flag) = (jobs.clone(), starting.clone());
        let started = sim.threads().spawn(
            "worker",
            Box::new(move || {
                flag.set(false);
                todo.set(0);
            }),
        );
        if started.is_err() && !twin.is_wrong() {
            starting.set(false);
        }
    }
    settle_all(sim);
    let left = jobs.get();
    assert!(left == 0, "{} job left", left.min(1));
}

#[derive(Default)]
struct Standing {
    jobs: u32,
    idle: u32,
}

fn idle_worker_leaves(sim: &Sim, twin: Twin) {
    let threads = sim.threads();
    let (gate, pool) = (threads.gate("work"), Cell::new(sim, "pool", Standing { jobs: 0, idle: 1 }));
    let (work, todo, clock) = (gate.clone(), pool.clone(), threads.clone());
    let patience = Duration::from_secs(5);
    sim.spawn("worker", move || {
        let until = clock.now() + patience;
        loop {
            let by_time = work.park_until(until) == Unparked::ByTime;
            if twin.is_wrong() && by_time {
                // Nothing to do for so long: nobody needs this one.
                todo.with(|pool| pool.idle -= 1);
                return;
            }
            let leaves = todo.with(|pool| {
                pool.jobs = 0;
                pool.idle -= u32::from(by_time);
                by_time
            });
            if leaves {
                return;
            }
        }
    });
    let submitted = pool.clone();
    sim.spawn("submits", move || {
        threads.sleep(patience);
        let counts_on_it = submitted.with(|pool| {
            pool.jobs += 1;
            pool.idle > 0
        });
        if counts_on_it {
            gate.unpark();
        } else {
            // Starts another worker.
            threads.spawn("another", Box::new(move || submitted.with(|pool| pool.jobs = 0))).unwrap();
        }
    });
    settle_all(sim);
    let left = pool.with(|pool| pool.jobs);
    assert!(left == 0, "{left} job left");
}

fn place_kept(sim: &Sim, twin: Twin) {
    let busy = Cell::new(sim, "busy", 0);
    for name in ["one", "two"] {
        let (count, fails) = (busy.clone(), sim.choose("the job fails", 2) == 1);
        sim.spawn(name, move || {
            count.with(|busy| *busy += 1);
            let result = if fails { Err("it went wrong") } else { Ok(()) };
            if twin.is_wrong() && result.is_err() {
                return;
            }
            count.with(|busy| *busy -= 1);
        });
    }
    settle_all(sim);
    let busy = busy.get();
    assert!(busy == 0, "still {busy} busy");
}

fn stopped_twice(sim: &Sim, twin: Twin) {
    let (stopping, times) = (Cell::new(sim, "stopping", false), Cell::new(sim, "times", 0));
    for name in ["signal", "error"] {
        let (stopping, times) = (stopping.clone(), times.clone());
        sim.spawn(name, move || {
            let first = if twin.is_wrong() {
                let first = !stopping.get();
                stopping.set(true);
                first
            } else {
                !stopping.with(|stopping| std::mem::replace(stopping, true))
            };
            if first {
                times.with(|times| *times += 1);
            }
        });
    }
    settle_all(sim);
    let times = times.get();
    assert_eq!(times, 1, "stopped {times} times");
}
