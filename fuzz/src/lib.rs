//! What the fuzz targets check. Each target is a function from bytes to nothing that panics when a rule does not hold,
//! so that a finding can also be stepped through in an ordinary test.
//!
//! The judges ([`grammar`], [`chunks`], [`url`], [`answers`]) are written from the RFCs and share nothing with the code
//! that they judge: an agreement between the two is worth something.
#![deny(unsafe_code)]

pub mod answers;
pub mod chunks;
pub mod defects;
pub mod drive;
pub mod follow;
pub mod grammar;
pub mod heap;
pub mod packed;
pub mod peers;
pub mod plan;
pub mod quirks;
pub mod url;

mod target_chunked;
mod target_connection;
pub mod target_differential;
mod target_flood;
mod target_head;
mod target_response;
mod target_target;

pub use target_chunked::chunked;
pub use target_connection::connection;
pub use target_differential::differential;
pub use target_flood::flood;
pub use target_head::head;
pub use target_response::response;
pub use target_target::target;

use std::sync::{Arc, LazyLock};

use handwound_wsgi::http1::Config;

/// The first `N` bytes of an input, which say how the rest is to be used, and the rest. What is missing is zero.
fn control<const N: usize>(data: &[u8]) -> ([u8; N], &[u8]) {
    let (start, rest) = data.split_at(N.min(data.len()));
    (std::array::from_fn(|index| start.get(index).copied().unwrap_or(0)), rest)
}

/// Bounds that short inputs reach, if `flags` ask for them, and habits that differ from the default.
fn config(flags: u8) -> Arc<Config> {
    static CONFIGS: LazyLock<[Arc<Config>; 4]> = LazyLock::new(|| [0, 1, 2, 3].map(|flags| make_config(flags).into()));
    CONFIGS[usize::from(flags & 3)].clone()
}

fn make_config(flags: u8) -> Config {
    let mut config = Config::default();
    if flags & 1 != 0 {
        config.request_line_bytes_max = 40;
        config.head_bytes_max = 160;
        config.header_count_max = 5;
        config.body_bytes_max = 24;
        config.chunk_extension_bytes_max = 12;
        config.trailer_bytes_max = 24;
    }
    if flags & 2 != 0 {
        config.keep_underscore_headers = true;
        config.requests_per_connection_max = Some(2);
        config.server = None;
    }
    config
}
