//! Tables of connections whose places are used again, and tokens that outlive what they name.

use handwound_reactor::Threads;
use handwound_testkit::Sim;

use crate::common::{Cell, settle_all};
use crate::{Defect, FoundBy::Orders, Twin};

pub(crate) const DEFECTS: &[Defect] = &[
    Defect {
        name: "stale token",
        goes_wrong: "a job's answer goes by slot alone, to whoever has the slot now",
        found_by: Orders,
        within: 20,
        says: "b got the answer for a",
        run: stale_token,
    },
    Defect {
        name: "double close",
        goes_wrong: "peer and deadline both close; the slot is free twice, and two connections get it",
        found_by: Orders,
        within: 10,
        says: "two connections in slot 0",
        run: double_close,
    },
    Defect {
        name: "event for one that was closed in the same batch",
        goes_wrong: "the first event's handler closes the second's connection; the second is looked up all the same",
        found_by: Orders,
        within: 10,
        says: "an event for nobody",
        run: closed_in_the_batch,
    },
    Defect {
        name: "place taken while it is still in use",
        goes_wrong: "frees the slot before its job has ended; the job's last words go to the next connection",
        found_by: Orders,
        within: 20,
        says: "b begins with 7 bytes of a",
        run: freed_in_use,
    },
];

/// Connections by slot, each with what it has been sent.
#[derive(Default)]
struct Table {
    places: Vec<Place>,
    free: Vec<usize>,
}

#[derive(Default)]
struct Place {
    generation: u32,
    who: Option<&'static str>,
    output: Vec<String>,
}

type Token = (usize, u32);

impl Table {
    fn open(&mut self, who: &'static str) -> Token {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len() - 1
        });
        let place = &mut self.places[slot];
        assert!(place.who.is_none(), "two connections in slot {slot}");
        place.who = Some(who);
        (slot, place.generation)
    }

    fn holds(&self, (slot, generation): Token) -> bool {
        self.places[slot].generation == generation && self.places[slot].who.is_some()
    }

    fn close(&mut self, (slot, _): Token) {
        self.places[slot].who = None;
        self.places[slot].generation += 1;
        self.free.push(slot);
    }
}

fn stale_token(sim: &Sim, twin: Twin) {
    let table = Cell::new(sim, "table", Table::default());
    let a = table.with(|table| table.open("a"));
    let answers = table.clone();
    sim.spawn("worker", move || {
        answers.with(|table| {
            if twin.is_wrong() || table.holds(a) {
                let who = table.places[a.0].who;
                assert!(who != Some("b"), "b got the answer for a");
                table.places[a.0].output.push("for a".to_owned());
            }
        });
    });
    sim.spawn("reactor", move || {
        table.with(|table| table.close(a));
        table.with(|table| table.open("b"));
    });
    settle_all(sim);
}

fn double_close(sim: &Sim, twin: Twin) {
    let table = Cell::new(sim, "table", Table::default());
    let a = table.with(|table| table.open("a"));
    for (cause, happens) in [("peer", sim.choose("the peer leaves", 2)), ("deadline", sim.choose("time is over", 2))] {
        let table = table.clone();
        if happens == 1 {
            sim.spawn(cause, move || {
                table.with(|table| {
                    if twin.is_wrong() || table.holds(a) {
                        table.close(a);
                    }
                });
            });
        }
    }
    settle_all(sim);
    table.with(|table| ["b", "c"].map(|who| table.open(who)));
}

fn closed_in_the_batch(sim: &Sim, twin: Twin) {
    let mut table = Table::default();
    let (a, b) = (table.open("a"), table.open("b"));
    let batch = if sim.choose("who is first", 2) == 0 { [b, a] } else { [a, b] };
    for token in batch {
        if !twin.is_wrong() && !table.holds(token) {
            continue;
        }
        let who = table.places[token.0].who.expect("an event for nobody");
        // `a` is a proxy's client and takes its upstream connection with it.
        if who == "a" && table.holds(b) {
            table.close(b);
        }
    }
}

fn freed_in_use(sim: &Sim, twin: Twin) {
    // One buffer for each place: length of what is in it, and whether somebody works on it.
    let (buffer, busy) = (Cell::new(sim, "buffer", 0), Cell::new(sim, "busy", true));
    let done = sim.threads().gate("job has ended");
    let (fills, works, ends) = (buffer.clone(), busy.clone(), done.clone());
    sim.spawn("worker", move || {
        fills.with(|length| *length += 7);
        works.set(false);
        ends.unpark();
    });
    sim.spawn("reactor", move || {
        while !twin.is_wrong() && busy.get() {
            done.park();
        }
        buffer.set(0);
        // The next connection begins here.
        let length = buffer.get();
        assert!(length == 0, "b begins with {length} bytes of a");
    });
    settle_all(sim);
}
