//! The master's decisions against a world of processes that may do anything, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use handwound_reactor::Time;
use proptest::prelude::*;

use super::events::{Action, Event, Fate, IsReplaced, Request, WorkerId};
use super::state::{Config, Supervisor};

/// What a step of the world is made of.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The oldest worker on its way serves.
    OneComes,
    /// The newest worker on its way ends.
    OneFails,
    /// The worker at this place, among those that serve, ends.
    OneDies(usize),
    OneIsSpent(usize),
    OneLeaves(usize),
    /// The worker at this place, among those told to, has ended.
    OneHasEnded(usize),
    Reload,
    More,
    Fewer,
    ReopenLogs,
    /// So many milliseconds pass.
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => Just(Step::OneComes),
        1 => Just(Step::OneFails),
        1 => (0..8usize).prop_map(Step::OneDies),
        1 => (0..8usize).prop_map(Step::OneIsSpent),
        1 => (0..8usize).prop_map(Step::OneLeaves),
        3 => (0..8usize).prop_map(Step::OneHasEnded),
        1 => Just(Step::Reload),
        1 => prop_oneof![Just(Step::More), Just(Step::Fewer), Just(Step::ReopenLogs)],
        3 => (0..40_000u64).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 0..80)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Coming,
    Serving,
    Leaving,
}

struct World {
    supervisor: Supervisor,
    now: Time,
    workers: BTreeMap<WorkerId, State>,
    /// How many should serve.
    wanted: usize,
    last: u64,
    ended: Option<u8>,
    /// When each was started.
    spawns: Vec<Time>,
    /// A worker has served.
    has_served: bool,
}

impl World {
    fn new(workers: usize) -> World {
        let config = Config { workers, workers_max: 8, ..Config::default() };
        let mut world = World {
            supervisor: Supervisor::new(config, Time::ZERO),
            now: Time::ZERO,
            workers: BTreeMap::new(),
            wanted: workers,
            last: 0,
            ended: None,
            spawns: Vec::new(),
            has_served: false,
        };
        world.act();
        world
    }

    fn tell(&mut self, event: Event) {
        self.supervisor.handle(event, self.now);
        self.act();
    }

    fn act(&mut self) {
        while let Some(action) = self.supervisor.poll_action() {
            assert_eq!(self.ended, None, "{action:?} after the end");
            match action {
                Action::Spawn(id) => {
                    assert!(id.0 > self.last, "{id} twice");
                    self.last = id.0;
                    self.spawns.push(self.now);
                    self.workers.insert(id, State::Coming);
                }
                Action::Drain(id, is_replaced) => {
                    let state = self.workers.get_mut(&id).expect("only the living are told to go");
                    assert_ne!(*state, State::Leaving, "{id} is told twice");
                    let served = std::mem::replace(state, State::Leaving) == State::Serving;
                    if served && is_replaced == IsReplaced::Yes {
                        assert!(self.serving() > 0, "{id} was the last that served");
                    }
                }
                Action::Kill(id) => assert_eq!(self.workers.get(&id), Some(&State::Leaving), "{id} is killed"),
                Action::ReopenLogs(id) => assert!(self.workers.contains_key(&id)),
                Action::Say(_) => {}
                Action::End(code) => {
                    assert!(self.workers.is_empty(), "ended before {:?}", self.workers);
                    self.ended = Some(code);
                }
            }
        }
        if let Some(deadline) = self.supervisor.deadline() {
            assert!(deadline > self.now, "it would be called again and again");
        }
    }

    fn in_state(&self, state: State) -> Vec<WorkerId> {
        self.workers.iter().filter(|(_, it)| **it == state).map(|(id, _)| *id).collect()
    }

    fn serving(&self) -> usize {
        self.in_state(State::Serving).len()
    }

    fn some(&self, state: State, place: usize) -> Option<WorkerId> {
        let all = self.in_state(state);
        all.get(place % all.len().max(1)).copied()
    }

    fn come(&mut self, id: WorkerId) {
        self.workers.insert(id, State::Serving);
        self.has_served = true;
        self.tell(Event::Ready(id));
    }

    fn end(&mut self, id: WorkerId, fate: Fate) {
        self.workers.remove(&id);
        self.tell(Event::Ended(id, fate));
    }

    /// Time passes, from deadline to deadline.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.supervisor.deadline().filter(|deadline| *deadline <= end) {
            self.now = deadline;
            self.tell(Event::Time);
        }
        self.now = end;
        self.tell(Event::Time);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::OneComes => {
                if let Some(id) = self.some(State::Coming, 0) {
                    self.come(id);
                }
            }
            Step::OneFails => {
                // Where nothing ever served, this ends it all; see the transcripts.
                if let Some(id) = self.in_state(State::Coming).last().copied().filter(|_| self.has_served) {
                    self.end(id, Fate::Code(1));
                }
            }
            Step::OneDies(place) => {
                if let Some(id) = self.some(State::Serving, place) {
                    self.end(id, Fate::Signal(9));
                }
            }
            Step::OneIsSpent(place) => {
                if let Some(id) = self.some(State::Serving, place) {
                    self.tell(Event::Spent(id));
                }
            }
            Step::OneLeaves(place) => {
                if let Some(id) = self.some(State::Serving, place) {
                    self.workers.insert(id, State::Leaving);
                    self.tell(Event::Leaving(id));
                }
            }
            Step::OneHasEnded(place) => {
                if let Some(id) = self.some(State::Leaving, place) {
                    self.end(id, Fate::Code(0));
                }
            }
            Step::Reload => self.tell(Event::Asked(Request::Reload)),
            Step::More => {
                self.wanted = (self.wanted + 1).min(8);
                self.tell(Event::Asked(Request::More));
            }
            Step::Fewer => {
                self.wanted = (self.wanted - 1).max(1);
                self.tell(Event::Asked(Request::Fewer));
            }
            Step::ReopenLogs => self.tell(Event::Asked(Request::ReopenLogs)),
            Step::Pass(ms) => self.pass(Duration::from_millis(ms)),
        }
    }

    /// Nothing goes wrong any more.
    fn settle(&mut self) {
        for _ in 0..100 {
            self.pass(Duration::from_secs(31));
            while let Some(id) = self.some(State::Coming, 0) {
                self.come(id);
            }
            while let Some(id) = self.some(State::Leaving, 0) {
                self.end(id, Fate::Code(0));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_as_many_serve_in_the_end_as_are_wanted(workers in 1..5usize, steps in steps()) {
        let mut world = World::new(workers);
        steps.into_iter().for_each(|step| world.step(step));
        world.settle();
        prop_assert_eq!(world.serving(), world.wanted, "{:?}", world.workers);
        prop_assert_eq!(world.workers.len(), world.wanted);
        prop_assert_eq!(world.supervisor.deadline(), None, "it ticks while nothing happens");
    }

    #[test]
    fn a_stop_at_any_time_ends_everything_by_its_deadline(workers in 1..5usize, steps in steps(), twice: bool) {
        let mut world = World::new(workers);
        steps.into_iter().for_each(|step| world.step(step));
        world.tell(Event::Asked(Request::Stop(15)));
        let spawned = world.last;
        if twice {
            world.tell(Event::Asked(Request::Stop(15)));
        }
        // Nobody ends by itself; who is killed does.
        world.pass(Duration::from_secs(32));
        while let Some(id) = world.some(State::Leaving, 0) {
            world.end(id, Fate::Signal(9));
        }
        prop_assert!(world.ended.is_some());
        prop_assert_eq!(world.last, spawned, "started after the stop");
    }

    #[test]
    fn reloads_alone_never_leave_fewer_serving_than_there_were(
        workers in 1..5usize,
        steps in proptest::collection::vec(prop_oneof![
            4 => Just(Step::OneComes),
            1 => Just(Step::OneFails),
            2 => (0..8usize).prop_map(Step::OneHasEnded),
            1 => Just(Step::Reload),
            1 => (0..8usize).prop_map(Step::OneIsSpent),
            1 => (0..40_000u64).prop_map(Step::Pass),
        ], 0..80),
    ) {
        let mut world = World::new(workers);
        let mut most = 0;
        for step in steps {
            world.step(step);
            prop_assert!(world.serving() >= most, "{step:?} left {} of {most}", world.serving());
            most = most.max(world.serving()).min(workers);
        }
    }

    #[test]
    fn workers_that_always_fail_are_started_rarely(seconds in 60..600u64) {
        let mut world = World::new(1);
        world.come(WorkerId(1));
        world.end(WorkerId(1), Fate::Signal(11));
        let end = world.now + Duration::from_secs(seconds);
        while let Some(next) = world.supervisor.deadline().filter(|next| *next < end) {
            world.pass(next - world.now);
            while let Some(id) = world.some(State::Coming, 0) {
                world.end(id, Fate::Code(1));
            }
        }
        // Ten within the first minute, then one each 30 s.
        prop_assert!(world.spawns.len() as u64 <= 11 + (seconds - 60) / 30, "{:?}", world.spawns);
    }
}
