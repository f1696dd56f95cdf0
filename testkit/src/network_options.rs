//! Which kinds of trouble a world's network makes.

use crate::choices::{Choices, Family};

/// How a world's network behaves. Drawn from the choices when the world is made (all calm for
/// [`Choices::calm`]), and to be changed with [`Sim::set_network`](crate::Sim::set_network).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkOptions {
    /// How many bytes each end of a connection made from now on holds before the writer must wait.
    pub receive_buffer_bytes: usize,
    /// Bytes, ends and resets are under way for a time that is drawn, up to 200 ms; otherwise they arrive at once.
    pub latency: bool,
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
            latency: false,
            short_reads: false,
            short_writes: false,
            undrained: false,
            fickle: false,
        }
    }

    /// Everything at its most troublesome.
    pub fn rough() -> NetworkOptions {
        let calm = NetworkOptions::calm();
        NetworkOptions { latency: true, short_reads: true, short_writes: true, undrained: true, fickle: true, ..calm }
    }

    pub(crate) fn drawn(choices: &mut Choices) -> NetworkOptions {
        let mut on = |label| choices.draw(Family::Profile, 2, label) == 1;
        NetworkOptions {
            latency: on("latency"),
            short_reads: on("short reads"),
            short_writes: on("short writes"),
            undrained: on("undrained"),
            fickle: on("fickle"),
            ..NetworkOptions::calm()
        }
    }
}
