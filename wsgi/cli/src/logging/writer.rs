//! Writes lines, and copes with what cannot be written: a full disk, a reader that has left.

use std::io;
use std::time::{Duration, Instant};

use super::target::Target;

/// How often at the most it is told that lines are lost.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Writes lines to a target.
pub(super) struct Writer {
    target: Target,
    /// Of the line that was written last only the beginning is there.
    is_in_line: bool,
    /// Lines lost since it was told last.
    lost: u64,
    told: Option<Instant>,
}

impl Writer {
    pub(super) fn new(target: Target) -> Writer {
        Writer { target, is_in_line: false, lost: 0, told: None }
    }

    /// Opens the file anew. Returns what is to be told.
    pub(super) fn reopen(&mut self) -> Option<String> {
        match self.target.reopen() {
            Ok(()) => {
                self.is_in_line = false;
                None
            }
            Err(error) => Some(format!("cannot open the log {} again: {error}; the old one goes on", self.target)),
        }
    }

    /// Writes `lines`; `dropped` more did not get this far. Returns what is to be told.
    pub(super) fn write(&mut self, lines: &[u8], dropped: u64, now: Instant) -> Option<String> {
        let failed = self.write_all(lines).err().map(|(error, left)| (error, count(left)));
        let was_lost = self.lost;
        self.lost += dropped + failed.as_ref().map_or(0, |(_, lines)| *lines);
        let why = match failed {
            Some((error, _)) => format!("cannot write the log {}: {error}", self.target),
            None if dropped > 0 => format!("the log {} takes lines too slowly", self.target),
            None if was_lost > 0 => {
                self.told = None;
                let lost = std::mem::take(&mut self.lost);
                return Some(format!("the log {} is written again; {lost} lines are lost", self.target));
            }
            None => return None,
        };
        if self.told.is_some_and(|told| now - told < TELL_EVERY) {
            return None;
        }
        self.told = Some(now);
        Some(format!("{why}; serving goes on, lines lost so far: {}", self.lost))
    }

    /// Writes all, or says what is left of it.
    fn write_all<'a>(&mut self, lines: &'a [u8]) -> Result<(), (io::Error, &'a [u8])> {
        if self.is_in_line && !lines.is_empty() {
            self.write_some(b"\n").map_err(|error| (error, lines))?;
            self.is_in_line = false;
        }
        let mut left = lines;
        while !left.is_empty() {
            let written = self.write_some(left).map_err(|error| (error, left))?;
            self.is_in_line = left[written - 1] != b'\n';
            left = &left[written..];
        }
        Ok(())
    }

    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.target.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }
}

/// How many lines `bytes` are, one that has lost its beginning among them.
fn count(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::logging::target::Script;

    #[test]
    fn a_full_disk_is_told_once_a_minute_and_at_its_end() {
        let full = || Err(io::ErrorKind::StorageFull.into());
        let (target, text) = Script::target([full(), full(), full()]);
        let mut writer = Writer::new(target);
        let start = Instant::now();
        let mut write = |seconds| writer.write(b"one\ntwo\n", 0, start + Duration::from_secs(seconds));
        let told = write(0).unwrap();
        assert!(told.starts_with("cannot write the log in a test: ") && told.ends_with("lost so far: 2"), "{told}");
        assert_eq!(write(59), None);
        assert!(write(61).unwrap().ends_with("lost so far: 6"));
        assert_eq!(write(62).unwrap(), "the log in a test is written again; 6 lines are lost");
        assert_eq!(write(63), None);
        assert_eq!(text.lock().unwrap().as_slice(), b"one\ntwo\none\ntwo\n");
    }

    #[test]
    fn what_broke_off_in_a_line_does_not_spoil_the_next() {
        let (target, text) = Script::target([Ok(6), Err(io::ErrorKind::StorageFull.into())]);
        let mut writer = Writer::new(target);
        assert!(writer.write(b"one\ntwo\nthree\n", 0, Instant::now()).unwrap().ends_with("lost so far: 2"));
        writer.write(b"four\n", 0, Instant::now());
        assert_eq!(text.lock().unwrap().as_slice(), b"one\ntw\nfour\n");
    }

    #[test]
    fn lines_that_found_no_room_are_told() {
        let (target, text) = Script::target([]);
        let mut writer = Writer::new(target);
        let told = writer.write(b"one\n", 7, Instant::now()).unwrap();
        assert_eq!(told, "the log in a test takes lines too slowly; serving goes on, lines lost so far: 7");
        assert_eq!(text.lock().unwrap().as_slice(), b"one\n");
    }

    #[test]
    fn signals_are_no_trouble() {
        let (target, text) = Script::target([Err(io::ErrorKind::Interrupted.into())]);
        assert_eq!(Writer::new(target).write(b"one\n", 0, Instant::now()), None);
        assert_eq!(text.lock().unwrap().as_slice(), b"one\n");
    }
}
