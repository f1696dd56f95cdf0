//! The one place that decides what happens next: who goes on, what arrives, when the clock moves.

use handwound_reactor::Time;

use super::{Op, World, taken};
use crate::choices::Turn;
use crate::trace::{NETWORK, NEVER, TEST};

/// Why the world is being driven, that is when to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// After one move.
    One,
    /// When this task cannot go on.
    Task(u32),
    /// When nothing can move.
    Quiet,
    /// When the test itself could do this.
    Enabled(Op),
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    Task(u32),
    Stop,
    /// The step budget is spent.
    Spent,
}

/// After so many moves in a row, the plain schedule lets others go: a task that waits by looking again and again
/// must not keep them from it for ever.
const BURST_MAX: u32 = 128;
/// So often a foreign thread is told that the simulation is over, before it is left where it is.
const GIVES_UP_MAX: u32 = 1_000;

impl World {
    /// Begins to drive towards `goal`; the clock goes to `clock_max` at the most (`None`: stands still).
    pub(crate) fn aim(&mut self, goal: Goal, clock_max: Option<Time>) {
        self.settle_credit();
        self.goal = goal;
        self.clock_max = clock_max;
        self.drive_moves = 0;
        self.picked = None;
        self.choices.barrier();
        for &task in &self.live {
            self.tasks[task as usize].moves = 0;
        }
    }

    /// Who goes next. Deliveries and the clock are moved here on the way.
    pub(crate) fn pick(&mut self) -> Pick {
        self.settle_credit();
        loop {
            match self.goal {
                Goal::One if self.drive_moves > 0 => return Pick::Stop,
                Goal::Enabled(op) if self.enabled(op) => return Pick::Stop,
                _ if self.drive_moves >= self.steps_max => return Pick::Spent,
                _ => {}
            }
            let chosen = match self.freely().or_else(|| self.of_all()) {
                Some(chosen) => chosen,
                None if self.wind() => continue,
                None => return Pick::Stop,
            };
            self.drive_moves += 1;
            self.moves += 1;
            if chosen == NETWORK {
                self.actor = NETWORK;
                self.deliver_next();
                continue;
            }
            self.burst = if chosen == self.actor { self.burst + 1 } else { 0 };
            self.actor = chosen;
            self.go_on(chosen);
            self.give_credit();
            return Pick::Task(chosen);
        }
    }

    /// Who goes next, of all that can go.
    fn of_all(&mut self) -> Option<u32> {
        self.gather();
        if self.actors.is_empty() {
            return None;
        }
        let turn = Turn { running: self.actor, now: self.now, local: self.local };
        let (actors, footprint) = (&self.actors, &mut self.footprint);
        Some(actors[self.choices.schedule(actors, turn, || taken(footprint))])
    }

    /// Who goes next, where all that can go are alike, and nothing is kept about the choice: what gathering them and
    /// the choice would come to.
    fn freely(&mut self) -> Option<u32> {
        if !self.choices.draws_freely() || matches!(self.goal, Goal::Task(_)) {
            return None;
        }
        let network = u32::from(self.net.next_due().is_some_and(|due| due <= self.now));
        let options = self.ready.len() as u32 + network;
        if options == 0 {
            return None;
        }
        let drawn = self.choices.draw_freely(options);
        Some(self.ready.get(drawn).copied().unwrap_or(NETWORK))
    }

    /// Whether the task that is running goes straight on with `op`: what announcing it, gathering who can go and the
    /// choice would come to, where that is known beforehand. Counts as a move if so. Most moves are made here.
    #[inline(always)]
    pub(crate) fn goes_straight_on(&mut self, op: Op) -> bool {
        let crowded = matches!(op, Op::Park { gate, .. } if self.gates[gate as usize].parked.is_some());
        if self.credit == 0 || crowded || !self.enabled(op) {
            return false;
        }
        self.credit -= 1;
        true
    }

    /// The task that goes on now need not ask again as long as the answer is known.
    fn give_credit(&mut self) {
        let stays = self.choices.stays();
        let watched = matches!(self.goal, Goal::One | Goal::Enabled(_)) || self.stopping;
        if watched || stays == 0 {
            // Both are 0 already.
            return;
        }
        let burst = BURST_MAX.saturating_sub(self.burst);
        let steps = u32::try_from(self.steps_max.saturating_sub(self.drive_moves)).unwrap_or(u32::MAX);
        self.given = burst.min(steps).min(stays);
        self.credit = self.given;
    }

    /// Counts the moves that were made without asking.
    #[inline]
    pub(super) fn settle_credit(&mut self) {
        let used = self.given - self.credit;
        (self.given, self.credit) = (0, 0);
        if used == 0 {
            return;
        }
        self.drive_moves += u64::from(used);
        self.moves += u64::from(used);
        self.burst += used;
        self.choices.stayed(used);
    }

    /// From here on tasks are only unwound.
    pub(crate) fn begin_stopping(&mut self) {
        self.settle_credit();
        self.stopping = true;
    }

    /// The simulation is over, and a foreign thread gives up what it waits for; false if it has done so too often.
    pub(crate) fn gives_up(&mut self, task: u32, op: Op) -> bool {
        if let Op::Park { gate, .. } = op {
            self.gates[gate as usize].parked = None;
        }
        let stopped = &mut self.tasks[task as usize].stopped;
        let gives_up = *stopped < GIVES_UP_MAX;
        // Who does so no more makes no move either: the end must not wait for it.
        if gives_up {
            *stopped += 1;
            self.stop_moves += 1;
        }
        gives_up
    }

    fn go_on(&mut self, index: u32) {
        let task = &mut self.tasks[index as usize];
        task.last_move = self.moves;
        task.moves += 1;
        task.op = None;
        self.leave_ready(index);
    }

    pub(super) fn leave_ready(&mut self, task: u32) {
        if std::mem::take(&mut self.tasks[task as usize].is_ready)
            && let Some(place) = self.ready.iter().position(|&other| other == task)
        {
            self.ready.remove(place);
        }
    }

    /// A task can do now what it has announced.
    pub(super) fn make_ready(&mut self, task: u32) {
        let state = &mut self.tasks[task as usize];
        if state.op.is_some() && !std::mem::replace(&mut state.is_ready, true) {
            let mut place = self.ready.len();
            self.ready.push(task);
            while place > 0 && self.ready[place - 1] > task {
                self.ready.swap(place - 1, place);
                place -= 1;
            }
        }
    }

    /// The reactor has news for whoever polls it.
    pub(crate) fn news(&mut self, reactor: u32) {
        if let Some(task) = self.net.reactors[reactor as usize].poller {
            let polls = matches!(self.tasks[task as usize].op, Some(Op::Poll { reactor: of, .. }) if of == reactor);
            if polls {
                self.make_ready(task);
            }
        }
    }

    /// The time is another: waits may have ended.
    pub(crate) fn set_time(&mut self, now: Time) {
        self.now = now;
        for index in 0..self.live.len() {
            let task = self.live[index];
            let state = &self.tasks[task as usize];
            if !state.is_ready && state.op.is_some_and(|op| self.enabled(op)) {
                self.make_ready(task);
            }
        }
    }

    /// A task says what it will do when it goes on.
    ///
    /// # Errors
    /// When it may not: a second thread at a gate.
    fn announce(&mut self, task: u32, op: Op) -> Result<(), String> {
        if let Op::Park { gate, .. } = op {
            let state = &mut self.gates[gate as usize];
            if let Some(other) = state.parked.replace(task) {
                state.parked = Some(other);
                let gate = self.trace.text_of(state.name);
                let (one, other) = (self.task_name(task), self.task_name(other));
                return Err(format!(
                    "`{one}` parks at gate `{gate}`, where `{other}` is parked already; a gate is for one thread"
                ));
            }
        }
        self.settle_credit();
        let state = &mut self.tasks[task as usize];
        // Since it went on it has been alone: all moves were its own.
        state.moves += self.moves - state.last_move;
        state.last_move = self.moves;
        state.op = Some(op);
        if let Op::Poll { reactor, .. } = op {
            self.net.reactors[reactor as usize].poller = Some(task);
        }
        if self.enabled(op) {
            self.make_ready(task);
        }
        Ok(())
    }

    /// A task says what it will do when it goes on, and decides in its own time who goes next: whether that is itself.
    ///
    /// # Errors
    /// As [`announce`](World::announce).
    pub(crate) fn announce_and_pick(&mut self, task: u32, op: Op) -> Result<bool, String> {
        self.announce(task, op)?;
        let pick = self.pick();
        let mine = pick == Pick::Task(task);
        self.picked = (!mine).then_some(pick);
        Ok(mine)
    }

    /// Changes whenever something has moved.
    pub(crate) fn progress(&self) -> (u64, Time) {
        (self.moves + u64::from(self.given - self.credit), self.now)
    }

    /// Fills `actors` with who can go, the plain choice first.
    fn gather(&mut self) {
        let mut actors = std::mem::take(&mut self.actors);
        actors.clear();
        self.local = false;
        let prunes = self.choices.prunes();
        let mut plain = 0;
        let mut waits_since = u64::MAX;
        let only = match self.goal {
            Goal::Task(only) => Some(only),
            _ => None,
        };
        debug_assert!(self.ready_is_right(), "who can go on is known at every move");
        for &task in &self.ready {
            let state = &self.tasks[task as usize];
            if only.is_some_and(|only| only != task) {
                continue;
            }
            if prunes && state.op.is_some_and(|op| self.is_local(op)) {
                // Nothing that others do can matter to it, nor it to them: no choice, now is as good as later.
                actors.clear();
                actors.push(task);
                (self.actors, self.local) = (actors, true);
                return;
            }
            let goes_on = task == self.actor && self.burst < BURST_MAX;
            let since = if goes_on { 0 } else { state.last_move + 1 };
            if since < waits_since {
                (waits_since, plain) = (since, actors.len());
            }
            actors.push(task);
        }
        if only.is_none() && self.net.next_due().is_some_and(|due| due <= self.now) {
            actors.push(NETWORK);
        }
        if !actors.is_empty() {
            actors.swap(0, plain);
        }
        self.actors = actors;
    }

    fn ready_is_right(&self) -> bool {
        self.live.iter().all(|&task| {
            let state = &self.tasks[task as usize];
            state.op.is_some_and(|op| self.enabled(op)) == state.is_ready
        })
    }

    #[inline(always)]
    pub(crate) fn enabled(&self, op: Op) -> bool {
        let due = |until: Option<Time>| until.is_some_and(|until| until <= self.now);
        match op {
            Op::Park { gate, until } => self.gates[gate as usize].token || due(until),
            Op::Poll { reactor, until } => self.net.reactors[reactor as usize].has_news() || due(until),
            _ => true,
        }
    }

    /// Whether an operation touches nothing that another could touch.
    fn is_local(&self, op: Op) -> bool {
        op == Op::Start || op == Op::Spawn && !self.starts_may_fail()
    }

    /// Moves the clock to the next deadline, if there is one within bounds.
    fn wind(&mut self) -> bool {
        let Some(next) = self.next_deadline() else { return false };
        if self.clock_max.is_none_or(|max| next > max) {
            return false;
        }
        self.set_time(self.now.max(next));
        // As if the test had wound it: what happens next must not depend on where the clock has paused.
        self.actor = TEST;
        if self.goal == Goal::One {
            self.drive_moves += 1;
        }
        true
    }

    /// The next time at which something will happen by itself.
    fn next_deadline(&self) -> Option<Time> {
        let until = |op: Option<Op>| match op {
            Some(Op::Park { until, .. } | Op::Poll { until, .. }) => until.filter(|&until| until < NEVER),
            _ => None,
        };
        let tasks = self.live.iter().filter_map(|&task| until(self.tasks[task as usize].op)).min();
        let goal = match self.goal {
            Goal::Enabled(op) => until(Some(op)),
            _ => None,
        };
        [tasks, goal, self.net.next_due()].into_iter().flatten().min()
    }
}
