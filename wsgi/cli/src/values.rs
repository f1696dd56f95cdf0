//! Values that options take: ranges of threads, numbers of bytes, spans of seconds. Text to value, nothing else.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The most threads that `--threads` accepts.
pub const THREADS_MAX: usize = 4096;

/// How many threads a pool keeps at least, and has at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadRange {
    /// Kept even when idle; at least 1.
    pub min: usize,
    /// Never more than this; at most [`THREADS_MAX`].
    pub max: usize,
}

/// `MIN..MAX`, or one number for a pool of fixed size.
impl FromStr for ThreadRange {
    type Err = String;

    fn from_str(text: &str) -> Result<ThreadRange, String> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        let number = |part: &str| {
            part.trim()
                .parse::<usize>()
                .map_err(|_| format!("'{part}' is not a number; write 5..20, or 8 for exactly 8"))
        };
        let range = ThreadRange { min: number(min)?, max: number(max)? };
        match range {
            ThreadRange { min: 0, .. } => Err("at least 1 thread is needed".to_owned()),
            ThreadRange { max, .. } if max > THREADS_MAX => Err(format!("at most {THREADS_MAX} threads are allowed")),
            ThreadRange { min, max } if min > max => {
                Err(format!("the smaller number comes first; did you mean {max}..{min}?"))
            }
            range => Ok(range),
        }
    }
}

/// As people say it: `5 to 20 threads`, `8 threads`, `1 thread`.
impl fmt::Display for ThreadRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ThreadRange { min: 1, max: 1 } => f.write_str("1 thread"),
            ThreadRange { min, max } if min == max => write!(f, "{max} threads"),
            ThreadRange { min, max } => write!(f, "{min} to {max} threads"),
        }
    }
}

/// Reads a number of bytes: digits, then nothing or one of `k`, `M`, `G` (powers of 1024; either case).
///
/// # Errors
/// What is wrong with the text, and how to write it.
pub fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        other => return Err(format!("'{other}' is not a unit of bytes; use k, M or G")),
    };
    let number: u64 = digits.parse().map_err(|_| "not a number of bytes; write 65536, 64k, 16M or 1G".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "more bytes than 64 bits can count".to_owned())
}

/// Reads a number of bytes that can bound a request's head.
///
/// # Errors
/// As [`bytes`], or that the bound makes no sense.
pub fn head_bytes(text: &str) -> Result<usize, String> {
    let number = bytes(text)?;
    match usize::try_from(number) {
        Ok(number @ 64..=0x4000_0000) => Ok(number),
        _ => Err("a request head takes at least 64 bytes, and at most 1G is allowed".to_owned()),
    }
}

/// Reads a span of time in seconds, fractions allowed: `30`, `0.5`.
///
/// # Errors
/// What is wrong with the text.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds; write 30 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|_| "a span of time is neither negative nor endless".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn thread_ranges() {
        let check = |text: &str, min, max| assert_eq!(text.parse(), Ok(ThreadRange { min, max }), "{text}");
        check("5..20", 5, 20);
        check("8", 8, 8);
        check("1..4096", 1, 4096);
        let refuse = |text: &str, why: &str| {
            let error = text.parse::<ThreadRange>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        };
        refuse("0", "at least 1");
        refuse("0..4", "at least 1");
        refuse("9..2", "did you mean 2..9?");
        refuse("1..5000", "at most 4096");
        refuse("many", "'many' is not a number");
        refuse("5..", "not a number");
        refuse("-1", "not a number");
    }

    #[test]
    fn thread_ranges_read_well() {
        let check = |text: &str, said: &str| assert_eq!(text.parse::<ThreadRange>().unwrap().to_string(), said);
        check("5..20", "5 to 20 threads");
        check("8", "8 threads");
        check("1", "1 thread");
    }

    #[test]
    fn numbers_of_bytes() {
        let check = |text: &str, value: u64| assert_eq!(bytes(text), Ok(value), "{text}");
        check("0", 0);
        check("65536", 65536);
        check("64k", 65536);
        check("16M", 16 << 20);
        check("2g", 2 << 30);
        for refused in ["", "k", "1.5M", "-1", "10T", "99999999999G", "1 M", "1kk"] {
            assert!(bytes(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn spans_of_seconds() {
        assert_eq!(seconds("30"), Ok(Duration::from_secs(30)));
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        for refused in ["", "-1", "inf", "NaN", "ten", "30s"] {
            assert!(seconds(refused).is_err(), "{refused}");
        }
    }
}
