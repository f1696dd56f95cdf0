//! What a world shows of itself: diagnoses, and drawings of what has happened.

use std::cell::RefCell;
use std::fmt::Write;

use crate::census;
use crate::client::Client;
use crate::diagnosis;
use crate::diagram;
use crate::perfetto;
use crate::sim::Sim;
use crate::story::Story;
use crate::timeline;
use crate::waits::{self, Deadlock, Wait};

type Watch = (String, Box<dyn Fn() -> Vec<String>>);

/// What else a test counts among what must not be left over, and how to end what is there to stay.
#[derive(Default)]
pub(crate) struct Watches {
    left: RefCell<Vec<Watch>>,
    ends: RefCell<Vec<Box<dyn FnOnce()>>>,
}

impl Watches {
    fn add(&self, what: &str, left: Box<dyn Fn() -> Vec<String>>) {
        self.left.borrow_mut().push((what.to_owned(), left));
    }

    /// What is watched may hold parts of the world, which is over.
    pub(crate) fn clear(&self) {
        drop((self.left.take(), self.ends.take()));
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (what, left) in self.left.borrow().iter() {
            for line in left() {
                let _ = writeln!(text, "  {what}: {line}");
            }
        }
        text
    }
}

/// Diagnoses.
impl Sim {
    /// Has [`assert_clean`](Sim::assert_clean) also ask `left` what is left over: a line for each thing of a kind that
    /// this crate does not know. Event loops and thread pools need no watching. Empty means clean. What it holds lives
    /// as long as this world; it runs on the test's thread, when asked.
    ///
    /// ```
    /// # use handwound_testkit::{Choices, Sim};
    /// # use std::{cell::RefCell, rc::Rc};
    /// let sim = Sim::new(Choices::calm());
    /// let leases = Rc::new(RefCell::new(vec!["10.0.0.7".to_owned()]));
    /// let watched = Rc::clone(&leases);
    /// sim.watch("lease", move || watched.borrow().clone());
    /// assert_eq!(sim.leftovers(), "  lease: 10.0.0.7\n");
    /// leases.borrow_mut().clear();
    /// sim.assert_clean();
    /// ```
    pub fn watch(&self, what: &str, left: impl Fn() -> Vec<String> + 'static) {
        self.watches.add(what, Box::new(left));
    }

    /// What is left over: open sockets, live threads, gates somebody is parked at, timers and calls of event loops,
    /// jobs of thread pools, each with where it was made (and by whom and when, where the world knows), and what is
    /// [watched](Sim::watch). One a line; empty when all is clean. Loops and pools that are dropped have nothing left.
    pub fn leftovers(&self) -> String {
        self.with(|w| diagnosis::left_over(w)) + &self.pending()
    }

    /// What waits in event loops and thread pools, and what is watched.
    fn pending(&self) -> String {
        let mut text = String::new();
        for pending in census::outstanding(&self.driver.world) {
            let _ = writeln!(text, "  {pending}");
        }
        // Out of the world: what is watched may look at it.
        text.push_str(&self.watches.text());
        text
    }

    /// Has [`assert_clean`](Sim::assert_clean) call `end` before it looks: to stop a server that is there to stay. It
    /// runs on the test's thread, once.
    pub fn at_end(&self, end: impl FnOnce() + 'static) {
        self.watches.ends.borrow_mut().push(Box::new(end));
    }

    /// Checks that nothing [watched](Sim::watch) is left over, then ends what is there to stay
    /// ([`at_end`](Sim::at_end)) and settles, and checks that reactors have no socket open and that all threads have
    /// ended, and that no timer and no job waits.
    ///
    /// # Panics
    /// With a list of what is left, and where each was made.
    #[track_caller]
    pub fn assert_clean(&self) {
        // What must not be there even while a server is.
        let pending = self.pending();
        let stays = !self.watches.ends.borrow().is_empty();
        let stops = stays && pending.is_empty();
        if stops {
            self.watches.ends.take().into_iter().for_each(|end| end());
            self.settle();
        }
        let left = if stays && !stops { pending } else { self.leftovers() };
        if left.is_empty() {
            return;
        }
        let stuck = self.deadlock().map(|deadlock| deadlock.to_string()).unwrap_or_default();
        // Whoever forgets to stop a server sees this first.
        let hint = match left.contains("  thread: ") {
            true => {
                "what still runs has to be told to end before this check (EventLoop::stop, by call_from_thread; \
                 ThreadPool::begin_stop), and Sim::settle lets it\n"
            }
            false => "where only time is missing, Sim::settle or Sim::advance before this check lets it pass\n",
        };
        let after = if stops { " after the stop" } else { "" };
        panic!("left over at {}{after}:\n{left}{stuck}{hint}", self.now());
    }

    /// All threads that wait, oldest first, each with what it waits for and who has answered it before.
    pub fn waits(&self) -> Vec<Wait> {
        self.with(|w| waits::all(w))
    }

    /// Tells diagnoses who will unpark gates of this name (or wake the reactor of this name), before anybody has.
    /// Where this is not said, whoever did it last is taken to be the one.
    pub fn answered_by(&self, gate: &str, thread: &str) {
        self.with(|w| w.trace.origins.declare(gate, thread));
    }

    /// Threads that wait for each other in a ring without end, if there are such: each is parked at a gate (or
    /// polls a reactor that has nothing open) that the next one answers, as far as is known; see
    /// [`answered_by`](Sim::answered_by). Workers that idle are no deadlock as long as the reactor that feeds them
    /// listens; two threads that hand a token to and fro, and now both wait for the test, do look like one.
    pub fn deadlock(&self) -> Option<Deadlock> {
        self.with(|w| waits::deadlock(w))
    }

    /// Checks that there is no [`deadlock`](Sim::deadlock). To be called when all is settled.
    ///
    /// # Panics
    /// With the ring: who waits for what, and who was to answer.
    #[track_caller]
    pub fn assert_no_deadlock(&self) {
        if let Some(deadlock) = self.deadlock() {
            panic!("{deadlock}");
        }
    }
}

impl Client {
    /// How this client stands, for messages about an answer that has not come: what it has sent and received, whether
    /// the world could still go on, and who waits for what, with the ring of a deadlock.
    ///
    /// ```
    /// # use handwound_reactor::{Address, ListenOptions, Reactor};
    /// # use handwound_testkit::{Choices, Sim};
    /// # let sim = Sim::new(Choices::calm());
    /// # let mut reactor = sim.reactor("server");
    /// # let at = Address::Tcp("127.0.0.1:80".parse()?);
    /// # let listener = reactor.listen(&at, &ListenOptions::default())?;
    /// let client = sim.connect(&at);
    /// client.send("hello?");
    /// sim.settle();
    /// assert!(client.diagnosis().contains("has sent 6 bytes and received 0; its connection is open"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn diagnosis(&self) -> String {
        let parting = self.closing();
        self.world(|w, index| diagnosis::client(w, index, parting))
    }
}

/// Drawings of the last events.
impl Sim {
    /// A sequence diagram in ASCII: a column for each client, reactor and worker that took part, an arrow for each
    /// message, wake and hand-off, and virtual times. Short and stable: fit for snapshots.
    ///
    /// Bytes are drawn where they arrive, with the first line of what they say; hand-offs where they were made.
    /// Polls and reads are left out, and visits where clients take part. Of more than six of a kind, those with
    /// trouble and those that wait for an answer have columns of their own, and the others share one. Of a long run,
    /// the beginning and the end are shown.
    pub fn diagram(&self) -> String {
        diagram::draw(&self.story(), diagram::ROWS_MAX)
    }

    /// A page of HTML that shows the same with everything in it, to be scrolled, zoomed, filtered and searched. One
    /// file; it asks for nothing from anywhere.
    pub fn timeline_html(&self) -> String {
        timeline::html(&self.story())
    }

    /// The same as Chrome trace events in JSON, which ui.perfetto.dev and chrome://tracing open. Times are virtual;
    /// what happens at one instant is set 1 ns apart.
    pub fn perfetto_json(&self) -> String {
        perfetto::json(&self.story())
    }

    pub(crate) fn story(&self) -> Story {
        self.with(|w| Story::of(w))
    }
}
