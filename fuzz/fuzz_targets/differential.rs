//! See `handwound_fuzz::differential`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| handwound_fuzz::differential(data));
