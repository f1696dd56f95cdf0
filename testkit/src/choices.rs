//! One source for every decision of a simulation.
//!
//! A decision names its family, how many options there are and what it is about, and gets the number of the
//! option taken; option 0 is always the plain one. Nothing else in this crate is left to chance.

use std::thread::panicking;

use handwound_reactor::Time;

use crate::chance::{Lanes, Random};
use crate::edits::{Change, Edits, Keeper, Order};
use crate::family::Family;
use crate::pct::Pct;
use crate::replay::{Asked, Record};
use crate::search::Search;
use crate::trace::TEST;

/// Where decisions come from, and the record of those taken.
#[derive(Debug)]
pub struct Choices {
    source: Source,
    record: Option<Record>,
    keeper: Option<Keeper>,
    /// Moves scheduled so far, and how many there may be.
    moves: u64,
    moves_max: u64,
    /// Those of them at which there was a choice.
    switches: u64,
    /// Why this run is void: it no longer fits its replay, or takes too long for a candidate.
    void: Option<String>,
}

#[derive(Debug)]
enum Source {
    Calm,
    Random(Random),
    Pct { order: Pct, rest: Random },
    Bytes(Lanes),
    Replay { record: Record, next: usize },
    Search(Box<dyn Search>),
    Edits { edits: Edits, order: Option<Order>, prunes: bool },
}

/// The moment at which someone is to go next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// Who went last.
    pub(crate) running: u32,
    pub(crate) now: Time,
    /// Others were not asked: orders that make no difference are left out, and this was taken for one.
    pub(crate) local: bool,
}

impl Choices {
    /// Always the plain option: first come first served, whole reads and writes, no latency.
    pub fn calm() -> Choices {
        Choices::from(Source::Calm)
    }

    /// Chance, the same for the same seed on every machine, now and in later versions.
    pub fn seed(seed: u64) -> Choices {
        Choices::from(Source::Random(Random::new(seed)))
    }

    /// Threads by priorities that change at `depth - 1` of the first `steps` moves, everything else as
    /// [`seed`](Choices::seed) does. Of `n` threads that make at most `steps` moves, a defect that shows when `depth`
    /// moves come in a certain order is hit with a probability of at least `1 / (n * steps^(depth - 1))`.
    pub fn pct(seed: u64, depth: u32, steps: u64) -> Choices {
        Choices::from(Source::Pct { order: Pct::new(seed, depth, steps), rest: Random::new(seed) })
    }

    /// Decisions from outside, as a fuzzer or proptest gives them: one byte each (four where there are more than
    /// 256 options), and the plain option when they have run out. Families take their bytes from different places,
    /// so that one more decision in one does not shift the others.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Choices {
        Choices::from(Source::Bytes(Lanes::new(bytes.into())))
    }

    /// The decisions of an earlier run, as [`recorded`](Choices::recorded) wrote them down.
    ///
    /// A run that asks for something else, for more, or for less than was recorded, is a failure, at the first
    /// decision that differs; a run that asks for less, when its [`Sim`](crate::Sim) is dropped.
    ///
    /// # Errors
    /// When `line` is not such a record, or not all of it.
    pub fn replay(line: &str) -> Result<Choices, String> {
        Ok(Choices::from(Source::Replay { record: Record::parse(line)?, next: 0 }))
    }

    pub(crate) fn search(search: Box<dyn Search>) -> Choices {
        Choices::from(Source::Search(search))
    }

    /// The plain run but for `edits`; threads as `order` says where there is one.
    pub(crate) fn edits(edits: Edits, order: Option<Order>, prunes: bool) -> Choices {
        Choices::from(Source::Edits { edits, order, prunes }).studied()
    }

    fn from(source: Source) -> Choices {
        let record = Some(Record::default());
        Choices { source, record, keeper: None, moves: 0, moves_max: u64::MAX, switches: 0, void: None }
    }

    /// Does not write decisions down, which is faster: for runs that can be had again, by their seed for example. The run
    /// is the same, but [`recorded`](Choices::recorded) has nothing to tell, and the trace shows no visits to shared
    /// things; its hash covers them.
    pub fn unrecorded(mut self) -> Choices {
        self.record = None;
        self
    }

    /// Notes decisions that are not plain by names that do not shift.
    pub(crate) fn studied(mut self) -> Choices {
        self.keeper = Some(Keeper::default());
        self
    }

    pub(crate) fn is_recorded(&self) -> bool {
        self.record.is_some()
    }

    pub(crate) fn at_most(mut self, moves: u64) -> Choices {
        self.moves_max = moves;
        self
    }

    /// Takes one of `options` options; no decision is made, and none recorded, where there is only one.
    ///
    /// # Panics
    /// When a replay no longer fits, at the very decision.
    pub fn draw(&mut self, family: Family, options: u32, label: &'static str) -> u32 {
        self.draw_for(family, TEST, options, label)
    }

    /// As [`draw`](Choices::draw), for somebody: decisions are counted for each, when runs are shrunk.
    pub(crate) fn draw_for(&mut self, family: Family, subject: u32, options: u32, label: &'static str) -> u32 {
        if options <= 1 {
            return 0;
        }
        let key = self.keeper.as_mut().map(|keeper| keeper.key(family, label.as_bytes(), subject));
        let about = subject as u8;
        let option = match &mut self.source {
            Source::Calm => return 0,
            Source::Random(random) | Source::Pct { rest: random, .. } => random.draw(family, options),
            Source::Bytes(lanes) => lanes.draw(family, options),
            Source::Replay { .. } => self.replayed(Asked { family, label: label.into(), options, about }),
            Source::Search(search) if family == Family::Test => search.branch(options),
            // A search is for what goes wrong inside.
            Source::Search(_) if family == Family::Watch => options - 1,
            // Every place is one where a thread may be left: which of them is for the search to say.
            Source::Search(_) if family == Family::Preempt => 1,
            Source::Search(_) => 0,
            Source::Edits { edits, .. } => key.map_or(0, |key| edits.option(key, options)),
        };
        if let Some(record) = &mut self.record {
            record.push(family, label, options, about, option);
        }
        if option != 0
            && let (Some(keeper), Some(key)) = (&mut self.keeper, key)
        {
            keeper.note(key, key, option);
        }
        option
    }

    /// For how many moves whoever goes on stays, if it can, without a look at the others: the answer of
    /// [`schedule`](Choices::schedule) is known. 0 where something is kept about each move.
    pub(crate) fn stays(&self) -> u32 {
        if self.keeper.is_some() {
            return 0;
        }
        let left = u32::try_from(self.moves_max.saturating_sub(self.moves)).unwrap_or(u32::MAX);
        match &self.source {
            Source::Calm => left,
            Source::Random(random) if self.record.is_none() => left.min(random.stays()),
            _ => 0,
        }
    }

    /// So many of these moves have been made.
    pub(crate) fn stayed(&mut self, moves: u32) {
        self.moves += u64::from(moves);
        if let Source::Random(random) = &mut self.source {
            random.stayed(moves);
        }
    }

    /// Whether seeds decide who goes next, with nothing kept about it and no stay under way.
    #[inline]
    pub(crate) fn draws_freely(&self) -> bool {
        match &self.source {
            Source::Random(random) => {
                random.stays() == 0 && self.record.is_none() && self.keeper.is_none() && self.moves < self.moves_max
            }
            _ => false,
        }
    }

    /// As [`schedule`](Choices::schedule) of so many, by their age, where seeds [decide
    /// freely](Choices::draws_freely).
    #[inline]
    pub(crate) fn draw_freely(&mut self, options: u32) -> usize {
        self.moves += 1;
        self.switches += u64::from(options > 1);
        match &mut self.source {
            Source::Random(random) => random.schedule(options).unwrap_or(0) as usize,
            _ => 0,
        }
    }

    /// Takes one of `actors` to go next; `touched` tells, to a search, the objects touched since the
    /// last time.
    pub(crate) fn schedule(&mut self, actors: &[u32], turn: Turn, touched: impl FnOnce() -> u128) -> usize {
        self.moves += 1;
        if self.moves > self.moves_max {
            self.refuse(format!("stopped after {} moves", self.moves_max));
        }
        let (options, label) = (actors.len() as u32, "next");
        let keys = self.keeper.as_mut().map(|keeper| {
            let time = turn.now.since_start().as_nanos().to_be_bytes();
            let mut key = |label| keeper.key(Family::Schedule, label, turn.running);
            (key(label.as_bytes()), key(&time))
        });
        self.switches += u64::from(options > 1);
        let option = match &mut self.source {
            Source::Search(search) => search.schedule(actors, turn, touched()),
            Source::Pct { order, .. } => order.schedule(actors),
            Source::Random(random) => random.schedule(options).map_or(0, |nth| place_of_nth(actors, nth as usize)),
            _ if options == 1 => return 0,
            Source::Calm => return 0,
            Source::Edits { order: Some(order), .. } => order.schedule(options) as usize,
            Source::Bytes(lanes) => lanes.draw(Family::Schedule, options) as usize,
            Source::Replay { .. } => {
                let about = check_of(actors);
                self.replayed(Asked { family: Family::Schedule, label: label.into(), options, about }) as usize
            }
            Source::Edits { edits, .. } => keys.map_or(0, |(key, timed)| edits.schedule(key, timed, actors)),
        };
        if options > 1 {
            if let Some(record) = &mut self.record {
                record.push(Family::Schedule, label, options, check_of(actors), option as u32);
            }
            if option != 0
                && let (Some(keeper), Some((key, timed))) = (&mut self.keeper, keys)
            {
                keeper.note(key, timed, actors[option]);
            }
        }
        option
    }

    fn replayed(&mut self, asked: Asked) -> u32 {
        let Source::Replay { record, next } = &mut self.source else { return 0 };
        match record.fit(*next, &asked) {
            Ok(option) if self.void.is_none() => {
                *next += 1;
                option
            }
            Ok(_) => {
                self.refuse(String::new());
                0
            }
            Err(why) => {
                self.refuse(why);
                0
            }
        }
    }

    /// The run is void from here on. It may catch the panic; then the next decision panics again.
    fn refuse(&mut self, why: String) {
        let why = self.void.get_or_insert(why).clone();
        // Not in a destructor, while another panic is under way: that would end the process.
        if !panicking() {
            panic!("{why}");
        }
    }

    /// Whether orders that make no difference are to be left out.
    pub(crate) fn prunes(&self) -> bool {
        match &self.source {
            Source::Search(search) => search.prunes(),
            Source::Replay { record, .. } => record.prunes,
            Source::Edits { prunes, .. } => *prunes,
            _ => false,
        }
    }

    /// Whether a search compares states: then it must know when threads and objects get their numbers.
    pub(crate) fn compares(&self) -> bool {
        matches!(&self.source, Source::Search(search) if search.compares())
    }

    /// The test itself begins to drive: what it does next may depend on all there is.
    pub(crate) fn barrier(&mut self) {
        if let Source::Search(search) = &mut self.source {
            search.barrier();
        }
    }

    /// The decisions taken so far, as one word for [`replay`](Choices::replay).
    pub fn recorded(&self) -> String {
        let mut record = self.record.clone().unwrap_or_default();
        record.prunes = self.prunes();
        record.moves = self.moves as u32;
        record.line()
    }

    /// How many decisions have been taken, of those that are recorded.
    pub fn recorded_len(&self) -> usize {
        self.record.as_ref().map_or(0, Record::len)
    }

    /// How many of the recorded decisions were not the plain ones.
    pub(crate) fn not_plain(&self) -> usize {
        self.record.as_ref().map_or(0, Record::not_plain)
    }

    pub(crate) fn moves(&self) -> u64 {
        self.moves
    }

    pub(crate) fn switches(&self) -> u64 {
        self.switches
    }

    /// Why the run that has ended is void: it did not fit its replay.
    pub(crate) fn verdict(&self) -> Option<String> {
        match &self.source {
            Source::Replay { record, next } => self.void.clone().or_else(|| record.left_over(*next, self.moves as u32)),
            _ => self.void.clone(),
        }
    }

    pub(crate) fn into_search(self) -> Option<Box<dyn Search>> {
        match self.source {
            Source::Search(search) => Some(search),
            _ => None,
        }
    }

    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.keeper.map(Keeper::into_changes).unwrap_or_default()
    }
}

/// Where the `nth` oldest stands; the network counts as the youngest.
fn place_of_nth(actors: &[u32], nth: usize) -> usize {
    let younger = |actor: &u32| actors.iter().filter(|other| *other < actor).count();
    actors.iter().position(|actor| younger(actor) == nth).unwrap_or(0)
}

/// A check byte over who can go.
fn check_of(actors: &[u32]) -> u8 {
    let hash = actors.iter().fold(7_u32, |hash, &actor| (hash ^ actor).wrapping_mul(0x9e37_79b1));
    (hash >> 24) as u8
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn families_do_not_shift_each_other() {
        let bytes: Vec<u8> = (0..4000).map(|n| (n % 251) as u8).collect();
        let sources: [&dyn Fn() -> Choices; 3] =
            [&|| Choices::seed(3), &|| Choices::pct(3, 2, 10), &|| Choices::bytes(bytes.clone())];
        for source in sources {
            let (mut with, mut without) = (source(), source());
            for _ in 0..50 {
                with.draw(Family::Fault, 7, "some new fault");
                assert_eq!(with.draw(Family::Split, 100, "n"), without.draw(Family::Split, 100, "n"));
            }
        }
    }

    #[test]
    fn a_record_is_replayed_and_refused_where_the_question_differs() {
        let mut first = Choices::seed(9);
        let drawn: Vec<u32> = (2..300).map(|n| first.draw(Family::Latency, n, "latency")).collect();
        let mut again = Choices::replay(&first.recorded()).unwrap();
        assert_eq!(drawn, (2..300).map(|n| again.draw(Family::Latency, n, "latency")).collect::<Vec<_>>());
        assert_eq!(again.verdict(), None);

        let refused = |choices: Choices, family, options, label| {
            let mut choices = choices;
            let payload = std::panic::catch_unwind(move || choices.draw(family, options, label)).unwrap_err();
            *payload.downcast::<String>().unwrap()
        };
        let beyond = refused(again, Family::Latency, 5, "beyond");
        assert!(beyond.contains("ends after 298 decisions, and the run goes on to ask for `beyond`"), "{beyond}");
        let other = refused(Choices::replay(&first.recorded()).unwrap(), Family::Fault, 2, "break");
        assert!(other.contains("decision 0 of 298 was recorded about `latency` (Latency, 2 options"), "{other}");
        assert!(other.contains("is now about `break` (Fault, 2 options"), "{other}");
        for not_a_replay in ["v1:0", "v1:", "v2:AAAA", "7", "v1:AAAAAAAA"] {
            assert!(Choices::replay(not_a_replay).is_err(), "{not_a_replay}");
        }
    }

    #[test]
    fn a_replay_that_was_not_used_up_is_void() {
        let mut first = Choices::seed(9);
        first.draw(Family::Test, 5, "one");
        first.draw(Family::Test, 6, "two");
        let mut again = Choices::replay(&first.recorded()).unwrap();
        again.draw(Family::Test, 5, "one");
        assert!(again.verdict().unwrap().contains("ended after 1 of its 2 decisions, where `two` (Test, 6 options"));
    }

    #[test]
    fn no_decision_is_made_where_there_is_one_option() {
        let mut choices = Choices::seed(1);
        assert_eq!(choices.draw(Family::Test, 1, "one"), 0);
        assert_eq!(choices.recorded_len(), 0);
    }
}
