//! Chance of our own: recorded seeds must not change with a dependency.

use crate::family::{FAMILIES, FIRST_FAMILIES, Family};

/// A stream of chance for each family.
#[derive(Debug)]
pub(crate) struct Random {
    streams: [u64; FAMILIES],
    /// For how many moves the plain schedule holds between two draws, at the most. It differs per seed, as no one
    /// bias finds all kinds of races.
    stay_max: u32,
    /// For how many it still does.
    stay: u32,
}

/// From "who goes next is drawn at every move" to bursts of some 16.
const STAYS_MAX: [u32; 4] = [0, 2, 8, 32];

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        let mut root = seed;
        let mut streams = [0; FAMILIES];
        streams[..FIRST_FAMILIES].fill_with(|| split_mix(&mut root));
        let stay_max = STAYS_MAX[(split_mix(&mut root) % 4) as usize];
        streams[FIRST_FAMILIES..].fill_with(|| split_mix(&mut root));
        Random { streams, stay_max, stay: 0 }
    }

    pub(crate) fn draw(&mut self, family: Family, options: u32) -> u32 {
        let number = split_mix(&mut self.streams[family as usize]);
        (((number >> 32) * u64::from(options)) >> 32) as u32
    }

    /// How many moves from now are plain, without a look at what else there is.
    pub(crate) fn stays(&self) -> u32 {
        self.stay
    }

    /// So many of them have been made.
    pub(crate) fn stayed(&mut self, moves: u32) {
        self.stay -= moves.min(self.stay);
    }

    /// One of `options` to go next, by age; `None`: the plain one.
    #[inline]
    pub(crate) fn schedule(&mut self, options: u32) -> Option<u32> {
        if self.stay > 0 {
            self.stay -= 1;
            return None;
        }
        if options <= 1 {
            return Some(0);
        }
        let number = split_mix(&mut self.streams[Family::Schedule as usize]);
        self.stay = (((number & 0xffff_ffff) * u64::from(self.stay_max + 1)) >> 32) as u32;
        Some((((number >> 32) * u64::from(options)) >> 32) as u32)
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): one addition and a mixing function, any state is a good one.
pub fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mix(*state)
}

/// The mixing function of SplitMix64.
pub(crate) fn mix(word: u64) -> u64 {
    let mut mixed = word;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Decisions from bytes. Each family has lanes of its own among them, so that one more decision in one family does
/// not shift the others: byte `n` belongs to the family at `n` modulo 32 in the table.
#[derive(Debug)]
pub(crate) struct Lanes {
    bytes: Vec<u8>,
    /// How many bytes each family has taken.
    taken: [usize; FAMILIES],
}

use Family::{
    Accepts, Breaks, Connects, Date, Errors, Fault, Latency, Line, Peers, Preempt, Profile, Readiness, Schedule,
    Signals, Sockets, Split, Starts, Test, Transfers, Watch,
};

/// Families that decide often have more lanes.
#[rustfmt::skip]
const LANES: [Family; 32] = [
    Test, Schedule, Profile, Split, Schedule, Fault, Latency, Schedule, Readiness, Split, Schedule, Test, Errors, Line,
    Latency, Split, Schedule, Accepts, Sockets, Signals, Breaks, Starts, Schedule, Date, Peers, Watch, Split, Transfers,
    Readiness, Latency, Preempt, Connects,
];

impl Lanes {
    pub(crate) fn new(bytes: Vec<u8>) -> Lanes {
        Lanes { bytes, taken: [0; FAMILIES] }
    }

    /// One byte for a decision, four where there are more than 256 options; zeros when they have run out.
    pub(crate) fn draw(&mut self, family: Family, options: u32) -> u32 {
        let width = if options > 256 { 4 } else { 1 };
        let number = (0..width).fold(0, |number, _| number << 8 | u32::from(self.next(family)));
        number % options
    }

    fn next(&mut self, family: Family) -> u8 {
        let width = LANES.iter().filter(|of| **of == family).count();
        let (turn, lane) = (self.taken[family as usize] / width, self.taken[family as usize] % width);
        self.taken[family as usize] += 1;
        let at = LANES.iter().enumerate().filter(|(_, of)| **of == family).nth(lane).map_or(0, |(at, _)| at);
        self.bytes.get(turn * LANES.len() + at).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_mix_is_the_published_function() {
        let mut state = 1_234_567;
        assert_eq!(split_mix(&mut state), 6_457_827_717_110_365_317);
        assert_eq!(split_mix(&mut state), 3_203_168_211_198_807_973);
    }

    #[test]
    fn every_family_has_a_lane_and_every_byte_is_used_once() {
        let bytes: Vec<u8> = (0..64).collect();
        let mut lanes = Lanes::new(bytes.clone());
        let mut seen = Vec::new();
        for family in Family::ALL {
            let width = LANES.iter().filter(|of| **of == family).count();
            assert!(width > 0, "{family:?}");
            seen.extend((0..2 * width).map(|_| lanes.next(family)));
            assert_eq!(lanes.next(family), 0, "they have run out");
        }
        seen.sort_unstable();
        assert_eq!(seen, bytes);
    }
}
