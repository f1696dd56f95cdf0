//! Whether a client has a file already: validators and the conditions of a request (RFC 9110 sections 8.8 and 13).

use std::fs::Metadata;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::request::Request;

/// What tells one state of a file from another.
pub(super) struct Validators {
    /// With its quotes. Strong: from the time of the last change, to the nanosecond, and the length.
    pub(super) etag: String,
    /// To the second; none for times that HTTP has no form for.
    pub(super) modified: Option<SystemTime>,
}

/// What the conditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As if there were none.
    Send,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

impl Validators {
    pub(super) fn of(metadata: &Metadata) -> Validators {
        let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
        Validators::new(modified, metadata.len())
    }

    fn new(modified: SystemTime, bytes: u64) -> Validators {
        /// The end of the year 9999, in seconds.
        const LAST_SECOND: u64 = 253_402_300_799;
        let (sign, distance) = match modified.duration_since(UNIX_EPOCH) {
            Ok(since) => ("", since),
            Err(before) => ("-", before.duration()),
        };
        let in_range = sign.is_empty() && distance.as_secs() <= LAST_SECOND;
        Validators {
            etag: format!("\"{bytes:x}-{sign}{:x}\"", distance.as_nanos()),
            modified: in_range.then(|| UNIX_EPOCH + Duration::from_secs(distance.as_secs())),
        }
    }

    /// The value of `Last-Modified`.
    pub(super) fn last_modified(&self) -> Option<String> {
        self.modified.map(httpdate::fmt_http_date)
    }

    /// In the order of RFC 9110 section 13.2.2; `Range` and `If-Range` aside.
    pub(super) fn judge(&self, request: &Request) -> Verdict {
        match self.matches_any(request, "If-Match", false) {
            Some(false) => return Verdict::Failed,
            Some(true) => {}
            None if self.changed_since(request, "If-Unmodified-Since") == Some(true) => return Verdict::Failed,
            None => {}
        }
        let has_it = match self.matches_any(request, "If-None-Match", true) {
            Some(matches) => matches,
            None => self.changed_since(request, "If-Modified-Since") == Some(false),
        };
        if has_it { Verdict::NotModified } else { Verdict::Send }
    }

    /// Whether a range may be answered with a part: there is no `If-Range`, or it names this very state. A weak tag names
    /// none (section 13.1.5).
    pub(super) fn allow_range(&self, request: &Request) -> bool {
        let Some(field) = request.header("If-Range") else { return true };
        match date(field) {
            Some(date) => self.modified == Some(date),
            None => field == self.etag.as_bytes(),
        }
    }

    /// Whether the list of tags in the fields of this name has ours; `None` without such a field.
    fn matches_any(&self, request: &Request, name: &str, weakly: bool) -> Option<bool> {
        let fields = request.headers().filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()));
        fields.map(|(_, value)| self.is_in(value, weakly)).reduce(|one, other| one || other)
    }

    fn is_in(&self, list: &[u8], weakly: bool) -> bool {
        list == b"*" || tags(list).any(|tag| tag.opaque == self.etag.as_bytes() && (weakly || !tag.is_weak))
    }

    /// Whether it has changed since the date in this field; `None` without one that is a date.
    fn changed_since(&self, request: &Request, name: &str) -> Option<bool> {
        let date = request.header(name).and_then(date)?;
        Some(self.modified? > date)
    }
}

fn date(field: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(field).ok()?).ok()
}

/// One entity tag of a list.
struct Tag<'a> {
    is_weak: bool,
    /// With its quotes.
    opaque: &'a [u8],
}

/// The tags of a list, up to what is none. There may be commas within their quotes.
fn tags(list: &[u8]) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let start = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b','))?;
        rest = &rest[start..];
        let is_weak = rest.starts_with(b"W/");
        let opaque = &rest[if is_weak { 2 } else { 0 }..];
        let inner = opaque.strip_prefix(b"\"")?;
        let length = inner.iter().position(|&byte| byte == b'"')? + 2;
        let (opaque, behind) = opaque.split_at(length);
        rest = behind;
        Some(Tag { is_weak, opaque })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seconds: u64) -> Validators {
        Validators::new(UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 5), 255)
    }

    /// RFC 9110 section 8.8.3.
    #[test]
    fn lists_of_tags_are_taken_apart_at_their_quotes() {
        let ours = of(1);
        assert_eq!(ours.etag, "\"ff-3be71540\"");
        for list in ["\"ff-3be71540\"", " , \"a,b\" ,\"ff-3be71540\"", "W/\"x\",\"ff-3be71540\",", "*"] {
            assert!(ours.is_in(list.as_bytes(), false), "{list}");
        }
        for list in ["W/\"ff-3be71540\"", "\"\",W/\"ff-3be71540\""] {
            assert!(ours.is_in(list.as_bytes(), true) && !ours.is_in(list.as_bytes(), false), "{list}");
        }
        for list in ["", ",", "ff-3be71540", "\"ff-3be71540", "w/\"ff-3be71540\"", "x,\"ff-3be71540\"", "W/", "\"a\"*"]
        {
            assert!(!ours.is_in(list.as_bytes(), true), "{list}");
        }
    }

    /// The formatter of dates refuses them with a panic.
    #[test]
    fn times_that_http_cannot_say_are_not_said() {
        let before = Validators::new(UNIX_EPOCH - Duration::from_secs(1), 0);
        assert_eq!((before.etag.as_str(), before.last_modified()), ("\"0--3b9aca00\"", None));
        let last = Validators::new(UNIX_EPOCH + Duration::from_secs(253_402_300_799), 0);
        assert_eq!(last.last_modified().as_deref(), Some("Fri, 31 Dec 9999 23:59:59 GMT"));
        assert_eq!(Validators::new(UNIX_EPOCH + Duration::from_secs(253_402_300_800), 0).last_modified(), None);
    }
}
