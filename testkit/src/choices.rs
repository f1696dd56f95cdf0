//! One source for every decision of a simulation.
//!
//! A decision names its family, how many options there are and what it is about, and gets the number of the
//! option taken; option 0 is always the plain one. Nothing else in this crate is left to chance.

use crate::search::Search;

/// What a decision is about. Families draw from separate streams, so that a new kind of decision in one does not
/// change what a seed means for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Which kinds of trouble there are at all in this run.
    Profile,
    /// Who goes next.
    Schedule,
    /// How many bytes go at once.
    Split,
    /// How long bytes are under way.
    Latency,
    /// Readiness that is late, spurious or not promised.
    Readiness,
    /// Failures.
    Fault,
    /// The test's own decisions.
    Test,
    // Families that came later stand below, so that older seeds keep their meaning.
    /// How fast a connection is, and how it cuts its bytes into segments.
    Line,
    /// Failures of accept.
    Accepts,
    /// Sockets that cannot be made.
    Sockets,
    /// Connections that break.
    Breaks,
    /// Threads that cannot be started.
    Starts,
    /// Jumps of the date.
    Date,
    /// Slow peers.
    Peers,
}

/// How many families there were when the first seeds were recorded.
const FIRST_FAMILIES: usize = 7;
const FAMILIES: usize = 14;

/// Where decisions come from, and the record of those taken.
#[derive(Debug)]
pub struct Choices {
    source: Source,
    record: Vec<Taken>,
}

#[derive(Debug)]
enum Source {
    Calm,
    Random(Random),
    Bytes { bytes: Vec<u8>, next: usize },
    Replay { taken: Vec<Taken>, next: usize, prunes: bool },
    Search(Box<Search>),
}

/// One decision: the option, and a check on what was asked, by which a replay notices that it no longer fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Taken {
    check: u8,
    option: u32,
}

/// Decisions kept for a replay line; a run with more of them can only be repeated by its seed.
const RECORD_MAX: usize = 1 << 22;

impl Choices {
    /// Always the plain option: first come first served, whole reads and writes, no latency.
    pub fn calm() -> Choices {
        Choices::from(Source::Calm)
    }

    /// Chance, the same for the same seed on every machine, now and in later versions.
    pub fn seed(seed: u64) -> Choices {
        Choices::from(Source::Random(Random::new(seed)))
    }

    /// Decisions from outside, as a fuzzer or proptest gives them: one byte each (four where there are more than
    /// 256 options), and the plain option when they have run out.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Choices {
        Choices::from(Source::Bytes { bytes: bytes.into(), next: 0 })
    }

    /// The decisions of an earlier run, as [`recorded`](Choices::recorded) wrote them down.
    ///
    /// # Errors
    /// When `line` is not such a record.
    pub fn replay(line: &str) -> Result<Choices, String> {
        let (prunes, taken) = parse(line)?;
        Ok(Choices::from(Source::Replay { taken, next: 0, prunes }))
    }

    pub(crate) fn search(search: Box<Search>) -> Choices {
        Choices::from(Source::Search(search))
    }

    fn from(source: Source) -> Choices {
        Choices { source, record: Vec::new() }
    }

    /// Takes one of `options` options; no decision is made, and none recorded, where there is only one.
    ///
    /// # Panics
    /// When a replay no longer fits, at the very decision.
    pub fn draw(&mut self, family: Family, options: u32, label: &'static str) -> u32 {
        if options <= 1 {
            return 0;
        }
        let option = match &mut self.source {
            Source::Calm => return 0,
            Source::Random(random) => random.draw(family, options),
            Source::Bytes { bytes, next } => from_bytes(bytes, next, options),
            Source::Replay { taken, next, .. } => replayed(taken, next, family, options, label),
            Source::Search(search) if family == Family::Test => search.branch(options),
            Source::Search(_) => 0,
        };
        self.note(family, options, label, option);
        option
    }

    /// Takes one of `actors` to go next; `footprint` are the objects touched since the last time.
    pub(crate) fn schedule(&mut self, actors: &[u32], footprint: &mut u128) -> usize {
        if let Source::Search(search) = &mut self.source {
            let option = search.schedule(actors, std::mem::take(footprint));
            if actors.len() > 1 {
                self.note(Family::Schedule, actors.len() as u32, "next", option as u32);
            }
            return option;
        }
        self.draw(Family::Schedule, actors.len() as u32, "next") as usize
    }

    /// Whether orders that make no difference are to be left out.
    pub(crate) fn prunes(&self) -> bool {
        match &self.source {
            Source::Search(search) => search.prunes(),
            Source::Replay { prunes, .. } => *prunes,
            _ => false,
        }
    }

    /// The decisions taken so far, as one word for [`replay`](Choices::replay).
    pub fn recorded(&self) -> String {
        use std::fmt::Write;
        let mut line = format!("v1:{:02x}", u8::from(self.prunes()));
        for taken in &self.record {
            let _ = write!(line, "{:02x}", taken.check);
            let mut rest = taken.option;
            loop {
                let more = if rest > 0x7f { 0x80 } else { 0 };
                let _ = write!(line, "{:02x}", (rest & 0x7f) | more);
                rest >>= 7;
                if more == 0 {
                    break;
                }
            }
        }
        line
    }

    /// How many decisions have been taken, of those that are recorded.
    pub fn recorded_len(&self) -> usize {
        self.record.len()
    }

    pub(crate) fn into_search(self) -> Option<Box<Search>> {
        match self.source {
            Source::Search(search) => Some(search),
            _ => None,
        }
    }

    fn note(&mut self, family: Family, options: u32, label: &'static str, option: u32) {
        if self.record.len() < RECORD_MAX {
            self.record.push(Taken { check: check(family, options, label), option });
        }
    }
}

fn from_bytes(bytes: &[u8], next: &mut usize, options: u32) -> u32 {
    let width = if options > 256 { 4 } else { 1 };
    let mut number = 0;
    for _ in 0..width {
        number = number << 8 | u32::from(bytes.get(*next).copied().unwrap_or(0));
        *next += 1;
    }
    number % options
}

fn replayed(taken: &[Taken], next: &mut usize, family: Family, options: u32, label: &str) -> u32 {
    let index = *next;
    let Some(one) = taken.get(index) else { return 0 };
    *next += 1;
    assert!(
        one.check == check(family, options, label) && one.option < options,
        "the replay no longer fits: decision {index} of {} is now about {label:?} ({family:?}, {options} options); \
         the code has changed since it was recorded, or the test is not deterministic",
        taken.len(),
    );
    one.option
}

fn check(family: Family, options: u32, label: &str) -> u8 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ (family as u64) << 32 ^ u64::from(options);
    for byte in label.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (hash >> 40) as u8
}

/// Whether there were fewer decisions for want of orders that make no difference, and those there were.
fn parse(line: &str) -> Result<(bool, Vec<Taken>), String> {
    let digits = line.trim().strip_prefix("v1:").ok_or("a replay begins with `v1:`")?;
    if !digits.is_ascii() || digits.len() % 2 != 0 {
        return Err("a replay is `v1:` and an even number of hexadecimal digits; was it cut?".into());
    }
    let mut bytes = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16));
    let prunes = match bytes.next() {
        Some(Ok(mode @ 0..=1)) => mode == 1,
        _ => return Err("after `v1:` there should be 00 or 01".into()),
    };
    let mut taken = Vec::new();
    while let Some(check) = bytes.next() {
        let check = check.map_err(|error| error.to_string())?;
        let (mut option, mut shift) = (0_u32, 0);
        loop {
            let byte = bytes.next().ok_or("the replay ends within a decision; was it cut?")?;
            let byte = byte.map_err(|error| error.to_string())?;
            option |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        taken.push(Taken { check, option });
    }
    Ok((prunes, taken))
}

/// Chance of our own: recorded seeds must not change with a dependency.
#[derive(Debug)]
struct Random {
    streams: [u64; FAMILIES],
    /// How often of 256 the plain schedule is taken without drawing further: it differs per seed, as no one bias
    /// finds all kinds of races.
    stay: u8,
}

impl Random {
    fn new(seed: u64) -> Random {
        let mut root = seed;
        let mut streams = [0; FAMILIES];
        streams[..FIRST_FAMILIES].fill_with(|| split_mix(&mut root));
        let stay = [0, 0, 128, 230][(split_mix(&mut root) % 4) as usize];
        streams[FIRST_FAMILIES..].fill_with(|| split_mix(&mut root));
        Random { streams, stay }
    }

    fn draw(&mut self, family: Family, options: u32) -> u32 {
        let number = split_mix(&mut self.streams[family as usize]);
        if family == Family::Schedule && ((number & 0xff) as u8) < self.stay {
            return 0;
        }
        (((number >> 32) * u64::from(options)) >> 32) as u32
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): one addition and a mixing function, any state is a good one.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn split_mix_is_the_published_function() {
        let mut state = 1_234_567;
        assert_eq!(split_mix(&mut state), 6_457_827_717_110_365_317);
        assert_eq!(split_mix(&mut state), 3_203_168_211_198_807_973);
    }

    #[test]
    fn families_do_not_shift_each_other() {
        let (mut with, mut without) = (Choices::seed(3), Choices::seed(3));
        for _ in 0..50 {
            with.draw(Family::Fault, 7, "some new fault");
            assert_eq!(with.draw(Family::Split, 1000, "n"), without.draw(Family::Split, 1000, "n"));
        }
    }

    #[test]
    fn a_record_is_replayed_and_refused_where_the_question_differs() {
        let mut first = Choices::seed(9);
        let drawn: Vec<u32> = (2..300).map(|n| first.draw(Family::Latency, n, "latency")).collect();
        let mut again = Choices::replay(&first.recorded()).unwrap();
        assert_eq!(drawn, (2..300).map(|n| again.draw(Family::Latency, n, "latency")).collect::<Vec<_>>());
        assert_eq!(again.draw(Family::Latency, 5, "beyond the end"), 0);

        let mut other = Choices::replay(&first.recorded()).unwrap();
        let refused = std::panic::catch_unwind(move || other.draw(Family::Fault, 2, "latency"));
        assert!(refused.unwrap_err().downcast::<String>().unwrap().contains("no longer fits: decision 0 of 298"));
        assert!(Choices::replay("v1:0").is_err());
        assert!(Choices::replay("v1:00ff80").is_err());
        assert!(Choices::replay("v1:02").is_err());
        assert!(Choices::replay("7").is_err());
    }

    #[test]
    fn no_decision_is_made_where_there_is_one_option() {
        let mut choices = Choices::seed(1);
        assert_eq!(choices.draw(Family::Test, 1, "one"), 0);
        assert_eq!(choices.recorded_len(), 0);
    }
}
