//! Timers, deadlines and clocks.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use handwound_reactor::{
    Address, Close, Closed, DelayedCall, EventLoop, ListenOptions, Protocol, Reactor, Threads, Time, Transport,
};
use handwound_testkit::{Parting, Sim};

use crate::common::{Cell, settle_all};
use crate::{Defect, FoundBy::Orders, FoundBy::Seeds, Twin};

pub(crate) const DEFECTS: &[Defect] = &[
    Defect {
        name: "leaked timer",
        goes_wrong: "a connection that its peer closes leaves its deadline behind",
        found_by: Orders,
        within: 10,
        says: "timers left: 1",
        run: leaked,
    },
    Defect {
        name: "timer cancelled, slot fired",
        goes_wrong: "the slot of a cancelled timer is used again, and the old deadline fires the new timer",
        found_by: Orders,
        within: 10,
        says: "due at +60.000s, fired at +5.000s",
        run: slot_fired,
    },
    Defect {
        name: "woken, taken for due",
        goes_wrong: "does not look at the clock after a poll; any wake fires the first timer",
        found_by: Orders,
        within: 10,
        says: "due at +5.000s, fired at +1.000s",
        run: woken_is_due,
    },
    Defect {
        name: "timer set after the deadline was worked out",
        goes_wrong: "works out the deadline before it runs calls; one of them sets a timer, and the poll never ends",
        found_by: Orders,
        within: 10,
        says: "polls reactor `loop` without end",
        run: deadline_too_old,
    },
    Defect {
        name: "deadline put off by each byte",
        goes_wrong: "the time for a whole request starts again with each byte; a slow sender keeps its place for ever",
        found_by: Seeds,
        within: 20,
        says: "held for more than 10 s",
        run: put_off,
    },
    Defect {
        name: "deadline on the wall clock",
        goes_wrong: "the date jumps ahead, and a timeout comes an hour early",
        found_by: Orders,
        within: 10,
        says: "due at +60.000s, fired at +1.000s",
        run: wall_clock,
    },
];

const S: Duration = Duration::from_secs(1);

/// Each connection may take a minute; a call of the loop ends it.
struct Minute {
    twin: Twin,
    timer: Option<DelayedCall>,
}

impl Protocol for Minute {
    fn connected(&mut self, transport: &mut Transport) {
        let notifier = transport.notifier();
        self.timer = Some(transport.event_loop().call_later(60 * S, move |_| notifier.notify()));
    }

    fn received(&mut self, transport: &mut Transport, _: &[u8]) {
        self.cancel();
        transport.close();
    }

    fn notified(&mut self, transport: &mut Transport) {
        transport.abort();
    }

    fn closed(&mut self, _: Closed) {
        if !self.twin.is_wrong() {
            self.cancel();
        }
    }
}

impl Minute {
    fn cancel(&mut self) {
        if let Some(timer) = self.timer.take() {
            // It may be what has fired.
            let _ = timer.cancel();
        }
    }
}

fn leaked(sim: &Sim, twin: Twin) {
    let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
    let at = Address::Tcp(([127, 0, 0, 1], 80).into());
    event_loop.listen(&at, &ListenOptions::default(), move |_| Minute { twin, timer: None }).unwrap();
    let runs = event_loop.clone();
    sim.spawn("reactor", move || drop(runs.run().unwrap()));
    let client = sim.connect(&at);
    match sim.choose("how it ends", 3) {
        0 => drop(client.send("a request")),
        1 => client.reset(),
        _ => client.finish(),
    }
    sim.advance(10 * S);
    let left = event_loop.pending_timers();
    assert!(left == 0, "timers left: {left}");
}

/// Deadlines that name slots, and when each slot is really due.
#[derive(Default)]
struct Wheel {
    deadlines: BTreeSet<(Time, usize, u32)>,
    slots: Vec<(u32, Option<Time>)>,
}

impl Wheel {
    fn set(&mut self, due: Time) -> usize {
        let slot = self.slots.iter().position(|(_, due)| due.is_none()).unwrap_or_else(|| {
            self.slots.push((0, None));
            self.slots.len() - 1
        });
        let (generation, place) = &mut self.slots[slot];
        (*generation, *place) = (*generation + 1, Some(due));
        self.deadlines.insert((due, slot, *generation));
        slot
    }

    /// The deadline stays where it is: to look for it would take too long.
    fn cancel(&mut self, slot: usize) {
        self.slots[slot].1 = None;
    }

    fn run(&mut self, now: Time, twin: Twin) {
        while let Some(&first) = self.deadlines.first()
            && first.0 <= now
        {
            self.deadlines.remove(&first);
            let (_, slot, generation) = first;
            let (current, due) = &mut self.slots[slot];
            if (twin.is_wrong() || *current == generation)
                && let Some(due) = due.take()
            {
                fires(due, now);
            }
        }
    }
}

#[track_caller]
fn fires(due: Time, now: Time) {
    assert!(due <= now, "due at {due}, fired at {now}");
}

fn slot_fired(sim: &Sim, twin: Twin) {
    let mut wheel = Wheel::default();
    let first = wheel.set(Time::new(5 * S));
    if sim.choose("the first is cancelled", 2) == 1 {
        wheel.cancel(first);
    }
    wheel.set(Time::new(60 * S));
    for wait in [5 * S, 55 * S] {
        sim.advance(wait);
        wheel.run(sim.now(), twin);
    }
}

fn woken_is_due(sim: &Sim, twin: Twin) {
    let mut reactor = sim.reactor("loop");
    let (waker, threads, due) = (reactor.waker(), sim.threads(), Time::new(5 * S));
    sim.spawn("reactor", move || {
        let mut events = Vec::new();
        loop {
            reactor.poll(&mut events, Some(due)).unwrap();
            if twin.is_wrong() || reactor.now() >= due {
                return fires(due, reactor.now());
            }
        }
    });
    if sim.choose("a wake comes", 2) == 1 {
        sim.spawn("wakes", move || {
            threads.sleep(S);
            waker.wake();
        });
    }
    settle_all(sim);
}

fn deadline_too_old(sim: &Sim, twin: Twin) {
    let mut reactor = sim.reactor("loop");
    let (waker, calls) = (reactor.waker(), Cell::new(sim, "mailbox", 0));
    let mailbox = calls.clone();
    sim.spawn("reactor", move || {
        let (mut events, mut timer) = (Vec::new(), None);
        loop {
            let worked_out = timer;
            // A call sets a timer.
            if mailbox.with(std::mem::take) > 0 {
                timer = Some(reactor.now() + S);
            }
            reactor.poll(&mut events, if twin.is_wrong() { worked_out } else { timer }).unwrap();
            if timer.is_some_and(|due| due <= reactor.now()) {
                return;
            }
        }
    });
    sim.spawn("caller", move || {
        calls.with(|calls| *calls += 1);
        waker.wake();
    });
    settle_all(sim);
}

/// A request is a line and has ten seconds.
fn put_off(sim: &Sim, twin: Twin) {
    let mut reactor = sim.reactor("server");
    let at = Address::Tcp(([127, 0, 0, 1], 80).into());
    let listener = reactor.listen(&at, &ListenOptions::default()).unwrap();
    let client = sim.connect(&at).write_in(1).every(S);
    client.send("a line that takes its time\n");
    let held = Cell::new(sim, "held", None);
    let took = held.clone();
    sim.spawn("server", move || {
        let mut events = Vec::new();
        let sock = loop {
            if let Ok((sock, _)) = reactor.accept(listener) {
                break sock;
            }
            reactor.poll(&mut events, None).unwrap();
        };
        let (start, mut deadline, mut into) = (reactor.now(), reactor.now() + 10 * S, [0; 64]);
        loop {
            let end = match reactor.read(sock, &mut into) {
                Ok(read) if into[..read.bytes].contains(&b'\n') || read.bytes == 0 => true,
                Ok(_) if twin.is_wrong() => {
                    deadline = reactor.now() + 10 * S;
                    false
                }
                Ok(_) => false,
                Err(_) => {
                    reactor.poll(&mut events, Some(deadline)).unwrap();
                    false
                }
            };
            if end || reactor.now() >= deadline {
                took.set(Some(reactor.now() - start));
                return reactor.close(sock, Close::Reset);
            }
        }
    });
    sim.settle();
    assert!(held.get().unwrap() <= 10 * S, "held for more than 10 s");
    assert_eq!(client.closing(), Parting::Reset);
}

fn wall_clock(sim: &Sim, twin: Twin) {
    let reactor = sim.reactor("loop");
    let (threads, due) = (sim.threads_beside(&reactor), Time::new(60 * S));
    let date_due = reactor.wall_clock() + 60 * S;
    sim.spawn("waits", move || {
        let is_due = |date: SystemTime, now| if twin.is_wrong() { date >= date_due } else { now >= due };
        while !is_due(reactor.wall_clock(), reactor.now()) {
            threads.sleep(S);
        }
        fires(due, reactor.now());
    });
    sim.settle_now();
    if sim.choose("the date jumps", 2) == 1 {
        sim.date_jumps_ahead(3600 * S);
    }
    settle_all(sim);
}
