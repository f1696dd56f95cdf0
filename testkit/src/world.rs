//! The state of a simulated world: tasks, gates, what they share, and what has been touched.
//!
//! No code of a user runs in here, and nothing here waits: a task announces the operation it is about to do,
//! [`World::pick`] says who goes next, and the operation is done when its task goes on.

mod turns;

use std::any::Any;

use handwound_reactor::{SharedId, Time};

use crate::choices::Choices;
use crate::family::Family;
use crate::faults::Call;
use crate::holds::Holds;
use crate::network::Network;
use crate::network_options::NetworkOptions;
use crate::strand::{Backend, OsStrand};
use crate::trace::{Name, TEST, Trace, What};
use crate::trouble::Faults;

pub(crate) use turns::{Goal, Pick};

/// What runs on a task's stack.
pub(crate) type Body = Box<dyn FnOnce() + Send>;

/// What a task that has not begun will be.
pub(crate) enum Unbegun {
    Body(Body),
    /// An OS thread of somebody else's, which waits for its first turn.
    Thread(OsStrand),
}

/// A visible operation: one whose order among those of other tasks can matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Start,
    Visit(SharedId),
    Unpark(u32),
    Park { gate: u32, until: Option<Time> },
    Wake(u32),
    Poll { reactor: u32, until: Option<Time> },
    Spawn,
    Socket,
}

pub(crate) struct Task {
    pub(crate) name: Name,
    /// What it does when it goes on next; `None` while it runs.
    pub(crate) op: Option<Op>,
    pub(crate) done: bool,
    pub(crate) body: Option<Unbegun>,
    /// The move at which it last went on: who waits longest goes first.
    last_move: u64,
    /// Moves in the present drive, for the report of a livelock.
    moves: u64,
    /// How often it has been told to unwind.
    pub(crate) stopped: u32,
    /// It can do what it has announced, and stands in the list of those.
    is_ready: bool,
}

pub(crate) struct GateState {
    pub(crate) name: Name,
    pub(crate) token: bool,
    pub(crate) parked: Option<u32>,
    object: u32,
    pub(crate) live: bool,
}

pub(crate) struct SharedThing {
    pub(crate) name: Name,
    object: u32,
}

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) choices: Choices,
    pub(crate) trace: Trace,
    pub(crate) tasks: Vec<Task>,
    live: Vec<u32>,
    /// Those that can do what they have announced, oldest first. Kept, not looked for: most moves change one of them
    /// at most.
    ready: Vec<u32>,
    pub(crate) gates: Vec<GateState>,
    free_gates: Vec<u32>,
    pub(crate) shared: Vec<SharedThing>,
    pub(crate) net: Network,
    pub(crate) network: NetworkOptions,
    pub(crate) faults: Faults,
    pub(crate) spawn_fails: u32,
    pub(crate) holds: Holds,
    /// What threads that have not begun will run on.
    pub(crate) backend: Backend,
    /// What reactor, pool and server do to what they share inside are visible operations too.
    pub(crate) looks_inside: bool,
    /// Socket calls are visible operations too.
    pub(crate) socket_switches: bool,
    /// The simulation is over; tasks are being unwound.
    pub(crate) stopping: bool,
    /// What foreign threads have done since: they end by going on.
    pub(crate) stop_moves: u64,
    /// What a foreign thread, which cannot be unwound, would have panicked with.
    pub(crate) broken: Option<Box<dyn Any + Send>>,
    /// Who runs: a task, the test or the network.
    pub(crate) actor: u32,
    /// Decided by the task that ran last, in its own time.
    pub(crate) picked: Option<Pick>,
    pub(crate) steps_max: u64,
    /// Waits that were let go because they could not end.
    pub(crate) spurious: u32,
    footprint: [u64; 2],
    objects: u32,
    goal: Goal,
    clock_max: Option<Time>,
    moves: u64,
    drive_moves: u64,
    /// Moves the running task has made in a row.
    burst: u32,
    /// How many moves the running task may still make without asking, and how many it had when it went on.
    credit: u32,
    given: u32,
    actors: Vec<u32>,
    /// There was no choice: nothing that others do matters to who is in `actors`.
    local: bool,
}

fn taken(footprint: &mut [u64; 2]) -> u128 {
    let [low, high] = std::mem::take(footprint);
    u128::from(high) << 64 | u128::from(low)
}

/// One in so many runs looks inside of reactor, pool and server. Each touch of what they share being a move of its own,
/// such a run takes some 40 % more instructions, and mostly tells about them, not about what runs on them.
const LOOKS_INSIDE: u32 = 4;

fn looks_inside(choices: &mut Choices) -> bool {
    choices.draw(Family::Watch, LOOKS_INSIDE, "look inside") == LOOKS_INSIDE - 1
}

/// The object that stands for the giving out of numbers.
const NUMBERS: u32 = 127;
/// What is under way in the network, one after the other.
pub(crate) const UNDER_WAY: u32 = 126;
/// Who listens where, who is cut off from whom, and which number the next connection will have.
pub(crate) const HOSTS: u32 = 125;
/// Which call will be told to fail, and the date.
pub(crate) const PLANS: u32 = 124;
/// Default bound on the moves of one drive.
const STEPS_MAX: u64 = 2_000_000;

impl World {
    pub(crate) fn new(mut choices: Choices) -> World {
        let network = NetworkOptions::drawn(&mut choices);
        let looks_inside = looks_inside(&mut choices);
        let mut trace = Trace::default();
        trace.forgets_visits = !choices.is_recorded();
        World {
            now: Time::ZERO,
            choices,
            trace,
            tasks: Vec::new(),
            live: Vec::new(),
            ready: Vec::new(),
            gates: Vec::new(),
            free_gates: Vec::new(),
            shared: Vec::new(),
            net: Network::default(),
            network,
            faults: Faults::default(),
            spawn_fails: 0,
            holds: Holds::default(),
            backend: Backend::Coroutines,
            looks_inside,
            socket_switches: false,
            stopping: false,
            stop_moves: 0,
            broken: None,
            actor: TEST,
            picked: None,
            steps_max: STEPS_MAX,
            spurious: 0,
            footprint: [0; 2],
            objects: 0,
            goal: Goal::Quiet,
            clock_max: None,
            moves: 0,
            drive_moves: 0,
            burst: 0,
            credit: 0,
            given: 0,
            actors: Vec::new(),
            local: false,
        }
    }

    /// A new world's beginning, in one that is empty.
    pub(crate) fn begin(&mut self, mut choices: Choices) {
        self.network = NetworkOptions::drawn(&mut choices);
        self.looks_inside = looks_inside(&mut choices);
        self.trace.forgets_visits = !choices.is_recorded();
        self.choices = choices;
    }

    /// Makes this as new, but for its memory; returns what was in it.
    pub(crate) fn empty(&mut self) -> World {
        fn emptied<T>(vector: &mut Vec<T>) -> Vec<T> {
            vector.clear();
            std::mem::take(vector)
        }
        let mut old = std::mem::replace(self, World::new(Choices::calm()));
        old.trace.reset();
        self.trace = std::mem::take(&mut old.trace);
        // A task that has ended has no body any more, and the others have been ended.
        self.tasks = emptied(&mut old.tasks);
        self.live = emptied(&mut old.live);
        self.ready = emptied(&mut old.ready);
        self.gates = emptied(&mut old.gates);
        self.free_gates = emptied(&mut old.free_gates);
        self.shared = emptied(&mut old.shared);
        self.actors = emptied(&mut old.actors);
        self.net.keep_transcripts_of(&mut old.net);
        old
    }

    // Objects.

    /// For the search: what has been touched since the last decision.
    pub(crate) fn take_footprint(&mut self) -> u128 {
        taken(&mut self.footprint)
    }

    pub(crate) fn new_object(&mut self) -> u32 {
        self.touch_numbers();
        self.objects += 1;
        self.objects - 1
    }

    /// Threads and objects get their numbers in order: who gets which is a matter between those who make them.
    fn touch_numbers(&mut self) {
        if self.choices.compares() {
            self.touch(NUMBERS);
        }
    }

    /// Notes that the present move has to do with `object`. Numbers past 128 share bits: the search then takes
    /// independent moves for dependent ones, never the other way round.
    #[inline]
    pub(crate) fn touch(&mut self, object: u32) {
        self.footprint[(object >> 6 & 1) as usize] |= 1 << (object & 63);
    }

    pub(crate) fn note(&mut self, what: What, object: u32, value: u64) {
        self.trace.note(self.now, self.actor, what, object, value);
    }

    pub(crate) fn note_name(&mut self, what: What, name: Name, value: u64) {
        self.trace.note_name(self.now, self.actor, what, name, value);
    }

    // Tasks.

    pub(crate) fn spawn(&mut self, name: &str, body: Option<Unbegun>) -> u32 {
        self.touch_numbers();
        let index = self.tasks.len() as u32;
        let name = self.trace.name(name);
        self.note_name(What::Spawn, name, u64::from(index));
        // Moves that have not been counted yet came before it too.
        let (op, last_move) = (Some(Op::Start), self.progress().0);
        let is_ready = false;
        self.tasks.push(Task { name, op, done: false, body, last_move, moves: 0, stopped: 0, is_ready });
        self.live.push(index);
        self.make_ready(index);
        index
    }

    /// Whether a thread that is about to be started cannot be, which the trace then tells.
    pub(crate) fn start_fails(&mut self, name: &str) -> bool {
        self.touch_plans();
        let fails = self.spawn_fails > 0 || self.call_fails(Call::Spawn, false).is_some();
        if fails {
            self.spawn_fails = self.spawn_fails.saturating_sub(1);
            let name = self.trace.name(name);
            self.note_name(What::SpawnFail, name, 0);
        }
        fails
    }

    pub(crate) fn end(&mut self, task: u32, panicked: bool) {
        self.settle_credit();
        self.note(if panicked { What::Panic } else { What::End }, 0, 0);
        self.leave_ready(task);
        let state = &mut self.tasks[task as usize];
        state.done = true;
        state.op = None;
        self.live.retain(|&other| other != task);
    }

    /// Tasks that have not ended, oldest first.
    pub(crate) fn live(&self) -> &[u32] {
        &self.live
    }

    /// The tasks that moved most in this drive.
    pub(crate) fn busiest(&self) -> Vec<(&str, u64)> {
        let mut all: Vec<_> = self.live.iter().map(|&t| &self.tasks[t as usize]).collect();
        all.sort_by_key(|task| std::cmp::Reverse(task.moves));
        all.iter().take(5).map(|task| (self.trace.text_of(task.name), task.moves)).collect()
    }

    pub(crate) fn task_name(&self, task: u32) -> &str {
        self.tasks.get(task as usize).map_or("?", |task| self.trace.text_of(task.name))
    }

    // Gates and shared things.

    pub(crate) fn new_gate(&mut self, name: &str) -> u32 {
        self.touch_numbers();
        let name = self.trace.name(name);
        if let Some(index) = self.free_gates.pop() {
            let gate = &mut self.gates[index as usize];
            (gate.name, gate.token, gate.live) = (name, false, true);
            self.trace.origins.gate_made(index, self.now, self.actor);
            return index;
        }
        let object = self.new_object();
        self.gates.push(GateState { name, token: false, parked: None, object, live: true });
        let index = self.gates.len() as u32 - 1;
        self.trace.origins.gate_made(index, self.now, self.actor);
        index
    }

    pub(crate) fn drop_gate(&mut self, gate: u32) {
        self.touch_numbers();
        self.gates[gate as usize].live = false;
        self.free_gates.push(gate);
    }

    pub(crate) fn unpark(&mut self, gate: u32) {
        let state = &mut self.gates[gate as usize];
        state.token = true;
        let (name, object, parked) = (state.name, state.object, state.parked);
        if let Some(task) = parked {
            self.make_ready(task);
        }
        self.touch(object);
        self.note_name(What::Unpark, name, u64::from(gate));
    }

    /// Takes the token; false where there is none, that is when the time came first.
    pub(crate) fn take_token(&mut self, gate: u32) -> bool {
        let state = &mut self.gates[gate as usize];
        let token = std::mem::take(&mut state.token);
        state.parked = None;
        let (name, object) = (state.name, state.object);
        self.touch(object);
        self.note_name(if token { What::TakeToken } else { What::TimeOut }, name, u64::from(gate));
        token
    }

    pub(crate) fn new_shared(&mut self, name: &str) -> SharedId {
        let name = self.trace.name(name);
        let object = self.new_object();
        self.shared.push(SharedThing { name, object });
        SharedId(self.shared.len() as u32 - 1)
    }

    pub(crate) fn visit(&mut self, shared: SharedId) {
        let Some(thing) = self.shared.get(shared.0 as usize) else { return };
        let (name, object) = (thing.name, thing.object);
        self.touch(object);
        self.trace.note_visit(self.now, self.actor, name);
    }

    /// Where a thread is in code of its own.
    pub(crate) fn tell_place(&mut self, task: u32, what: What, place: &str) {
        let place = self.trace.name(place);
        self.trace.note_name(self.now, task, what, place, 0);
    }

    /// One of `options`, of the family of network trouble `family`.
    pub(crate) fn draw(&mut self, family: Family, options: u32, label: &'static str) -> u32 {
        self.choices.draw_for(family, self.actor, options, label)
    }

    /// The same about one connection or listener: it is counted there, so that what others do does not shift it when a
    /// run is shrunk.
    pub(crate) fn draw_about(&mut self, family: Family, subject: u32, options: u32, label: &'static str) -> u32 {
        self.choices.draw_for(family, subject, options, label)
    }
}
