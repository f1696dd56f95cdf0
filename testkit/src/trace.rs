//! What happened, move by move: a hash over all of it, and the last events for people to read.
//!
//! Events are numbers until someone wants text. There are only virtual times and stable ids in them. What is drawn
//! from them (diagram, timeline) is made of [`Trace::events`]; see `story`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use handwound_reactor::Time;

use crate::origins::Origins;

/// How many events are kept for [`Trace::text`]; the hash covers all.
const EVENTS_MAX: usize = 1 << 16;

/// The test itself, where a task's number could be.
pub(crate) const TEST: u32 = u32::MAX - 1;
/// The network, delivering.
pub(crate) const NETWORK: u32 = u32::MAX;

/// A name, held once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name(u32);

impl Name {
    pub(crate) fn index(self) -> u32 {
        self.0
    }
}

/// What an event is; `object` and `value` of the event mean what the text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Spawn,
    SpawnFail,
    End,
    Panic,
    Visit,
    Unpark,
    TakeToken,
    TimeOut,
    Wake,
    Poll,
    Listen,
    Unlisten,
    Connect,
    Refuse,
    Establish,
    Accept,
    AcceptFail,
    Read,
    ReadEnd,
    ReadNothing,
    Write,
    WriteNothing,
    Arrive,
    ArriveEnd,
    ArriveReset,
    Shutdown,
    Close,
    Reset,
    ClientSend,
    ClientRead,
    ClientEnd,
    ClientClose,
    ClientReset,
    CallFail,
    Break,
    GiveUp,
    Hold,
    Partition,
    Heal,
    DateJump,
    Left,
    GoesOn,
}

/// By number.
const ALL: [What; 42] = [
    What::Spawn,
    What::SpawnFail,
    What::End,
    What::Panic,
    What::Visit,
    What::Unpark,
    What::TakeToken,
    What::TimeOut,
    What::Wake,
    What::Poll,
    What::Listen,
    What::Unlisten,
    What::Connect,
    What::Refuse,
    What::Establish,
    What::Accept,
    What::AcceptFail,
    What::Read,
    What::ReadEnd,
    What::ReadNothing,
    What::Write,
    What::WriteNothing,
    What::Arrive,
    What::ArriveEnd,
    What::ArriveReset,
    What::Shutdown,
    What::Close,
    What::Reset,
    What::ClientSend,
    What::ClientRead,
    What::ClientEnd,
    What::ClientClose,
    What::ClientReset,
    What::CallFail,
    What::Break,
    What::GiveUp,
    What::Hold,
    What::Partition,
    What::Heal,
    What::DateJump,
    What::Left,
    What::GoesOn,
];

/// One event: rendered only when someone asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) at: Time,
    pub(crate) actor: u32,
    pub(crate) what: What,
    pub(crate) object: u32,
    pub(crate) value: u64,
}

/// An event as it is kept: many are written, few are read.
#[derive(Clone, Copy, Debug)]
struct Packed {
    nanos: u64,
    value: u64,
    object: u32,
    /// The actor's lower 24 bits and what.
    who_what: u32,
}

impl Packed {
    fn event(self) -> Event {
        let actor = self.who_what >> 8;
        // `TEST` and `NETWORK` are the two largest numbers, here as there.
        let actor = if actor >= ACTORS_MAX { actor | !ACTORS_MASK } else { actor };
        let what = ALL[(self.who_what & 0xff) as usize];
        let at = Time::new(Duration::from_nanos(self.nanos));
        Event { at, actor, what, object: self.object, value: self.value }
    }
}

const ACTORS_MASK: u32 = 0x00ff_ffff;
const ACTORS_MAX: u32 = TEST & ACTORS_MASK;

#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: u64,
    /// The time of the last event, in nanoseconds: most have the time of the one before.
    nanos: u64,
    ring: Vec<Packed>,
    /// Where the oldest event is once the ring is full.
    oldest: usize,
    count: u64,
    /// Of these, those that were kept, if only for a time.
    kept: u64,
    /// Visits to shared things are not kept: half of all events, and nobody reads an unrecorded run's.
    pub(crate) forgets_visits: bool,
    names: Vec<String>,
    by_name: BTreeMap<String, u32>,
    /// For comparisons of two runs.
    prints: Option<Prints>,
    /// Who made and who answers what, for diagnoses; no part of the hash.
    pub(crate) origins: Origins,
}

/// One number for each event, which stands for all of it and for the bytes that were moved before it.
#[derive(Debug, Default)]
struct Prints {
    running: u64,
    events: Vec<u64>,
}

impl Prints {
    fn fold(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.running = (self.running ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Trace {
    /// Forgets all; keeps the memory.
    pub(crate) fn reset(&mut self) {
        let mut ring = std::mem::take(&mut self.ring);
        ring.clear();
        let mut origins = std::mem::take(&mut self.origins);
        origins.reset();
        *self = Trace { ring, origins, ..Trace::default() };
    }

    /// Keeps one number for each event from here on, and looks at the bytes that are moved.
    pub(crate) fn keep_prints(&mut self) {
        self.prints = Some(Prints::default());
    }

    pub(crate) fn take_prints(&mut self) -> Vec<u64> {
        self.prints.take().map(|prints| prints.events).unwrap_or_default()
    }

    /// Bytes that the next event is about.
    pub(crate) fn moves(&mut self, bytes: &[u8]) {
        if let Some(prints) = &mut self.prints {
            prints.fold(bytes);
        }
    }

    pub(crate) fn name(&mut self, name: &str) -> Name {
        if let Some(&index) = self.by_name.get(name) {
            return Name(index);
        }
        let index = self.names.len() as u32;
        self.moves(name.as_bytes());
        self.names.push(name.to_owned());
        self.by_name.insert(name.to_owned(), index);
        Name(index)
    }

    pub(crate) fn text_of(&self, name: Name) -> &str {
        &self.names[name.0 as usize]
    }

    #[inline]
    pub(crate) fn note(&mut self, at: Time, actor: u32, what: What, object: u32, value: u64) {
        let nanos = self.fold_time(at);
        self.fold(u64::from(actor) << 32 | (what as u64) << 24 ^ u64::from(object));
        if what != What::Visit {
            self.fold(value);
        }
        self.count += 1;
        if self.prints.is_some() || matches!(what, What::Unpark | What::Wake | What::Spawn) {
            self.note_more(Event { at, actor, what, object, value });
        }
        self.kept += 1;
        let event = Packed { nanos, value, object, who_what: actor << 8 | what as u32 };
        if self.ring.len() < EVENTS_MAX {
            self.ring.push(event);
        } else {
            self.ring[self.oldest] = event;
            self.oldest = (self.oldest + 1) % EVENTS_MAX;
        }
    }

    /// As [`note_name`](Trace::note_name), of a visit.
    #[inline]
    pub(crate) fn note_visit(&mut self, at: Time, actor: u32, object: Name) {
        if !self.forgets_visits || self.prints.is_some() {
            return self.note_name(at, actor, What::Visit, object, 0);
        }
        self.fold_time(at);
        self.fold(u64::from(actor) << 32 | (What::Visit as u64) << 24 ^ u64::from(object.0));
        self.count += 1;
    }

    /// What few events need, or few runs. Apart, so that the others do not pay for it.
    #[cold]
    #[inline(never)]
    fn note_more(&mut self, Event { at, actor, what, object, value }: Event) {
        if let Some(prints) = &mut self.prints {
            prints.events.push(self.hash ^ prints.running);
        }
        self.origins.seen(at, actor, what, object, value);
    }

    pub(crate) fn note_name(&mut self, at: Time, actor: u32, what: What, object: Name, value: u64) {
        self.note(at, actor, what, object.0, value);
    }

    pub(crate) fn hash(&self) -> u64 {
        // One more round, so that the last event reaches all bits.
        let hash = self.hash ^ self.hash >> 32;
        (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.count).rotate_left(31)
    }

    /// The time in nanoseconds; only another than the last counts.
    #[inline]
    fn fold_time(&mut self, at: Time) -> u64 {
        let since = at.since_start();
        let nanos = since.as_secs().wrapping_mul(1_000_000_000).wrapping_add(u64::from(since.subsec_nanos()));
        if nanos != self.nanos {
            self.nanos = nanos;
            self.fold(!nanos);
        }
        nanos
    }

    #[inline]
    fn fold(&mut self, word: u64) {
        self.hash = (self.hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    /// The events that are kept, oldest first.
    pub(crate) fn events(&self) -> impl DoubleEndedIterator<Item = Event> {
        let (newer, older) = self.ring.split_at(self.oldest);
        older.iter().chain(newer).map(|event| event.event())
    }

    /// How many events are no longer kept.
    pub(crate) fn dropped(&self) -> u64 {
        self.kept - self.ring.len() as u64
    }

    /// The name with this number, as events hold it.
    pub(crate) fn name_at(&self, object: u32) -> &str {
        self.names.get(object as usize).map_or("?", String::as_str)
    }

    /// One line per event: time, who, what. `task_name` names tasks by number.
    pub(crate) fn text<'a>(&'a self, task_name: impl Fn(u32) -> &'a str) -> String {
        let mut text = String::new();
        if self.dropped() > 0 {
            let _ = writeln!(text, "… {} earlier events", self.dropped());
        }
        for event in self.events() {
            let actor = match (event.what, event.actor) {
                (What::Arrive | What::ArriveEnd | What::ArriveReset | What::Establish | What::Refuse, _) => "network",
                (What::ClientSend | What::ClientRead | What::ClientEnd | What::ClientClose | What::ClientReset, _) => {
                    "client"
                }
                (_, TEST) => "test",
                (_, NETWORK) => "network",
                (_, task) => task_name(task),
            };
            let _ = write!(text, "{} {actor:<10} ", event.at);
            self.describe(&mut text, event);
            text.push('\n');
        }
        text
    }

    /// What an event is, in words.
    pub(crate) fn describe(&self, text: &mut String, event: Event) {
        let Event { what, object, value, .. } = event;
        let name = || self.name_at(object);
        let _ = match what {
            What::Spawn => write!(text, "starts thread {}", name()),
            What::SpawnFail => write!(text, "gets no thread for {}", name()),
            What::End => write!(text, "ends"),
            What::Panic => write!(text, "panics"),
            What::Visit => write!(text, "visits {}", name()),
            What::Unpark => write!(text, "unparks {}", name()),
            What::TakeToken => write!(text, "passes gate {}", name()),
            What::TimeOut => write!(text, "waits no longer at gate {}", name()),
            What::Wake => write!(text, "wakes {}", name()),
            What::Poll => write!(text, "polls {}: {}", name(), count(value, "event")),
            What::Listen => write!(text, "listens at port {value} ({})", name()),
            What::Unlisten => write!(text, "listens no more at port {value} ({})", name()),
            What::Connect => write!(text, "connects, conn {object}"),
            What::Refuse => write!(text, "conn {object} is refused"),
            What::Establish => write!(text, "conn {object} is established"),
            What::Accept => write!(text, "accepts conn {object}"),
            What::AcceptFail => write!(text, "fails to accept"),
            What::Read => write!(text, "reads {} from {}", count(value, "byte"), end(object)),
            What::ReadEnd => write!(text, "reads the end of {}", end(object)),
            What::ReadNothing => write!(text, "finds nothing to read on {}", end(object)),
            What::Write => write!(text, "writes {} to {}", count(value, "byte"), end(object)),
            What::WriteNothing => write!(text, "finds no room to write to {}", end(object)),
            What::Arrive => write!(text, "brings {} to {}", count(value, "byte"), end(object)),
            What::ArriveEnd => write!(text, "brings the end to {}", end(object)),
            What::ArriveReset => write!(text, "brings a reset to {}", end(object)),
            What::Shutdown => write!(text, "ends its stream on {}", end(object)),
            What::Close => write!(text, "closes {}", end(object)),
            What::Reset => write!(text, "resets {}", end(object)),
            What::ClientSend => write!(text, "sends {} to {}", count(value, "byte"), end(object)),
            What::ClientRead => write!(text, "reads {} from {}", count(value, "byte"), end(object)),
            What::ClientEnd => write!(text, "ends its stream on {}", end(object)),
            What::ClientClose => write!(text, "closes {}", end(object)),
            What::ClientReset => write!(text, "resets {}", end(object)),
            What::CallFail if object >= INTERRUPTED => {
                write!(text, "is interrupted, and does it again: {} {value}", call(object - INTERRUPTED))
            }
            What::CallFail => write!(text, "is failed by plan or trouble: {} {value}", call(object)),
            What::Break => write!(text, "conn {} breaks on the way to {}", object >> 1, end(object)),
            What::GiveUp => write!(text, "conn {object} gets no answer"),
            What::Hold => write!(text, "cannot pass to {}", end(object)),
            What::Partition => write!(text, "parts hosts"),
            What::Heal => write!(text, "heals, and brings {}", count(value, "held thing")),
            What::Left => write!(text, "is left at {}", name()),
            What::GoesOn => write!(text, "goes on at {}", name()),
            What::DateJump => write!(text, "moves the date {value} ms {}", if object == 0 { "ahead" } else { "back" }),
        };
    }
}

fn count(number: u64, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}

/// Added to the number of a call that was interrupted and made again.
pub(crate) const INTERRUPTED: u32 = 16;

fn call(number: u32) -> &'static str {
    ["accept", "connect", "listen", "read", "write", "spawn", "poll"].get(number as usize).copied().unwrap_or("?")
}

/// An end of a connection, as one number; see `network::End`.
pub(crate) fn end_number(serial: u32, side: u8) -> u32 {
    serial << 1 | u32::from(side)
}

fn end(number: u32) -> String {
    format!("conn {}{}", number >> 1, if number & 1 == 0 { "c" } else { "s" })
}

/// `Time` that no deadline reaches.
pub(crate) const NEVER: Time = Time::new(Duration::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_the_last_events_and_the_hash_all() {
        let mut trace = Trace::default();
        let gate = trace.name("idle");
        let mut hashes = Vec::new();
        for step in 0..EVENTS_MAX as u64 + 3 {
            trace.note_name(Time::ZERO, 0, What::Poll, gate, step);
            hashes.push(trace.hash());
        }
        let text = trace.text(|_| "loop");
        assert!(text.starts_with("… 3 earlier events\n+0.000s loop       polls idle: 3 events\n"), "{}", &text[..90]);
        assert_eq!(text.lines().count(), EVENTS_MAX + 1);
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), EVENTS_MAX + 3);
    }
}
