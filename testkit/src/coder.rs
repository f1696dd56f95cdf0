//! Numbers to few bytes: an arithmetic coder whose models learn, and letters for a command line. No choices here.
//!
//! Each bit is coded with a probability that follows what came before in the same place. A number is its width,
//! bit by bit through a tree, and then its bits from the top. What is always the same costs next to nothing.

use std::collections::BTreeMap;

/// How sure a model may become of one bit, as a count of bits seen.
const SEEN_MAX: u16 = 250;

/// The probability of a one, in 65,536ths, and how many bits it rests on.
#[derive(Clone, Copy, Debug)]
struct Bit {
    one: u16,
    seen: u16,
}

impl Bit {
    const NEW: Bit = Bit { one: 1 << 15, seen: 0 };

    fn learn(&mut self, bit: bool) {
        let target = if bit { 65_503 } else { 32 };
        let step = (target - i32::from(self.one)) * 2 / (2 * i32::from(self.seen) + 3);
        self.one = (i32::from(self.one) + step).clamp(32, 65_503) as u16;
        self.seen = (self.seen + 1).min(SEEN_MAX);
    }

    /// Where to cut `low..=high`: a one lies at or below.
    fn cut(self, low: u32, high: u32) -> u32 {
        low + ((u64::from(high - low) * u64::from(self.one)) >> 16) as u32
    }
}

/// How numbers were in one context.
#[derive(Debug)]
struct Numbers {
    width: [Bit; 64],
    top: [[Bit; 8]; 33],
}

impl Numbers {
    const NEW: Numbers = Numbers { width: [Bit::NEW; 64], top: [[Bit::NEW; 8]; 33] };
}

/// Codes one bit, given its model: the one that is passed, or the one that comes.
trait Bits {
    fn bit(&mut self, model: &mut Bit, bit: bool) -> bool;
}

/// Codes a number, or, when the bits come from a decoder, finds the one that was coded.
fn number(bits: &mut impl Bits, model: &mut Numbers, value: u32) -> u32 {
    let (width, mut node) = (32 - value.leading_zeros(), 1);
    for shift in (0..6).rev() {
        node = node << 1 | usize::from(bits.bit(&mut model.width[node], width >> shift & 1 == 1));
    }
    let width = (node as u32 - 64).min(32);
    if width < 2 {
        return width;
    }
    let (mut result, mut context) = (1_u32, 1);
    for shift in (0..width - 1).rev() {
        // The first bits below the top are modelled, the rest are as good as random.
        let mut even = Bit::NEW;
        let model = if context < 8 { &mut model.top[width as usize][context] } else { &mut even };
        let bit = bits.bit(model, value >> shift & 1 == 1);
        context = context << 1 | usize::from(bit);
        result = result << 1 | u32::from(bit);
    }
    result
}

/// Models by context, made when first asked for.
#[derive(Debug, Default)]
struct Models(BTreeMap<(u8, u32), Box<Numbers>>);

impl Models {
    fn get(&mut self, context: (u8, u32)) -> &mut Numbers {
        self.0.entry(context).or_insert_with(|| Box::new(Numbers::NEW))
    }
}

#[derive(Debug)]
struct Writing {
    low: u32,
    high: u32,
    out: Vec<u8>,
}

impl Bits for Writing {
    fn bit(&mut self, model: &mut Bit, bit: bool) -> bool {
        let cut = model.cut(self.low, self.high);
        if bit {
            self.high = cut;
        } else {
            self.low = cut + 1;
        }
        model.learn(bit);
        while (self.low ^ self.high) >> 24 == 0 {
            self.out.push((self.high >> 24) as u8);
            (self.low, self.high) = (self.low << 8, self.high << 8 | 0xff);
        }
        bit
    }
}

#[derive(Debug)]
struct Reading<'a> {
    low: u32,
    high: u32,
    at: u32,
    rest: &'a [u8],
}

impl Reading<'_> {
    /// Past the end there are zeros: the encoder leaves them out.
    fn next(&mut self) -> u32 {
        let (first, rest) = self.rest.split_first().map_or((0, self.rest), |(first, rest)| (*first, rest));
        self.rest = rest;
        u32::from(first)
    }
}

impl Bits for Reading<'_> {
    fn bit(&mut self, model: &mut Bit, _: bool) -> bool {
        let cut = model.cut(self.low, self.high);
        let bit = self.at <= cut;
        if bit {
            self.high = cut;
        } else {
            self.low = cut + 1;
        }
        model.learn(bit);
        while (self.low ^ self.high) >> 24 == 0 {
            (self.low, self.high) = (self.low << 8, self.high << 8 | 0xff);
            self.at = self.at << 8 | self.next();
        }
        bit
    }
}

/// Numbers in, bytes out.
#[derive(Debug)]
pub(crate) struct Encoder {
    bits: Writing,
    models: Models,
}

impl Encoder {
    pub(crate) fn new() -> Encoder {
        Encoder { bits: Writing { low: 0, high: u32::MAX, out: Vec::new() }, models: Models::default() }
    }

    /// `context` says what kind of number this is; the decoder must name the same.
    pub(crate) fn put(&mut self, context: (u8, u32), value: u32) {
        number(&mut self.bits, self.models.get(context), value);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        // One byte suffices to lie within what is left: the ends differ in their first.
        if self.bits.low > 0 {
            self.bits.out.push((self.bits.low >> 24) as u8 + 1);
        }
        self.bits.out
    }
}

/// Bytes in, numbers out. What was never written decodes to something all the same; a checksum must tell.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    bits: Reading<'a>,
    models: Models,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Decoder<'a> {
        let mut bits = Reading { low: 0, high: u32::MAX, at: 0, rest: bytes };
        for _ in 0..4 {
            bits.at = bits.at << 8 | bits.next();
        }
        Decoder { bits, models: Models::default() }
    }

    pub(crate) fn take(&mut self, context: (u8, u32)) -> u32 {
        number(&mut self.bits, self.models.get(context), 0)
    }
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Bytes as letters that no shell minds (base64url of RFC 4648, without padding).
pub(crate) fn letters(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 2);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for at in 0..=group.len() {
            text.push(LETTERS[(word >> (18 - 6 * at) & 63) as usize].into());
        }
    }
    text
}

/// The bytes again; `None` where a letter is none of ours, or one is missing.
pub(crate) fn from_letters(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.as_bytes().chunks(4) {
        let mut word = 0_u32;
        for letter in group {
            word = word << 6 | LETTERS.iter().position(|known| known == letter)? as u32;
        }
        word <<= 6 * (4 - group.len());
        let count = group.len().checked_sub(1).filter(|&count| count > 0)?;
        bytes.extend((0..count).map(|at| (word >> (16 - 8 * at)) as u8));
    }
    Some(bytes)
}

/// FNV-1a, for checks and for short names of labels.
pub(crate) fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            numbers in prop::collection::vec((0..3_u32, prop_oneof![0..4_u32, any::<u32>()]), 0..300),
            bytes in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let mut encoder = Encoder::new();
            numbers.iter().for_each(|&(context, value)| encoder.put((0, context), value));
            let coded = encoder.finish();
            let mut decoder = Decoder::new(&coded);
            for &(context, value) in &numbers {
                prop_assert_eq!(decoder.take((0, context)), value);
            }
            prop_assert_eq!(from_letters(&letters(&bytes)), Some(bytes));
        }
    }

    #[test]
    fn what_is_always_the_same_costs_next_to_nothing() {
        let mut encoder = Encoder::new();
        (0..100_000).for_each(|_| encoder.put((0, 0), 0));
        assert!(encoder.finish().len() < 600);
    }

    #[test]
    fn strange_letters_are_refused() {
        assert_eq!(from_letters("AA=="), None);
        assert_eq!(from_letters("AAAAA"), None);
        assert_eq!(from_letters(""), Some(Vec::new()));
    }
}
