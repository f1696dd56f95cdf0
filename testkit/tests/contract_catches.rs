//! The contract suite against reactors that are wrong on purpose, each in one way: it must say so, by name.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IoSlice};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use handwound_reactor::{Address, Close, Event, ListenOptions, Reactor, Received, Sock, Time, Wake, Waker};
use handwound_testkit::contract::{self, Ground};
use handwound_testkit::{Choices, MockReactor, NetworkOptions, Sim, SimThreads};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    ReportsForEver,
    ForgetsReadEdgesAfterAccept,
    SaysDrainedTooSoon,
    LosesWakes,
    ReturnsEarly,
    TakesFarDeadlinesForPast,
    IgnoresGenerations,
    ConnectResultForgets,
    ResetIsAnEnd,
    GracefulDropsTheTail,
    EndIsToldOnce,
    ShutdownCloses,
    AcceptBlamesTheListener,
    ReversesSlices,
    TakesMoreThanFits,
    ClockGoesBack,
    LetsSignalsThrough,
    IsShortNowAndThen,
}

/// A mock with one thing wrong.
struct Crooked {
    inner: MockReactor,
    wrong: Wrong,
    calls: u32,
    /// By slot: what the newest socket there is called.
    newest: BTreeMap<u32, Sock>,
    ended: Vec<Sock>,
    last_events: Vec<Event>,
    deaf: Vec<Sock>,
    looks: Rc<RefCell<u64>>,
}

impl Crooked {
    fn is(&self, wrong: Wrong) -> bool {
        self.wrong == wrong
    }

    fn named(&self, sock: Sock) -> Sock {
        if self.is(Wrong::IgnoresGenerations) { self.newest.get(&sock.slot).copied().unwrap_or(sock) } else { sock }
    }

    fn note(&mut self, sock: Sock) -> Sock {
        self.newest.insert(sock.slot, sock);
        sock
    }
}

impl Reactor for Crooked {
    fn now(&self) -> Time {
        *self.looks.borrow_mut() += 1;
        let back = if self.is(Wrong::ClockGoesBack) { *self.looks.borrow() % 2 } else { 0 };
        let now = self.inner.now().since_start();
        Time::new(now.saturating_sub(Duration::from_nanos(back)))
    }

    fn wall_clock(&self) -> SystemTime {
        self.inner.wall_clock()
    }

    fn listen(&mut self, at: &Address, options: &ListenOptions) -> io::Result<Sock> {
        let sock = self.inner.listen(at, options)?;
        Ok(self.note(sock))
    }

    fn accept(&mut self, listener: Sock) -> io::Result<(Sock, Address)> {
        let result = self.inner.accept(self.named(listener));
        if let Err(error) = &result
            && error.kind() != ErrorKind::WouldBlock
            && self.is(Wrong::AcceptBlamesTheListener)
        {
            self.inner.close(listener, Close::Graceful);
        }
        let (sock, from) = result?;
        if self.is(Wrong::ForgetsReadEdgesAfterAccept) {
            self.deaf.push(sock);
        }
        Ok((self.note(sock), from))
    }

    fn connect(&mut self, to: &Address) -> io::Result<Sock> {
        if self.is(Wrong::IsShortNowAndThen) && std::mem::replace(&mut self.calls, 1) == 0 {
            return Err(handwound_testkit::EMFILE.into());
        }
        let sock = self.inner.connect(to)?;
        Ok(self.note(sock))
    }

    fn connect_result(&mut self, sock: Sock) -> io::Result<bool> {
        let connected = self.inner.connect_result(self.named(sock))?;
        self.calls += 1;
        Ok(connected && !(self.is(Wrong::ConnectResultForgets) && self.calls.is_multiple_of(3)))
    }

    fn local_address(&self, sock: Sock) -> io::Result<Address> {
        self.inner.local_address(self.named(sock))
    }

    fn read(&mut self, sock: Sock, into: &mut [u8]) -> io::Result<Received> {
        let sock = self.named(sock);
        if self.is(Wrong::LetsSignalsThrough) {
            self.calls += 1;
            if self.calls.is_multiple_of(3) {
                return Err(ErrorKind::Interrupted.into());
            }
        }
        match self.inner.read(sock, into) {
            Ok(Received { bytes: 0, .. }) if self.is(Wrong::EndIsToldOnce) => {
                if self.ended.contains(&sock) {
                    return Err(ErrorKind::WouldBlock.into());
                }
                self.ended.push(sock);
                Ok(Received { bytes: 0, drained: false })
            }
            Ok(Received { bytes, .. }) if bytes > 0 && self.is(Wrong::SaysDrainedTooSoon) => {
                Ok(Received { bytes, drained: true })
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset && self.is(Wrong::ResetIsAnEnd) => {
                Ok(Received { bytes: 0, drained: false })
            }
            result => result,
        }
    }

    fn write(&mut self, sock: Sock, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let sock = self.named(sock);
        if self.is(Wrong::ReversesSlices) {
            let reversed: Vec<_> = from.iter().rev().map(|slice| IoSlice::new(slice)).collect();
            return self.inner.write(sock, &reversed);
        }
        match self.inner.write(sock, from) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && self.is(Wrong::TakesMoreThanFits) => {
                Ok(from.iter().map(|slice| slice.len()).sum())
            }
            result => result,
        }
    }

    fn shutdown_write(&mut self, sock: Sock) -> io::Result<()> {
        let sock = self.named(sock);
        self.inner.shutdown_write(sock)?;
        if self.is(Wrong::ShutdownCloses) {
            self.inner.close(sock, Close::Graceful);
        }
        Ok(())
    }

    fn close(&mut self, sock: Sock, how: Close) {
        let sock = self.named(sock);
        let how = if self.is(Wrong::GracefulDropsTheTail) { Close::Reset } else { how };
        self.inner.close(sock, how);
    }

    fn poll(&mut self, events: &mut Vec<Event>, until: Option<Time>) -> io::Result<()> {
        let until = match until {
            Some(until) if self.is(Wrong::ReturnsEarly) => {
                Some(Time::new(until.since_start().saturating_sub(Duration::from_micros(900))))
            }
            Some(until) if self.is(Wrong::TakesFarDeadlinesForPast) && until > Time::new(Duration::MAX / 3) => {
                Some(Time::ZERO)
            }
            until => until,
        };
        if self.is(Wrong::ReportsForEver) && !self.last_events.is_empty() {
            let now = self.inner.now();
            self.inner.poll(events, Some(now))?;
            events.extend(self.last_events.iter().copied());
            return Ok(());
        }
        self.inner.poll(events, until)?;
        self.last_events = events.clone();
        let deaf = std::mem::take(&mut self.deaf);
        events.iter_mut().filter(|event| deaf.contains(&event.sock)).for_each(|event| event.readable = false);
        Ok(())
    }

    fn waker(&self) -> Waker {
        let waker = self.inner.waker();
        if self.is(Wrong::LosesWakes) { Waker::new(Arc::new(Deaf)) } else { waker }
    }
}

struct Deaf;

impl Wake for Deaf {
    fn wake(&self) {}
}

struct Workshop {
    sim: Sim,
    wrong: Wrong,
}

impl Ground for Workshop {
    type Reactor = Crooked;
    type Threads = SimThreads;

    fn reactor(&mut self) -> Crooked {
        Crooked {
            inner: self.sim.reactor("crooked"),
            wrong: self.wrong,
            calls: 0,
            newest: BTreeMap::new(),
            ended: Vec::new(),
            last_events: Vec::new(),
            deaf: Vec::new(),
            looks: Rc::default(),
        }
    }

    fn threads(&mut self, _beside: &Crooked) -> SimThreads {
        self.sim.threads()
    }

    fn bulk_bytes(&self) -> usize {
        4 * self.sim.network().receive_buffer_bytes
    }

    fn fail_an_accept(&mut self) -> Option<ErrorKind> {
        self.sim.accept_fails_once(ErrorKind::ConnectionAborted);
        Some(ErrorKind::ConnectionAborted)
    }
}

/// Whether `check` fails with `wrong`.
fn catches(check: &contract::Check<Workshop>, wrong: Wrong) -> bool {
    let sim = Sim::new(Choices::calm());
    sim.set_network(NetworkOptions::calm());
    catch_unwind(AssertUnwindSafe(|| (check.run)(&mut Workshop { sim, wrong }))).is_err()
}

#[test]
fn the_wrapper_by_itself_breaks_nothing() {
    for check in contract::all() {
        assert!(!catches(&check, Wrong::Nothing), "{}", check.name);
    }
}

#[test]
fn each_fault_is_caught_by_the_check_it_belongs_to() {
    for (wrong, check) in [
        (Wrong::ReportsForEver, "an_edge_is_not_reported_for_ever"),
        (Wrong::ForgetsReadEdgesAfterAccept, "bytes_that_came_before_the_accept_make_an_edge"),
        (Wrong::SaysDrainedTooSoon, "what_is_left_can_be_read_without_another_edge"),
        (Wrong::LosesWakes, "a_wake_before_a_poll_ends_it"),
        (Wrong::ReturnsEarly, "poll_returns_at_its_time_and_not_before"),
        (Wrong::TakesFarDeadlinesForPast, "a_poll_until_the_end_of_time_can_be_woken"),
        (Wrong::IgnoresGenerations, "a_closed_sock_never_names_its_successor"),
        (Wrong::ConnectResultForgets, "a_connect_comes_to_an_end"),
        (Wrong::ResetIsAnEnd, "a_reset_is_seen_as_one"),
        (Wrong::GracefulDropsTheTail, "a_graceful_close_delivers_everything_then_the_end"),
        (Wrong::EndIsToldOnce, "the_end_is_told_again"),
        (Wrong::ShutdownCloses, "half_close_ends_one_direction_only"),
        (Wrong::AcceptBlamesTheListener, "a_failed_accept_leaves_the_listener_usable"),
        (Wrong::ReversesSlices, "several_slices_arrive_in_order"),
        (Wrong::TakesMoreThanFits, "a_full_connection_would_block_and_becomes_writable_once_it_is_read"),
        (Wrong::ClockGoesBack, "now_never_goes_back"),
        (Wrong::LetsSignalsThrough, "each_arrival_makes_an_edge"),
        (Wrong::IsShortNowAndThen, "accept_tells_who_has_come"),
    ] {
        let check = contract::all().into_iter().find(|known| known.name == check).expect(check);
        assert!(catches(&check, wrong), "{wrong:?} was not caught by {}", check.name);
    }
}
