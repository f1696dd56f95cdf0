//! See `handwound_fuzz::flood`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| handwound_fuzz::flood(data));
