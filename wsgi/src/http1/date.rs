//! The `Date` line of responses, written again only when the second has changed.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `Date: Sun, 06 Nov 1994 08:49:37 GMT` and its line end.
const LINE_BYTES: usize = 37;
/// The last second of the year 9999, after which the format has no room (RFC 9110 section 5.6.7).
const LAST_SECOND: u64 = 253_402_300_799;

pub(crate) struct DateLine {
    second: Option<u64>,
    line: [u8; LINE_BYTES],
}

impl DateLine {
    pub(crate) const fn new() -> DateLine {
        DateLine { second: None, line: [b' '; LINE_BYTES] }
    }

    /// The whole line for `wall`. A clock before 1970 or after 9999 shows the nearest date that can be written.
    pub(crate) fn at(&mut self, wall: SystemTime) -> &[u8] {
        let second = wall.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).min(LAST_SECOND);
        if self.second != Some(second) {
            self.second = Some(second);
            let date = httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(second));
            write!(&mut self.line[..], "Date: {date}\r\n").expect("the format has a fixed length, which fits");
        }
        &self.line
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(wall: SystemTime, expected: &str) {
        let mut date = DateLine::new();
        assert_eq!(std::str::from_utf8(date.at(wall)).unwrap(), format!("Date: {expected}\r\n"));
        assert_eq!(std::str::from_utf8(date.at(wall)).unwrap(), format!("Date: {expected}\r\n"), "from the cache");
    }

    /// RFC 9110 section 5.6.7.
    #[test]
    fn dates_have_the_one_form() {
        check(UNIX_EPOCH + Duration::from_millis(784_111_777_999), "Sun, 06 Nov 1994 08:49:37 GMT");
        check(UNIX_EPOCH - Duration::from_secs(5), "Thu, 01 Jan 1970 00:00:00 GMT");
        check(UNIX_EPOCH + Duration::from_secs(1 << 40), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn the_cache_follows_the_clock_both_ways() {
        let mut date = DateLine::new();
        let later = UNIX_EPOCH + Duration::from_secs(60);
        assert!(date.at(later).ends_with(b"00:01:00 GMT\r\n"));
        assert!(date.at(UNIX_EPOCH).ends_with(b"00:00:00 GMT\r\n"));
    }
}
