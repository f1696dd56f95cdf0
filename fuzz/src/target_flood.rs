use crate::drive::{self, Cuts, Log};
use crate::{config, control, follow};

/// Bytes that pass through the connection, at least: many times what it may hold.
const FLOOD_BYTES: usize = 48 << 10;

/// `cut, cut, cut`, then requests that are sent over and over on one connection: what it holds stays small, and the
/// last of them is understood as the first was.
pub fn flood(data: &[u8]) {
    let (cuts, stream) = control::<3>(data);
    let config = config(1);
    // Twice, as empty lines at its end and its start add up.
    let twice = drive::record(&stream.repeat(2), false, &config);
    let goes_on = twice.refused.is_none() && twice.closing.is_none() && twice.begun.is_none();
    let (requests, output) = (twice.requests.len() / 2, twice.output.len() / 2);
    if requests == 0 || !goes_on || twice.requests[..requests] != twice.requests[requests..] {
        return;
    }
    let times = FLOOD_BYTES.div_ceil(stream.len());
    let requests = twice.requests.iter().take(requests).cycle().take(requests * times).cloned().collect();
    let log = Log { requests, output: twice.output[..output].repeat(times), ..Log::default() };
    // Each byte at a time would only take longer.
    let cuts = cuts.map(|cut| cut | 0x20);
    follow::follow(&stream.repeat(times), Cuts::Pieces(cuts), false, &config, &log);
}
