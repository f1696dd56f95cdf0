//! What is compared: scripts of socket calls, and what comes of each call.

use std::fmt;
use std::io::ErrorKind;

use proptest::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sockets {
    Tcp,
    Unix,
}

/// One script, and what it runs on: two connections, whose ends are #0 and #1, #2 and #3, and #4, which nobody has
/// accepted. Dials and accepts add further ends.
#[derive(Clone)]
pub struct Script {
    pub sockets: Sockets,
    pub backlog: u32,
    /// How much an end holds in the simulation. Real ones hold more.
    pub buffer: usize,
    pub steps: Vec<Step>,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, backlog {}, buffers of {}:", self.sockets, self.backlog, self.buffer)?;
        self.steps.iter().try_for_each(|step| write!(f, " {step};"))
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The end, counted around as many as there are.
    pub who: usize,
    pub call: Call,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.call {
            Call::Dial(_) | Call::Accept | Call::Listen | Call::Unlisten => write!(f, "{:?}", self.call),
            call => write!(f, "#{} {call:?}", self.who),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Call {
    Write(usize),
    Read(usize),
    /// Writes until there is no room.
    Fill,
    /// Reads until there is nothing.
    Drain,
    /// Writes so much, which the peer reads meanwhile; of the first two connections only.
    Pass(usize),
    ShutdownWrite,
    Close,
    Reset,
    ConnectResult,
    Dial(Place),
    Accept,
    Listen,
    /// Closes the listener.
    Unlisten,
}

#[derive(Clone, Copy, Debug)]
pub enum Place {
    Listener,
    /// Where nobody has ever listened.
    Nowhere,
}

/// What came of a call, once everything had arrived.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Whose bytes they are, if they are the first; how many; why there were no more.
    Read(Option<u8>, Amount, Then),
    Wrote(Amount, Then),
    /// How much the peer has read, and what the reader and the writer were told.
    Passed(Amount, Then, Then),
    Plain(Result<(), ErrorKind>),
    Connected(Result<bool, ErrorKind>),
    /// Whose address the accepted one has, if it is known.
    Accepted(Result<Option<usize>, ErrorKind>),
    /// Of this end there is no socket.
    NoSocket,
    /// Bytes are missing, or come twice.
    Torn,
    /// There was something new, after a `WouldBlock` and with no edge since.
    Unannounced(Box<Outcome>),
}

/// How much was read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    Exactly(usize),
    /// All that was written, where that depends on buffers.
    All,
    /// What depends on buffers.
    Some,
}

/// Why a read or a write went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Enough,
    End,
    WouldBlock,
    /// Of a write: it went through, or there was no room, as the buffers are.
    Buffers,
    Error(ErrorKind),
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = |amount: &Amount| match amount {
            Amount::Exactly(count) => count.to_string(),
            Amount::All => "all".to_owned(),
            Amount::Some => "some".to_owned(),
        };
        let then = |then: &Then| match then {
            Then::Enough => String::new(),
            Then::Error(kind) => format!(", {kind:?}"),
            other => format!(", {other:?}"),
        };
        match self {
            Outcome::Read(Some(first), count, why) => write!(f, "read {} ({first}..){}", amount(count), then(why)),
            Outcome::Read(None, count, why) => write!(f, "read {}{}", amount(count), then(why)),
            Outcome::Wrote(count, why) => write!(f, "wrote {}{}", amount(count), then(why)),
            Outcome::Passed(count, reader, writer) => {
                write!(f, "passed {}; reader{}; writer{}", amount(count), then(reader), then(writer))
            }
            Outcome::Plain(Ok(())) => f.write_str("ok"),
            Outcome::Connected(Ok(up)) => f.write_str(if *up { "connected" } else { "under way" }),
            Outcome::Accepted(Ok(Some(who))) => write!(f, "accepted #{who}"),
            Outcome::Accepted(Ok(None)) => f.write_str("accepted"),
            Outcome::Plain(Err(kind)) | Outcome::Connected(Err(kind)) | Outcome::Accepted(Err(kind)) => kind.fmt(f),
            Outcome::NoSocket => f.write_str("-"),
            Outcome::Torn => f.write_str("torn"),
            Outcome::Unannounced(outcome) => write!(f, "{outcome:?} WITHOUT AN EDGE"),
        }
    }
}

/// Scripts for one kind of sockets.
pub fn scripts(sockets: Sockets) -> impl Strategy<Value = Script> {
    // TCP keeps who finds the backlog full waiting for seconds: see `found.rs`.
    let backlogs = if sockets == Sockets::Tcp { 8..9_u32 } else { 1..4_u32 };
    (backlogs, prop_oneof![3 => Just(64 * 1024_usize), 1 => Just(256_usize)]).prop_flat_map(move |(backlog, buffer)| {
        let steps = proptest::collection::vec(step(buffer), 1..14);
        steps.prop_map(move |steps| Script { sockets, backlog, buffer, steps })
    })
}

fn step(buffer: usize) -> impl Strategy<Value = Step> {
    // So little that a whole script never fills a buffer by itself.
    let little = 1..buffer / 20;
    let call = prop_oneof![
        1 => Just(Call::Write(1)),
        5 => little.clone().prop_map(Call::Write),
        5 => little.prop_map(Call::Read),
        2 => Just(Call::Fill),
        2 => Just(Call::Drain),
        1 => (1..buffer * 2).prop_map(Call::Pass),
        3 => Just(Call::ShutdownWrite),
        3 => Just(Call::Close),
        2 => Just(Call::Reset),
        1 => Just(Call::ConnectResult),
        3 => Just(Call::Dial(Place::Listener)),
        1 => Just(Call::Dial(Place::Nowhere)),
        3 => Just(Call::Accept),
        1 => Just(Call::Unlisten),
        1 => Just(Call::Listen),
    ];
    // Mostly on one connection: more happens there.
    let who = prop_oneof![6 => 0..2_usize, 2 => 2..5_usize, 2 => 4..9_usize];
    (who, call).prop_map(|(who, call)| Step { who, call })
}
