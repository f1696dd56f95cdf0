//! The access log of the command: entries to lines, on the reactor's thread; lines to the disk, on the log's.

use std::sync::{Mutex, PoisonError};

use handwound_wsgi::{AccessEntry, AccessLog};

use super::Sink;
use super::format::{AccessFormat, Clock};

/// Writes a line for each response to a sink.
#[derive(Debug)]
pub struct AccessLines {
    sink: Sink,
    format: AccessFormat,
    /// One thread uses it; the lock is there for the compiler.
    clock: Mutex<Clock>,
}

impl AccessLines {
    /// Lines of this form, to this sink.
    pub fn new(sink: Sink, format: AccessFormat) -> AccessLines {
        AccessLines { sink, format, clock: Mutex::default() }
    }
}

impl AccessLog for AccessLines {
    fn log(&self, entry: &AccessEntry<'_>) {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        self.sink.line(|lines| self.format.write(entry, &mut clock, lines));
    }
}
