//! See `handwound_fuzz::chunked`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| handwound_fuzz::chunked(data));
