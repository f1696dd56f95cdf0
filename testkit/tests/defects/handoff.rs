//! Two threads, and what gets lost between them.

use std::collections::VecDeque;
use std::time::Duration;

use handwound_reactor::{Gate, Reactor, Threads, Unparked};
use handwound_testkit::Sim;

use crate::common::{Cell, Lock, settle_all};
use crate::{Defect, FoundBy::Orders, Twin};

pub(crate) const DEFECTS: &[Defect] = &[
    Defect {
        name: "lost wakeup",
        goes_wrong: "looks first and says that it waits afterwards; a job between the two wakes nobody",
        found_by: Orders,
        within: 10,
        says: "consumer is parked at gate `work` without end",
        run: lost_wakeup,
    },
    Defect {
        name: "wakeups coalesced away",
        goes_wrong: "takes one job for each wakeup; two wakeups became one",
        found_by: Orders,
        within: 10,
        says: "consumer is parked at gate `work` without end",
        run: coalesced,
    },
    Defect {
        name: "wakeup taken for the thing itself",
        goes_wrong: "does not look again after waking; a token was left from before",
        found_by: Orders,
        within: 10,
        says: "woken for nothing",
        run: no_second_look,
    },
    Defect {
        name: "wake flag cleared after the mailbox is emptied",
        goes_wrong: "a call that comes between the two wakes nobody and stays in the mailbox",
        found_by: Orders,
        within: 20,
        says: "polls reactor `loop` without end",
        run: flag_cleared_late,
    },
    Defect {
        name: "wakeup given to one who has given up",
        goes_wrong: "a waiter whose time is over leaves with the wakeup that was meant for whoever waits",
        found_by: Orders,
        within: 10,
        says: "1 job left, and patient waits for one",
        run: wakeup_to_one_who_left,
    },
    Defect {
        name: "lost update",
        goes_wrong: "reads and writes a counter in two steps; one count of two is lost",
        found_by: Orders,
        within: 10,
        says: "counted 1 of 2",
        run: lost_update,
    },
    Defect {
        name: "check, then act",
        goes_wrong: "two threads see the last free place and both take it",
        found_by: Orders,
        within: 10,
        says: "2 in a room for 1",
        run: check_then_act,
    },
    Defect {
        name: "flag set before what it promises",
        goes_wrong: "says that the answer is there and then puts it there",
        found_by: Orders,
        within: 10,
        says: "ready, and nothing there",
        run: published_early,
    },
    Defect {
        name: "lock order",
        goes_wrong: "one thread takes A and then B, another B and then A",
        found_by: Orders,
        within: 20,
        says: "is parked at gate `B` without end",
        run: lock_order,
    },
];

fn lost_wakeup(sim: &Sim, twin: Twin) {
    let gate = sim.threads().gate("work");
    let (jobs, waiting) = (Cell::new(sim, "jobs", 0), Cell::new(sim, "waiting", false));
    let (work, jobs_in, waits) = (gate.clone(), jobs.clone(), waiting.clone());
    sim.spawn("consumer", move || {
        loop {
            if !twin.is_wrong() {
                waits.set(true);
            }
            if jobs_in.get() == 1 {
                return;
            }
            if twin.is_wrong() {
                waits.set(true);
            }
            work.park();
        }
    });
    sim.spawn("producer", move || {
        jobs.set(1);
        if waiting.get() {
            gate.unpark();
        }
    });
    settle_all(sim);
}

fn coalesced(sim: &Sim, twin: Twin) {
    let gate = sim.threads().gate("work");
    let jobs = Cell::new(sim, "jobs", 0);
    let (work, todo) = (gate.clone(), jobs.clone());
    sim.spawn("consumer", move || {
        let mut done = 0;
        while done < 2 {
            work.park();
            done += todo.with(|jobs| {
                let taken = if twin.is_wrong() { 1.min(*jobs) } else { *jobs };
                *jobs -= taken;
                taken
            });
        }
    });
    sim.spawn("producer", move || {
        for _ in 0..2 {
            jobs.with(|jobs| *jobs += 1);
            gate.unpark();
        }
    });
    settle_all(sim);
}

fn no_second_look(sim: &Sim, twin: Twin) {
    let gate = sim.threads().gate("work");
    let queue = Cell::new(sim, "queue", VecDeque::new());
    let (work, jobs) = (gate.clone(), queue.clone());
    sim.spawn("consumer", move || {
        for _ in 0..2 {
            while jobs.with(|jobs| jobs.is_empty()) {
                work.park();
                if twin.is_wrong() {
                    break;
                }
            }
            // The token of a job that was found without waiting is still there.
            jobs.with(VecDeque::pop_front).expect("woken for nothing");
        }
    });
    sim.spawn("producer", move || {
        for job in 0..2 {
            queue.with(|queue| queue.push_back(job));
            gate.unpark();
        }
    });
    settle_all(sim);
}

/// A loop's mailbox, of which only the first of several calls needs to wake.
fn flag_cleared_late(sim: &Sim, twin: Twin) {
    let mut reactor = sim.reactor("loop");
    let (calls, woken) = (Cell::new(sim, "mailbox", 0), Cell::new(sim, "wake flag", false));
    let waker = reactor.waker();
    let (mailbox, flag) = (calls.clone(), woken.clone());
    sim.spawn("reactor", move || {
        let (mut events, mut done) = (Vec::new(), 0);
        while done < 2 {
            reactor.poll(&mut events, None).unwrap();
            if !twin.is_wrong() {
                flag.set(false);
            }
            done += mailbox.with(std::mem::take);
            if twin.is_wrong() {
                flag.set(false);
            }
        }
    });
    sim.spawn("caller", move || {
        for _ in 0..2 {
            calls.with(|calls| *calls += 1);
            if !woken.with(|woken| std::mem::replace(woken, true)) {
                waker.wake();
            }
        }
    });
    settle_all(sim);
}

/// Two wait for one job; the one who is woken is the first in the line.
fn wakeup_to_one_who_left(sim: &Sim, twin: Twin) {
    let threads = sim.threads();
    let (jobs, line) = (Cell::new(sim, "jobs", 0), Cell::new(sim, "line", VecDeque::<(u32, Gate)>::new()));
    let wake_first = |line: &Cell<VecDeque<(u32, Gate)>>| {
        if let Some((_, gate)) = line.with(VecDeque::pop_front) {
            gate.unpark();
        }
    };
    let taken = |jobs: &Cell<u32>| {
        jobs.with(|jobs| {
            let taken = *jobs > 0;
            *jobs -= u32::from(taken);
            taken
        })
    };
    let (todo, waiting, clock) = (jobs.clone(), line.clone(), threads.clone());
    let hasty = move || {
        let gate = clock.gate("hasty");
        waiting.with(|line| line.push_back((0, gate.clone())));
        if gate.park_until(clock.now() + Duration::from_millis(5)) == Unparked::ByToken && taken(&todo) {
            return;
        }
        let was_in_line = waiting.with(|line| {
            let before = line.len();
            line.retain(|(who, _)| *who != 0);
            line.len() < before
        });
        // Not in line any more: a wakeup is on its way here, and somebody else should have it.
        if !was_in_line && !twin.is_wrong() {
            wake_first(&waiting);
        }
    };
    let (todo, waiting, clock) = (jobs.clone(), line.clone(), threads.clone());
    let patient = move || {
        while !taken(&todo) {
            let gate = clock.gate("patient");
            waiting.with(|line| line.push_back((1, gate.clone())));
            if taken(&todo) {
                return;
            }
            gate.park();
        }
    };
    sim.spawn("hasty", hasty);
    sim.settle_now();
    sim.spawn("patient", patient);
    sim.settle_now();
    let left = jobs.clone();
    sim.spawn("producer", move || {
        threads.sleep(Duration::from_millis(5));
        jobs.with(|jobs| *jobs += 1);
        wake_first(&line);
    });
    sim.settle();
    let left = left.get();
    assert_eq!(left, 0, "{left} job left, and patient waits for one");
}

fn lost_update(sim: &Sim, twin: Twin) {
    let count = Cell::new(sim, "count", 0);
    for name in ["one", "two"] {
        let count = count.clone();
        sim.spawn(name, move || {
            if twin.is_wrong() {
                let read = count.get();
                count.set(read + 1);
            } else {
                count.with(|count| *count += 1);
            }
        });
    }
    settle_all(sim);
    let counted = count.get();
    assert_eq!(counted, 2, "counted {counted} of 2");
}

fn check_then_act(sim: &Sim, twin: Twin) {
    let room = Cell::new(sim, "room", 0);
    for name in ["one", "two"] {
        let room = room.clone();
        sim.spawn(name, move || {
            let goes_in = |count: &mut u32| {
                *count += 1;
                assert!(*count <= 1, "{count} in a room for 1");
            };
            if twin.is_wrong() {
                if room.get() == 0 {
                    room.with(goes_in);
                }
            } else {
                room.with(|count| (*count == 0).then(|| goes_in(count)));
            }
        });
    }
    settle_all(sim);
}

fn published_early(sim: &Sim, twin: Twin) {
    let (ready, answer) = (Cell::new(sim, "ready", false), Cell::new(sim, "answer", None));
    let gate = sim.threads().gate("ready");
    let (is_ready, answered, waits) = (ready.clone(), answer.clone(), gate.clone());
    sim.spawn("asks", move || {
        while !is_ready.get() {
            waits.park();
        }
        assert_eq!(answered.get(), Some(42), "ready, and nothing there");
    });
    sim.spawn("answers", move || {
        if twin.is_wrong() {
            ready.set(true);
            answer.set(Some(42));
        } else {
            answer.set(Some(42));
            ready.set(true);
        }
        gate.unpark();
    });
    settle_all(sim);
}

fn lock_order(sim: &Sim, twin: Twin) {
    let (a, b) = (Lock::new(sim, "A"), Lock::new(sim, "B"));
    for (name, turned) in [("one", false), ("two", twin.is_wrong())] {
        let (first, second) = if turned { (b.clone(), a.clone()) } else { (a.clone(), b.clone()) };
        sim.spawn(name, move || {
            first.lock();
            second.lock();
            second.unlock();
            first.unlock();
        });
    }
    settle_all(sim);
}
