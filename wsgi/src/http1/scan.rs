//! Finds the lines of a head, however it is cut. Every byte is looked at once, and the bounds hold while it arrives.

use super::bytes::{self, TOKEN};
use super::config::Config;
use super::rejection::Rejection;

/// Empty lines that may stand before a request line: RFC 9112 section 2.2 asks for at least one.
const EMPTY_LINES_MAX: u8 = 4;

/// What has been seen of one head. Positions count from the head's first byte.
#[derive(Debug, Default)]
pub(crate) struct HeadScan {
    /// Everything before this has been looked at.
    scanned: usize,
    line_start: usize,
    /// The request line has been seen.
    in_fields: bool,
    header_count: usize,
    empty_lines: u8,
}

/// What a look at more bytes gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing to act on yet.
    More,
    /// This many bytes of empty lines stand before the head: drop them and look again.
    EmptyLine { bytes: usize },
    /// The request line, without its line end. Reported once.
    RequestLine { bytes: usize },
    /// The whole head is there, its empty line included.
    Head { bytes: usize, header_count: usize },
}

impl HeadScan {
    /// Looks at what is new in `head`, which begins where the last call's began.
    pub(crate) fn look(&mut self, head: &[u8], config: &Config) -> Result<Seen, Rejection> {
        while let Some(at) = bytes::find(b'\n', &head[self.scanned..]) {
            let line_feed = self.scanned + at;
            self.scanned = line_feed + 1;
            if let Some(seen) = self.line(head, line_feed, config)? {
                return Ok(seen);
            }
        }
        self.scanned = head.len();
        self.unfinished_line(head, config)?;
        Ok(Seen::More)
    }

    /// How many bytes the scan has looked at, for the tests that count them.
    #[cfg(test)]
    pub(crate) fn scanned(&self) -> usize {
        self.scanned
    }

    /// The line that ends with the line feed at `line_feed`.
    fn line(&mut self, head: &[u8], line_feed: usize, config: &Config) -> Result<Option<Seen>, Rejection> {
        let start = std::mem::replace(&mut self.line_start, line_feed + 1);
        let in_request_line = !self.in_fields;
        if in_request_line {
            check_first_byte(head[start])?;
        }
        self.check_bounds(start, line_feed, config)?;
        if line_feed == start || head[line_feed - 1] != b'\r' {
            return Err(Rejection::bad("a line ends in a bare LF"));
        }
        let is_empty = line_feed - start == 1;
        if in_request_line && is_empty {
            let empty_lines = self.empty_lines + 1;
            if empty_lines > EMPTY_LINES_MAX {
                return Err(Rejection::bad("too many empty lines before a request line"));
            }
            *self = HeadScan { empty_lines, ..HeadScan::default() };
            return Ok(Some(Seen::EmptyLine { bytes: line_feed + 1 }));
        }
        if in_request_line {
            self.in_fields = true;
            return Ok(Some(Seen::RequestLine { bytes: line_feed - 1 }));
        }
        if is_empty {
            return Ok(Some(Seen::Head { bytes: line_feed + 1, header_count: self.header_count }));
        }
        self.header_count += 1;
        if self.header_count > config.header_count_max {
            return Err(Rejection::new(431, "too many header fields"));
        }
        Ok(None)
    }

    /// What can be said of a line whose end has not come. It must be what `line` will say, whatever comes.
    fn unfinished_line(&self, head: &[u8], config: &Config) -> Result<(), Rejection> {
        if self.line_start == head.len() {
            return Ok(());
        }
        if !self.in_fields {
            check_first_byte(head[self.line_start])?;
        }
        self.check_bounds(self.line_start, head.len(), config)
    }

    /// `end` is the position of the line feed, or the least that it can be.
    fn check_bounds(&self, start: usize, end: usize, config: &Config) -> Result<(), Rejection> {
        // The carriage return is not part of the line, and whether there is one is not known yet.
        if !self.in_fields && end - start > config.request_line_bytes_max + 1 {
            return Err(Rejection::new(414, "the request line is too long"));
        }
        if end >= config.head_bytes_max {
            return Err(Rejection::new(431, "the head is too long"));
        }
        Ok(())
    }
}

/// No request line starts with such a byte, so no more of it need come: a TLS handshake is told at once.
fn check_first_byte(byte: u8) -> Result<(), Rejection> {
    let may_start = bytes::is(byte, TOKEN) || matches!(byte, b'\r' | b'\n');
    if may_start { Ok(()) } else { Err(Rejection::bad("the request line does not start with a method")) }
}
