//! Who waits for what, in words: deadlocks, livelocks, and what a test left open.

use std::fmt::Write;

use handwound_reactor::Time;

use crate::network::Owner;
use crate::sockets::Kind;
use crate::trace::NEVER;
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

/// Each live thread and what it waits for, one a line.
pub(crate) fn waits(world: &World) -> String {
    let mut text = format!("at {}:\n", world.now);
    for task in tasks(world) {
        let _ = match task.state {
            TaskState::Done => Ok(()),
            TaskState::Ready => writeln!(text, "  {} can go on", task.name),
            TaskState::Parked { gate, until } => {
                writeln!(text, "  {} is parked at gate `{gate}`{}", task.name, until_text(until))
            }
            TaskState::Polling { reactor, until } => {
                writeln!(text, "  {} polls reactor `{reactor}`{}", task.name, until_text(until))
            }
        };
    }
    if text.lines().count() == 1 {
        text.push_str("  no thread is left\n");
    }
    text
}

fn until_text(until: Option<Time>) -> String {
    match until {
        Some(until) if until < NEVER => format!(" until {until}"),
        _ => " without end".to_owned(),
    }
}

/// Whether some thread waits without a deadline, and nothing can move any more.
pub(crate) fn deadlocked(world: &World) -> bool {
    let waits = |until: &Option<Time>| until.is_none_or(|until| until >= NEVER);
    let all = tasks(world);
    let forever = |task: &TaskInfo| match &task.state {
        TaskState::Parked { until, .. } | TaskState::Polling { until, .. } => waits(until),
        TaskState::Done => true,
        TaskState::Ready => false,
    };
    let parked = |task: &TaskInfo| matches!(task.state, TaskState::Parked { .. } | TaskState::Polling { .. });
    world.net.next_due().is_none() && all.iter().all(forever) && all.iter().any(parked)
}

pub(crate) fn livelock(world: &World) -> String {
    let mut text = format!(
        "still not quiet after {} steps at {}; Sim::set_steps_max sets the bound. Most of them took:\n",
        world.steps_max, world.now
    );
    for (name, moves) in world.busiest() {
        let _ = writeln!(text, "  {moves:>9}  {name}");
    }
    text
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
                    lines.push(format!("{name} listens at {address}"));
                }
                Kind::Stream { connection, side } => {
                    let connection = &world.net.connections[connection as usize];
                    let (end, peer) = (&connection.ends[side as usize], &connection.ends[1 - side as usize]);
                    let whose = match peer.owner {
                        Owner::Client(client) => format!("client {client}"),
                        Owner::Gone => "a peer that has left".to_owned(),
                        Owner::Queue(_) => "a listener's queue".to_owned(),
                        Owner::Reactor { reactor, .. } => {
                            world.trace.text_of(world.net.reactors[reactor as usize].name).to_owned()
                        }
                    };
                    let unread = end.inbox.len();
                    lines.push(format!(
                        "{name} has conn {} with {whose} open ({unread} bytes unread)",
                        connection.serial
                    ));
                }
            }
        }
    }
    lines
}

/// What is not as it was before the test; empty when all is.
pub(crate) fn left_over(world: &World) -> String {
    let mut text = String::new();
    for line in sockets(world) {
        let _ = writeln!(text, "  socket: {line}");
    }
    for task in tasks(world) {
        if task.state != TaskState::Done {
            let _ = writeln!(text, "  thread: {} ({:?})", task.name, task.state);
        }
    }
    for gate in gates(world) {
        if let Some(parked) = gate.parked {
            let _ = writeln!(text, "  gate: {} is parked at `{}`", parked, gate.name);
        }
    }
    text
}
