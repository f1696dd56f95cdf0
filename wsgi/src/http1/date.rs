//! The `Date` and `Server` lines of responses, written again only when the second has changed.

use std::cell::{RefCell, RefMut};
use std::io::Write as _;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `Date: Sun, 06 Nov 1994 08:49:37 GMT` and its line end.
const DATE_BYTES: usize = 37;
/// The last second of the year 9999, after which the format has no room (RFC 9110 section 5.6.7).
const LAST_SECOND: u64 = 253_402_300_799;

/// Both lines, shared by all connections that are made with a clone of it.
#[derive(Clone)]
pub(crate) struct OwnLines(Rc<RefCell<Written>>);

impl OwnLines {
    pub(crate) fn new() -> OwnLines {
        OwnLines(Rc::new(RefCell::new(Written::new())))
    }

    pub(super) fn written(&self) -> RefMut<'_, Written> {
        self.0.borrow_mut()
    }
}

/// Both lines, one behind the other: two copies less for each response, and no formatting.
pub(crate) struct Written {
    /// Empty until they are needed.
    lines: Vec<u8>,
    /// The second that the date is of: two comparisons find that it has not passed, with no division.
    from: SystemTime,
    until: SystemTime,
}

impl Written {
    const fn new() -> Written {
        Written { lines: Vec::new(), from: UNIX_EPOCH, until: UNIX_EPOCH }
    }

    /// The lines for `wall`, each with its line end; the second is empty if there is no `server`, which is the same each
    /// time. A clock before 1970 or after 9999 shows the nearest date that can be written.
    #[inline]
    pub(crate) fn at(&mut self, wall: SystemTime, server: Option<&str>) -> Lines<'_> {
        if wall < self.from || wall >= self.until {
            self.write(wall, server);
        }
        Lines(&self.lines)
    }

    #[cold]
    fn write(&mut self, wall: SystemTime, server: Option<&str>) {
        let second = wall.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).min(LAST_SECOND);
        self.from = UNIX_EPOCH + Duration::from_secs(second);
        self.until = self.from + Duration::from_secs(1);
        if self.lines.is_empty() {
            let server = server.map_or([""; 3], |server| ["Server: ", server, "\r\n"]);
            self.lines.reserve_exact(DATE_BYTES + server.iter().map(|part| part.len()).sum::<usize>());
            self.lines.resize(DATE_BYTES, b' ');
            server.iter().for_each(|part| self.lines.extend_from_slice(part.as_bytes()));
        }
        let date = httpdate::HttpDate::from(self.from);
        write!(&mut self.lines[..DATE_BYTES], "Date: {date}\r\n").expect("the format has a fixed length, which fits");
    }
}

/// The lines, together or one of them.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    /// Those that a response wants which has a date or a server of its own.
    #[inline]
    pub(crate) fn without(self, date: bool, server: bool) -> &'a [u8] {
        match (date, server) {
            (false, false) => self.0,
            (false, true) => &self.0[..DATE_BYTES],
            (true, false) => &self.0[DATE_BYTES..],
            (true, true) => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(wall: SystemTime, expected: &str) {
        let mut lines = Written::new();
        let (date, server) = (format!("Date: {expected}\r\n"), "Server: h/1\r\n");
        for _again_from_the_cache in 0..2 {
            let lines = lines.at(wall, Some("h/1"));
            assert_eq!(lines.without(false, false), format!("{date}{server}").as_bytes());
            assert_eq!(lines.without(false, true), date.as_bytes());
            assert_eq!(lines.without(true, false), server.as_bytes());
            assert_eq!(lines.without(true, true), b"");
        }
        assert_eq!(Written::new().at(wall, None).without(false, false), date.as_bytes());
    }

    /// RFC 9110 section 5.6.7.
    #[test]
    fn dates_have_the_one_form() {
        check(UNIX_EPOCH + Duration::from_millis(784_111_777_999), "Sun, 06 Nov 1994 08:49:37 GMT");
        check(UNIX_EPOCH, "Thu, 01 Jan 1970 00:00:00 GMT");
        check(UNIX_EPOCH - Duration::from_secs(5), "Thu, 01 Jan 1970 00:00:00 GMT");
        check(UNIX_EPOCH + Duration::from_secs(1 << 40), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn the_cache_follows_the_clock_both_ways() {
        let mut lines = Written::new();
        let mut check = |milliseconds, expected: &[u8]| {
            let wall = UNIX_EPOCH + Duration::from_millis(milliseconds);
            assert!(lines.at(wall, None).without(false, false).ends_with(expected), "{milliseconds}");
        };
        check(60_000, b"00:01:00 GMT\r\n");
        check(60_999, b"00:01:00 GMT\r\n");
        check(61_000, b"00:01:01 GMT\r\n");
        check(60_999, b"00:01:00 GMT\r\n");
        check(0, b"00:00:00 GMT\r\n");
    }
}
