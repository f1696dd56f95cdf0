//! The few facts of an X.509 certificate that are told to people (RFC 5280, section 4.1). Whether it can be trusted is
//! for clients to say.

use std::time::{Duration, SystemTime};

/// DER, as far as it is needed here: tags of one byte, lengths that are definite.
struct Reader<'a>(&'a [u8]);

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// Before the version, which may be left out.
const VERSION: u8 = 0xa0;

impl<'a> Reader<'a> {
    /// The next element: its tag, what is in it, and all of it.
    fn next(&mut self) -> Option<(u8, &'a [u8], &'a [u8])> {
        let all = self.0;
        let (&tag, rest) = all.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
                (digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (inside, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, inside, &all[..all.len() - rest.len()]))
    }

    /// What is in the next element, which has this tag.
    fn inside(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, ..)| *found == tag).map(|(_, inside, _)| inside)
    }
}

/// What is said of one certificate.
pub(super) struct Facts {
    /// It has no extensions, and no place for the names of hosts.
    pub(super) is_first_version: bool,
    /// Names, as they are encoded: to be compared only.
    pub(super) issuer: Vec<u8>,
    pub(super) subject: Vec<u8>,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

impl Facts {
    pub(super) fn of(der: &[u8]) -> Option<Facts> {
        let mut inner = Reader(Reader(Reader(der).inside(SEQUENCE)?).inside(SEQUENCE)?);
        let is_first_version = inner.0.first() != Some(&VERSION);
        if !is_first_version {
            inner.next()?;
        }
        inner.inside(INTEGER)?;
        inner.inside(SEQUENCE)?;
        let (_, _, issuer) = inner.next()?;
        let mut validity = Reader(inner.inside(SEQUENCE)?);
        let (not_before, not_after) = (time(&mut validity)?, time(&mut validity)?);
        let (_, _, subject) = inner.next()?;
        Some(Facts { is_first_version, issuer: issuer.to_vec(), subject: subject.to_vec(), not_before, not_after })
    }
}

fn time(reader: &mut Reader<'_>) -> Option<SystemTime> {
    let (tag, text, _) = reader.next()?;
    let number = |digits: &[u8]| -> Option<u64> { std::str::from_utf8(digits).ok()?.parse().ok() };
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year = number(year)?;
            // RFC 5280, section 4.1.2.5.1
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|at| rest.get(at..at + 2).and_then(number));
    if rest.get(10..) != Some(b"Z") || !(1..=12).contains(&month?) {
        return None;
    }
    let seconds = days(year, month?, day?)? * 86_400 + hour? * 3600 + minute? * 60 + second?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Days since 1970 began; a date before that is taken for its first day.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 {
        return Some(0);
    }
    let leap_years = |until: u64| until / 4 - until / 100 + until / 400;
    let is_leap = leap_years(year) > leap_years(year - 1);
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][usize::try_from(month).ok()? - 1];
    let leap_day = u64::from(is_leap && month > 2);
    Some((year - 1970) * 365 + leap_years(year - 1) - leap_years(1969) + before + leap_day + day.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(tag: u8, text: &str, date: &str) {
        let der = [&[tag, text.len() as u8], text.as_bytes()].concat();
        let found = time(&mut Reader(&der)).map(httpdate::fmt_http_date);
        assert_eq!(found.as_deref(), Some(date).filter(|date| !date.is_empty()), "{text}");
    }

    #[test]
    fn dates() {
        check(UTC_TIME, "700101000000Z", "Thu, 01 Jan 1970 00:00:00 GMT");
        check(UTC_TIME, "491231235959Z", "Fri, 31 Dec 2049 23:59:59 GMT");
        check(UTC_TIME, "240229120000Z", "Thu, 29 Feb 2024 12:00:00 GMT");
        check(UTC_TIME, "000301000000Z", "Wed, 01 Mar 2000 00:00:00 GMT");
        check(UTC_TIME, "500101000000Z", "Thu, 01 Jan 1970 00:00:00 GMT");
        check(GENERALIZED_TIME, "21000301000000Z", "Mon, 01 Mar 2100 00:00:00 GMT");
        check(GENERALIZED_TIME, "99991231235959Z", "Fri, 31 Dec 9999 23:59:59 GMT");
        for wrong in ["", "24", "241301000000Z", "240001000000Z", "240100000000Z", "2401010000Z", "240101000000+0100"] {
            check(UTC_TIME, wrong, "");
        }
        check(INTEGER, "240101000000Z", "");
    }

    #[test]
    fn a_certificate_cut_anywhere_or_changed_anywhere_is_no_panic() {
        let der = include_bytes!("../../tests/tls/files/cert.der");
        let facts = Facts::of(der).unwrap();
        assert!(facts.not_before < facts.not_after && facts.issuer != facts.subject);
        for at in 0..der.len() {
            assert!(Facts::of(&der[..at]).is_none());
            for byte in [0, 0x7f, 0x80, 0x81, 0x84, 0xff] {
                let mut other = der.to_vec();
                other[at] = byte;
                let _ = Facts::of(&other);
            }
        }
    }
}
