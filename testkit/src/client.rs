//! Scripted clients: the other end of a server's connections, worked by the test itself.

use std::fmt;
use std::sync::Arc;

use handwound_reactor::{Address, Close};

use crate::client_state::{ClientState, Script};
use crate::shared::Shared;
use crate::world::World;

/// How the server has parted from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// It has not; or what it sent before parting has not been read yet.
    Open,
    /// It has ended its stream (FIN), and all of it has been received.
    Finished,
    /// It has reset the connection, before any end.
    Reset,
    /// Nobody listens there.
    Refused,
    /// The connect got no answer, or nobody acknowledged what was sent.
    Unanswered,
}

/// A client that does what the test says, at once and without a task of its own.
///
/// It reads whatever comes as soon as it comes, unless [`window`](Client::window) has made it slow. Dropping it
/// leaves the connection as it is; copies are the same client.
#[derive(Clone)]
pub struct Client {
    world: Arc<Shared>,
    index: u32,
    _hold: Arc<Hold>,
}

/// What all copies of a client have in common.
struct Hold {
    world: Arc<Shared>,
    index: u32,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.world.try_with(|w| {
            let state = &mut w.net.clients[self.index as usize];
            state.held = false;
            let connection = state.connection;
            w.retire(connection);
            w.client_spent(self.index);
        });
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({}, {:?})", self.index, self.closing())
    }
}

impl Client {
    pub(crate) fn connect(world: &Arc<Shared>, to: &Address) -> Client {
        let index = world.with(|w| w.client_connect(to));
        let hold = Hold { world: Arc::clone(world), index };
        Client { world: Arc::clone(world), index, _hold: Arc::new(hold) }
    }

    /// Everything received so far, including what was taken.
    pub fn received(&self) -> Vec<u8> {
        self.with(|client| client.received.clone())
    }

    /// What was received since the last call of this.
    pub fn take_received(&self) -> Vec<u8> {
        self.with(|client| {
            let new = client.received[client.taken..].to_vec();
            client.taken = client.received.len();
            new
        })
    }

    /// Everything received so far, as text; what is not UTF-8 becomes U+FFFD.
    pub fn received_text(&self) -> String {
        self.with(|client| String::from_utf8_lossy(&client.received).into_owned())
    }

    /// Ends this client's stream (FIN) once everything is sent, and goes on reading.
    pub fn finish(&self) {
        self.enter(|w| w.client_finish(self.index));
    }

    /// Closes both ways, as a program that closes its socket: bytes it has not read or that come later are
    /// answered with a reset. What it has sent before still goes out.
    pub fn close(&self) {
        self.enter(|w| w.client_leave(self.index, Close::Graceful));
    }

    /// Resets the connection (RST). UNIX sockets know no reset: there it is a plain close.
    pub fn reset(&self) {
        self.enter(|w| w.client_leave(self.index, Close::Reset));
    }

    /// How the server has parted. A client that has left keeps the answer of that moment.
    pub fn closing(&self) -> Parting {
        self.enter(|w| w.client_parting(self.index))
    }

    /// Whether the server has ended, reset or refused the connection.
    pub fn is_closed(&self) -> bool {
        self.closing() != Parting::Open
    }

    /// Makes this a slow reader: from now on it holds at most `bytes` unread, and reads only when
    /// [`read`](Client::read) says so.
    pub fn window(&self, bytes: usize) {
        self.enter(|w| {
            w.net.clients[self.index as usize].eager = false;
            if let Some(connection) = w.client_connection(self.index) {
                w.end_of(connection, 0).room_max = bytes;
            }
        });
    }

    /// A slow reader reads up to `bytes` bytes; returns how many there were.
    pub fn read(&self, bytes: usize) -> usize {
        self.enter(|w| w.client_read(self.index, bytes))
    }

    /// Ends being slow: reads all there is and all that comes.
    pub fn read_eagerly(&self) {
        self.enter(|w| {
            let client = &mut w.net.clients[self.index as usize];
            (client.eager, client.reads) = (true, None);
            if let Some(connection) = w.client_connection(self.index) {
                w.end_of(connection, 0).room_max = w.network.receive_buffer_bytes;
                w.client_read(self.index, usize::MAX);
                w.freed(connection, 0);
            }
        });
    }

    /// Has `script` answer what comes, at once and inside the world: it is given what has been received and not yet
    /// taken, adds what it wants to send to the second argument, and returns how many bytes it takes. They are
    /// forgotten: a client with a script can go on for ever. Begins with what is there already.
    ///
    /// ```
    /// # use handwound_reactor::{Address, ListenOptions, Reactor};
    /// # use handwound_testkit::{Choices, Sim};
    /// # let sim = Sim::new(Choices::calm());
    /// # let mut reactor = sim.reactor("server");
    /// # let at = Address::Tcp("127.0.0.1:80".parse()?);
    /// # let listener = reactor.listen(&at, &ListenOptions::default())?;
    /// # let client = sim.connect(&at);
    /// // Greets first, then answers each line with `next`.
    /// client.script(|received, send| match received.iter().position(|&byte| byte == b'\n') {
    ///     Some(end) => {
    ///         send.extend(b"next\n");
    ///         end + 1
    ///     }
    ///     None => 0,
    /// });
    /// client.send("hello\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// Later, when `script` takes more than there is, or calls into the world.
    pub fn script(&self, script: impl FnMut(&[u8], &mut Vec<u8>) -> usize + Send + 'static) {
        self.enter(|w| {
            w.net.clients[self.index as usize].script =
                Some(Box::new(Script { answers: Box::new(script), send: Vec::new() }));
            w.client_script(self.index);
        });
    }

    /// The conversation so far, for people and snapshots: what went when, which way, and how it was cut.
    ///
    /// `>>` was sent and `<<` received; `│` marks a cut between two pieces at one instant; a piece at a later time
    /// begins a line of its own. Payload is ASCII with escapes, and each line of it ends where it did; long ones are
    /// cut short and counted. Sent is what has left this end, not what still waits for room.
    pub fn transcript(&self) -> String {
        self.with(|client| client.transcript.text())
    }

    /// How many bytes wait to be sent, for want of room at the server.
    pub fn unsent_bytes(&self) -> usize {
        self.with(|client| client.outbox.len())
    }

    /// This end's address, as the server sees it.
    pub fn address(&self) -> Option<Address> {
        self.enter(|w| {
            let connection = w.client_connection(self.index)?;
            Some(w.end_of(connection, 0).local.clone())
        })
    }

    pub(crate) fn world<R>(&self, use_it: impl FnOnce(&mut World, u32) -> R) -> R {
        self.enter(|w| use_it(w, self.index))
    }

    /// The one way in: whoever has a client, a thread of the world too, deals with its connection.
    fn enter<R>(&self, use_it: impl FnOnce(&mut World) -> R) -> R {
        self.world.with(|w| {
            let connection = w.net.clients[self.index as usize].connection;
            w.touch_connection(connection);
            use_it(w)
        })
    }

    fn with<R>(&self, use_it: impl FnOnce(&mut ClientState) -> R) -> R {
        self.enter(|w| use_it(&mut w.net.clients[self.index as usize]))
    }
}
