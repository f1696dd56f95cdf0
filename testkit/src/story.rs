//! The kept events as a story: who takes part, what each did, and which act of one led to an act of another.
//!
//! Diagram, timeline and Perfetto file are three ways to draw this; nothing here knows how it will look.

use std::collections::{BTreeMap, VecDeque};

use handwound_reactor::Time;

use crate::trace::{Event, NETWORK, TEST, What, end_number};
use crate::transcript::escape;
use crate::world::World;

/// Bytes of payload quoted in a label.
const QUOTE_BYTES_MAX: usize = 26;

/// Who takes part. In the order in which they are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Test,
    Client(u32),
    Reactor(u32),
    Worker(u32),
    /// Nobody: connections that nobody has accepted.
    Network,
}

/// What an act or a link is about, for filters and colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Bytes,
    Connection,
    Trouble,
    Thread,
    Gate,
    Wake,
    Poll,
    Visit,
}

impl Kind {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Kind::Bytes => "bytes",
            Kind::Connection => "connection",
            Kind::Trouble => "trouble",
            Kind::Thread => "thread",
            Kind::Gate => "gate",
            Kind::Wake => "wake",
            Kind::Poll => "poll",
            Kind::Visit => "visit",
        }
    }
}

/// One event, at the place of the one it concerns.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) lane: usize,
    pub(crate) at: Time,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// One act that led to another: `from` and `to` are indices of acts.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) from_lane: usize,
    pub(crate) to_lane: usize,
    pub(crate) kind: Kind,
    pub(crate) label: String,
    /// How many bytes, where it is about bytes.
    pub(crate) bytes: u64,
    /// The line that the label quotes does not end in these bytes.
    pub(crate) open: bool,
}

/// What only a diagram tells in words beside a lane.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) act: usize,
    pub(crate) text: String,
}

/// A thread waited from one of its acts to its next, or still does.
#[derive(Clone, Debug)]
pub(crate) struct Wait {
    pub(crate) lane: usize,
    pub(crate) from: usize,
    pub(crate) to: Option<usize>,
    pub(crate) text: String,
}

#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) lanes: Vec<(Who, String)>,
    pub(crate) acts: Vec<Act>,
    pub(crate) links: Vec<Link>,
    pub(crate) notes: Vec<Note>,
    pub(crate) waits: Vec<Wait>,
    /// Events before these that are no longer kept.
    pub(crate) dropped: u64,
    pub(crate) ends_at: Time,
}

impl Story {
    pub(crate) fn of(world: &World) -> Story {
        let events: Vec<Event> = world.trace.events().collect();
        let cast = Cast::of(world, &events);
        let mut teller = Teller { world, cast, story: Story::default(), loose: Loose::default() };
        for event in &events {
            teller.tell(*event);
        }
        teller.end()
    }
}

/// Who is who: lanes, and who holds which end of a connection.
struct Cast {
    lanes: BTreeMap<Who, usize>,
    /// By the number of an end.
    ends: BTreeMap<u32, Who>,
    pollers: Vec<u32>,
}

impl Cast {
    fn of(world: &World, events: &[Event]) -> Cast {
        let mut pollers: Vec<u32> = events.iter().filter(|e| e.what == What::Poll).map(|e| e.actor).collect();
        pollers.sort_unstable();
        pollers.dedup();
        let mut cast = Cast { lanes: BTreeMap::new(), ends: BTreeMap::new(), pollers };
        for (index, client) in world.net.clients.iter().enumerate() {
            cast.ends.insert(end_number(client.serial, 0), Who::Client(index as u32));
        }
        for event in events {
            let end = match event.what {
                What::Accept => end_number(event.object, 1),
                What::Connect => end_number(event.object, 0),
                What::Read | What::ReadEnd | What::ReadNothing | What::Write | What::WriteNothing => event.object,
                What::Close | What::Reset | What::Shutdown => event.object,
                _ => continue,
            };
            let who = cast.actor(event.actor);
            cast.ends.entry(end).or_insert(who);
        }
        let all: Vec<Who> = events.iter().map(|event| cast.who(event)).collect();
        for who in all {
            cast.lanes.insert(who, 0);
        }
        for (index, lane) in cast.lanes.values_mut().enumerate() {
            *lane = index;
        }
        cast
    }

    fn actor(&self, actor: u32) -> Who {
        match actor {
            TEST => Who::Test,
            NETWORK => Who::Network,
            task if self.pollers.contains(&task) => Who::Reactor(task),
            task => Who::Worker(task),
        }
    }

    fn holder(&self, end: u32) -> Who {
        self.ends.get(&end).copied().unwrap_or(Who::Network)
    }

    /// In whose lane an event belongs.
    fn who(&self, event: &Event) -> Who {
        match event.what {
            What::Arrive | What::ArriveEnd | What::ArriveReset | What::Break | What::Hold => self.holder(event.object),
            What::ClientSend | What::ClientRead | What::ClientEnd | What::ClientClose | What::ClientReset => {
                self.holder(event.object)
            }
            What::Connect | What::Establish | What::Refuse | What::GiveUp => self.holder(end_number(event.object, 0)),
            _ => self.actor(event.actor),
        }
    }
}

/// What has begun and not yet led to anything.
#[derive(Default)]
struct Loose {
    /// By gate: the first unpark since the token was taken last.
    unparks: BTreeMap<u64, usize>,
    /// By reactor's name: the first wake since the last poll.
    wakes: BTreeMap<u32, usize>,
    /// By task: where it was started, until its first act.
    starts: BTreeMap<u32, usize>,
    /// By connection.
    connects: BTreeMap<u32, usize>,
    /// By the end they go to: what is under way, as acts and bytes.
    bytes: BTreeMap<u32, VecDeque<(usize, u64)>>,
    /// By the end that parted.
    partings: BTreeMap<u32, usize>,
    /// By the end they go to: how many have arrived.
    arrived: BTreeMap<u32, u64>,
    /// By task: its last act.
    last: BTreeMap<u32, usize>,
}

struct Teller<'a> {
    world: &'a World,
    cast: Cast,
    story: Story,
    loose: Loose,
}

impl Teller<'_> {
    fn tell(&mut self, event: Event) {
        let here = self.story.acts.len();
        let lane = self.cast.lanes[&self.cast.who(&event)];
        let mut text = String::new();
        self.world.trace.describe(&mut text, event);
        self.story.acts.push(Act { lane, at: event.at, kind: kind(event.what), text });
        self.wait(event, here, lane);
        self.connect_up(event, here);
        if let Some(text) = self.note(event) {
            self.story.notes.push(Note { act: here, text });
        }
        if event.actor < TEST {
            if let Some(start) = self.loose.starts.remove(&event.actor) {
                self.link(start, here, Kind::Thread, "starts".to_owned(), 0);
            }
            self.loose.last.insert(event.actor, here);
        }
    }

    /// What only waiting can precede: the thread has waited since its last act.
    fn wait(&mut self, event: Event, here: usize, lane: usize) {
        let name = self.world.trace.name_at(event.object);
        let text = match event.what {
            What::TakeToken | What::TimeOut => format!("waits at gate {name}"),
            What::Poll => format!("polls {name}"),
            _ => return,
        };
        if let Some(&from) = self.loose.last.get(&event.actor) {
            self.story.waits.push(Wait { lane, from, to: Some(here), text });
        }
    }

    fn connect_up(&mut self, event: Event, here: usize) {
        let Event { what, object, value, .. } = event;
        let peer = object ^ 1;
        match what {
            What::Spawn => {
                self.loose.starts.insert(value as u32, here);
            }
            What::Unpark => {
                self.loose.unparks.entry(value).or_insert(here);
            }
            What::TakeToken => {
                if let Some(from) = self.loose.unparks.remove(&value) {
                    let gate = self.world.trace.name_at(object);
                    let (_, taker) = &self.lane_of(here);
                    let label = if gate == taker { "unpark".to_owned() } else { format!("unpark {gate}") };
                    self.link(from, here, Kind::Gate, label, 0);
                }
            }
            What::Wake => {
                self.loose.wakes.entry(object).or_insert(here);
            }
            What::Poll => {
                if let Some(from) = self.loose.wakes.remove(&object) {
                    self.link(from, here, Kind::Wake, "wake".to_owned(), 0);
                }
            }
            What::Connect => {
                self.loose.connects.insert(object, here);
            }
            What::Accept => {
                if let Some(from) = self.loose.connects.remove(&object) {
                    self.link(from, here, Kind::Connection, "connect".to_owned(), 0);
                }
            }
            What::Refuse | What::GiveUp => {
                self.loose.connects.remove(&object);
            }
            What::ClientSend | What::Write => {
                self.loose.bytes.entry(peer).or_default().push_back((here, value));
            }
            What::Arrive => self.arrive(object, value, here),
            What::Shutdown | What::Close | What::Reset | What::ClientEnd | What::ClientClose | What::ClientReset => {
                self.loose.partings.insert(object, here);
            }
            What::ArriveEnd | What::ArriveReset => {
                let end = what == What::ArriveEnd;
                let (kind, label) = if end { (Kind::Connection, "end") } else { (Kind::Trouble, "reset") };
                match self.loose.partings.get(&peer) {
                    Some(&from) => self.link(from, here, kind, label.to_owned(), 0),
                    None => self.story.notes.push(Note { act: here, text: format!("{label} arrives") }),
                }
            }
            _ => {}
        }
    }

    /// Bytes arrive at `end`: what was sent first arrives first.
    fn arrive(&mut self, end: u32, bytes: u64, here: usize) {
        let under_way = self.loose.bytes.entry(end).or_default();
        let from = under_way.front().map(|(from, _)| *from);
        let mut left = bytes;
        while left > 0
            && let Some((_, sent)) = under_way.front_mut()
        {
            let part = left.min(*sent);
            (left, *sent) = (left - part, *sent - part);
            if *sent == 0 {
                under_way.pop_front();
            }
        }
        let arrived = self.loose.arrived.entry(end).or_default();
        let offset = *arrived;
        *arrived += bytes;
        let (label, open) = self.quote(end, offset, bytes).unwrap_or_default();
        match from {
            Some(from) => {
                self.link(from, here, Kind::Bytes, label, bytes);
                self.story.links.last_mut().expect("has just been made").open = open;
            }
            None => self.story.notes.push(Note { act: here, text: format!("{bytes} B arrive") }),
        }
    }

    /// The first line of the payload, where it is known, and whether it goes on behind these bytes.
    fn quote(&self, end: u32, offset: u64, bytes: u64) -> Option<(String, bool)> {
        if self.world.trace.dropped() > 0 {
            return None;
        }
        let client = self.world.net.clients.iter().find(|client| client.serial == end >> 1)?;
        let all = if end & 1 == 1 { client.transcript.sent_bytes() } else { client.transcript.received_bytes() };
        let (from, to) = (usize::try_from(offset).ok()?, usize::try_from(offset + bytes).ok()?);
        let piece = all.get(from..to.min(all.len()))?;
        let ends = |byte: &u8| *byte == b'\r' || *byte == b'\n';
        let start = piece.iter().position(|byte| !ends(byte))?;
        let line = piece[start..].split(ends).next()?;
        let mut text = String::new();
        for &byte in line.iter().take(QUOTE_BYTES_MAX) {
            escape(&mut text, byte);
        }
        if line.len() > QUOTE_BYTES_MAX {
            text.push_str("..");
        }
        Some((text, start + line.len() == piece.len() && line.len() <= QUOTE_BYTES_MAX))
    }

    fn note(&self, event: Event) -> Option<String> {
        let name = || self.world.trace.name_at(event.object);
        Some(match event.what {
            What::SpawnFail => format!("no thread for {}", name()),
            What::End => "ends".to_owned(),
            What::Panic => "PANICS".to_owned(),
            What::TimeOut if name() == "sleep" => "has slept".to_owned(),
            What::TimeOut => format!("timed out at {}", name()),
            What::Left => format!("left at {}", name()),
            What::GoesOn => format!("goes on at {}", name()),
            What::Refuse => "is refused".to_owned(),
            What::GiveUp => "gets no answer".to_owned(),
            What::AcceptFail => "accept fails".to_owned(),
            What::Break => "the line here breaks".to_owned(),
            What::Partition | What::Heal | What::DateJump | What::CallFail => {
                let mut text = String::new();
                self.world.trace.describe(&mut text, event);
                text
            }
            What::WriteNothing => "no room to write".to_owned(),
            _ => return None,
        })
    }

    fn link(&mut self, from: usize, to: usize, kind: Kind, label: String, bytes: u64) {
        let (from_lane, to_lane) = (self.story.acts[from].lane, self.story.acts[to].lane);
        self.story.links.push(Link { from, to, from_lane, to_lane, kind, label, bytes, open: false });
    }

    fn lane_of(&self, act: usize) -> (Who, String) {
        let lane = self.story.acts[act].lane;
        let who = *self.cast.lanes.iter().find(|(_, at)| **at == lane).expect("acts are in lanes").0;
        (who, self.name(who))
    }

    fn name(&self, who: Who) -> String {
        match who {
            Who::Test => "test".to_owned(),
            Who::Client(client) => format!("client {client}"),
            Who::Reactor(task) | Who::Worker(task) => self.world.task_name(task).to_owned(),
            Who::Network => "network".to_owned(),
        }
    }

    fn end(mut self) -> Story {
        let untaken = self.loose.unparks.values().map(|&act| (act, "unpark, not taken yet"));
        let unaccepted = self.loose.connects.values().map(|&act| (act, "connect, not accepted"));
        for (act, text) in untaken.chain(unaccepted) {
            self.story.notes.push(Note { act, text: text.to_owned() });
        }
        self.story.notes.sort_by_key(|note| note.act);
        for &task in self.world.live() {
            let Some(&from) = self.loose.last.get(&task) else { continue };
            if let Some(text) = crate::diagnosis::waiting(self.world, task) {
                let lane = self.story.acts[from].lane;
                self.story.waits.push(Wait { lane, from, to: None, text });
            }
        }
        let lanes = self.cast.lanes.keys().map(|&who| (who, self.name(who))).collect();
        self.story.lanes = lanes;
        self.story.dropped = self.world.trace.dropped();
        self.story.ends_at = self.world.now;
        self.story
    }
}

fn kind(what: What) -> Kind {
    match what {
        What::Spawn | What::End => Kind::Thread,
        What::SpawnFail | What::Panic | What::Refuse | What::AcceptFail => Kind::Trouble,
        What::ArriveReset | What::Reset | What::ClientReset => Kind::Trouble,
        What::CallFail | What::Break | What::GiveUp | What::Hold => Kind::Trouble,
        What::Partition | What::Heal | What::DateJump => Kind::Trouble,
        What::Visit | What::Left | What::GoesOn => Kind::Visit,
        What::Unpark | What::TakeToken | What::TimeOut => Kind::Gate,
        What::Wake => Kind::Wake,
        What::Poll => Kind::Poll,
        What::Read | What::ReadNothing | What::Write | What::WriteNothing => Kind::Bytes,
        What::Arrive | What::ClientSend | What::ClientRead => Kind::Bytes,
        // Whatever comes new is shown with the connections until it finds a better place.
        _ => Kind::Connection,
    }
}
