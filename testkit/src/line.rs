//! The lines between the ends of connections: how long things are under way, where they break, and who is cut off.

use std::cmp::Reverse;
use std::time::Duration;

use handwound_reactor::Time;

use crate::family::Family;
use crate::faults::{Break, Host};
use crate::network::{Cargo, Delivery, Link, Owner, RETIRED};
use crate::network_options::{Latency, Segments};
use crate::trace::What;
use crate::world::{HOSTS, UNDER_WAY, World};

/// Something that happens by itself at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tick {
    /// A slow client may write again.
    ClientWrites(u32),
    /// A slow client may read again.
    ClientReads(u32),
    /// Whoever connects waits no longer: the connection's index, and its serial number.
    ConnectGivesUp(u32, u32),
    /// Whoever sends what nobody acknowledges gives up: the connection's index, its serial number, and the side.
    SendGivesUp(u32, u32, u8),
    /// A planned fault.
    Fault(u32),
}

/// The direction towards one end.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Bytes that have been sent this way.
    pub(crate) entered: u64,
    /// Where it will break, nearest first.
    breaks: Vec<(u64, Break)>,
    broken: Option<Break>,
    /// Until when it is busy with what was sent.
    busy_until: Time,
}

impl Line {
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Whether it neither is broken nor will be.
    pub(crate) fn is_sound(&self) -> bool {
        self.breaks.is_empty() && self.broken.is_none()
    }

    /// Whether it has fallen silent.
    pub(crate) fn is_silent(&self) -> bool {
        self.broken == Some(Break::Stall)
    }

    /// How many bytes pass before it breaks.
    pub(crate) fn whole(&self) -> usize {
        match self.breaks.first() {
            Some((byte, _)) => usize::try_from(byte.saturating_sub(self.entered)).unwrap_or(usize::MAX),
            None => usize::MAX,
        }
    }

    /// Whether this can still pass.
    pub(crate) fn passes(&self, cargo: Cargo) -> bool {
        match self.broken {
            None => true,
            Some(Break::Stall) => false,
            Some(_) => !matches!(cargo, Cargo::Bytes(_) | Cargo::End),
        }
    }
}

impl World {
    /// Has a direction break once `byte` bytes have been sent in it since the beginning. The ends of a UNIX socket have
    /// no line between them.
    pub(crate) fn break_line(&mut self, connection: u32, to: u8, byte: u64, how: Break) {
        if self.is_unix(connection) {
            return;
        }
        let breaks = &mut self.end_of(connection, to).line.breaks;
        breaks.push((byte, how));
        breaks.sort_unstable();
        self.look_for_break(connection, to);
    }

    /// Breaks the direction, if its byte has come.
    pub(crate) fn look_for_break(&mut self, connection: u32, to: u8) {
        let up = self.end_of(connection, 1 - to).link == Link::Up;
        let line = &mut self.end_of(connection, to).line;
        if line.breaks.is_empty() || !up || line.is_broken() || line.whole() > 0 {
            return;
        }
        let (_, how) = line.breaks[0];
        let number = self.number(connection, to);
        self.note(What::Break, number, how as u64);
        match how {
            Break::Reset => self.post(connection, to, Cargo::Break),
            Break::Cut => self.post(connection, to, Cargo::End),
            Break::Stall => {}
        }
        self.end_of(connection, to).line.broken = Some(how);
    }

    /// How long the next thing is under way.
    fn latency(&mut self, subject: u32) -> Duration {
        match self.network.latency {
            Latency::None => Duration::ZERO,
            Latency::Fixed(fixed) => fixed,
            Latency::Between(least, most) => {
                let micros = u32::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u32::MAX - 1);
                least
                    + Duration::from_micros(u64::from(self.draw_about(
                        Family::Latency,
                        subject,
                        micros + 1,
                        "latency in us",
                    )))
            }
            Latency::Drawn => match self.draw_about(Family::Latency, subject, 4, "latency") {
                0 | 1 => Duration::ZERO,
                2 => Duration::from_micros(u64::from(self.draw_about(Family::Latency, subject, 1000, "latency in us"))),
                _ => Duration::from_millis(
                    1 + u64::from(self.draw_about(Family::Latency, subject, 200, "latency in ms")),
                ),
            },
        }
    }

    /// When what is sent now arrives at an end.
    pub(crate) fn due(&mut self, connection: u32, to: u8, bytes: usize) -> Time {
        let latency = self.latency(self.number(connection, to));
        let (now, rate) = (self.now, self.network.bytes_per_second);
        let end = self.end_of(connection, to);
        let mut leaves = now;
        if let Some(rate) = rate {
            let nanos = bytes as u64 * 1_000_000_000 / u64::from(rate.max(1));
            leaves = end.line.busy_until.max(now) + Duration::from_nanos(nanos);
            end.line.busy_until = leaves;
        }
        end.last_due = end.last_due.max(leaves + latency);
        end.last_due
    }

    /// Sends bytes on their way, in as many segments as it takes.
    pub(crate) fn post_bytes(&mut self, connection: u32, to: u8, mut count: usize) {
        while count > 0 {
            let segment = match self.network.segments {
                Segments::Whole => count,
                Segments::Of(bytes) => bytes.max(1),
                Segments::Drawn => match self.draw_about(Family::Line, self.number(connection, to), 1461, "segment") {
                    // The plain choice.
                    0 => count.min(1460),
                    drawn => drawn as usize,
                },
            };
            let segment = segment.min(count);
            self.post(connection, to, Cargo::Bytes(segment));
            count -= segment;
        }
    }

    /// Has something happen by itself at its time.
    pub(crate) fn tick(&mut self, due: Time, tick: Tick) {
        self.push_delivery(due, 0, 0, Cargo::Tick(tick));
    }

    pub(crate) fn ticked(&mut self, tick: Tick) {
        match tick {
            Tick::ClientWrites(client) => self.client_write_tick(client),
            Tick::ClientReads(client) => self.client_read_tick(client),
            Tick::ConnectGivesUp(connection, serial) => {
                let there = &self.net.connections[connection as usize];
                // Whoever connected may have left, and the place may be another's or nobody's.
                let current = there.serial == serial && there.ends[0].owner != RETIRED;
                let end = self.end_of(connection, 0);
                if current && end.link == Link::Pending && !end.dead {
                    self.connect_failed(connection, std::io::ErrorKind::TimedOut);
                }
            }
            Tick::SendGivesUp(connection, serial, from) => self.send_gives_up(connection, serial, from),
            Tick::Fault(index) => self.timed_fault(index),
        }
    }

    /// From now on, whoever connects here waits no longer than systems do.
    pub(crate) fn await_answer(&mut self, connection: u32) {
        let (due, serial) = (self.now + self.network.connect_timeout, self.net.connections[connection as usize].serial);
        self.tick(due, Tick::ConnectGivesUp(connection, serial));
    }

    // Partitions.

    pub(crate) fn partition(&mut self, one: &Host, other: &Host) {
        self.touch(HOSTS);
        let pair = (self.host(one), self.host(other));
        self.note(What::Partition, 0, u64::from(pair.0) << 32 | u64::from(pair.1));
        self.net.partitions.push(pair);
    }

    /// Ends all partitions. What was held back arrives now, in the order in which it would have.
    pub(crate) fn heal(&mut self) {
        self.touch(HOSTS);
        self.touch(UNDER_WAY);
        self.note(What::Heal, 0, self.net.held.len() as u64);
        self.net.partitions.clear();
        self.acknowledged_again();
        for mut held in std::mem::take(&mut self.net.held) {
            held.due = self.now;
            self.net.deliveries.push(Reverse(held));
        }
    }

    fn host(&self, host: &Host) -> u32 {
        let Host::Reactor(name) = host else { return CLIENTS };
        let named = |state: &crate::slots::ReactorState| self.trace.text_of(state.name) == name.as_str();
        match self.net.reactors.iter().position(named) {
            Some(index) => index as u32,
            None => {
                let there: Vec<_> = self.net.reactors.iter().map(|state| self.trace.text_of(state.name)).collect();
                panic!("no reactor is named `{name}`; there are: {}", there.join(", "))
            }
        }
    }

    /// The host of a connection's side, as far as there is one.
    pub(crate) fn host_of(&self, owner: Owner) -> Option<u32> {
        match owner {
            Owner::Reactor { reactor, .. } => Some(reactor),
            Owner::Client(_) => Some(CLIENTS),
            Owner::Queue(listener) => Some(self.net.listeners[listener as usize].reactor),
            Owner::Gone => None,
        }
    }

    pub(crate) fn is_partitioned(&self, connection: u32) -> bool {
        if self.net.partitions.is_empty() {
            return false;
        }
        let [one, other] = &self.net.connections[connection as usize].ends;
        let (Some(one), Some(other)) = (one.host, other.host) else { return false };
        self.net.partitions.iter().any(|pair| *pair == (one, other) || *pair == (other, one))
    }

    /// Keeps back what cannot pass now.
    pub(crate) fn hold(&mut self, delivery: Delivery) {
        let number = self.number(delivery.connection, delivery.side);
        self.note(What::Hold, number, 0);
        match delivery.cargo {
            Cargo::Connect | Cargo::Established => self.await_answer(delivery.connection),
            Cargo::Bytes(_) | Cargo::End => self.unacknowledged(delivery.connection, 1 - delivery.side),
            _ => {}
        }
        self.net.held.push(delivery);
    }
}

/// The host that all clients are on.
const CLIENTS: u32 = u32::MAX;
