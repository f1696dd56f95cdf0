//! How connections come about: dialled, refused, queued at a listener, given up.

use std::io::ErrorKind;

use handwound_reactor::{Address, Close, Time};

use crate::buffer::Buffer;
use crate::line::Line;
use crate::network::{Cargo, Connection, End, Link, Owner};
use crate::trace::What;
use crate::world::{HOSTS, World};

impl World {
    /// A connection that sets out from `owner` to whoever listens at `to`.
    pub(crate) fn dial(&mut self, owner: Owner, from: Address, to: &Address) -> u32 {
        // Which number it gets, and so its port and its faults, is a matter between those who dial.
        self.touch(HOSTS);
        let room_max = self.network.receive_buffer_bytes;
        let end = |owner, host, local| End {
            owner,
            host,
            line: Line::default(),
            link: Link::Pending,
            local,
            inbox: Buffer::default(),
            under_way: Buffer::default(),
            room_max,
            last_due: Time::ZERO,
            things_under_way: 0,
            ended: false,
            error: None,
            failure: ErrorKind::ConnectionRefused,
            dead: false,
            shut: false,
            unacknowledged: false,
            silent: false,
            pressed: false,
            end_waits: false,
        };
        let there = self.listener_at(to).map(|listener| self.net.listeners[listener as usize].reactor);
        let ends = [end(owner, self.host_of(owner), from), end(Owner::Gone, there, to.clone())];
        let serial = self.net.serials;
        self.net.serials += 1;
        let index = match self.net.free.pop() {
            Some(index) => {
                let object = self.net.connections[index as usize].object;
                self.net.connections[index as usize] = Connection { serial, object, ends };
                index
            }
            None => {
                let object = self.new_object();
                self.net.connections.push(Connection { serial, object, ends });
                self.net.connections.len() as u32 - 1
            }
        };
        if let Owner::Client(client) = owner {
            // Before anything can happen on it: a refusal may come at once.
            self.net.clients[client as usize].connection = index;
        }
        self.note(What::Connect, serial, 0);
        self.set_out(index);
        index
    }

    /// Sends a connect on its way, unless it is planned to fail.
    fn set_out(&mut self, connection: u32) {
        let serial = self.net.connections[connection as usize].serial;
        for index in 0..self.faults.breaks.len() {
            let (of, way, byte, how) = self.faults.breaks[index];
            if of == serial {
                self.break_line(connection, way.to(), byte, how);
            }
        }
        // Nobody waits for the answer of a UNIX socket.
        let unix = self.is_unix(connection);
        let planned = self.faults.connects.iter().find(|(of, _)| *of == serial);
        let by_plan = planned.map(|(_, unanswered)| (unix || !unanswered).then_some(ErrorKind::ConnectionRefused));
        let end = self.end_of(connection, 0);
        let by_trouble = matches!(end.owner, Owner::Reactor { .. }) && !unix;
        match by_plan.or_else(|| if by_trouble { self.drawn_outcome(serial) } else { None }) {
            None => self.post(connection, 1, Cargo::Connect),
            Some(outcome) => {
                self.end_of(connection, 1).dead = true;
                match outcome {
                    None => self.await_answer(connection),
                    Some(why) => {
                        self.end_of(connection, 0).failure = why;
                        self.post(connection, 0, Cargo::Refused);
                    }
                }
            }
        }
    }

    pub(crate) fn arrive_at_listener(&mut self, connection: u32) {
        if self.end_of(connection, 0).dead {
            self.end_of(connection, 1).dead = true;
            return;
        }
        let to = self.end_of(connection, 1).local.clone();
        self.touch(HOSTS);
        let Some(index) = self.listener_at(&to) else {
            self.end_of(connection, 1).dead = true;
            return self.post(connection, 0, Cargo::Refused);
        };
        self.touch_reactor(self.net.listeners[index as usize].reactor);
        let unix = self.is_unix(connection);
        let listener = &mut self.net.listeners[index as usize];
        if listener.queue.len() >= listener.backlog_max {
            if unix && matches!(self.end_of(connection, 0).owner, Owner::Reactor { .. }) {
                return self.try_again_later(connection);
            }
            // A scripted client may wait for room, at a UNIX socket too: its connect blocks.
            self.net.listeners[index as usize].overflow.push_back(connection);
            return;
        }
        self.enqueue(connection, index);
    }

    /// Establishes a connection, into the queue of a listener that has room.
    fn enqueue(&mut self, connection: u32, listener: u32) {
        let end = self.end_of(connection, 1);
        (end.owner, end.link) = (Owner::Queue(listener), Link::Up);
        let reactor = self.net.listeners[listener as usize].reactor;
        self.end_of(connection, 1).host = Some(reactor);
        self.net.listeners[listener as usize].queue.push_back(connection);
        self.post(connection, 0, Cargo::Established);
        self.look_for_break(connection, 0);
        self.listener_readable(listener);
    }

    /// Lets the next that waits for room into a listener's queue.
    pub(crate) fn admit(&mut self, listener: u32) {
        while let Some(waiting) = self.net.listeners[listener as usize].overflow.pop_front() {
            if !self.end_of(waiting, 0).dead {
                return self.enqueue(waiting, listener);
            }
            self.end_of(waiting, 1).dead = true;
            self.retire(waiting);
        }
    }

    /// Refuses or resets the connections that wait at a listener which closes.
    pub(crate) fn turn_away(&mut self, listener: u32) {
        let listener = &mut self.net.listeners[listener as usize];
        let (queue, overflow) = (std::mem::take(&mut listener.queue), std::mem::take(&mut listener.overflow));
        for connection in queue {
            match self.is_unix(connection) {
                true => self.hang_up(connection, 1, true),
                false => self.part(connection, 1, Close::Reset),
            }
        }
        for connection in overflow {
            self.touch_connection(connection);
            self.end_of(connection, 1).dead = true;
            self.post(connection, 0, Cargo::Refused);
        }
    }

    /// A connect has failed; whoever made it is told.
    pub(crate) fn connect_failed(&mut self, connection: u32, why: ErrorKind) {
        self.touch_connection(connection);
        let serial = self.net.connections[connection as usize].serial;
        self.note(if why == ErrorKind::TimedOut { What::GiveUp } else { What::Refuse }, serial, 0);
        let end = self.end_of(connection, 0);
        (end.link, end.failure, end.error, end.dead) = (Link::Failed, why, Some(why), true);
        self.readable(connection, 0);
        self.writable(connection, 0);
    }
}
