//! What there is in a world, in words: threads, gates, sockets, and what a test left open.

use std::fmt::Write;

use handwound_reactor::Time;

use crate::client::Parting;
use crate::network::Owner;
use crate::slots::Kind;
use crate::waits::{self, Next};
use crate::world::{Op, World};

/// What a simulated thread is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// It can go on.
    Ready,
    /// It waits at a gate.
    Parked {
        /// The gate's name.
        gate: String,
        /// When it gives up.
        until: Option<Time>,
    },
    /// It waits in a reactor's poll.
    Polling {
        /// The reactor's name.
        reactor: String,
        /// When it gives up.
        until: Option<Time>,
    },
    /// It has ended.
    Done,
}

/// A simulated thread, as [`Sim::tasks`](crate::Sim::tasks) shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskInfo {
    /// The name it was started with.
    pub name: String,
    /// What it is doing.
    pub state: TaskState,
}

/// A gate, as [`Sim::gates`](crate::Sim::gates) shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateInfo {
    /// The name it was made with.
    pub name: String,
    /// Whether it holds a token.
    pub token: bool,
    /// The thread that is parked at it.
    pub parked: Option<String>,
}

pub(crate) fn tasks(world: &World) -> Vec<TaskInfo> {
    let info = |index: usize| {
        let task = &world.tasks[index];
        TaskInfo { name: world.trace.text_of(task.name).to_owned(), state: state(world, index) }
    };
    (0..world.tasks.len()).map(info).collect()
}

fn state(world: &World, index: usize) -> TaskState {
    let task = &world.tasks[index];
    match task.op {
        _ if task.done => TaskState::Done,
        Some(op) if world.enabled(op) => TaskState::Ready,
        Some(Op::Park { gate, until }) => {
            TaskState::Parked { gate: world.trace.text_of(world.gates[gate as usize].name).to_owned(), until }
        }
        Some(Op::Poll { reactor, until }) => TaskState::Polling {
            reactor: world.trace.text_of(world.net.reactors[reactor as usize].name).to_owned(),
            until,
        },
        _ => TaskState::Ready,
    }
}

pub(crate) fn gates(world: &World) -> Vec<GateInfo> {
    let live = world.gates.iter().filter(|gate| gate.live);
    let info = |gate: &crate::world::GateState| GateInfo {
        name: world.trace.text_of(gate.name).to_owned(),
        token: gate.token,
        parked: gate.parked.map(|task| world.task_name(task).to_owned()),
    };
    live.map(info).collect()
}

/// What a thread that cannot go on waits for.
pub(crate) fn waiting(world: &World, task: u32) -> Option<String> {
    match state(world, task as usize) {
        TaskState::Parked { gate, .. } => Some(format!("waits at gate {gate}")),
        TaskState::Polling { reactor, .. } => Some(format!("polls {reactor}")),
        TaskState::Ready | TaskState::Done => None,
    }
}

/// Sockets that reactors have open, one a line.
pub(crate) fn sockets(world: &World) -> Vec<String> {
    let mut lines = Vec::new();
    for reactor in &world.net.reactors {
        let name = world.trace.text_of(reactor.name);
        for slot in &reactor.slots {
            match slot.kind {
                Kind::Free => {}
                Kind::Listener(listener) => {
                    let address = &world.net.listeners[listener as usize].address;
                    lines.push(format!("{name} listens at {address}, opened {}", waits::made(world, slot.made)));
                }
                Kind::Stream { connection, side } => {
                    let connection = &world.net.connections[connection as usize];
                    let (end, peer) = (&connection.ends[side as usize], &connection.ends[1 - side as usize]);
                    let whose = match peer.owner {
                        Owner::Client(client) => client_text(world, client),
                        Owner::Gone => "a peer that has left".to_owned(),
                        Owner::Queue(_) => "a listener's queue".to_owned(),
                        Owner::Reactor { reactor, .. } => {
                            world.trace.text_of(world.net.reactors[reactor as usize].name).to_owned()
                        }
                    };
                    let unread = end.inbox.len();
                    lines.push(format!(
                        "{name} has conn {} with {whose} open ({unread} bytes unread), opened {}",
                        connection.serial,
                        waits::made(world, slot.made)
                    ));
                }
            }
        }
    }
    lines
}

/// How a client stands, and why nothing more may have come for it.
pub(crate) fn client(world: &World, index: u32, parting: Parting) -> String {
    let state = &world.net.clients[index as usize];
    let (sent, received) = (state.transcript.sent_bytes().len(), state.transcript.received_bytes().len());
    let unsent = match state.outbox.len() {
        0 => String::new(),
        bytes => format!(" ({bytes} more wait for room)"),
    };
    let stands = match parting {
        Parting::Open => "its connection is open",
        Parting::Finished => "the server has ended its stream",
        Parting::Reset => "the connection was reset",
        Parting::Refused => "nobody listened where it connected",
        Parting::Unanswered => "its connect got no answer",
    };
    let who = client_text(world, index);
    let mut text = format!("{who} has sent {sent} bytes{unsent} and received {received}; {stands}\n");
    match waits::next_move(world) {
        Some(Next::Now) => text.push_str("the world has not come to rest: Sim::settle lets it go on\n"),
        Some(Next::At(time)) => {
            let _ = writeln!(text, "the world goes on at {time}: Sim::advance or Sim::settle winds the clock");
        }
        None => text.push_str("nothing moves without new input\n"),
    }
    text + &waits::text(world)
}

fn client_text(world: &World, client: u32) -> String {
    match world.net.clients.get(client as usize).and_then(|client| client.place) {
        Some(place) => format!("client {client} (made at {place})"),
        None => format!("client {client}"),
    }
}

/// What is not as it was before the test; empty when all is.
pub(crate) fn left_over(world: &World) -> String {
    let mut text = String::new();
    for line in sockets(world) {
        let _ = writeln!(text, "  socket: {line}");
    }
    for &task in world.live() {
        let made = world.trace.origins.task(task);
        let made = made.map(|made| format!(", started {}", waits::made(world, made))).unwrap_or_default();
        let does = waiting(world, task).unwrap_or_else(|| "can go on".to_owned());
        let _ = writeln!(text, "  thread: {} {does}{made}", world.task_name(task));
    }
    for (index, gate) in world.gates.iter().enumerate() {
        if let (true, Some(parked)) = (gate.live, gate.parked) {
            let made = world.trace.origins.gate(index as u32);
            let made = made.map(|made| format!(", made {}", waits::made(world, made))).unwrap_or_default();
            let (parked, name) = (world.task_name(parked), world.trace.text_of(gate.name));
            let _ = writeln!(text, "  gate: {parked} is parked at `{name}`{made}");
        }
    }
    text
}
