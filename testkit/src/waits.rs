//! Who waits for whom: deadlocks with their cycle, and livelocks with what goes round.

use std::fmt::{self, Write};

use handwound_reactor::Time;

use crate::origins::Made;
use crate::trace::{Event, NETWORK, NEVER, TEST};
use crate::world::{Op, World};

/// A thread that waits, and what is known of those who could end its wait.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wait {
    /// Who waits.
    pub thread: String,
    /// The gate it is parked at, or the reactor it polls.
    pub at: String,
    /// Whether it polls; such a wait can also be ended from outside, by a client.
    pub polls: bool,
    /// When it gives up.
    pub until: Option<Time>,
    /// The thread (or `test`) that ended such a wait last, or is said to ([`Sim::answered_by`](crate::Sim::answered_by)).
    pub answered_by: Option<String>,
    /// How that is known.
    known: Known,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Declared,
    Holds,
    ThisGate(Time),
    ThisName,
    Nothing,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wait { thread, at, .. } = self;
        match self.polls {
            true => write!(f, "{thread} polls reactor `{at}`")?,
            false => write!(f, "{thread} is parked at gate `{at}`")?,
        }
        match self.until {
            Some(until) if until < NEVER => write!(f, " until {until}")?,
            _ => f.write_str(" without end")?,
        }
        let Some(by) = &self.answered_by else {
            return f.write_str(if self.polls { "" } else { "; nobody has ever unparked it" });
        };
        match (self.known, self.polls) {
            (Known::Declared, _) => write!(f, "; {by} is to answer"),
            (Known::Holds, _) => write!(f, "; {by} has it"),
            (Known::ThisGate(when), _) => write!(f, "; last unparked by {by} at {when}"),
            (_, true) => write!(f, "; last woken by {by}"),
            (_, false) => write!(f, "; never unparked, but one of this name was, by {by}"),
        }
    }
}

/// Threads that wait for each other in a ring; see [`Sim::deadlock`](crate::Sim::deadlock).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlock {
    /// When nothing could move any more.
    pub at: Time,
    /// The ring: each waits for the next, and the last for the first.
    pub cycle: Vec<Wait>,
    /// The others, who wait too.
    pub others: Vec<Wait>,
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.cycle.iter().map(|wait| wait.thread.as_str()).collect();
        writeln!(f, "deadlock at {}: {} -> {}", self.at, names.join(" -> "), names.first().unwrap_or(&""))?;
        for wait in &self.cycle {
            writeln!(f, "  {wait}")?;
        }
        if !self.others.is_empty() {
            writeln!(f, "also waiting:")?;
        }
        self.others.iter().take(THREADS_MAX).try_for_each(|wait| writeln!(f, "  {wait}"))?;
        match self.others.len().saturating_sub(THREADS_MAX) {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more threads"),
        }
    }
}

/// Who this is, for people.
pub(crate) fn actor(world: &World, actor: u32) -> String {
    match actor {
        TEST => "the test".to_owned(),
        NETWORK => "the network".to_owned(),
        task => world.task_name(task).to_owned(),
    }
}

/// By whom and when something was made.
pub(crate) fn made(world: &World, made: Made) -> String {
    let place = made.place.map(|place| format!(" ({place})")).unwrap_or_default();
    format!("by {} at {}{place}", actor(world, made.by), made.at)
}

/// All threads that wait, oldest first.
pub(crate) fn all(world: &World) -> Vec<Wait> {
    world.live().iter().filter_map(|&task| Some(wait(world, task)?.0)).collect()
}

/// A thread's wait, and the task that is to end it, where one is known.
fn wait(world: &World, task: u32) -> Option<(Wait, Option<u32>)> {
    let op = world.tasks[task as usize].op.filter(|&op| !world.enabled(op))?;
    let origins = &world.trace.origins;
    let (name, until, polls) = match op {
        Op::Park { gate, until } => (world.gates[gate as usize].name, until, false),
        Op::Poll { reactor, until } => (world.net.reactors[reactor as usize].name, until, true),
        _ => return None,
    };
    let at = world.trace.text_of(name).to_owned();
    let thread = world.task_name(task).to_owned();
    let declared = origins.declared(&at).map(str::to_owned);
    if let Some(by) = declared {
        let answerer = world.live().iter().copied().find(|&other| world.task_name(other) == by);
        let wait = Wait { thread, at, polls, until, answered_by: Some(by), known: Known::Declared };
        return Some((wait, answerer));
    }
    if let Op::Park { gate, .. } = op
        && let Some(by) = world.holds.holder_at(gate)
    {
        let answerer = Some(by).filter(|by| world.live().contains(by));
        let by = Some(actor(world, by));
        return Some((Wait { thread, at, polls, until, answered_by: by, known: Known::Holds }, answerer));
    }
    let this = match op {
        Op::Park { gate, .. } => origins.last_unpark(gate).map(|(when, by)| (Known::ThisGate(when), by)),
        _ => None,
    };
    // A gate that only its own parker has ever named teaches nothing.
    let alike = || origins.last_answer(name.index()).map(|by| (Known::ThisName, by));
    let found = this.or_else(alike).filter(|(_, by)| *by != task);
    let (known, by) = found.unzip();
    let answered_by = by.map(|by| actor(world, by));
    let answerer = by.filter(|by| world.live().contains(by));
    Some((Wait { thread, at, polls, until, answered_by, known: known.unwrap_or(Known::Nothing) }, answerer))
}

fn forever(wait: &Wait) -> bool {
    wait.until.is_none_or(|until| until >= NEVER)
}

/// Threads that a report names; the others are counted.
const THREADS_MAX: usize = 24;

/// Each live thread and what it waits for, one a line; those of a ring first, where there is one.
pub(crate) fn text(world: &World) -> String {
    let (live, now) = (world.live(), world.now);
    let goes_on = |task: u32| format!("  {} can go on\n", world.task_name(task));
    if let Some(deadlock) = deadlock(world) {
        let others = live.iter().filter(|&&task| wait(world, task).is_none());
        return format!("{deadlock}{}", others.map(|&task| goes_on(task)).collect::<String>());
    }
    if live.is_empty() {
        return format!("at {now}: no thread is left\n");
    }
    let mut text = format!("at {now}:\n");
    for &task in live.iter().take(THREADS_MAX) {
        text += &wait(world, task).map_or_else(|| goes_on(task), |(wait, _)| format!("  {wait}\n"));
    }
    if live.len() > THREADS_MAX {
        let _ = writeln!(text, "  and {} more threads; Sim::waits lists all that wait", live.len() - THREADS_MAX);
    }
    text
}

/// Whether waits can have to do with a failure: somebody is parked for good, or goes round. An idle loop tells nothing.
pub(crate) fn tell(world: &World) -> bool {
    let polls = |task: u32| wait(world, task).is_some_and(|(wait, _)| wait.polls);
    world.live().iter().any(|&task| !polls(task)) || deadlock(world).is_some()
}

/// When something would move if the world were driven on.
pub(crate) enum Next {
    Now,
    At(Time),
}

/// The next move; `None` where nothing moves without new input.
pub(crate) fn next_move(world: &World) -> Option<Next> {
    let ops = world.live().iter().filter_map(|&task| world.tasks[task as usize].op);
    let mut next = world.net.next_due();
    for op in ops {
        match op {
            op if world.enabled(op) => return Some(Next::Now),
            Op::Park { until: Some(until), .. } | Op::Poll { until: Some(until), .. } if until < NEVER => {
                next = Some(next.map_or(until, |next| next.min(until)));
            }
            _ => {}
        }
    }
    next.map(|time| if time <= world.now { Next::Now } else { Next::At(time) })
}

/// Whether threads wait without a deadline, and nothing can move any more.
pub(crate) fn stuck(world: &World) -> bool {
    let waits = all(world);
    !waits.is_empty()
        && waits.len() == world.live().len()
        && waits.iter().all(forever)
        && world.net.next_due().is_none()
}

/// A ring of threads that are parked without a deadline, each to be answered by the next.
pub(crate) fn deadlock(world: &World) -> Option<Deadlock> {
    let mut edges: Vec<(u32, u32)> = Vec::new();
    for &task in world.live() {
        // Who polls can be woken from outside, unless there is nothing it could hear from.
        if let Some((wait, Some(answerer))) = wait(world, task)
            && forever(&wait)
            && (!wait.polls || deaf(world, task))
        {
            edges.push((task, answerer));
        }
    }
    let next = |task: u32| edges.iter().find(|(from, _)| *from == task).map(|(_, to)| *to);
    for &(start, _) in &edges {
        let mut ring = vec![start];
        while let Some(to) = next(*ring.last().expect("has the start")) {
            if to == start {
                let (mut cycle, mut others) = (Vec::new(), Vec::new());
                for &task in world.live() {
                    if !ring.contains(&task) {
                        others.extend(wait(world, task).map(|(wait, _)| wait));
                    }
                }
                cycle.extend(ring.iter().filter_map(|&task| Some(wait(world, task)?.0)));
                return Some(Deadlock { at: world.now, cycle, others });
            }
            if ring.contains(&to) {
                break;
            }
            ring.push(to);
        }
    }
    None
}

/// Whether a polling thread's reactor has nothing open that could have news.
fn deaf(world: &World, task: u32) -> bool {
    let Some(Op::Poll { reactor, .. }) = world.tasks[task as usize].op else { return false };
    world.net.reactors[reactor as usize].slots.iter().all(|slot| slot.kind == crate::slots::Kind::Free)
}

/// The longest round that is looked for in a livelock, in events.
const ROUND_MAX: usize = 64;

/// What to say when a drive does not end.
pub(crate) fn livelock(world: &World) -> String {
    let mut text = format!(
        "still not quiet after {} steps at {}; threads that go round for ever, or a test that needs more steps \
         (Sim::set_steps_max sets the bound). Most of them took:\n",
        world.steps_max, world.now
    );
    for (name, moves) in world.busiest() {
        let _ = writeln!(text, "  {moves:>9}  {name}");
    }
    let tail: Vec<Event> = world.trace.events().rev().take(4 * ROUND_MAX).collect();
    match round(&tail) {
        Some(length) => {
            let all = if length == 1 { "one goes".to_owned() } else { format!("{length} go") };
            let _ = writeln!(text, "and the same {all} round and round:");
            tail[..length].iter().rev().for_each(|event| line(&mut text, world, *event));
        }
        None => {
            text.push_str("the last events:\n");
            tail.iter().take(12).rev().for_each(|event| line(&mut text, world, *event));
        }
    }
    text
}

fn line(text: &mut String, world: &World, event: Event) {
    let _ = write!(text, "  {} ", actor(world, event.actor));
    world.trace.describe(text, event);
    text.push('\n');
}

/// The shortest round that has been gone through three times at the end of a story told backwards.
fn round(tail: &[Event]) -> Option<usize> {
    let alike = |a: &Event, b: &Event| (a.actor, a.what, a.object) == (b.actor, b.what, b.object);
    (1..=ROUND_MAX).find(|&length| {
        tail.len() > 3 * length && (0..3 * length).all(|index| alike(&tail[index], &tail[index + length]))
    })
}
