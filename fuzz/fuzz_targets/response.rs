//! See `handwound_fuzz::response`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| handwound_fuzz::response(data));
