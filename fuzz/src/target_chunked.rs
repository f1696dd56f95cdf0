use crate::chunks::{self, Step};
use crate::drive::{self, Cuts};
use crate::grammar::Limits;
use crate::{config, control};

const HEAD: &[u8] = b"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

/// `flags, cut, cut, cut`, then a chunked body and what may follow it; with flag 8, the pieces that one is to be made
/// of: its decoding must give them back.
pub fn chunked(data: &[u8]) {
    let ([flags, cuts @ ..], rest) = control::<4>(data);
    let cuts = Cuts::new(flags & 16 != 0, cuts);
    let ended = flags & 4 != 0;
    if flags & 8 != 0 {
        let (body, decoded) = encoded(rest);
        let log = drive::check(&[HEAD, &body].concat(), cuts, ended, &config(flags & 2));
        assert_eq!(log.refused, None, "refuses a valid body");
        assert_eq!(log.requests[0].body, decoded);
        return;
    }
    let config = config(flags);
    let limits = Limits::from(&*config);
    let log = drive::check(&[HEAD, rest].concat(), cuts, ended, &config);
    let mut body = Vec::new();
    let outcome = chunks::read(rest, &limits, &mut body);
    let request = log.requests.first();
    match outcome {
        Step::Done(..) => assert_eq!(request.map(|request| &request.body), Some(&body)),
        Step::Bad => assert!(request.is_none() && log.refused.is_some() && log.requests.is_empty()),
        Step::More => assert!(request.is_none()),
    }
}

/// A valid chunked body and what it stands for. Each piece begins with a byte for its length and one for its style.
fn encoded(mut pieces: &[u8]) -> (Vec<u8>, Vec<u8>) {
    const EXTENSIONS: [&str; 4] = ["", ";a", ";a=b;c", ";q=\"x;\\\"y\""];
    const TRAILERS: [&str; 4] = ["", "A: b\r\n", "A:\r\nB: \tc \r\n", "X-Y: \u{e9}\r\n"];
    let (mut body, mut decoded, mut style) = (Vec::new(), Vec::new(), 0);
    while let [length, how, rest @ ..] = pieces {
        let piece = &rest[..usize::from(*length).min(rest.len())];
        pieces = &rest[piece.len()..];
        style = *how;
        if piece.is_empty() {
            continue;
        }
        let digits = if style & 4 == 0 { format!("{:x}", piece.len()) } else { format!("{:05X}", piece.len()) };
        let extension = EXTENSIONS[usize::from(style & 3)];
        body.extend_from_slice(format!("{digits}{extension}\r\n").as_bytes());
        body.extend_from_slice(piece);
        body.extend_from_slice(b"\r\n");
        decoded.extend_from_slice(piece);
    }
    let zeros = "0".repeat(1 + usize::from(style >> 4));
    body.extend_from_slice(format!("{zeros}\r\n{}\r\n", TRAILERS[usize::from(style >> 2 & 3)]).as_bytes());
    (body, decoded)
}
