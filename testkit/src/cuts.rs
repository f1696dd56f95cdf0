//! A conversation, cut at every byte.

use crate::client::Client;
use crate::explore::{Exploration, Report};
use crate::sim::Sim;
use crate::whose::Whose;

/// Where a conversation is cut, and how it goes on; see [`for_every_cut`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    bytes: Vec<u8>,
    at: usize,
    resets: bool,
}

impl Cut {
    /// How many bytes come before the cut.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Whether the connection is reset here; otherwise the rest follows.
    pub fn resets(&self) -> bool {
        self.resets
    }

    /// Sends the conversation, cut: what comes before is received and dealt with before the rest is sent, or the
    /// connection reset. The clock stands still.
    ///
    /// # Panics
    /// As [`Client::send`] and [`Sim::settle_now`].
    #[track_caller]
    pub fn send(&self, sim: &Sim, client: &Client) {
        let (before, rest) = self.bytes.split_at(self.at);
        if !before.is_empty() {
            client.send(before);
        }
        sim.settle_now();
        if self.resets {
            client.reset();
        } else if !rest.is_empty() {
            client.send(rest);
        }
        sim.settle_now();
    }

    /// The whole conversation, then split before each byte but the first, then reset before each byte and at the end.
    fn number(bytes: &[u8], number: usize) -> Cut {
        let splits = bytes.len().max(1);
        let (at, resets) = if number < splits { (number, false) } else { (number - splits, true) };
        Cut { bytes: bytes.to_vec(), at: if number == 0 { bytes.len() } else { at }, resets }
    }
}

/// Runs `test` once for each place where what a client sends can be cut: whole, in two parts at every byte, and with
/// a reset before every byte and after the last. Calm but for that, in a world of its own each.
///
/// ```
/// use handwound_reactor::{Address, EventLoop, ListenOptions, Protocol, Transport};
/// use handwound_testkit::for_every_cut;
///
/// struct Echo;
/// impl Protocol for Echo {
///     fn received(&mut self, transport: &mut Transport, bytes: &[u8]) {
///         transport.write(bytes);
///     }
/// }
///
/// for_every_cut("hello", |sim, cut| {
///     let event_loop = EventLoop::new(sim.reactor("echo"), sim.threads());
///     let at = Address::Tcp("127.0.0.1:7".parse().unwrap());
///     event_loop.listen(&at, &ListenOptions::default(), |_peer| Echo).unwrap();
///     let running = event_loop.clone();
///     sim.spawn("loop", move || {
///         running.run().unwrap();
///     });
///     let client = sim.connect(&at);
///     cut.send(sim, &client);
///     if !cut.resets() {
///         assert_eq!(client.received_text(), "hello");
///     }
/// });
/// ```
///
/// # Panics
/// With the test's panic, after printing how to repeat the run.
pub fn for_every_cut<T: Fn(&Sim, &Cut)>(conversation: impl AsRef<[u8]>, test: T) -> Report {
    let bytes = conversation.as_ref();
    let cuts = bytes.len().max(1) + bytes.len() + 1;
    Exploration::answers().runs_max(cuts as u64 + 1).run_as(Whose::next::<T>(), &|sim| {
        let cut = Cut::number(bytes, sim.choose("cut", cuts as u32) as usize);
        test(sim, &cut);
    })
}
