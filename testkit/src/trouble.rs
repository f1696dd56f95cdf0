//! Faults that a run draws for itself, by families that are on or off as a whole; and the state of planned ones.
//!
//! A family does not ask before every call whether to strike: it draws the gap to its next strike and counts it
//! down. Each draws from a stream of its own. A gap drawn as 0 ends without a strike, so that the plain choice is no fault.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::time::Duration;

use crate::errno::{
    EACCES, EADDRNOTAVAIL, ECONNABORTED, EINTR, EMFILE, ENETUNREACH, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EPERM, EPROTO,
    SystemError,
};
use crate::family::Family;
use crate::faults::{Break, CALLS, Call, Fault, FaultPlan, Way};
use crate::line::Tick;
use crate::trace::{INTERRUPTED, What};
use crate::world::{HOSTS, PLANS, World};

/// What Linux gives at a call: what it usually is when it fails, and what it is now and then.
fn errors(call: Call, unix: bool) -> (&'static [SystemError], &'static [SystemError]) {
    match call {
        // No network, no firewall and no protocol that could fail; memory for it is taken by the connect.
        Call::Accept if unix => (&[EMFILE, ENFILE], &[ENOMEM]),
        Call::Accept => (&[ECONNABORTED, EMFILE, ENFILE, ENOBUFS], &[ENOMEM, EPROTO, EPERM, ENETUNREACH]),
        Call::Connect | Call::Listen if unix => (&[EMFILE, ENFILE], &[ENOMEM, ENOSPC, EACCES]),
        Call::Connect => (&[EMFILE, ENFILE, ENOBUFS], &[ENOMEM, ENOSPC, EACCES, EADDRNOTAVAIL, ENETUNREACH]),
        Call::Listen => (&[EMFILE, ENFILE, ENOBUFS], &[ENOMEM, ENOSPC, EACCES, EADDRNOTAVAIL]),
        // The bytes are there already, and are only copied.
        Call::Read if unix => (&[], &[]),
        Call::Read => (&[ENOMEM], &[]),
        Call::Write if unix => (&[ENOBUFS], &[]),
        Call::Write => (&[ENOBUFS, ENOMEM], &[]),
        Call::Spawn => (&[ENOBUFS], &[]),
        Call::Poll => (&[], &[]),
    }
}

/// Families of faults, each to be allowed or not.
///
/// [`Sim::allow_trouble`](crate::Sim::allow_trouble) turns each allowed family on or off for the whole run, as the
/// choices say: a run in which only one thing goes wrong, but often, finds other bugs than one where all do.
/// All of it is what `MioReactor` and `OsThreads` may show on Linux: errors that the kernel can give at the call, and
/// that they let through. Connections break only where a scripted client is one of the ends, as if the client did it; for
/// connections between reactors there are [`FaultPlan`]s and partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trouble {
    /// Accepts fail with `EMFILE`, `ENFILE`, `ECONNABORTED`, `ENOBUFS`; now and then with `ENOMEM`, `EPROTO`, `EPERM`,
    /// `ENETUNREACH`. Whoever waits goes on waiting: what has failed was somebody else's connection. At a UNIX socket it
    /// is `EMFILE` or `ENFILE`, now and then `ENOMEM`.
    pub accepts: bool,
    /// Connects and listens fail with `EMFILE`, `ENFILE`, `ENOBUFS`; now and then with `ENOMEM`, `ENOSPC`, `EACCES`,
    /// `EADDRNOTAVAIL`, and connects with `ENETUNREACH`. Of these UNIX sockets know neither `ENOBUFS`, nor the last two.
    pub sockets: bool,
    /// Connections of clients are reset, cut or fall silent at some byte, in either direction.
    pub breaks: bool,
    /// Clients write, read, or both, a few bytes at a time.
    pub peers: bool,
    /// Threads cannot be started.
    pub starts: bool,
    /// The date jumps, both ways.
    pub date: bool,
    /// Signals interrupt accept, read, write and poll (`EINTR`). The reactor makes the call again: the trace tells of
    /// it, and nobody else may notice.
    pub signals: bool,
    /// Reads fail with `ENOMEM`, writes with `ENOBUFS` or `ENOMEM`; at a UNIX socket only writes, with `ENOBUFS`. The connection is none the worse for it.
    pub transfers: bool,
    /// Connects of reactors over TCP are refused, get no answer, or find the host unreachable.
    pub connects: bool,
}

impl Trouble {
    /// None.
    pub fn none() -> Trouble {
        Trouble::default()
    }

    /// Every family.
    pub fn all() -> Trouble {
        Trouble {
            accepts: true,
            sockets: true,
            breaks: true,
            peers: true,
            starts: true,
            date: true,
            signals: true,
            transfers: true,
            connects: true,
        }
    }
}

/// How many calls pass before a family strikes again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gap {
    /// 0: to be drawn.
    left: u32,
    /// Whether it strikes at the end, or asks again.
    strikes: bool,
    /// How long it is on average, where that is drawn too.
    mean: Mean,
}

#[derive(Clone, Copy, Debug, Default)]
enum Mean {
    #[default]
    Undrawn,
    Never,
    Calls(u32),
}

/// How long a gap is that was drawn as the plain choice: it ends without a strike.
const PLAIN_GAP: u32 = 4096;

impl Gap {
    fn strike(&mut self, mean: u32, draw: impl FnOnce() -> u32) -> bool {
        if self.left == 0 {
            let drawn = draw();
            self.strikes = drawn > 0;
            self.left = if drawn > 0 { 1 + (drawn - 1) * 2 * mean / 255 } else { PLAIN_GAP };
        }
        self.left -= 1;
        self.left == 0 && self.strikes
    }

    /// Whether this call passes without a draw: [`strike_somehow`](Gap::strike_somehow) would say so. Counts it then.
    #[inline]
    pub(crate) fn passes(&mut self) -> bool {
        match self.mean {
            Mean::Never => true,
            Mean::Calls(_) if self.left > 1 => {
                self.left -= 1;
                true
            }
            _ => false,
        }
    }

    /// As [`strike`](Gap::strike), with a mean that is drawn at the first call: from never over now and then to at
    /// every other call.
    fn strike_somehow(&mut self, mut draw: impl FnMut(u32) -> u32) -> bool {
        if let Mean::Undrawn = self.mean {
            self.mean = [Mean::Never, Mean::Calls(1), Mean::Calls(8), Mean::Calls(64)][draw(4) as usize];
        }
        match self.mean {
            Mean::Calls(mean) => self.strike(mean, || draw(256)),
            _ => false,
        }
    }
}

/// The gaps of a family, one for each who calls: what befalls one does not move what befalls another, and goes by itself
/// when a run is shrunk.
#[derive(Debug, Default)]
struct Gaps(BTreeMap<u32, Gap>);

impl Gaps {
    fn of(&mut self, actor: u32) -> &mut Gap {
        self.0.entry(actor).or_default()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    calls: Vec<(Call, u64, SystemError)>,
    /// Some call has been told to fail: then it matters which comes first.
    pub(crate) armed: bool,
    counts: [u64; CALLS],
    pub(crate) breaks: Vec<(u32, Way, u64, Break)>,
    /// Connects that fail; whether for want of an answer.
    pub(crate) connects: Vec<(u32, bool)>,
    timed: Vec<Fault>,
    pub(crate) trouble: Trouble,
    accepts: Gaps,
    sockets: Gaps,
    starts: Gaps,
    dates: Gaps,
    signals: Gaps,
    transfers: Gaps,
    date_ahead: Duration,
    date_back: Duration,
}

impl World {
    // Plans.

    pub(crate) fn plan(&mut self, plan: &FaultPlan) {
        self.faults.armed = true;
        for fault in plan.faults() {
            match fault {
                Fault::Call { call, nth, error } => self.faults.calls.push((*call, *nth, *error)),
                Fault::Break { connection, way, byte, how } => {
                    self.faults.breaks.push((*connection, *way, *byte, *how));
                }
                Fault::Refused { connection } => self.faults.connects.push((*connection, false)),
                Fault::Unanswered { connection } => self.faults.connects.push((*connection, true)),
                Fault::Partition { at, .. } | Fault::Heal { at } | Fault::DateJump { at, .. } => {
                    let index = self.faults.timed.len() as u32;
                    self.faults.timed.push(fault.clone());
                    self.tick(*at, Tick::Fault(index));
                }
            }
        }
    }

    /// The time of a planned fault has come.
    pub(crate) fn timed_fault(&mut self, index: u32) {
        match self.faults.timed[index as usize].clone() {
            Fault::Partition { one, other, .. } => self.partition(&one, &other),
            Fault::Heal { .. } => self.heal(),
            Fault::DateJump { by, back, .. } => self.date_jumps(by, back),
            _ => {}
        }
    }

    // Calls.

    /// What is planned to fail next, or the date, matters to this move.
    pub(crate) fn touch_plans(&mut self) {
        if self.faults.armed {
            self.touch(PLANS);
        }
    }

    /// Who is cut off from whom matters to this move; where that may change by itself, that is by plan.
    pub(crate) fn touch_partitions(&mut self) {
        if !self.faults.timed.is_empty() {
            self.touch(HOSTS);
        }
    }

    /// Whether starts of threads may fail.
    pub(crate) fn starts_may_fail(&self) -> bool {
        self.faults.armed || self.faults.trouble.starts
    }

    /// Whether this call is to fail, and how; `unix`: on a UNIX socket.
    pub(crate) fn call_fails(&mut self, call: Call, unix: bool) -> Option<io::Error> {
        let nth = self.faults.counts[call as usize];
        self.faults.counts[call as usize] += 1;
        self.touch_plans();
        let planned = self.faults.calls.iter().find(|(of, at, _)| (*of, *at) == (call, nth)).map(|planned| planned.2);
        let error = match planned {
            Some(error) => error,
            None if self.interrupts(call) => EINTR,
            None => self.trouble_with(call, unix)?,
        };
        if error == EINTR {
            // Made again inside, and then it succeeds: the seam promises that nobody else hears of it.
            self.note(What::CallFail, INTERRUPTED + call as u32, nth);
            return None;
        }
        self.note(What::CallFail, call as u32, nth);
        Some(error.into())
    }

    /// Whether a signal comes in the midst of a call.
    fn interrupts(&mut self, call: Call) -> bool {
        let (actor, choices) = (self.actor, &mut self.choices);
        self.faults.trouble.signals
            && matches!(call, Call::Accept | Call::Read | Call::Write | Call::Poll)
            && self.faults.signals.of(actor).strike(6, || choices.draw_for(Family::Signals, actor, 256, "next signal"))
    }

    fn trouble_with(&mut self, call: Call, unix: bool) -> Option<SystemError> {
        let (actor, trouble) = (self.actor, self.faults.trouble);
        let (faults, choices) = (&mut self.faults, &mut self.choices);
        let (usual, rare) = errors(call, unix);
        if usual.is_empty() {
            return None;
        }
        let (gaps, family, mean, label) = match call {
            Call::Accept if trouble.accepts => (&mut faults.accepts, Family::Accepts, 4, "next failing accept"),
            Call::Connect | Call::Listen if trouble.sockets => {
                (&mut faults.sockets, Family::Sockets, 4, "next failing socket")
            }
            Call::Spawn if trouble.starts => (&mut faults.starts, Family::Starts, 4, "next failing start"),
            Call::Read | Call::Write if trouble.transfers => {
                (&mut faults.transfers, Family::Transfers, 24, "next failing transfer")
            }
            _ => return None,
        };
        if !gaps.of(actor).strike(mean, || choices.draw_for(family, actor, 256, label)) {
            return None;
        }
        let usual = usual[self.draw(family, usual.len() as u32, "error") as usize];
        // From a stream of its own: these came later, and older seeds keep what else they mean.
        match self.draw(Family::Errors, 2 * rare.len() as u32 + 1, "rarer error") as usize {
            drawn if drawn > rare.len() => Some(rare[drawn - rare.len() - 1]),
            _ => Some(usual),
        }
    }

    /// How the connect that a reactor makes now comes to nothing, if it does; `None` in it: it gets no answer.
    pub(crate) fn drawn_outcome(&mut self, serial: u32) -> Option<Option<ErrorKind>> {
        let choices = &mut self.choices;
        let mut draw = |options, label| choices.draw_for(Family::Connects, serial, options, label);
        if !self.faults.trouble.connects || draw(4, "comes to nothing") != 3 {
            return None;
        }
        Some([Some(ErrorKind::ConnectionRefused), None, Some(ErrorKind::HostUnreachable)][draw(3, "outcome") as usize])
    }

    // Families.

    /// Turns each family of `allowed` on or off.
    pub(crate) fn allow_trouble(&mut self, allowed: Trouble) -> Trouble {
        let mut on = |allowed: bool, family| allowed && self.choices.draw(family, 2, "on") == 1;
        let drawn = Trouble {
            accepts: on(allowed.accepts, Family::Accepts),
            sockets: on(allowed.sockets, Family::Sockets),
            breaks: on(allowed.breaks, Family::Breaks),
            peers: on(allowed.peers, Family::Peers),
            starts: on(allowed.starts, Family::Starts),
            date: on(allowed.date, Family::Date),
            signals: on(allowed.signals, Family::Signals),
            transfers: on(allowed.transfers, Family::Transfers),
            connects: on(allowed.connects, Family::Connects),
        };
        self.faults.trouble = drawn;
        drawn
    }

    /// Whether a call on a socket is to be told to try again, or an edge to come for nothing.
    pub(crate) fn fickle(&mut self, reactor: u32, slot: u32, label: &'static str) -> bool {
        if !self.network.fickle {
            return false;
        }
        let subject = self.subject(reactor, slot);
        let (slots, choices) = (&mut self.net.reactors[reactor as usize].slots, &mut self.choices);
        slots[slot as usize].fickle.strike(7, || choices.draw_for(Family::Readiness, subject, 256, label))
    }

    /// Between one byte and all of `bytes`, the plain choice being all. Decided by and for `subject`, which keeps `gap`:
    /// some connections are cut often, some now and then, some never.
    pub(crate) fn part_of(&mut self, gap: &mut Gap, subject: u32, bytes: usize, label: &'static str) -> usize {
        let choices = &mut self.choices;
        let draw = |options| choices.draw_for(Family::Split, subject, options, label);
        if bytes <= 1 || !gap.strike_somehow(draw) {
            return bytes;
        }
        let max = if self.draw_about(Family::Split, subject, 2, label) == 0 { bytes.min(8) } else { bytes };
        1 + self.draw_about(Family::Split, subject, u32::try_from(max).unwrap_or(u32::MAX), label) as usize
    }

    /// Where the connection that a client makes now is to break, if it is.
    pub(crate) fn drawn_break(&mut self) -> Option<(Way, u64, Break)> {
        // Of the connection that was made last.
        let (subject, choices) = (self.net.next_serial() - 1, &mut self.choices);
        let mut draw = |options, label| choices.draw_for(Family::Breaks, subject, options, label);
        if !self.faults.trouble.breaks || draw(4, "breaks") != 3 {
            return None;
        }
        let way = [Way::ToServer, Way::ToClient][draw(2, "way") as usize];
        let how = [Break::Reset, Break::Cut, Break::Stall][draw(3, "how") as usize];
        let most = [1 << 8, 1 << 8, 1 << 12, 1 << 17][draw(4, "how late") as usize];
        Some((way, u64::from(draw(most, "byte")), how))
    }

    /// How slowly the client that connects now writes and reads: so many bytes, so often.
    pub(crate) fn drawn_paces(&mut self) -> [Option<(usize, Duration)>; 2] {
        // Of the connection that comes next.
        let (subject, choices) = (self.net.next_serial(), &mut self.choices);
        let mut draw = |options, label| choices.draw_for(Family::Peers, subject, options, label);
        if !self.faults.trouble.peers || draw(4, "is slow") != 3 {
            return [None; 2];
        }
        let which = draw(3, "writes, reads or both");
        let mut pace = || {
            let bytes = [1, 7, 100][draw(3, "bytes") as usize];
            (bytes, Duration::from_millis([1, 10, 300][draw(3, "every") as usize]))
        };
        let (writes, reads) = (pace(), pace());
        [(which != 1).then_some(writes), (which != 0).then_some(reads)]
    }

    // The date.

    pub(crate) fn date_jumps(&mut self, by: Duration, back: bool) {
        let sum = if back { &mut self.faults.date_back } else { &mut self.faults.date_ahead };
        *sum = sum.saturating_add(by);
        self.touch_plans();
        self.note(What::DateJump, u32::from(back), by.as_millis() as u64);
    }

    /// How far the date is from the clock: ahead, and back.
    pub(crate) fn date_offset(&mut self) -> (Duration, Duration) {
        self.touch_plans();
        let (actor, choices) = (self.actor, &mut self.choices);
        if self.faults.trouble.date
            && self.faults.dates.of(actor).strike(3, || choices.draw_for(Family::Date, actor, 256, "next jump"))
        {
            let back = self.draw(Family::Date, 2, "back") == 1;
            let seconds = [1, 60, 3_600, 86_400][self.draw(Family::Date, 4, "how far") as usize];
            self.date_jumps(Duration::from_secs(seconds), back);
        }
        (self.faults.date_ahead, self.faults.date_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_drawn_as_zero_is_endless_and_others_are_counted_down() {
        let mut gap = Gap::default();
        assert!((0..1000).all(|_| !gap.strike(4, || 0)));
        let mut gap = Gap::default();
        let mut drawn = [1, 128, 0].into_iter();
        let strikes: Vec<bool> = (0..8).map(|_| gap.strike(4, || drawn.next().unwrap_or(0))).collect();
        assert_eq!(strikes, [true, false, false, false, true, false, false, false]);
    }
}
