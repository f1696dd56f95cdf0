//! A reactor, real or simulated, on which scripts are run.

use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSlice};
use std::time::Duration;

use handwound_reactor::{Address, Close, ListenOptions, Reactor, Sock};

use crate::script::{Amount, Call, Outcome, Place, Script, Sockets, Step, Then};

pub struct Stage<'a, R> {
    reactor: R,
    settle: Duration,
    script: &'a Script,
    listener: Sock,
    /// Where it listens, and where nobody does.
    at: Address,
    nowhere: Address,
    ends: Vec<End>,
    /// An edge was reported since the last `WouldBlock`, or has none been needed.
    readable: BTreeSet<Sock>,
    writable: BTreeSet<Sock>,
    /// Those who were told `WouldBlock`, and no edge since.
    waiting: BTreeSet<Sock>,
}

#[derive(Default)]
struct End {
    sock: Option<Sock>,
    local: Option<Address>,
    written: usize,
    read: usize,
    /// Whose bytes are read here, once that is known.
    writer: Option<usize>,
    /// It has written as much as there was room for, and not all of that has been read.
    full: bool,
    /// A read has failed here.
    broken: bool,
}

/// The byte at a place in the stream of an end.
fn byte(end: usize, at: usize) -> u8 {
    ((end * 29 + at) % 251) as u8
}

impl<'a, R: Reactor> Stage<'a, R> {
    pub fn new(mut reactor: R, settle: Duration, script: &'a Script, at: &Address, nowhere: &Address) -> Stage<'a, R> {
        // Of TCP, a port of its own at which nobody listens any more.
        let nowhere = match nowhere {
            Address::Tcp(_) => {
                let closed = reactor.listen(nowhere, &ListenOptions::default()).unwrap();
                let nowhere = reactor.local_address(closed).unwrap();
                reactor.close(closed, Close::Graceful);
                nowhere
            }
            nowhere => nowhere.clone(),
        };
        let listener = reactor.listen(at, &options(script)).unwrap();
        let at = reactor.local_address(listener).unwrap();
        let (readable, writable, waiting) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let ends = Vec::new();
        let mut stage = Stage { reactor, settle, script, listener, at, nowhere, ends, readable, writable, waiting };
        for pair in 0..2 {
            stage.dial(Place::Listener);
            while stage.accept() == Outcome::Accepted(Err(ErrorKind::WouldBlock)) {
                stage.ends.pop();
                stage.settle();
            }
            (stage.ends[2 * pair].writer, stage.ends[2 * pair + 1].writer) = (Some(2 * pair + 1), Some(2 * pair));
        }
        stage.dial(Place::Listener);
        stage
    }

    pub fn run(mut self) -> Vec<(Step, Outcome)> {
        let mut done = Vec::new();
        for step in &self.script.steps {
            self.step(*step, &mut done);
        }
        // What is left at the end counts too.
        self.step(Step { who: 0, call: Call::Accept }, &mut done);
        for call in [Call::Drain, Call::Write(1), Call::Drain, Call::Write(1), Call::ShutdownWrite] {
            for who in 0..self.ends.len() {
                if self.ends[who].sock.is_some() {
                    self.step(Step { who, call }, &mut done);
                }
            }
        }
        done
    }

    fn step(&mut self, step: Step, done: &mut Vec<(Step, Outcome)>) {
        let who = step.who % self.ends.len();
        let outcome = match (step.call, self.ends[who].sock) {
            (Call::Dial(place), _) => self.dial(place),
            (Call::Accept, _) => self.accept(),
            (Call::Listen, _) => Outcome::Plain(self.listen()),
            (Call::Unlisten, _) => {
                self.reactor.close(self.listener, Close::Graceful);
                Outcome::Plain(Ok(()))
            }
            (_, None) => Outcome::NoSocket,
            (call, Some(sock)) => self.call(call, who, sock),
        };
        self.settle();
        done.push((Step { who, call: step.call }, outcome));
    }

    fn call(&mut self, call: Call, who: usize, sock: Sock) -> Outcome {
        match call {
            Call::Write(count) => self.write(who, sock, count),
            Call::Fill => self.fill(who, sock),
            Call::Read(count) => self.read(who, sock, count),
            Call::Drain => self.read(who, sock, usize::MAX),
            Call::Pass(count) => self.pass(who, sock, count),
            Call::ShutdownWrite => Outcome::Plain(self.reactor.shutdown_write(sock).map_err(|error| error.kind())),
            Call::Close => self.close(who, sock, Close::Graceful),
            Call::Reset => self.close(who, sock, Close::Reset),
            _ => Outcome::Connected(self.reactor.connect_result(sock).map_err(|error| error.kind())),
        }
    }

    /// Lets everything arrive that is under way.
    fn settle(&mut self) {
        let end = self.reactor.now() + self.settle;
        let mut events = Vec::new();
        // Real reactors wait in whole milliseconds; for less, look again and again.
        let brief = self.settle < Duration::from_millis(1);
        loop {
            let until = if brief { self.reactor.now() } else { end };
            self.reactor.poll(&mut events, Some(until)).unwrap();
            for event in &events {
                if event.readable {
                    self.readable.insert(event.sock);
                    self.waiting.remove(&event.sock);
                }
                if event.writable {
                    self.writable.insert(event.sock);
                }
            }
            if self.reactor.now() >= end {
                return;
            }
        }
    }

    fn listen(&mut self) -> Result<(), ErrorKind> {
        if self.script.sockets == Sockets::Unix && self.reactor.local_address(self.listener).is_ok() {
            // To see whether somebody listens here already, `MioReactor` connects, and leaves.
            return Err(ErrorKind::AddrInUse);
        }
        self.listener = self.reactor.listen(&self.at, &options(self.script)).map_err(|error| error.kind())?;
        Ok(())
    }

    fn dial(&mut self, place: Place) -> Outcome {
        let to = match place {
            Place::Listener => &self.at,
            Place::Nowhere => &self.nowhere,
        };
        let dialled = self.reactor.connect(to);
        self.ends.push(End::default());
        let sock = match dialled {
            Ok(sock) => sock,
            Err(error) => return Outcome::Connected(Err(error.kind())),
        };
        let local = self.reactor.local_address(sock).ok().filter(|local| local.tcp().is_some());
        let end = self.ends.last_mut().expect("pushed above");
        (end.sock, end.local) = (Some(sock), local);
        self.settle();
        Outcome::Connected(self.reactor.connect_result(sock).map_err(|error| error.kind()))
    }

    fn accept(&mut self) -> Outcome {
        let accepted = self.reactor.accept(self.listener);
        if accepted.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            self.waiting.insert(self.listener);
            self.settle();
            if !self.waiting.contains(&self.listener) {
                return self.accept();
            }
        }
        let sock = accepted.as_ref().ok().map(|(sock, _)| *sock);
        self.ends.push(End { sock, ..End::default() });
        let known = |peer: &Address| self.ends.iter().position(|end| end.local.as_ref() == Some(peer));
        let outcome = accepted.map(|(_, peer)| known(&peer)).map_err(|error| error.kind());
        let unannounced = outcome.is_ok() && self.waiting.contains(&self.listener);
        announced(Outcome::Accepted(outcome), !unannounced)
    }

    fn close(&mut self, who: usize, sock: Sock, how: Close) -> Outcome {
        self.reactor.close(sock, how);
        self.ends[who].sock = None;
        Outcome::Plain(Ok(()))
    }

    fn write(&mut self, who: usize, sock: Sock, count: usize) -> Outcome {
        let (sent, then) = self.send(who, sock, count);
        if !self.ends[who].full {
            return Outcome::Wrote(Amount::Exactly(sent), then);
        }
        let then = if let Then::Error(_) = then { then } else { Then::Buffers };
        Outcome::Wrote(Amount::Some, then)
    }

    fn fill(&mut self, who: usize, sock: Sock) -> Outcome {
        let (sent, then) = self.send(who, sock, usize::MAX);
        self.ends[who].full |= sent > 0;
        Outcome::Wrote(Amount::Some, then)
    }

    /// Writes so many bytes, or as many as there is room for.
    fn send(&mut self, who: usize, sock: Sock, count: usize) -> (usize, Then) {
        let mut sent = 0;
        while sent < count {
            // One byte alone at first: short writes or not, all grounds then do the same.
            let now = if sent == 0 { 1 } else { (count - sent).min(16 * 1024) };
            match self.send_some(who, sock, now) {
                Ok(some) => {
                    // Whether the rest goes to a peer who is gone depends on whether its reset has come.
                    if sent == 0 && some < count {
                        self.settle();
                    }
                    sent += some;
                }
                Err(ErrorKind::WouldBlock) => {
                    self.writable.remove(&sock);
                    self.settle();
                    if !self.writable.contains(&sock) {
                        return (sent, Then::WouldBlock);
                    }
                }
                Err(error) => return (sent, Then::Error(error)),
            }
        }
        (sent, Then::Enough)
    }

    fn send_some(&mut self, who: usize, sock: Sock, count: usize) -> Result<usize, ErrorKind> {
        let end = &mut self.ends[who];
        let bytes: Vec<u8> = (0..count).map(|at| byte(who, end.written + at)).collect();
        // In two pieces, as heads and bodies are.
        let (one, other) = bytes.split_at(count / 2);
        let sent = self.reactor.write(sock, &[IoSlice::new(one), IoSlice::new(other)]).map_err(|error| error.kind())?;
        end.written += sent;
        Ok(sent)
    }

    fn read(&mut self, who: usize, sock: Sock, count: usize) -> Outcome {
        let waited = self.waiting.remove(&sock);
        let first = self.ends[who].read == 0;
        let mut got = 0;
        let then = loop {
            if got == count {
                break Then::Enough;
            }
            match self.receive_some(who, sock, count - got) {
                Ok(None) => return Outcome::Torn,
                Ok(Some(0)) => break Then::End,
                Ok(Some(some)) => got += some,
                Err(ErrorKind::WouldBlock) => {
                    self.readable.remove(&sock);
                    self.settle();
                    if !self.readable.contains(&sock) {
                        break Then::WouldBlock;
                    }
                }
                Err(error) => break Then::Error(error),
            }
        };
        let (outcome, new) = (self.tell_read(who, got, then, first), got > 0 || then != Then::WouldBlock);
        if then == Then::WouldBlock {
            self.waiting.insert(sock);
        }
        announced(outcome, !(waited && new))
    }

    fn tell_read(&mut self, who: usize, got: usize, then: Then, first: bool) -> Outcome {
        let end = &self.ends[who];
        let Some(writer) = end.writer else { return Outcome::Read(None, Amount::Exactly(got), then) };
        let all = end.read == self.ends[writer].written;
        let amount = match then {
            _ if !self.ends[writer].full || then == Then::Enough => Amount::Exactly(got),
            // What a reset has dropped depends on what had arrived.
            Then::Error(_) => Amount::Some,
            _ if end.broken => Amount::Some,
            _ if all => Amount::All,
            _ => Amount::Some,
        };
        self.ends[who].broken |= matches!(then, Then::Error(_));
        self.ends[writer].full &= !(all && then == Then::WouldBlock);
        Outcome::Read((first && got > 0).then(|| byte(writer, 0)), amount, then)
    }

    /// Reads up to so many bytes: how many, unless they are not those that come next.
    fn receive_some(&mut self, who: usize, sock: Sock, most: usize) -> Result<Option<usize>, ErrorKind> {
        let mut into = vec![0; most.min(64 * 1024)];
        let received = self.reactor.read(sock, &mut into).map_err(|error| error.kind())?;
        let bytes = &into[..received.bytes];
        let ends = self.ends.len();
        let end = &mut self.ends[who];
        // An accepted one learns from the first byte who has connected.
        let Some(first) = bytes.first() else { return Ok(Some(0)) };
        if end.writer.is_none() {
            end.writer = (0..ends).find(|&writer| byte(writer, 0) == *first);
        }
        let Some(writer) = end.writer else { return Ok(None) };
        let whole = bytes.iter().enumerate().all(|(at, there)| *there == byte(writer, end.read + at));
        end.read += bytes.len();
        Ok(whole.then_some(bytes.len()))
    }

    fn pass(&mut self, who: usize, sock: Sock, count: usize) -> Outcome {
        let reader = who ^ 1;
        let Some(other) = self.ends.get(reader).filter(|_| who < 4).and_then(|end| end.sock) else {
            return Outcome::NoSocket;
        };
        self.waiting.remove(&other);
        let goal = self.ends[who].written + count;
        let (_, then) = self.send(who, sock, 1);
        if let Then::Error(_) = then {
            return Outcome::Passed(Amount::Exactly(0), Then::Enough, then);
        }
        let (at_reader, at_writer) = loop {
            let before = (self.ends[who].written, self.ends[reader].read);
            let left = goal.saturating_sub(before.0);
            match self.send_some(who, sock, left.min(16 * 1024)) {
                Ok(_) => {}
                Err(ErrorKind::WouldBlock) => _ = self.writable.remove(&sock),
                Err(error) => break (Then::Enough, Then::Error(error)),
            }
            match self.receive_some(reader, other, usize::MAX) {
                Ok(None) => return Outcome::Torn,
                Ok(Some(0)) => break (Then::End, Then::Enough),
                Ok(Some(_)) => {}
                Err(ErrorKind::WouldBlock) => _ = self.readable.remove(&other),
                Err(error) => break (Then::Error(error), Then::Enough),
            }
            let after = (self.ends[who].written, self.ends[reader].read);
            if after.0 >= goal && after.0 == after.1 {
                break (Then::Enough, Then::Enough);
            }
            if before == after {
                self.settle();
                if !self.writable.contains(&sock) && !self.readable.contains(&other) {
                    break (Then::WouldBlock, Then::WouldBlock);
                }
            }
        };
        let all = self.ends[who].written == self.ends[reader].read;
        self.ends[who].full &= !all;
        Outcome::Passed(if all { Amount::All } else { Amount::Some }, at_reader, at_writer)
    }
}

fn announced(outcome: Outcome, announced: bool) -> Outcome {
    if announced { outcome } else { Outcome::Unannounced(Box::new(outcome)) }
}

fn options(script: &Script) -> ListenOptions {
    let mut options = ListenOptions::default();
    options.backlog = script.backlog;
    options
}
