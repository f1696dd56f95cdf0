//! The master's decisions: what has happened goes in, with the time, and what is to be done comes out. No process, no
//! signal, no clock.
//!
//! Workers stand in places, as many as there should be. A place whose worker has ended, is of an old generation or has
//! served enough gets another beside it, and lets the old one go only when that one serves:
//!
//! ```text
//!   place:  (empty) ─spawn─► coming ─ready─► serving ─wanted anew─► serving + coming ─ready─► serving
//!                 ▲            │ended           │ended                                   └► the old one leaves
//!                 └─back-off───┴────────────────┘                                           (drained, killed if late)
//! ```
//!
//! Of a new generation one worker comes first, alone. Should its application be broken, there is one traceback and not
//! one for each worker; what served before goes on, and where nothing ever served, the server ends (or waits for a change).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use handwound_reactor::Time;

use super::events::{Action, Event, Fate, IsReplaced, Request, Said, WorkerId};

/// What a master goes by.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many workers there should be.
    pub workers: usize,
    /// The most that [`Request::More`] leads to.
    pub workers_max: usize,
    /// How long a worker that is to end may take for what is under way; it knows itself.
    pub patience: Duration,
    /// How much longer the master waits until it kills it.
    pub patience_for_the_end: Duration,
    /// The first pause after a worker that ended too soon; each further one is twice as long.
    pub pause_min: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// A worker that has served so long did not end too soon.
    pub settled_after: Duration,
    /// Somebody will ask for a reload when the application changes: no reason to end if it is broken.
    pub waits_for_changes: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            workers: 1,
            workers_max: 1024,
            patience: Duration::from_secs(30),
            patience_for_the_end: Duration::from_secs(2),
            pause_min: Duration::from_millis(100),
            pause_max: Duration::from_secs(30),
            settled_after: Duration::from_secs(10),
            waits_for_changes: false,
        }
    }
}

/// The state of a master and its workers.
#[derive(Debug)]
pub struct Supervisor {
    config: Config,
    stage: Stage,
    places: Vec<Place>,
    leaving: BTreeMap<WorkerId, Leaving>,
    /// The generation that is wanted.
    generation: u64,
    /// A worker of the wanted generation has served.
    is_proven: bool,
    /// The last generation that was proven, if one was.
    fallback: Option<u64>,
    generations: u64,
    workers: u64,
    /// A reload is under way.
    is_reloading: bool,
    actions: VecDeque<Action>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Running,
    /// The application is broken, and nothing ever served.
    Waiting,
    Stopping {
        code: u8,
        hurried: bool,
    },
    Ended,
}

#[derive(Debug, Default)]
struct Place {
    serving: Option<Serving>,
    coming: Option<WorkerId>,
    /// Workers that ended too soon, one after the other.
    failures: u32,
    not_before: Time,
}

#[derive(Debug)]
struct Serving {
    id: WorkerId,
    generation: u64,
    since: Time,
    is_spent: bool,
}

#[derive(Debug)]
struct Leaving {
    /// Killed then.
    deadline: Time,
    is_killed: bool,
}

impl Supervisor {
    /// A master that wants its first workers.
    pub fn new(config: Config, now: Time) -> Supervisor {
        let places = (0..config.workers.max(1)).map(|_| Place::default()).collect();
        let mut supervisor = Supervisor {
            config,
            stage: Stage::Running,
            places,
            leaving: BTreeMap::new(),
            generation: 0,
            is_proven: false,
            fallback: None,
            generations: 0,
            workers: 0,
            is_reloading: false,
            actions: VecDeque::new(),
        };
        supervisor.fill_places(now);
        supervisor
    }

    /// Takes in what has happened by `now`. Poll actions afterwards, until there are none.
    pub fn handle(&mut self, event: Event, now: Time) {
        match event {
            Event::Ready(id) => self.is_ready(id, now),
            Event::Spent(id) => self.is_spent(id),
            Event::Leaving(id) => self.leaves_by_itself(id, now),
            Event::Ended(id, fate) => self.has_ended(id, fate, now),
            Event::Asked(request) => self.asked(request, now),
            Event::Time => {}
        }
        self.end_reload();
        self.kill_late(now);
        self.fill_places(now);
        self.end_if_all_is_done();
    }

    /// The next thing to do, in order.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to come back with [`Event::Time`], unless something else happens first.
    pub fn deadline(&self) -> Option<Time> {
        let kills = self.leaving.values().filter(|leaving| !leaving.is_killed).map(|leaving| leaving.deadline);
        let spawns = self.places.iter().filter(|place| self.may_fill(place)).map(|place| place.not_before);
        kills.chain(spawns).min()
    }

    fn is_ready(&mut self, id: WorkerId, now: Time) {
        let generation = self.generation;
        let Some(place) = self.places.iter_mut().find(|place| place.coming == Some(id)) else {
            // It was let go in the meantime.
            return;
        };
        place.coming = None;
        let old = place.serving.replace(Serving { id, generation, since: now, is_spent: false });
        if self.fallback.is_none() {
            self.say(Said::Serving);
        }
        self.is_proven = true;
        self.fallback = Some(generation);
        self.say(Said::Ready(id));
        if let Some(old) = old {
            self.let_go(old.id, IsReplaced::Yes, now);
        }
    }

    fn end_reload(&mut self) {
        if self.is_reloading && self.places.iter().all(|place| place.is_of(self.generation)) {
            self.is_reloading = false;
            self.say(Said::Reloaded);
        }
    }

    fn is_spent(&mut self, id: WorkerId) {
        let Some(serving) = self.places.iter_mut().find_map(|place| place.serving_as(id)) else { return };
        if !std::mem::replace(&mut serving.is_spent, true) {
            self.say(Said::Spent(id));
        }
    }

    fn leaves_by_itself(&mut self, id: WorkerId, now: Time) {
        let Some(place) = self.places.iter_mut().find(|place| place.holds(id)) else { return };
        place.serving.take_if(|it| it.id == id);
        place.coming.take_if(|it| *it == id);
        let deadline = now + self.config.patience + self.config.patience_for_the_end;
        self.leaving.insert(id, Leaving { deadline, is_killed: false });
    }

    fn has_ended(&mut self, id: WorkerId, fate: Fate, now: Time) {
        if self.leaving.remove(&id).is_some() {
            if let Stage::Stopping { code, hurried: false } = &mut self.stage
                && fate != Fate::Code(0)
            {
                *code = 1;
            }
            return;
        }
        let Some(index) = self.places.iter().position(|place| place.holds(id)) else { return };
        let place = &mut self.places[index];
        if place.coming.take_if(|it| *it == id).is_some() {
            return self.did_not_come(index, id, fate, now);
        }
        let served = place.serving.take().map_or(Duration::ZERO, |it| now - it.since);
        let pause = match &place.coming {
            // Its successor is on the way.
            Some(_) => Duration::ZERO,
            None if served >= self.config.settled_after => {
                place.failures = 0;
                Duration::ZERO
            }
            None => place.failed(&self.config),
        };
        place.not_before = now + pause;
        self.say(Said::Lost(id, fate, pause));
    }

    fn did_not_come(&mut self, index: usize, id: WorkerId, fate: Fate, now: Time) {
        match (self.is_proven, self.fallback) {
            (true, _) => {
                let pause = self.places[index].failed(&self.config);
                self.places[index].not_before = now + pause;
                self.say(Said::NotReady(id, fate, pause));
            }
            (false, Some(proven)) => {
                // Whoever serves is right again. An empty place tries again in any case.
                self.generation = proven;
                self.places.iter_mut().filter_map(|place| place.serving.as_mut()).for_each(|it| it.generation = proven);
                self.is_proven = true;
                self.is_reloading = false;
                let pause = self.places[index].failed(&self.config);
                self.places[index].not_before = now + pause;
                self.say(Said::ReloadFailed(id, fate));
            }
            (false, None) if self.config.waits_for_changes => {
                self.stage = Stage::Waiting;
                self.say(Said::WaitsForChange(id, fate));
            }
            (false, None) => {
                self.stage = Stage::Stopping { code: 1, hurried: false };
                self.say(Said::CannotStart(id, fate));
            }
        }
    }

    fn asked(&mut self, request: Request, now: Time) {
        match (request, self.stage) {
            (_, Stage::Ended) => {}
            (Request::Stop(signal), Stage::Stopping { .. }) => self.hurry(signal),
            (Request::Stop(signal), _) => self.stop(signal, now),
            (Request::ReopenLogs, _) => self.reopen_logs(),
            (_, Stage::Stopping { .. }) => {}
            (Request::Reload, _) => self.reload(now),
            (Request::More, _) if self.places.len() < self.config.workers_max => {
                self.places.push(Place::default());
                self.say(Said::Wanted(self.places.len()));
            }
            (Request::Fewer, _) if self.places.len() > 1 => {
                // Whoever serves is worth more than who may come to.
                let idle = self.places.iter().rposition(|place| place.serving.is_none());
                let place = self.places.remove(idle.unwrap_or(self.places.len() - 1));
                self.say(Said::Wanted(self.places.len()));
                self.clear(place, IsReplaced::Yes, now);
            }
            (Request::More | Request::Fewer, _) => {}
        }
    }

    fn reload(&mut self, now: Time) {
        self.generations += 1;
        self.generation = self.generations;
        self.is_proven = false;
        self.is_reloading = self.fallback.is_some();
        self.stage = Stage::Running;
        self.say(Said::Reloading);
        for index in 0..self.places.len() {
            let place = &mut self.places[index];
            (place.failures, place.not_before) = (0, now);
            // It may have loaded what has changed since; it may even serve already, and the word of it be on its way.
            if let Some(coming) = place.coming.take() {
                self.let_go(coming, IsReplaced::Yes, now);
            }
        }
    }

    fn stop(&mut self, signal: i32, now: Time) {
        self.stage = Stage::Stopping { code: 0, hurried: false };
        self.is_reloading = false;
        self.say(Said::Stopping { signal, patience: self.config.patience });
        for place in std::mem::take(&mut self.places) {
            self.clear(place, IsReplaced::No, now);
        }
    }

    fn hurry(&mut self, signal: i32) {
        let code = u8::try_from(128 + signal).unwrap_or(1);
        self.stage = Stage::Stopping { code, hurried: true };
        for (id, leaving) in &mut self.leaving {
            if !std::mem::replace(&mut leaving.is_killed, true) {
                self.actions.push_back(Action::Kill(*id));
            }
        }
    }

    fn reopen_logs(&mut self) {
        let of_places = self.places.iter().flat_map(Place::workers);
        let all: Vec<_> = of_places.chain(self.leaving.keys().copied()).collect();
        self.actions.extend(all.into_iter().map(Action::ReopenLogs));
    }

    fn clear(&mut self, place: Place, is_replaced: IsReplaced, now: Time) {
        place.workers().for_each(|id| self.let_go(id, is_replaced, now));
    }

    fn let_go(&mut self, id: WorkerId, is_replaced: IsReplaced, now: Time) {
        let deadline = now + self.config.patience + self.config.patience_for_the_end;
        self.leaving.insert(id, Leaving { deadline, is_killed: false });
        self.actions.push_back(Action::Drain(id, is_replaced));
    }

    fn kill_late(&mut self, now: Time) {
        for (id, leaving) in &mut self.leaving {
            if leaving.deadline <= now && !std::mem::replace(&mut leaving.is_killed, true) {
                self.actions.push_back(Action::Say(Said::Late(*id)));
                self.actions.push_back(Action::Kill(*id));
            }
        }
    }

    /// Starts a worker in each place that wants one now.
    fn fill_places(&mut self, now: Time) {
        for index in 0..self.places.len() {
            if self.places[index].not_before <= now && self.may_fill(&self.places[index]) {
                self.workers += 1;
                let id = WorkerId(self.workers);
                self.places[index].coming = Some(id);
                self.actions.push_back(Action::Spawn(id));
            }
        }
    }

    /// Whether this place wants a worker, and may have it as soon as its pause is over.
    fn may_fill(&self, place: &Place) -> bool {
        let may_come = self.is_proven || self.places.iter().all(|place| place.coming.is_none());
        let is_fine = place.serving.as_ref().is_some_and(|it| it.generation == self.generation && !it.is_spent);
        self.stage == Stage::Running && place.coming.is_none() && !is_fine && may_come
    }

    fn end_if_all_is_done(&mut self) {
        let Stage::Stopping { code, .. } = self.stage else { return };
        // Where nothing ever served there may be places still, all of them empty.
        if self.leaving.is_empty() && self.places.iter().all(Place::is_empty) {
            self.stage = Stage::Ended;
            self.actions.push_back(Action::End(code));
        }
    }

    fn say(&mut self, said: Said) {
        self.actions.push_back(Action::Say(said));
    }
}

impl Place {
    fn serving_as(&mut self, id: WorkerId) -> Option<&mut Serving> {
        self.serving.as_mut().filter(|it| it.id == id)
    }

    fn workers(&self) -> impl Iterator<Item = WorkerId> + use<> {
        let serving = self.serving.as_ref().map(|it| it.id);
        serving.into_iter().chain(self.coming)
    }

    fn holds(&self, id: WorkerId) -> bool {
        self.workers().any(|it| it == id)
    }

    fn is_of(&self, generation: u64) -> bool {
        self.serving.as_ref().is_some_and(|it| it.generation == generation)
    }

    fn is_empty(&self) -> bool {
        self.serving.is_none() && self.coming.is_none()
    }

    /// One more that ended too soon; how long to wait for the next.
    fn failed(&mut self, config: &Config) -> Duration {
        let doublings = self.failures.min(31);
        self.failures = self.failures.saturating_add(1);
        config.pause_min.saturating_mul(1 << doublings).min(config.pause_max)
    }
}
