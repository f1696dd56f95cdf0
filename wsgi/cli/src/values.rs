//! Values that options take: ranges of threads, numbers of bytes, spans of seconds. Text to value, nothing else.

mod addresses;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use handwound_wsgi::http1::ExtraHeaders;

pub use addresses::{bind, endpoint, port};

/// The most threads that `--threads` accepts.
pub const THREADS_MAX: usize = 4096;

/// How many threads a pool keeps at least, and has at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadRange {
    /// Kept even when idle; at least 1, unless there are none at all.
    pub min: usize,
    /// Never more than this; at most [`THREADS_MAX`]. Of 0 threads the reactor's own does the work.
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
            ThreadRange { min: 0, max: 0 } => Ok(range),
            ThreadRange { min: 0, .. } => Err(format!(
                "at least 1 thread is needed; write 1..{max}, or 0 for an application that never waits",
                max = range.max
            )),
            ThreadRange { max, .. } if max > THREADS_MAX => Err(format!("at most {THREADS_MAX} threads are allowed")),
            ThreadRange { min, max } if min > max => {
                Err(format!("the smaller number comes first; did you mean {max}..{min}?"))
            }
            range => Ok(range),
        }
    }
}

/// As people say it: `5 to 20 threads`, `8 threads`, `1 thread`, `no threads but the reactor's`.
impl fmt::Display for ThreadRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ThreadRange { max: 0, .. } => f.write_str("no threads but the reactor's"),
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
    let shift = match &text[digits.len()..] {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
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

/// The most processes that `--workers` accepts.
pub const WORKERS_MAX: usize = 1024;

/// Reads a number of worker processes.
///
/// # Errors
/// What is wrong with the text.
pub fn workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1 worker is needed".to_owned()),
        Ok(number) if number > WORKERS_MAX => Err(format!("at most {WORKERS_MAX} workers are allowed")),
        Ok(number) => Ok(number),
        Err(_) => Err("not a number of processes; write 4".to_owned()),
    }
}

/// Reads a number of requests.
///
/// # Errors
/// What is wrong with the text.
pub fn requests(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "not a number of requests; write 1000, or 0 for never".to_owned())
}

/// Reads a type of files: `text/plain`.
///
/// # Errors
/// What is wrong with the text, and what may have been meant.
pub fn mime_type(text: &str) -> Result<String, String> {
    match text.split_once('/') {
        Some((kind, rest)) if !kind.is_empty() && !rest.is_empty() && text.is_ascii() => Ok(text.to_owned()),
        _ => Err("not a type; write text/plain (permissions are --umask 007)".to_owned()),
    }
}

/// Reads the name of a certificate's file, or finds out that gunicorn's `-c` was meant.
///
/// # Errors
/// What is wrong with the text, and what to do.
pub fn certificate(text: &str) -> Result<PathBuf, String> {
    match text.ends_with(".py") || text.starts_with("python:") {
        true => Err("it is the file of a certificate; gunicorn's configuration files are not read, put the options \
                     into a script"
            .to_owned()),
        false => Ok(text.into()),
    }
}

/// Reads the name of a private key's file, or finds out that gunicorn's `-k` was meant.
///
/// # Errors
/// What is wrong with the text, and what to do.
pub fn private_key(text: &str) -> Result<PathBuf, String> {
    match ["sync", "gthread", "gevent", "eventlet", "tornado", "asgi"].contains(&text) {
        true => Err("it is the file of a private key; there are no worker classes, --threads says how many requests \
                     run at once"
            .to_owned()),
        false => Ok(text.into()),
    }
}

/// Reads `NAME=VALUE`.
///
/// # Errors
/// What is wrong with the text.
pub fn variable(text: &str) -> Result<(OsString, OsString), String> {
    match text.split_once('=') {
        Some(("", _)) => Err("the name of the variable is missing; write NAME=VALUE".to_owned()),
        Some((name, value)) => Ok((name.into(), value.into())),
        None => Err(format!("a value is missing; write {text}=VALUE")),
    }
}

/// Reads the permissions that new files do not get: `022`, `0o27`, in octal.
///
/// # Errors
/// What is wrong with the text.
pub fn umask(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    match u32::from_str_radix(digits, 8) {
        Ok(mode @ 0..=0o777) => Ok(mode),
        _ => Err("not permissions in octal; write for example 027".to_owned()),
    }
}

/// Reads a header: `Name: value`.
///
/// # Errors
/// What is wrong with the text.
pub fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("no colon in it; write 'Name: value'")?;
    let (name, value) = (name.trim(), value.trim());
    // `Server` takes the place of the server's own.
    if !name.eq_ignore_ascii_case("server") {
        ExtraHeaders::new().push(name, value)?;
    }
    Ok((name.to_owned(), value.to_owned()))
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
        check("0", 0, 0);
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
        check("0", "no threads but the reactor's");
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
    fn what_the_process_is_given() {
        assert_eq!(variable("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert_eq!(variable("A="), Ok(("A".into(), "".into())));
        assert_eq!(variable("A").unwrap_err(), "a value is missing; write A=VALUE");
        assert!(variable("=b").is_err());
        assert_eq!((umask("022"), umask("0o27"), umask("0")), (Ok(0o22), Ok(0o27), Ok(0)));
        for wrong in ["", "8", "1000", "-1", "rwx"] {
            assert!(umask(wrong).is_err(), "{wrong}");
        }
        assert_eq!((workers("1"), workers("1024")), (Ok(1), Ok(1024)));
        for wrong in ["0", "1025", "-1", "many"] {
            assert!(workers(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_gunicorns_short_options_mean_is_found_out() {
        assert_eq!(mime_type("text/plain"), Ok("text/plain".to_owned()));
        assert!(mime_type("007").unwrap_err().contains("--umask 007"));
        assert_eq!(certificate("server.pem"), Ok("server.pem".into()));
        assert!(certificate("gunicorn.conf.py").unwrap_err().contains("configuration files are not read"));
        assert_eq!(private_key("server.pem"), Ok("server.pem".into()));
        assert!(private_key("gevent").unwrap_err().contains("--threads"));
    }

    #[test]
    fn headers_to_add() {
        assert_eq!(header("X-A: b: c"), Ok(("X-A".into(), "b: c".into())));
        assert_eq!(header("X-A:"), Ok(("X-A".into(), String::new())));
        assert_eq!(header("X-A").unwrap_err(), "no colon in it; write 'Name: value'");
        for wrong in [": b", "X A: b", "X-A: b\nX-B: c", "Connection: close", "Content-Length: 1"] {
            assert!(header(wrong).is_err(), "{wrong}");
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
