//! How a world's network behaves when nothing goes wrong: its speed, and how it cuts and reports what it carries.

use std::time::Duration;

use crate::choices::Choices;
use crate::family::Family;

/// How long bytes, ends and resets are under way. Nothing overtakes anything else in the same direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// They arrive at once.
    None,
    /// Always so long.
    Fixed(Duration),
    /// At least the first, at most the second; drawn for each thing that is sent.
    Between(Duration, Duration),
    /// None, some microseconds or up to 200 ms; drawn for each thing that is sent.
    Drawn,
}

/// Into what the network cuts that which is written at once. Each segment arrives by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segments {
    /// It is not cut.
    Whole,
    /// Into segments of so many bytes, and a rest.
    Of(usize),
    /// Into segments of 1 to 1460 bytes, drawn for each.
    Drawn,
}

/// How a world's network behaves. UNIX sockets lead through none: of this only the buffers, the bounds and how calls
/// behave concern them. Drawn from the choices when the world is made (all calm for
/// [`Choices::calm`]), and to be changed with [`Sim::set_network`](crate::Sim::set_network).
///
/// All of it is what any network does, and no correct program may mind. What goes *wrong* (failing calls, broken
/// connections, partitions) is asked for: see [`FaultPlan`](crate::FaultPlan) and [`Trouble`](crate::Trouble).
///
/// ```
/// use handwound_testkit::{Choices, Latency, NetworkOptions, Sim};
/// use std::time::Duration;
///
/// let sim = Sim::new(Choices::calm());
/// let mut modem = NetworkOptions::calm();
/// modem.latency = Latency::Fixed(Duration::from_millis(120));
/// modem.bytes_per_second = Some(7_000);
/// sim.set_network(modem);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkOptions {
    /// How many bytes each end of a connection made from now on holds before the writer must wait. Over TCP, of what a
    /// writer had to wait for, half is not sent before the reader has made room: the end of the stream comes after it,
    /// and a reset drops it.
    pub receive_buffer_bytes: usize,
    /// How many sockets one reactor may have open; more are refused with `EMFILE`.
    pub sockets_max: usize,
    /// How long things are under way.
    pub latency: Latency,
    /// How fast one direction of a connection is; no limit where `None`. Zero counts as one.
    pub bytes_per_second: Option<u32>,
    /// Into what the network cuts what is written.
    pub segments: Segments,
    /// A connect that gets no answer fails with `TimedOut` after this; Linux takes 127 s.
    pub connect_timeout: Duration,
    /// A connection fails with `TimedOut` after what it has sent did not arrive for this long: at a partition, or where
    /// the line has fallen silent. Linux takes 924.6 s (`tcp_retries2`). Who sends nothing waits for ever.
    pub send_timeout: Duration,
    /// A read may give fewer bytes than there are.
    pub short_reads: bool,
    /// A write may take fewer bytes than there is room for; what clients send is cut into segments.
    pub short_writes: bool,
    /// A read that empties the buffer may refrain from saying so.
    pub undrained: bool,
    /// Calls may give `WouldBlock` though they could succeed (and the edge comes again), and edges may be
    /// reported that bring nothing.
    pub fickle: bool,
}

impl NetworkOptions {
    /// Whole reads and writes, at once; buffers of 64 KiB.
    pub fn calm() -> NetworkOptions {
        NetworkOptions {
            receive_buffer_bytes: 64 * 1024,
            sockets_max: usize::MAX,
            latency: Latency::None,
            bytes_per_second: None,
            segments: Segments::Whole,
            connect_timeout: Duration::from_secs(127),
            send_timeout: Duration::from_millis(924_600),
            short_reads: false,
            short_writes: false,
            undrained: false,
            fickle: false,
        }
    }

    /// Everything at its most troublesome.
    pub fn rough() -> NetworkOptions {
        NetworkOptions {
            latency: Latency::Drawn,
            bytes_per_second: Some(100_000),
            segments: Segments::Drawn,
            short_reads: true,
            short_writes: true,
            undrained: true,
            fickle: true,
            ..NetworkOptions::calm()
        }
    }

    /// Whether what is written arrives with the write.
    pub(crate) fn is_instant(&self) -> bool {
        self.latency == Latency::None && self.bytes_per_second.is_none() && self.segments == Segments::Whole
    }

    pub(crate) fn drawn(choices: &mut Choices) -> NetworkOptions {
        let mut on = |label| choices.draw(Family::Profile, 2, label) == 1;
        let mut drawn = NetworkOptions {
            latency: if on("latency") { Latency::Drawn } else { Latency::None },
            short_reads: on("short reads"),
            short_writes: on("short writes"),
            undrained: on("undrained"),
            fickle: on("fickle"),
            ..NetworkOptions::calm()
        };
        drawn.bytes_per_second = match choices.draw(Family::Line, 4, "bytes per second") {
            2 => Some(100_000),
            3 => Some(2_000_000),
            _ => None,
        };
        drawn.segments = match choices.draw(Family::Line, 4, "segments") {
            2 => Segments::Of(1460),
            3 => Segments::Drawn,
            _ => Segments::Whole,
        };
        drawn
    }
}
