//! See `handwound_fuzz::head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| handwound_fuzz::head(data));
