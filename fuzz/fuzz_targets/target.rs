//! See `handwound_fuzz::target`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| handwound_fuzz::target(data));
