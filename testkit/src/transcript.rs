//! What a client has sent and received, with times and cuts, as text for people and snapshots.

use std::fmt::Write;

use handwound_reactor::Time;

use crate::client::Parting;

/// Bytes each way and pieces of one conversation that are kept; what goes beyond is counted.
const BYTES_MAX: usize = 1 << 15;
const PIECES_MAX: usize = 1 << 11;
/// Shown of one piece: lines, and bytes of one line.
const LINES_MAX: usize = 48;
const LINE_BYTES_MAX: usize = 100;
/// Stands between two pieces that went one after the other at one instant. Payload is shown in ASCII only, so it
/// cannot be mistaken for a byte.
const CUT: char = '│';

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Sent(usize),
    Received(usize),
    Mark(&'static str),
}

/// The record of one client, from its beginning.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    pieces: Vec<(Time, Piece)>,
    sent: Vec<u8>,
    received: Vec<u8>,
    pieces_left_out: u64,
    parting_told: bool,
}

impl Transcript {
    /// This one's memory, in one that is new; nothing stays here.
    pub(crate) fn emptied(&mut self) -> Transcript {
        let Transcript { mut pieces, mut sent, mut received, .. } = std::mem::take(self);
        pieces.clear();
        sent.clear();
        received.clear();
        Transcript { pieces, sent, received, ..Transcript::default() }
    }

    pub(crate) fn sent(&mut self, at: Time, bytes: &[u8]) {
        keep(&mut self.sent, bytes);
        self.piece(at, Piece::Sent(bytes.len()));
    }

    pub(crate) fn received(&mut self, at: Time, bytes: &[u8]) {
        keep(&mut self.received, bytes);
        self.piece(at, Piece::Received(bytes.len()));
    }

    pub(crate) fn mark(&mut self, at: Time, what: &'static str) {
        self.piece(at, Piece::Mark(what));
    }

    /// Writes down, once, how the server has parted.
    pub(crate) fn parting(&mut self, at: Time, how: Parting) {
        let what = match how {
            Parting::Open => return,
            Parting::Finished => "the server ends its stream",
            Parting::Reset => "the server resets",
            Parting::Refused => "refused",
            Parting::Unanswered => "no answer",
        };
        if !std::mem::replace(&mut self.parting_told, true) {
            self.mark(at, what);
        }
    }

    /// What was sent, from the first byte on.
    pub(crate) fn sent_bytes(&self) -> &[u8] {
        &self.sent
    }

    /// What was received, from the first byte on.
    pub(crate) fn received_bytes(&self) -> &[u8] {
        &self.received
    }

    fn piece(&mut self, at: Time, piece: Piece) {
        if self.pieces.len() < PIECES_MAX {
            self.pieces.push((at, piece));
        } else {
            self.pieces_left_out += 1;
        }
    }

    /// The conversation: `>>` what the client sent, `<<` what it received, `--` what happened besides.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let (mut sent_to, mut received_to) = (0, 0);
        let mut rest = self.pieces.as_slice();
        while let Some(&(at, piece)) = rest.first() {
            let (arrow, bytes, offset) = match piece {
                Piece::Mark(what) => {
                    let _ = writeln!(text, "{at}  -- {what}");
                    rest = &rest[1..];
                    continue;
                }
                Piece::Sent(_) => (">>", self.sent.as_slice(), &mut sent_to),
                Piece::Received(_) => ("<<", self.received.as_slice(), &mut received_to),
            };
            let alike = |next: &&(Time, Piece)| next.0 == at && same_way(next.1, piece);
            let pieces = rest.iter().take_while(alike).count();
            let lengths = rest[..pieces].iter().map(|(_, piece)| length(*piece));
            paragraph(&mut text, &format!("{at}  {arrow} "), bytes, offset, lengths);
            rest = &rest[pieces..];
        }
        if self.pieces_left_out > 0 {
            let _ = writeln!(text, "… {} later pieces are not kept", self.pieces_left_out);
        }
        text
    }
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    let room = BYTES_MAX - kept.len();
    if room == 0 {
        return;
    }
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

fn same_way(one: Piece, other: Piece) -> bool {
    std::mem::discriminant(&one) == std::mem::discriminant(&other)
}

fn length(piece: Piece) -> usize {
    match piece {
        Piece::Sent(bytes) | Piece::Received(bytes) => bytes,
        Piece::Mark(_) => 0,
    }
}

/// Pieces that went the same way at one instant, with marks where they were cut.
fn paragraph(
    text: &mut String,
    head: &str,
    bytes: &[u8],
    offset: &mut usize,
    lengths: impl ExactSizeIterator<Item = usize>,
) {
    let mut lines = vec![Line::default()];
    let last = lengths.len() - 1;
    for (index, length) in lengths.enumerate() {
        let kept = bytes.get(*offset..).unwrap_or_default();
        let kept = &kept[..kept.len().min(length)];
        for &byte in kept {
            let line = lines.last_mut().expect("there is always one");
            line.push(byte);
            if byte == b'\n' {
                lines.push(Line::default());
            }
        }
        let line = lines.last_mut().expect("there is always one");
        line.unkept += length - kept.len();
        if index < last {
            line.cut();
        }
        *offset += length;
    }
    if lines.last().is_some_and(Line::is_empty) {
        lines.pop();
    }
    let indent = " ".repeat(head.chars().count());
    for (index, line) in lines.iter().take(LINES_MAX).enumerate() {
        let _ = writeln!(text, "{}{}", if index == 0 { head } else { &indent }, line.finish());
    }
    if lines.len() > LINES_MAX {
        let _ = writeln!(text, "{indent}… {} more lines", lines.len() - LINES_MAX);
    }
}

/// One line of payload, escaped, its length bounded.
#[derive(Default)]
struct Line {
    text: String,
    bytes: usize,
    /// Cuts behind the part that is shown.
    cuts_unshown: usize,
    unkept: usize,
}

impl Line {
    fn push(&mut self, byte: u8) {
        self.bytes += 1;
        if self.bytes <= LINE_BYTES_MAX {
            escape(&mut self.text, byte);
        }
    }

    fn cut(&mut self) {
        if self.bytes <= LINE_BYTES_MAX {
            self.text.push(CUT);
        } else {
            self.cuts_unshown += 1;
        }
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.unkept == 0
    }

    fn finish(&self) -> String {
        let unshown = self.bytes.saturating_sub(LINE_BYTES_MAX) + self.unkept;
        match (unshown, self.cuts_unshown) {
            (0, _) => self.text.clone(),
            (bytes, 0) => format!("{}… {bytes} more bytes", self.text),
            (bytes, cuts) => format!("{}… {bytes} more bytes, cut {cuts} times", self.text),
        }
    }
}

/// One byte as people read it: printable ASCII as it is, all else as an escape.
pub(crate) fn escape(text: &mut String, byte: u8) {
    match byte {
        b'\\' => text.push_str("\\\\"),
        b' '..=b'~' => text.push(char::from(byte)),
        b'\r' => text.push_str("\\r"),
        b'\n' => text.push_str("\\n"),
        b'\t' => text.push_str("\\t"),
        _ => {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(ms: u64) -> Time {
        Time::new(Duration::from_millis(ms))
    }

    #[test]
    fn cuts_at_one_instant_are_marked_and_later_pieces_begin_anew() {
        let mut transcript = Transcript::default();
        for piece in ["GE", "T /\r\nA: \\ \u{e9}\r", "\n"] {
            transcript.sent(at(1), piece.as_bytes());
        }
        transcript.sent(at(2), b"\r\n");
        transcript.received(at(2), b"ok");
        transcript.received(at(2), b"!");
        transcript.parting(at(3), Parting::Reset);
        transcript.parting(at(4), Parting::Finished);
        let expected = "\
+0.001s  >> GE│T /\\r\\n
            A: \\\\ \\xc3\\xa9\\r│\\n
+0.002s  >> \\r\\n
+0.002s  << ok│!
+0.003s  -- the server resets
";
        assert_eq!(transcript.text(), expected);
    }

    #[test]
    fn long_payload_is_bounded_and_counted() {
        let mut transcript = Transcript::default();
        transcript.received(at(0), &[b'a'; LINE_BYTES_MAX + 5]);
        transcript.received(at(0), &[b'a'; 7]);
        let text = transcript.text();
        assert!(text.ends_with("aaa… 12 more bytes, cut 1 times\n"), "{text}");
        assert_eq!(text.matches('a').count(), LINE_BYTES_MAX);

        let mut transcript = Transcript::default();
        transcript.sent(at(0), "\n".repeat(LINES_MAX + 2).as_bytes());
        assert!(transcript.text().ends_with("… 2 more lines\n"));
    }

    #[test]
    fn what_is_not_kept_is_counted() {
        let mut transcript = Transcript::default();
        let sent = BYTES_MAX + 9;
        transcript.sent(at(0), &vec![b'x'; sent]);
        assert!(transcript.text().contains(&format!("… {} more bytes", sent - LINE_BYTES_MAX)));
        for _ in 0..PIECES_MAX {
            transcript.mark(at(0), "m");
        }
        assert!(transcript.text().ends_with("… 1 later pieces are not kept\n"));
    }
}
