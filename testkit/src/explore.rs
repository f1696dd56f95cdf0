//! Runs a test many times, finds a run that fails, and makes it small.

use std::fmt;
use std::ops::Range;
use std::panic::resume_unwind;
use std::path::Path;

use crate::bounded::Bounded;
use crate::choices::Choices;
use crate::failure::Failure;
use crate::regressions::Regressions;
use crate::replay_file;
use crate::runner::{Runner, Unfit};
use crate::search::AllOrders;
use crate::sim::Sim;
use crate::whose::{Verdict, Whose};

/// What an exploration has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many times the test ran.
    pub runs: u64,
    /// Those of them that turned out to repeat another, up to the order of moves that do not matter to each other.
    pub redundant: u64,
    /// The moves of the longest run.
    pub moves_max: u64,
}

/// The seeds `0..count`.
pub fn seeds(count: u64) -> Range<u64> {
    0..count
}

/// Runs `test` in a world of its own for each seed: [`Exploration::random`].
///
/// # Panics
/// As [`Exploration::run`].
pub fn explore(seeds: impl IntoIterator<Item = u64>, test: impl Fn(&Sim)) -> Report {
    Exploration::random(seeds).run(test)
}

/// How to search in [`explore_all`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct All {
    /// More runs than this are a failure: the test is too large to be searched through.
    pub runs_max: u64,
    /// Leave out orders that differ only in how moves on different objects are arranged. Plain search is there to
    /// check this.
    pub sleep_sets: bool,
}

impl Default for All {
    fn default() -> All {
        All { runs_max: RUNS_MAX, sleep_sets: true }
    }
}

/// Runs `test` in every order of its threads, each in a world of its own with a calm network; also with every
/// answer to [`Sim::choose`]: [`Exploration::all`].
///
/// Threads can change places at visible operations: visits of shared things, gates, wakes, polls, starts of
/// threads. What the test itself does between drives is not reordered, so event loops should be threads
/// ([`Sim::spawn`]) here.
///
/// # Panics
/// As [`Exploration::run`].
pub fn explore_all(how: All, test: impl Fn(&Sim)) -> Report {
    let all = if how.sleep_sets { Exploration::all() } else { Exploration::all().plainly() };
    all.runs_max(how.runs_max).run(test)
}

/// A search for a run of a test that fails: which runs, how many, and what becomes of a failure.
///
/// ```
/// use handwound_testkit::{Exploration, seeds};
///
/// let test = |sim: &handwound_testkit::Sim| {
///     let answer = sim.choose("answer", 100);
///     assert!(answer < 42, "{answer} is too much");
/// };
/// let failure = Exploration::random(seeds(50)).check(test).unwrap_err();
/// assert_eq!(failure.message, "42 is too much", "shrunk");
/// Exploration::replay(&failure.replay).check(test).unwrap_err();
/// ```
#[must_use = "an exploration does nothing until `run` or `check`"]
pub struct Exploration<'a> {
    strategy: Strategy<'a>,
    runs_max: u64,
    shrink_runs_max: u64,
    regressions: Option<Regressions>,
    twice: bool,
}

enum Strategy<'a> {
    Random(Box<dyn Iterator<Item = u64> + 'a>),
    Pct {
        depth: u32,
        seeds: Box<dyn Iterator<Item = u64> + 'a>,
    },
    /// Of one seed, with the steps that it was tried with.
    PctOnce {
        depth: u32,
        seed: u64,
        steps: u64,
    },
    All {
        sleep_sets: bool,
    },
    Bounded {
        preemptions: u32,
        compares: bool,
    },
    Answers,
    Replay(String),
}

/// Runs of an exhaustive search.
const RUNS_MAX: u64 = 200_000;
/// Runs that shrinking may take.
const SHRINK_RUNS_MAX: u64 = 2_000;

impl<'a> Exploration<'a> {
    /// Threads and network by chance, one run for each seed. How eagerly threads are switched differs from seed to
    /// seed: no one rate finds all kinds of defects.
    pub fn random(seeds: impl IntoIterator<Item = u64, IntoIter: 'a>) -> Exploration<'a> {
        Exploration::new(Strategy::Random(Box::new(seeds.into_iter())))
    }

    /// Threads by priorities that change `depth - 1` times in a run ([`Choices::pct`]), the network by chance. The
    /// first run is a calm one, to count its moves; then the longest run so far says over how many moves the changes
    /// are spread.
    pub fn pct(depth: u32, seeds: impl IntoIterator<Item = u64, IntoIter: 'a>) -> Exploration<'a> {
        Exploration::new(Strategy::Pct { depth, seeds: Box::new(seeds.into_iter()) })
    }

    /// Every order of the threads, and every answer to [`Sim::choose`]; the network is calm. Orders that differ
    /// only in how moves on different objects are arranged are left out (sleep sets).
    pub fn all() -> Exploration<'a> {
        Exploration::new(Strategy::All { sleep_sets: true })
    }

    /// As [`all`](Exploration::all), but only orders in which threads that could go on are overtaken at most
    /// `preemptions` times: first those with no preemption, then with one, and so on. States that were met before are
    /// not gone on from again. Most defects need two at the most.
    pub fn bounded(preemptions: u32) -> Exploration<'a> {
        Exploration::new(Strategy::Bounded { preemptions, compares: true })
    }

    /// Every answer to [`Sim::choose`]; all else is calm, and threads go in the plain order.
    pub fn answers() -> Exploration<'a> {
        Exploration::new(Strategy::Answers)
    }

    /// The one run that was written down as `line`, by [`Sim::recorded`] or in the report of a failure.
    pub fn replay(line: &str) -> Exploration<'a> {
        Exploration::new(Strategy::Replay(line.to_owned()))
    }

    fn new(strategy: Strategy<'a>) -> Exploration<'a> {
        Exploration { strategy, runs_max: RUNS_MAX, shrink_runs_max: SHRINK_RUNS_MAX, regressions: None, twice: false }
    }

    /// Leaves nothing out of [`all`](Exploration::all) and [`bounded`](Exploration::bounded): to check that what they
    /// leave out does not matter.
    pub fn plainly(mut self) -> Exploration<'a> {
        match &mut self.strategy {
            Strategy::All { sleep_sets: leaves_out } | Strategy::Bounded { compares: leaves_out, .. } => {
                *leaves_out = false;
            }
            _ => {}
        }
        self
    }

    /// More runs than this are a failure of an exhaustive search; 200,000 at first.
    pub fn runs_max(mut self, runs: u64) -> Exploration<'a> {
        self.runs_max = runs;
        self
    }

    /// How many runs may be spent on making a failure small; 2,000 at first, 0 leaves it as it is.
    pub fn shrink_runs_max(mut self, runs: u64) -> Exploration<'a> {
        self.shrink_runs_max = runs;
        self
    }

    /// First replays the runs that are kept for the test `name`. With `file!()` as `source` they are in the package's
    /// folder `regressions`, in a file named as the source file; a path that does not end in `.rs` is the file itself.
    ///
    /// A failure that [`run`](Exploration::run) finds is added to the file, which is to be committed with the sources;
    /// not so where `HANDWOUND_REGRESSIONS` is `0` in the environment: then the line to add is printed. A kept run that
    /// does not fit the code any more is a failure, once all else has passed.
    pub fn regressions(mut self, source: impl AsRef<Path>, name: &str) -> Exploration<'a> {
        self.regressions = Some(Regressions::new(source.as_ref(), name));
        self
    }

    /// Makes every run twice, and compares all that happens: each event, and the bytes that are moved. A difference is a
    /// failure that names the first step that differs: something in the test is left to chance. A run that fails is
    /// made again in any case, and what differs then is told among its notes.
    ///
    /// `HANDWOUND_TWICE=1` in the environment does this for all explorations that are [`run`](Exploration::run).
    ///
    /// ```
    /// use handwound_reactor::Threads;
    /// use handwound_testkit::{Exploration, seeds};
    /// use std::{cell::Cell, time::Duration};
    ///
    /// let kept = Cell::new(0);
    /// let failure = Exploration::random(seeds(10)).twice().check(|sim| {
    ///     kept.set(kept.get() + 1);
    ///     let (threads, seconds) = (sim.threads(), kept.get());
    ///     sim.spawn("sleeper", move || threads.sleep(Duration::from_secs(seconds)));
    ///     sim.settle();
    /// });
    /// let message = failure.unwrap_err().message;
    /// assert!(message.contains("first   +1.000s sleeper    waits no longer at gate sleep"), "{message}");
    /// assert!(message.contains("second  +2.000s sleeper    waits no longer at gate sleep"), "{message}");
    /// ```
    pub fn twice(mut self) -> Exploration<'a> {
        self.twice = true;
        self
    }

    /// Runs `test` in a world of its own each time.
    ///
    /// In the environment, `HANDWOUND_REPLAY=…` stands for the very run that printed that line, or the path of a file
    /// behind `@`, and `HANDWOUND_SEED=7` for that seed alone. A replay names its exploration
    /// (`test/path::of::closure#1=v1:…`): others of the same test run as usual, and another test fails. A bare `v1:…` is
    /// for all that run.
    ///
    /// # Panics
    /// With the test's panic, after shrinking the run and printing how to repeat it. When an exhaustive search does
    /// not come to its end. When the test does not do the same for the same decisions. When a replay does not fit.
    pub fn run<T: Fn(&Sim)>(self, test: T) -> Report {
        self.run_as(Whose::next::<T>(), &test)
    }

    pub(crate) fn run_as(mut self, whose: Whose, test: &dyn Fn(&Sim)) -> Report {
        self.twice |= std::env::var_os("HANDWOUND_TWICE").is_some_and(|value| !value.is_empty() && value != "0");
        if let Ok(text) = std::env::var("HANDWOUND_REPLAY") {
            let judged = replay_file::load(&text).and_then(|line| whose.judge(&line));
            match judged.unwrap_or_else(|error| panic!("HANDWOUND_REPLAY: {error}")) {
                Verdict::Mine(line) => {
                    self.strategy = Strategy::Replay(line);
                    self.regressions = None;
                    eprintln!("one run only, from HANDWOUND_REPLAY");
                }
                Verdict::Anothers => {
                    eprintln!("HANDWOUND_REPLAY is for another exploration; this runs as usual: {whose}")
                }
            }
        } else if let Ok(text) = std::env::var("HANDWOUND_SEED") {
            self.only_seed(text.trim());
        }
        let regressions = self.regressions.clone();
        match self.explore(test, Some(whose)) {
            Ok(report) => report,
            Err(failure) => {
                eprintln!("{failure}");
                if let Some(regressions) = regressions.filter(|_| !failure.replay.is_empty()) {
                    keep(&regressions, &failure);
                }
                resume_unwind(failure.payload)
            }
        }
    }

    /// As [`run`](Exploration::run), but gives a failure back, prints nothing, and does not look at the environment.
    ///
    /// # Errors
    /// The failure.
    pub fn check(self, test: impl Fn(&Sim)) -> Result<Report, Box<Failure>> {
        self.explore(&test, None)
    }

    fn only_seed(&mut self, text: &str) {
        let wrong = format!("HANDWOUND_SEED is {text:?}; it should be a number, or two with a slash for PCT");
        let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{wrong}"));
        match (&mut self.strategy, text.split_once('/')) {
            (Strategy::Random(_), _) => self.strategy = Strategy::Random(Box::new(std::iter::once(number(text)))),
            (Strategy::Pct { depth, .. }, Some((seed, steps))) => {
                self.strategy = Strategy::PctOnce { depth: *depth, seed: number(seed), steps: number(steps) };
            }
            (Strategy::Pct { .. }, None) => panic!("{wrong}"),
            _ => {}
        }
    }

    /// `whose`: to be told on the terminal as it happens, and replayed by a line that names it.
    fn explore(self, test: &dyn Fn(&Sim), whose: Option<Whose>) -> Result<Report, Box<Failure>> {
        let (quiet, shrink_runs_max, twice) = (whose.is_none(), self.shrink_runs_max, self.twice);
        let report = Report::default();
        let mut runner = Runner { test, quiet, shrink_runs_max, writes: !quiet, report, twice, whose };
        let unfit = match &self.regressions {
            Some(regressions) => runner.kept(regressions)?,
            None => Vec::new(),
        };
        match self.strategy {
            Strategy::Random(seeds) => {
                for seed in seeds {
                    runner.seed(format_args!("seed {seed} (HANDWOUND_SEED={seed})"), || Choices::seed(seed))?;
                }
            }
            Strategy::Pct { depth, seeds } => runner.pct(depth, seeds)?,
            Strategy::PctOnce { depth, seed, steps } => {
                runner.seed(format_args!("seed {seed}"), || Choices::pct(seed, depth, steps))?;
            }
            Strategy::All { sleep_sets } => runner.search(Box::new(AllOrders::new(sleep_sets)), self.runs_max)?,
            Strategy::Bounded { preemptions, compares } => {
                runner.search(Box::new(Bounded::new(preemptions, compares)), self.runs_max)?;
            }
            Strategy::Answers => runner.search(Box::new(AllOrders::answers()), self.runs_max)?,
            Strategy::Replay(line) => runner.replay("from its replay", &line).map_err(Unfit::into_failure)?,
        }
        if unfit.is_empty() { Ok(runner.report) } else { Err(runner.failed_without_run(unfit.join("\n"))) }
    }
}

impl fmt::Debug for Exploration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exploration").field("runs_max", &self.runs_max).finish_non_exhaustive()
    }
}

fn keep(regressions: &Regressions, failure: &Failure) {
    let path = regressions.path.display();
    let entry = regressions.entry(&failure.replay, &failure.message);
    if std::env::var_os("HANDWOUND_REGRESSIONS").is_some_and(|value| value == "0") {
        return eprintln!("HANDWOUND_REGRESSIONS=0: to keep it, add this line to {path}:\n{entry}");
    }
    match regressions.keep(&entry) {
        Ok(()) => eprintln!("kept in {path}, to be replayed first from now on; commit it with the sources"),
        Err(error) => eprintln!("could not be kept in {path} ({error}); the line is:\n{entry}"),
    }
}
