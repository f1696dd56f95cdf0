//! A world, and the handle by which a test drives it.

use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use handwound_reactor::{Address, Time};

use crate::census;
use crate::choices::Choices;
use crate::client::Client;
use crate::diagnosis::{self, GateInfo, TaskInfo};
use crate::drift::Drift;
use crate::driver::Driver;
use crate::family::Family;
use crate::faults::{FaultPlan, Host};
use crate::network_options::NetworkOptions;
use crate::reactor::MockReactor;
use crate::shared::Shared;
use crate::sim_views::Watches;
use crate::strand::Backend;
use crate::threads::SimThreads;
use crate::trace::NEVER;
use crate::trouble::Trouble;
use crate::waits;
use crate::world::{Goal, World};

/// A deterministic world: reactors, threads, a network and a clock, all moved by the test.
///
/// The same [`Choices`] and the same test make the same run. Dropping it unwinds the threads that are left, and
/// panics when the choices were a replay of which decisions are left over.
pub struct Sim {
    pub(crate) driver: Rc<Driver>,
    /// What else the test counts among what must not be left over.
    pub(crate) watches: Watches,
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sim at {}", self.now())
    }
}

impl Sim {
    /// A new world at time zero. Its network is as rough as the choices say; see [`set_network`](Sim::set_network).
    pub fn new(choices: Choices) -> Sim {
        Sim { driver: Driver::new(Shared::new(choices)), watches: Watches::default() }
    }

    // What is in the world.

    /// A new reactor; `name` appears in traces.
    pub fn reactor(&self, name: &str) -> MockReactor {
        self.reactor_with(name, Drift::default())
    }

    /// A new reactor whose clock is not quite the world's; its threads are those
    /// [`beside`](Sim::threads_beside) it.
    pub fn reactor_with(&self, name: &str, clock: Drift) -> MockReactor {
        MockReactor::new(Arc::clone(&self.driver.world), name, clock)
    }

    /// The threads of this world.
    pub fn threads(&self) -> SimThreads {
        SimThreads::new(Arc::clone(&self.driver.world), Drift::default())
    }

    /// The threads of this world, on the clock of `reactor`.
    pub fn threads_beside(&self, reactor: &MockReactor) -> SimThreads {
        SimThreads::new(Arc::clone(&self.driver.world), reactor.drift())
    }

    /// Starts a thread from outside. Unlike [`Threads::spawn`](handwound_reactor::Threads::spawn)'s, its body
    /// need not be `Send`: event loops are run like this. It begins when the world is driven.
    #[track_caller]
    pub fn spawn(&self, name: &str, body: impl FnOnce() + 'static) {
        let place = Location::caller();
        self.with(|w| w.trace.origins.at_place(place));
        self.driver.spawn_local(name, Box::new(body));
    }

    /// A client that connects to `to`, worked by the test itself: a [`Client`] for an
    /// [`Address`](handwound_reactor::Address), and whatever a [`Destination`] of another kind makes.
    #[track_caller]
    pub fn connect<D: Destination + ?Sized>(&self, to: &D) -> D::Client {
        let place = Location::caller();
        self.with(|w| w.trace.origins.at_place(place));
        to.client(self)
    }

    // Time and steps.

    /// The time on the world's clock.
    pub fn now(&self) -> Time {
        self.with(|w| w.now)
    }

    /// One move: a thread goes on to its next visible operation, something arrives, or, when neither can, the
    /// clock goes to the next deadline. False when nothing can move without new input.
    ///
    /// # Panics
    /// With a thread's own panic, as all that drive the world; and when called by one of its threads.
    pub fn step(&self) -> bool {
        let before = self.with(|w| w.progress());
        self.driver.drive(Goal::One, Some(NEVER));
        self.with(|w| w.progress()) != before
    }

    /// Runs one thread only, until it waits: at a gate without a token, or in a poll that has nothing to report.
    /// Nothing arrives meanwhile, and the clock stands still.
    ///
    /// # Panics
    /// When no live thread has this name; the message lists those there are.
    #[track_caller]
    pub fn run_task(&self, name: &str) {
        let found = self.with(|w| w.live().iter().copied().find(|&task| w.task_name(task) == name));
        let Some(task) = found else {
            panic!("no live thread is named `{name}`; {}", self.with(|w| waits::text(w)));
        };
        self.driver.drive(Goal::Task(task), None);
    }

    /// Runs until nothing can move without new input, jumping the clock from deadline to deadline.
    ///
    /// # Panics
    /// When that takes more steps than [`set_steps_max`](Sim::set_steps_max) says; the message tells who took them.
    pub fn settle(&self) {
        self.driver.drive(Goal::Quiet, Some(NEVER));
    }

    /// Runs until nothing can move at this time; the clock stands still.
    ///
    /// # Panics
    /// As [`settle`](Sim::settle).
    pub fn settle_now(&self) {
        self.driver.drive(Goal::Quiet, None);
    }

    /// Moves the clock by `duration`, from deadline to deadline, and runs all that is due on the way:
    /// `advance(a); advance(b)` is `advance(a + b)`.
    ///
    /// # Panics
    /// As [`settle`](Sim::settle).
    pub fn advance(&self, duration: Duration) {
        let target = self.now() + duration;
        self.driver.drive(Goal::Quiet, Some(target));
        self.with(|w| w.set_time(w.now.max(target)));
    }

    /// The test's own decision, one of `options` (0 when there is one or none): part of what is searched,
    /// recorded and replayed.
    pub fn choose(&self, label: &'static str, options: u32) -> u32 {
        self.with(|w| w.draw(Family::Test, options, label))
    }

    // How the world behaves.

    /// How the network behaves from now on.
    pub fn set_network(&self, options: NetworkOptions) {
        self.with(|w| w.network = options);
    }

    /// How the network behaves.
    pub fn network(&self) -> NetworkOptions {
        self.with(|w| w.network)
    }

    /// What threads of [`Sim::threads`] run on that begin after this. The trace is the same on both.
    pub fn set_backend(&self, backend: Backend) {
        self.with(|w| w.backend = backend);
    }

    /// Lets other threads go first at socket calls too, not only at polls, wakes, gates and shared things.
    pub fn switch_at_sockets(&self, on: bool) {
        self.with(|w| w.socket_switches = on);
    }

    /// The next accept that would succeed, at any listener, fails instead; who waits goes on waiting. Several
    /// calls queue up. An [`io::ErrorKind`] or [`io::Error::from_raw_os_error`] will do.
    pub fn accept_fails_once(&self, error: impl Into<io::Error>) {
        self.with(|w| {
            w.faults.armed = true;
            w.net.accept_fails.push_back(error.into());
        });
    }

    /// The next start of a thread by [`SimThreads`] fails. Several calls add up.
    pub fn spawn_fails_once(&self) {
        self.with(|w| {
            w.faults.armed = true;
            w.spawn_fails += 1;
        });
    }

    /// Has exactly these faults happen, in addition to what was planned before.
    pub fn plan(&self, plan: &FaultPlan) {
        self.with(|w| w.plan(plan));
    }

    /// Allows faults that the choices draw: each family that `allowed` names is on or off for the rest of this run.
    /// Returns which are on; none with [`Choices::calm`].
    pub fn allow_trouble(&self, allowed: Trouble) -> Trouble {
        self.with(|w| w.allow_trouble(allowed))
    }

    /// Exactly these families of faults strike from now on; [`Trouble::none`] ends them.
    pub fn set_trouble(&self, trouble: Trouble) {
        self.with(|w| w.faults.trouble = trouble);
    }

    /// From now on nothing passes between two hosts: what is sent waits, as systems send again what gets no
    /// answer, and connects time out; established connections too, minutes later, if they have sent something
    /// ([`NetworkOptions::send_timeout`]). A reactor is named by its name.
    ///
    /// # Panics
    /// When no reactor has this name; the message lists those there are.
    pub fn partition(&self, one: impl Into<Host>, other: impl Into<Host>) {
        let (one, other) = (one.into(), other.into());
        self.with(|w| w.partition(&one, &other));
    }

    /// Ends all partitions; what has waited arrives.
    pub fn heal(&self) {
        self.with(|w| w.heal());
    }

    /// The date jumps ahead by `by`. The clocks of reactors do not.
    pub fn date_jumps_ahead(&self, by: Duration) {
        self.with(|w| w.date_jumps(by, false));
    }

    /// The date jumps back by `by`, though not before 1970. The clocks of reactors do not.
    pub fn date_jumps_back(&self, by: Duration) {
        self.with(|w| w.date_jumps(by, true));
    }

    /// How many steps one call may take before it is taken for a livelock; 2,000,000 at first.
    pub fn set_steps_max(&self, steps: u64) {
        self.with(|w| w.steps_max = steps);
    }

    /// Looks inside of the event loops, pools and servers that are made from here on: each touch of what their threads
    /// share is a move of its own, before which others may go. Every run of an exhaustive search does so, and one in
    /// four by seeds; the others take what happens there, between two waits or calls, for one step, and are faster. What
    /// a test shares itself ([`Threads::shared`](handwound_reactor::Threads::shared), or by
    /// [`sync`](handwound_reactor::sync)) is looked at in all of them.
    pub fn look_inside(&self) {
        self.with(|w| w.looks_inside = true);
    }

    // What has happened.

    /// The last events, one a line: time, thread, what it did. Stable: fit for snapshots.
    pub fn trace(&self) -> String {
        self.with(|w| w.trace.text(|task| w.task_name(task)))
    }

    /// How many moves there have been: threads that went on, and arrivals.
    pub fn steps(&self) -> u64 {
        self.with(|w| w.progress().0)
    }

    /// A hash over all events since the beginning. Two runs are the same when theirs are.
    pub fn trace_hash(&self) -> u64 {
        self.with(|w| w.trace.hash())
    }

    /// The decisions taken so far, for [`Choices::replay`].
    pub fn recorded(&self) -> String {
        self.with(|w| w.choices.recorded())
    }

    /// All threads, in the order in which they were started.
    pub fn tasks(&self) -> Vec<TaskInfo> {
        self.with(|w| diagnosis::tasks(w))
    }

    /// All gates that somebody still holds.
    pub fn gates(&self) -> Vec<GateInfo> {
        self.with(|w| diagnosis::gates(w))
    }

    /// All sockets that reactors have open, one line of text for each.
    pub fn sockets(&self) -> Vec<String> {
        self.with(|w| diagnosis::sockets(w))
    }

    /// When nothing can move any more though threads wait: who waits for what. `None` while something can move,
    /// and when no thread is left.
    pub fn report_deadlock(&self) -> Option<String> {
        self.with(|w| waits::stuck(w).then(|| waits::text(w)))
    }

    /// The choices, taken back at the end of a run, and what the last move touched. From here on all is plain.
    pub(crate) fn take_choices(&self) -> (Choices, u128) {
        self.with(|w| {
            let footprint = w.take_footprint();
            (std::mem::replace(&mut w.choices, Choices::calm()), footprint)
        })
    }

    pub(crate) fn with<R>(&self, use_it: impl FnOnce(&mut World) -> R) -> R {
        self.driver.world.with(use_it)
    }
}

/// What [`Sim::connect`] can connect to.
pub trait Destination {
    /// The client it makes.
    type Client;

    /// A new client that connects here. Diagnoses say that it was made where this was called.
    #[track_caller]
    fn client(&self, sim: &Sim) -> Self::Client;
}

impl Destination for Address {
    type Client = Client;

    fn client(&self, sim: &Sim) -> Client {
        Client::connect(&sim.driver.world, self)
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let (choices, _) = self.take_choices();
        self.watches.clear();
        self.driver.stop();
        census::forget(&self.driver.world);
        Shared::recycle(&self.driver.world);
        if let Some(why) = choices.verdict()
            && !std::thread::panicking()
        {
            // A replay that did not fit must not pass, also where its panic was caught.
            panic!("{why}");
        }
    }
}
