//! Faults as values: exactly this call fails, exactly that connection breaks at that byte.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

use handwound_reactor::Time;

use crate::errno::SystemError;

/// Which way bytes go in a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// From whoever has connected to whoever has accepted: what clients send.
    ToServer,
    /// From whoever has accepted to whoever has connected.
    ToClient,
}

impl Way {
    /// The side that receives.
    pub(crate) fn to(self) -> u8 {
        match self {
            Way::ToServer => 1,
            Way::ToClient => 0,
        }
    }
}

/// How one direction of a TCP connection breaks; UNIX sockets have no line between them that could. What went before
/// the byte arrives in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Break {
    /// Both ends see a reset (RST).
    Reset,
    /// The receiver sees the end of the stream (FIN). The sender is not told, as when a proxy between them has
    /// given up one side; the other direction goes on.
    Cut,
    /// Nothing more comes, not even an end or a reset. The sender runs full, and gives up in the end
    /// ([`NetworkOptions::send_timeout`](crate::NetworkOptions::send_timeout)).
    Stall,
}

/// A call of the seam that can be told to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// [`Reactor::accept`](handwound_reactor::Reactor::accept); only those calls count that would have succeeded.
    Accept,
    /// [`Reactor::connect`](handwound_reactor::Reactor::connect): no socket can be made.
    Connect,
    /// [`Reactor::listen`](handwound_reactor::Reactor::listen).
    Listen,
    /// [`Reactor::read`](handwound_reactor::Reactor::read); only those calls count that would have given bytes.
    Read,
    /// [`Reactor::write`](handwound_reactor::Reactor::write); only those calls count that would have taken bytes.
    Write,
    /// [`Threads::spawn`](handwound_reactor::Threads::spawn); it fails with `EAGAIN`, whatever error is named.
    Spawn,
    /// [`Reactor::poll`](handwound_reactor::Reactor::poll), when it is about to return. Any error but `EINTR` means that
    /// the reactor is of no use any more.
    Poll,
}

pub(crate) const CALLS: usize = 7;

/// Who can be cut off from whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// The reactor of this name.
    Reactor(String),
    /// All scripted clients together.
    Clients,
}

impl From<&str> for Host {
    fn from(reactor: &str) -> Host {
        Host::Reactor(reactor.to_owned())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Reactor(name) => f.write_str(name),
            Host::Clients => f.write_str("the clients"),
        }
    }
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The `nth` call of its kind in the world (from 0) fails.
    Call {
        /// Which call.
        call: Call,
        /// The how manieth, from 0.
        nth: u64,
        /// With what.
        error: SystemError,
    },
    /// A connection breaks once so many bytes have been sent one way. Nothing happens where it is one of UNIX sockets.
    Break {
        /// The number of the connection, from 0 in the order of connects; traces call it `conn`.
        connection: u32,
        /// Which direction.
        way: Way,
        /// How many bytes still go through; 0 breaks it as soon as it is established.
        byte: u64,
        /// How it breaks.
        how: Break,
    },
    /// Nobody listens there, as it seems: the connect is refused.
    Refused {
        /// The number of the connection.
        connection: u32,
    },
    /// The connect gets no answer, and times out. At a UNIX socket it is refused: nobody waits there.
    Unanswered {
        /// The number of the connection.
        connection: u32,
    },
    /// From a time on, nothing passes between two hosts, save through UNIX sockets; until healed.
    Partition {
        /// When.
        at: Time,
        /// The one.
        one: Host,
        /// The other.
        other: Host,
    },
    /// All partitions end; what was held back arrives.
    Heal {
        /// When.
        at: Time,
    },
    /// The date jumps. The reactor's clock does not.
    DateJump {
        /// When.
        at: Time,
        /// How far.
        by: Duration,
        /// Into the past.
        back: bool,
    },
}

impl Fault {
    /// The `nth` call of this kind (from 0) fails with `error`. With `EINTR` it is made again at once, as the seam
    /// promises; that it was, the trace tells.
    ///
    /// ```
    /// use handwound_testkit::{Call, EMFILE, Fault};
    /// assert_eq!(Fault::call(Call::Accept, 2, EMFILE).to_string(), "Accept 2 fails with EMFILE");
    /// ```
    pub fn call(call: Call, nth: u64, error: SystemError) -> Fault {
        Fault::Call { call, nth, error }
    }

    /// Connection `connection` is reset once `byte` bytes have gone `way`.
    pub fn reset_at(connection: u32, way: Way, byte: u64) -> Fault {
        Fault::Break { connection, way, byte, how: Break::Reset }
    }

    /// Connection `connection` seems to end once `byte` bytes have gone `way`.
    pub fn cut_at(connection: u32, way: Way, byte: u64) -> Fault {
        Fault::Break { connection, way, byte, how: Break::Cut }
    }

    /// Connection `connection` falls silent once `byte` bytes have gone `way`.
    pub fn stall_at(connection: u32, way: Way, byte: u64) -> Fault {
        Fault::Break { connection, way, byte, how: Break::Stall }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Call { call, nth, error } => write!(f, "{call:?} {nth} fails with {error}"),
            Fault::Break { connection, way, byte, how } => {
                let how = match how {
                    Break::Reset => "is reset",
                    Break::Cut => "is cut",
                    Break::Stall => "falls silent",
                };
                let way = if *way == Way::ToServer { "to the server" } else { "to the client" };
                write!(f, "conn {connection} {how} at byte {byte} {way}")
            }
            Fault::Refused { connection } => write!(f, "conn {connection} is refused"),
            Fault::Unanswered { connection } => write!(f, "conn {connection} gets no answer"),
            Fault::Partition { at, one, other } => write!(f, "{at} nothing passes between {one} and {other}"),
            Fault::Heal { at } => write!(f, "{at} all partitions end"),
            Fault::DateJump { at, by, back } => {
                write!(f, "{at} the date jumps {} by {by:?}", if *back { "back" } else { "ahead" })
            }
        }
    }
}

/// Faults that are to happen: a value, to be printed, put together, and given to a world with
/// [`Sim::plan`](crate::Sim::plan).
///
/// ```
/// use handwound_testkit::{Call, Choices, ECONNABORTED, EMFILE, Fault, FaultPlan, Sim, Way};
///
/// let crowded = FaultPlan::from([Fault::call(Call::Accept, 0, EMFILE), Fault::call(Call::Accept, 1, ECONNABORTED)]);
/// let broken = FaultPlan::from(Fault::reset_at(0, Way::ToClient, 17));
/// let plan = crowded + broken;
/// assert_eq!(
///     plan.to_string(),
///     "Accept 0 fails with EMFILE\nAccept 1 fails with ECONNABORTED\nconn 0 is reset at byte 17 to the client"
/// );
/// Sim::new(Choices::calm()).plan(&plan);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    faults: Vec<Fault>,
}

impl FaultPlan {
    /// Nothing goes wrong.
    pub fn none() -> FaultPlan {
        FaultPlan::default()
    }

    /// This plan and one fault more.
    #[must_use]
    pub fn and(mut self, fault: Fault) -> FaultPlan {
        self.faults.push(fault);
        self
    }

    /// What is planned.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl From<Fault> for FaultPlan {
    fn from(fault: Fault) -> FaultPlan {
        FaultPlan { faults: vec![fault] }
    }
}

impl<const N: usize> From<[Fault; N]> for FaultPlan {
    fn from(faults: [Fault; N]) -> FaultPlan {
        FaultPlan { faults: faults.into() }
    }
}

impl FromIterator<Fault> for FaultPlan {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> FaultPlan {
        FaultPlan { faults: faults.into_iter().collect() }
    }
}

impl Extend<Fault> for FaultPlan {
    fn extend<I: IntoIterator<Item = Fault>>(&mut self, faults: I) {
        self.faults.extend(faults);
    }
}

/// Both plans together.
impl Add for FaultPlan {
    type Output = FaultPlan;

    fn add(mut self, other: FaultPlan) -> FaultPlan {
        self.faults.extend(other.faults);
        self
    }
}

impl fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}
