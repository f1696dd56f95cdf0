//! Clients with a will of their own: slow writers, slow readers, and sends that break off.

use std::fmt;
use std::time::Duration;

use handwound_reactor::Time;

use crate::client::Client;
use crate::faults::{Break, Way};
use crate::line::Tick;
use crate::world::World;

/// How slowly a client does something: so many bytes, so often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacing {
    pub(crate) bytes: usize,
    pub(crate) every: Duration,
    /// When it may go on.
    next: Time,
    /// A tick is under way.
    armed: bool,
}

impl Pacing {
    pub(crate) fn new((bytes, every): (usize, Duration)) -> Pacing {
        Pacing { bytes: bytes.max(1), every, next: Time::ZERO, armed: false }
    }
}

/// How many bytes at a time; how often, [`every`](Pace::every) tells.
#[must_use = "nothing changes before `every` says how often"]
#[derive(Debug)]
pub struct Pace<C = Client> {
    client: Client,
    back: C,
    bytes: usize,
    writes: bool,
}

impl<C> Pace<C> {
    /// The first piece at once, and one more after each `period`, on the world's clock. Zero: all pieces at once,
    /// but each by itself.
    pub fn every(self, period: Duration) -> C {
        let pacing = Pacing::new((self.bytes, period));
        self.client.world(|w, index| {
            let client = &mut w.net.clients[index as usize];
            if self.writes {
                client.writes = Some(pacing);
            } else {
                (client.reads, client.eager) = (Some(pacing), false);
            }
        });
        self.back
    }

    /// The same for a client that wraps this one: [`every`](Pace::every) will return `wrapper`.
    pub fn returning<D>(self, wrapper: D) -> Pace<D> {
        Pace { client: self.client, back: wrapper, bytes: self.bytes, writes: self.writes }
    }
}

/// Bytes that are sent when this is dropped, that is at the end of the statement.
pub struct Sent<'a> {
    client: &'a Client,
    bytes: Vec<u8>,
    breaks: Vec<(u64, Break)>,
}

impl fmt::Debug for Sent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sent({} bytes)", self.bytes.len())
    }
}

impl Sent<'_> {
    /// The connection is reset after `byte` bytes of this: those before it arrive.
    ///
    /// # Panics
    /// On a UNIX socket, which has no line that could break.
    #[track_caller]
    pub fn reset_at(mut self, byte: impl TryInto<u64>) -> Self {
        self.client.expect_a_line();
        self.breaks.push((position(byte), Break::Reset));
        self
    }

    /// This client's stream ends after `byte` bytes of this, as the server sees it; the rest is lost.
    ///
    /// # Panics
    /// On a UNIX socket, which has no line that could break.
    #[track_caller]
    pub fn cut_at(mut self, byte: impl TryInto<u64>) -> Self {
        self.client.expect_a_line();
        self.breaks.push((position(byte), Break::Cut));
        self
    }

    /// After `byte` bytes of this nothing more arrives, and nothing says so.
    ///
    /// # Panics
    /// On a UNIX socket, which has no line that could break.
    #[track_caller]
    pub fn stall_at(mut self, byte: impl TryInto<u64>) -> Self {
        self.client.expect_a_line();
        self.breaks.push((position(byte), Break::Stall));
        self
    }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        let (bytes, breaks) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.breaks));
        self.client.world(|w, index| {
            for (byte, how) in breaks {
                w.client_break(index, Way::ToServer, byte, how, true).expect("counted from here: nothing has gone");
            }
            w.client_send(index, &bytes);
        });
    }
}

impl Client {
    /// Sends bytes; what finds no room waits, and follows as the server reads. Nothing happens to them after the
    /// server has reset the connection. What is returned can make it break off:
    ///
    /// ```
    /// # use handwound_testkit::{Choices, Sim};
    /// # use handwound_reactor::{Address, ListenOptions, Reactor};
    /// # let sim = Sim::new(Choices::calm());
    /// # let mut reactor = sim.reactor("server");
    /// # let at = Address::Tcp("127.0.0.1:80".parse()?);
    /// # let listener = reactor.listen(&at, &ListenOptions::default())?;
    /// let client = sim.connect(&at);
    /// client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").reset_at(7_u32);
    /// # let (sock, _) = reactor.accept(listener)?;
    /// # let mut into = [0; 64];
    /// # assert_eq!(reactor.read(sock, &mut into)?.bytes, 7);
    /// # assert_eq!(reactor.read(sock, &mut into).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// When this client has already ended its own stream.
    #[track_caller]
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> Sent<'_> {
        let can = self.world(|w, index| w.client_can_send(index));
        assert!(can, "this client has ended its stream (finish, close or reset); it cannot send any more");
        Sent { client: self, bytes: bytes.as_ref().to_vec(), breaks: Vec::new() }
    }

    /// Whether this client may still send: it has not ended its stream, nor left.
    pub fn can_send(&self) -> bool {
        self.world(|w, index| w.client_can_send(index))
    }

    /// Makes this a slow writer: from now on it sends at most `bytes` bytes at a time.
    ///
    /// ```
    /// # use handwound_testkit::{Choices, Sim};
    /// # use handwound_reactor::{Address, ListenOptions, Reactor};
    /// # use std::time::Duration;
    /// # let sim = Sim::new(Choices::calm());
    /// # let mut reactor = sim.reactor("server");
    /// # let at = Address::Tcp("127.0.0.1:80".parse()?);
    /// # let listener = reactor.listen(&at, &ListenOptions::default())?;
    /// let client = sim.connect(&at).write_in(1).every(Duration::from_millis(10));
    /// client.send("GET ");
    /// sim.advance(Duration::from_millis(20));
    /// assert_eq!(client.unsent_bytes(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_in(&self, bytes: usize) -> Pace {
        Pace { client: self.clone(), back: self.clone(), bytes, writes: true }
    }

    /// Makes this a slow reader: from now on it reads at most `bytes` bytes at a time. How much is held unread
    /// meanwhile, [`window`](Client::window) tells.
    pub fn read_in(&self, bytes: usize) -> Pace {
        Pace { client: self.clone(), back: self.clone(), bytes, writes: false }
    }

    /// The connection is reset once this client has sent `byte` bytes, counted from the connect.
    ///
    /// # Panics
    /// When it has sent more already, and on a UNIX socket.
    #[track_caller]
    pub fn reset_at(&self, byte: impl TryInto<u64>) -> Client {
        self.break_at(Way::ToServer, byte, Break::Reset)
    }

    /// This client's stream ends once it has sent `byte` bytes, as the server sees it; what it sends later is lost.
    ///
    /// # Panics
    /// When it has sent more already, and on a UNIX socket.
    #[track_caller]
    pub fn cut_at(&self, byte: impl TryInto<u64>) -> Client {
        self.break_at(Way::ToServer, byte, Break::Cut)
    }

    /// Has the connection break in either direction, once so many bytes have gone that way.
    ///
    /// # Panics
    /// When more have gone already, and on a UNIX socket.
    #[track_caller]
    pub fn break_at(&self, way: Way, byte: impl TryInto<u64>, how: Break) -> Client {
        self.expect_a_line();
        let byte = position(byte);
        if let Err(gone) = self.world(|w, index| w.client_break(index, way, byte, how, false)) {
            panic!("{gone} bytes have gone already; the connection cannot break at byte {byte}");
        }
        self.clone()
    }

    #[track_caller]
    fn expect_a_line(&self) {
        let unix = self.world(|w, index| w.client_connection(index).is_some_and(|connection| w.is_unix(connection)));
        assert!(!unix, "a UNIX socket has no line that could break; have the client close() or finish()");
    }
}

/// Any whole number; what is negative or too large lies beyond everything.
fn position(byte: impl TryInto<u64>) -> u64 {
    byte.try_into().unwrap_or(u64::MAX)
}

impl World {
    /// `from_here`: counted from what has been given to send so far.
    fn client_break(&mut self, client: u32, way: Way, byte: u64, how: Break, from_here: bool) -> Result<(), u64> {
        let Some(connection) = self.client_connection(client) else { return Ok(()) };
        let waiting = self.net.clients[client as usize].outbox.len() as u64;
        let gone = self.end_of(connection, way.to()).line.entered;
        let byte = if from_here { byte.saturating_add(gone + waiting) } else { byte };
        if byte < gone {
            return Err(gone);
        }
        self.break_line(connection, way.to(), byte, how);
        Ok(())
    }

    /// How many bytes a client may send now; arranges for later, where that is none.
    pub(crate) fn may_write(&mut self, client: u32) -> usize {
        let now = self.now;
        let Some(pacing) = &mut self.net.clients[client as usize].writes else { return usize::MAX };
        let Some(due) = pacing.wait(now) else { return pacing.bytes };
        if let Some(due) = due {
            self.tick(due, Tick::ClientWrites(client));
        }
        0
    }

    /// As [`may_write`](World::may_write), for reading.
    pub(crate) fn may_read(&mut self, client: u32) -> usize {
        let now = self.now;
        let Some(pacing) = &mut self.net.clients[client as usize].reads else { return 0 };
        let Some(due) = pacing.wait(now) else { return pacing.bytes };
        if let Some(due) = due {
            self.tick(due, Tick::ClientReads(client));
        }
        0
    }

    pub(crate) fn client_write_tick(&mut self, client: u32) {
        let state = &mut self.net.clients[client as usize];
        if let Some(pacing) = &mut state.writes {
            pacing.armed = false;
        }
        self.client_flush(client);
    }

    pub(crate) fn client_read_tick(&mut self, client: u32) {
        let state = &mut self.net.clients[client as usize];
        if let Some(pacing) = &mut state.reads {
            pacing.armed = false;
        }
        self.client_readable(client);
    }
}

impl Pacing {
    /// `None`: it may go on now. Otherwise it may not, and a tick is due then, unless one is under way.
    fn wait(&mut self, now: Time) -> Option<Option<Time>> {
        if now >= self.next {
            return None;
        }
        Some((!std::mem::replace(&mut self.armed, true)).then_some(self.next))
    }

    /// It has done its piece.
    pub(crate) fn done(&mut self, now: Time) {
        self.next = now + self.every;
    }
}
