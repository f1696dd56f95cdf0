//! One exploration under way: runs, searches, replays, and what becomes of a run that fails.

use std::any::Any;
use std::fmt;

use crate::choices::Choices;
use crate::edits::Edits;
use crate::explore::Report;
use crate::failure::{Failure, Panicked, caught};
use crate::regressions::Regressions;
use crate::replay_file;
use crate::report::Scene;
use crate::search::Search;
use crate::shrink::{Shrinker, quietly};
use crate::sim::Sim;
use crate::twice::{ADVICE, Evidence, witness};
use crate::whose::Whose;

/// A run that failed.
struct Found {
    origin: String,
    /// Its choices, to be had again.
    again: Choices,
    panicked: Panicked,
    payload: Box<dyn Any + Send>,
    /// What it left.
    evidence: Option<Evidence>,
}

/// Why a replay has not passed: it failed, or it no longer fits.
pub(crate) enum Unfit {
    Fails(Box<Failure>),
    Fits(Box<Failure>),
}

impl Unfit {
    pub(crate) fn into_failure(self) -> Box<Failure> {
        match self {
            Unfit::Fails(failure) | Unfit::Fits(failure) => failure,
        }
    }
}

pub(crate) struct Runner<'t> {
    pub(crate) test: &'t dyn Fn(&Sim),
    pub(crate) quiet: bool,
    pub(crate) shrink_runs_max: u64,
    /// The timeline of a run that fails is to be written to a file.
    pub(crate) writes: bool,
    pub(crate) report: Report,
    /// Each run is made again and compared.
    pub(crate) twice: bool,
    /// Which exploration a line that repeats a run is for.
    pub(crate) whose: Option<Whose>,
}

type Ended = (Result<(), (Panicked, Box<dyn Any + Send>)>, Choices, u128, Option<Evidence>);

impl Runner<'_> {
    fn once(&mut self, choices: Choices) -> Ended {
        self.report.runs += 1;
        let sim = Sim::new(choices);
        if self.twice {
            sim.with(|w| w.trace.keep_prints());
        }
        let result = caught(self.quiet, || (self.test)(&sim));
        let evidence = (self.twice || result.is_err()).then(|| Evidence::of(&sim));
        let (choices, footprint) = sim.take_choices();
        self.report.moves_max = self.report.moves_max.max(choices.moves());
        (result, choices, footprint, evidence)
    }

    pub(crate) fn seed(
        &mut self,
        origin: fmt::Arguments<'_>,
        choices: impl Fn() -> Choices,
    ) -> Result<(), Box<Failure>> {
        // Not recorded: a run that fails is run again for that.
        let (result, _, _, evidence) = self.once(choices().unrecorded());
        match result {
            Ok(()) if self.twice => self.passes_again(&origin.to_string(), evidence, || choices().unrecorded()),
            Ok(()) => Ok(()),
            Err((panicked, payload)) => {
                let again = choices().studied();
                Err(self.failed(Found { origin: origin.to_string(), again, panicked, payload, evidence }))
            }
        }
    }

    pub(crate) fn pct(&mut self, depth: u32, seeds: impl Iterator<Item = u64>) -> Result<(), Box<Failure>> {
        self.seed(format_args!("calm, to count its moves"), || Choices::edits(Edits::default(), None, false))?;
        for seed in seeds {
            let steps = self.report.moves_max;
            let origin = format_args!("seed {seed}, PCT of depth {depth} (HANDWOUND_SEED={seed}/{steps})");
            self.seed(origin, || Choices::pct(seed, depth, steps))?;
        }
        Ok(())
    }

    pub(crate) fn search(&mut self, mut search: Box<dyn Search>, runs_max: u64) -> Result<(), Box<Failure>> {
        loop {
            let (result, choices, footprint, evidence) = self.once(Choices::search(search));
            let origin = |runs| format!("order {runs} of an exhaustive search");
            if let Err((panicked, payload)) = result {
                let origin = origin(self.report.runs);
                let again = Choices::replay(&choices.recorded()).unwrap_or_else(|_| Choices::calm()).studied();
                return Err(self.failed(Found { origin, again, panicked, payload, evidence }));
            }
            if self.twice {
                let line = choices.recorded();
                let again = || Choices::replay(&line).unwrap_or_else(|_| Choices::calm());
                self.passes_again(&origin(self.report.runs), evidence, again)?;
            }
            search = choices.into_search().expect("it was made with a search");
            self.report.redundant += u64::from(search.redundant());
            if !search.next_run(footprint) {
                return Ok(());
            }
            if self.report.runs >= runs_max {
                let message = format!(
                    "not all orders seen after {runs_max} runs; make the test smaller, bound its preemptions \
                     (Exploration::bounded), or raise `runs_max`"
                );
                return Err(self.failed_without_run(message));
            }
        }
    }

    /// One run, from its record. Fails when the test does, and when the record does not fit.
    pub(crate) fn replay(&mut self, origin: &str, line: &str) -> Result<(), Unfit> {
        let choices = match Choices::replay(line) {
            Ok(choices) => choices,
            Err(error) => return Err(Unfit::Fits(self.failed_without_run(error))),
        };
        let (result, choices, _, evidence) = self.once(choices);
        match result {
            Err((panicked, payload)) => {
                let not_plain = choices.not_plain();
                let void = choices.verdict();
                let fits = void.is_none();
                let mut failure = Failure {
                    replay: line.to_owned(),
                    choices: not_plain,
                    shrunk_choices: not_plain,
                    notes: void.into_iter().collect(),
                    command: replay_file::command(line, self.whose.as_ref()),
                    ..self.failure(origin.to_owned(), panicked, payload)
                };
                if let Ok(again) = Choices::replay(line) {
                    let (_, scene, _) = self.played(again);
                    failure.shows(scene);
                }
                Err(if fits { Unfit::Fails(Box::new(failure)) } else { Unfit::Fits(Box::new(failure)) })
            }
            Ok(()) => match choices.verdict() {
                Some(void) => Err(Unfit::Fits(self.failed_without_run(void))),
                None => {
                    let again = || Choices::replay(line).unwrap_or_else(|_| Choices::calm());
                    self.passes_again(origin, evidence, again).map_err(Unfit::Fails)
                }
            },
        }
    }

    /// Replays what is kept; the names of the runs that do not fit.
    pub(crate) fn kept(&mut self, regressions: &Regressions) -> Result<Vec<String>, Box<Failure>> {
        let mut unfit = Vec::new();
        for (number, line) in regressions.entries() {
            let which = format!("`{}` of {}:{number}", regressions.name, regressions.path.display());
            match self.replay(&format!("kept as {which}"), &line) {
                Ok(()) => {}
                Err(Unfit::Fails(failure)) => return Err(failure),
                Err(Unfit::Fits(failure)) => {
                    let why = failure.notes.first().unwrap_or(&failure.message);
                    unfit.push(format!("the kept run {which} does not fit the code any more: {why}"));
                }
            }
        }
        Ok(unfit)
    }

    fn failure(&self, origin: String, panicked: Panicked, payload: Box<dyn Any + Send>) -> Failure {
        Failure {
            run: self.report.runs,
            origin,
            message: panicked.message,
            place: panicked.place,
            choices: 0,
            shrunk_choices: 0,
            shrink_runs: 0,
            replay: String::new(),
            diagram: String::new(),
            waits: String::new(),
            timeline: None,
            notes: Vec::new(),
            command: String::new(),
            payload,
        }
    }

    pub(crate) fn failed_without_run(&self, message: String) -> Box<Failure> {
        let payload = Box::new(message.clone());
        let panicked = Panicked { place: None, message };
        Box::new(self.failure("the exploration itself".to_owned(), panicked, payload))
    }

    /// Makes a run that failed small, and says all about it.
    fn failed(&self, found: Found) -> Box<Failure> {
        let Found { origin, again, panicked: wanted, payload, evidence } = found;
        let mut failure = self.failure(origin, wanted.clone(), payload);
        let prunes = again.prunes();
        let (result, original, second) = witness(again, self.test);
        failure.choices = original.not_plain();
        failure.replay = original.recorded();
        let same = |result: &Option<Panicked>| result.as_ref().is_some_and(|panicked| panicked.is_like(&wanted));
        if !same(&result) {
            let now = result
                .as_ref()
                .map_or("it passed".to_owned(), |panicked| format!("it failed with: {}", panicked.message));
            failure
                .notes
                .push(format!("run again with the same choices, {now}; {ADVICE}, so it cannot be shrunk or replayed"));
        }
        if let Some(difference) = self.parts(evidence, second, &failure.replay) {
            failure.notes.push(format!("run again with the same choices, {difference}"));
        }
        let moves = original.moves();
        let mut smallest = Choices::replay(&failure.replay).ok();
        if same(&result) && self.shrink_runs_max > 0 {
            let shrinker = Shrinker::new(self.test, &wanted, prunes, moves, self.shrink_runs_max);
            let (best, timed, left) = shrinker.shrink(original.into_changes());
            failure.shrink_runs = self.shrink_runs_max - left;
            let (_, choices) = quietly(Choices::edits(Edits::new(&best, timed), None, prunes), self.test);
            let line = choices.recorded();
            if let Ok(replay) = Choices::replay(&line) {
                (failure.replay, smallest) = (line, Some(replay));
            }
        }
        if let Some(smallest) = smallest {
            self.look_at(smallest, &wanted, &mut failure);
        }
        failure.command = replay_file::command(&failure.replay, self.whose.as_ref());
        Box::new(failure)
    }

    /// The last run, from its replay: what the report shows, and the proof that the line repeats it.
    fn look_at(&self, replay: Choices, wanted: &Panicked, failure: &mut Failure) {
        let (panicked, scene, shrunk_choices) = self.played(replay);
        failure.shrunk_choices = shrunk_choices;
        failure.shows(scene);
        match panicked {
            Some(panicked) if panicked.is_like(wanted) => {
                (failure.message, failure.place) = (panicked.message, panicked.place);
            }
            _ => failure
                .notes
                .push("the replay below does not fail in the same way: the test is not deterministic".into()),
        }
    }

    /// A run from its replay: how it failed, what there is to be seen, and its choices that are not plain.
    fn played(&self, replay: Choices) -> (Option<Panicked>, Scene, usize) {
        let sim = Sim::new(replay);
        let result = caught(true, || (self.test)(&sim));
        let scene = Scene::of(&sim, self.writes);
        let (choices, _) = sim.take_choices();
        drop(caught(true, || drop(sim)));
        (result.err().map(|(panicked, _)| panicked), scene, choices.not_plain())
    }
}
