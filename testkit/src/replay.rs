//! The record of a run's decisions, as a line of letters and back, and the question whether a run still fits it.
//!
//! Each decision is kept with all that was asked: family, label, number of options, and a check byte about whom it
//! was. So a replay finds out at the very decision where it diverges, and can say what stood there.

use std::borrow::Cow;
use std::fmt;

use crate::coder::{Decoder, Encoder, fnv, from_letters, letters};
use crate::family::Family;

/// Decisions kept; a run with more of them can only be repeated by its seed.
const RECORD_MAX: usize = 1 << 22;

/// What a decision is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) family: Family,
    pub(crate) label: Cow<'static, str>,
    pub(crate) options: u32,
    /// A check byte over who could go, or who was asking.
    pub(crate) about: u8,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({:?}, {} options, check {:02x})", self.label, self.family, self.options, self.about)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Taken {
    question: u16,
    about: u8,
    options: u32,
    option: u32,
}

/// The decisions of a run, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    questions: Vec<(Family, Cow<'static, str>)>,
    taken: Vec<Taken>,
    /// Orders that make no difference were left out.
    pub(crate) prunes: bool,
    /// Moves of threads, with and without a choice.
    pub(crate) moves: u32,
    /// There were too many.
    full: bool,
}

impl Record {
    pub(crate) fn len(&self) -> usize {
        self.taken.len()
    }

    /// Decisions that were not the plain ones.
    pub(crate) fn not_plain(&self) -> usize {
        self.taken.iter().filter(|taken| taken.option != 0).count()
    }

    pub(crate) fn push(&mut self, family: Family, label: &'static str, options: u32, about: u8, option: u32) {
        if self.taken.len() >= RECORD_MAX {
            self.full = true;
            return;
        }
        let same = |(of, known): &(Family, Cow<'static, str>)| {
            *of == family
                && (std::ptr::eq(known.as_ptr(), label.as_ptr()) && known.len() == label.len() || *known == label)
        };
        let question = self.questions.iter().position(same).unwrap_or_else(|| {
            self.questions.push((family, Cow::Borrowed(label)));
            self.questions.len() - 1
        });
        self.taken.push(Taken { question: question as u16, about, options, option });
    }

    fn asked(&self, index: usize) -> Option<Asked> {
        let taken = self.taken.get(index)?;
        let (family, label) = self.questions[taken.question as usize].clone();
        Some(Asked { family, label, options: taken.options, about: taken.about })
    }

    /// The option taken by decision `index`, which now is about `asked`.
    ///
    /// # Errors
    /// When it was about something else, with what it was; when there was no such decision.
    pub(crate) fn fit(&self, index: usize, asked: &Asked) -> Result<u32, String> {
        let all = self.taken.len();
        let advice = "the code or the test has changed since this was recorded, or the test is not deterministic";
        let Some(taken) = self.taken.get(index) else {
            return Err(format!(
                "the replay no longer fits: it ends after {all} decisions, and the run goes on to ask for {asked}; {advice}"
            ));
        };
        let (family, label) = &self.questions[taken.question as usize];
        let same = *family == asked.family && *label == asked.label;
        if same && taken.options == asked.options && taken.about == asked.about && taken.option < asked.options {
            return Ok(taken.option);
        }
        let recorded = self.asked(index).expect("decision `index` is there: looked above");
        Err(format!(
            "the replay no longer fits: decision {index} of {all} was recorded about {recorded}, and is now about \
             {asked}; {advice}"
        ))
    }

    /// What is wrong with a run that has come to its end after `used` decisions and `moves` moves.
    pub(crate) fn left_over(&self, used: usize, moves: u32) -> Option<String> {
        let Some(next) = self.asked(used) else {
            return (moves != self.moves).then(|| {
                format!(
                    "the replay no longer fits: after its last decision the run ended with move {moves}, and was recorded \
                     with {}; the code or the test has changed since this was recorded, or the test is not deterministic",
                    self.moves
                )
            });
        };
        Some(format!(
            "the replay no longer fits: the run ended after {used} of its {} decisions, where {next} was to come; \
             the code or the test has changed since this was recorded, or the test is not deterministic",
            self.taken.len()
        ))
    }

    /// As one word, `v1:` and letters.
    pub(crate) fn line(&self) -> String {
        if self.full {
            return format!("v1:too-long-{}", self.taken.len());
        }
        let mut coder = Encoder::new();
        coder.put((0, 0), u32::from(self.prunes));
        coder.put((0, 6), self.moves);
        coder.put((0, 1), self.taken.len() as u32);
        coder.put((0, 2), self.questions.len() as u32);
        for (family, label) in &self.questions {
            coder.put((0, 3), *family as u32);
            coder.put((0, 4), label.len() as u32);
            label.bytes().for_each(|byte| coder.put((0, 5), byte.into()));
        }
        let mut before = Before::default();
        for taken in &self.taken {
            coder.put(before.question(), taken.question.into());
            coder.put(before.options(taken.question), taken.options);
            let place = before.place(taken.about);
            coder.put(before.about(taken.question, taken.options), place);
            if place == before.abouts.len() as u32 {
                coder.put((5, 0), taken.about.into());
            }
            coder.put(before.option(taken.question, taken.options), taken.option);
            before.note(*taken);
        }
        let coded = coder.finish();
        let check = check(&coded);
        format!("v1:{}", letters(&[&check.to_be_bytes()[..], &coded].concat()))
    }

    /// From what [`line`](Record::line) gave.
    ///
    /// # Errors
    /// When it is not such a line, or not all of it.
    pub(crate) fn parse(line: &str) -> Result<Record, String> {
        let line = line.trim();
        // A name before it says whose it is; it is judged elsewhere.
        let line = line.split_once("=v1:").map_or(line, |(name, _)| &line[name.len() + 1..]);
        let text = line.strip_prefix("v1:").ok_or("a replay begins with `v1:`")?;
        if let Some(count) = text.strip_prefix("too-long-") {
            return Err(format!("this run had more than {count} decisions, too many to be written down; use its seed"));
        }
        let damaged = "the replay is damaged; was all of the line copied?";
        let bytes = from_letters(text).ok_or(damaged)?;
        let (check, coded) = bytes.split_first_chunk::<4>().ok_or(damaged)?;
        if u32::from_be_bytes(*check) != self::check(coded) {
            return Err(damaged.into());
        }
        let mut coder = Decoder::new(coded);
        let prunes = coder.take((0, 0)) == 1;
        let moves = coder.take((0, 6));
        let (count, questions) = (coder.take((0, 1)) as usize, coder.take((0, 2)));
        if count > RECORD_MAX || questions > u32::from(u16::MAX) {
            return Err(damaged.into());
        }
        let mut record = Record { prunes, moves, ..Record::default() };
        for _ in 0..questions {
            let family = Family::from_number(coder.take((0, 3))).ok_or("the replay is of a later version")?;
            let length = coder.take((0, 4)).min(1 << 16);
            let label = (0..length).map(|_| coder.take((0, 5)) as u8).collect();
            let label = String::from_utf8(label).map_err(|_| damaged)?;
            record.questions.push((family, Cow::Owned(label)));
        }
        let mut before = Before::default();
        for _ in 0..count {
            let question = coder.take(before.question()) as u16;
            let options = coder.take(before.options(question));
            let about = match before.abouts.get(coder.take(before.about(question, options)) as usize) {
                Some(&known) => known,
                None => coder.take((5, 0)) as u8,
            };
            let option = coder.take(before.option(question, options));
            if usize::from(question) >= record.questions.len() {
                return Err(damaged.into());
            }
            let taken = Taken { question, about, options, option };
            before.note(taken);
            record.taken.push(taken);
        }
        Ok(record)
    }
}

/// Contexts of the numbers of a decision: what is likely depends on what came before.
#[derive(Default)]
struct Before {
    questions: (u16, u16),
    options: Vec<u32>,
    /// Check bytes there were: there are few, so their numbers are small.
    abouts: Vec<u8>,
    about: u8,
    option: u32,
}

impl Before {
    fn question(&self) -> (u8, u32) {
        (1, u32::from(self.questions.0) << 16 | u32::from(self.questions.1))
    }

    fn options(&self, question: u16) -> (u8, u32) {
        let last = self.options.get(usize::from(question)).copied().unwrap_or(0);
        (2, u32::from(question) << 8 | last.min(15))
    }

    /// The number of a check byte; one more than there are when it is new.
    fn place(&self, about: u8) -> u32 {
        self.abouts.iter().position(|&known| known == about).unwrap_or(self.abouts.len()) as u32
    }

    fn about(&self, question: u16, options: u32) -> (u8, u32) {
        // Who can go now mostly follows from who could, and who went.
        let before = u32::from(self.about) << 5 | self.option.min(31);
        (3, u32::from(question) << 17 | options.min(15) << 13 | before)
    }

    fn option(&self, question: u16, options: u32) -> (u8, u32) {
        (4, u32::from(question) << 8 | options.min(31))
    }

    fn note(&mut self, taken: Taken) {
        self.questions = (taken.question, self.questions.0);
        let index = usize::from(taken.question);
        if self.options.len() <= index {
            self.options.resize(index + 1, 0);
        }
        self.options[index] = taken.options;
        if !self.abouts.contains(&taken.about) {
            self.abouts.push(taken.about);
        }
        self.about = taken.about;
        self.option = taken.option;
    }
}

/// Tells a line that was not copied whole. Two bytes were too few: once in some hundred runs a test met a shorter line
/// with the same sum.
fn check(coded: &[u8]) -> u32 {
    let hash = fnv(coded.iter().copied());
    (hash >> 32) as u32 ^ hash as u32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const LABELS: [&str; 3] = ["next", "read", "a label of its own"];

    fn record(draws: &[(usize, u32, u8, u32)], prunes: bool) -> Record {
        let mut record = Record { prunes, ..Record::default() };
        for &(label, options, about, option) in draws {
            record.push(Family::Split, LABELS[label], options, about, option);
        }
        record
    }

    proptest! {
        #[test]
        fn any_record_comes_back_from_its_line(
            draws in prop::collection::vec((0..3_usize, any::<u32>(), any::<u8>(), any::<u32>()), 0..200),
            prunes in any::<bool>(),
        ) {
            let record = record(&draws, prunes);
            prop_assert_eq!(Record::parse(&record.line()).unwrap(), record);
        }

        #[test]
        fn a_line_with_one_letter_less_is_refused(
            draws in prop::collection::vec((0..3_usize, 2..9_u32, any::<u8>(), 0..2_u32), 1..50),
        ) {
            let line = record(&draws, false).line();
            prop_assert!(Record::parse(&line[..line.len() - 1]).is_err());
        }
    }

    #[test]
    fn a_hundred_thousand_plain_decisions_are_a_short_line() {
        let draws: Vec<_> = (0..100_000_u32).map(|n| (0, 2, 7, u32::from(n % 1000 == 5))).collect();
        let line = record(&draws, false).line();
        assert!(line.len() < 4000, "{}", line.len());
    }
}
