//! Lines on their way to a file, and the thread that writes them: nobody who logs ever waits for a disk or a pipe.
//!
//! The way is bounded. What finds it full is counted and left out, and so is what cannot be written; both are told on
//! stderr, now and then.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use super::note;
use super::target::Target;
use super::writer::Writer;

/// How many bytes of lines may wait for a disk.
pub const QUEUED_BYTES_MAX: usize = 4 << 20;

/// How much memory for lines is kept while there are none.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// How long the thread lets lines gather after it has written some. Lines that come alone do not wait.
const GATHER: Duration = Duration::from_millis(5);

/// Where lines go. Copies are the same sink.
#[derive(Clone)]
pub struct Sink(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// There is something to do for the thread.
    work: Condvar,
    /// Something has been written.
    done: Condvar,
    /// The process that the thread runs in: a fork has none.
    process: u32,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines that found no room since the thread looked last.
    dropped: u64,
    /// Lines taken in so far, and how many of these have been dealt with.
    queued: u64,
    dealt_with: u64,
    reopen: bool,
    /// Somebody waits for `done`.
    hurry: bool,
    /// The thread is in deep sleep and has to be called.
    is_asleep: bool,
}

impl Sink {
    /// Starts the thread, which lasts as long as the process.
    ///
    /// # Errors
    /// The operating system's, if it has no thread to give.
    pub fn start(target: Target) -> io::Result<Sink> {
        let (state, work, done) = (Mutex::default(), Condvar::new(), Condvar::new());
        let sink = Sink(Arc::new(Shared { state, work, done, process: std::process::id() }));
        let shared = sink.0.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || shared.write_to(Writer::new(target)))?;
        Ok(sink)
    }

    /// Takes in a line: `write` appends it, with its line end. Never waits for more than another line's formatting.
    pub fn line(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.state();
        if state.waiting.len() >= QUEUED_BYTES_MAX {
            state.dropped += 1;
            return;
        }
        write(&mut state.waiting);
        state.queued += 1;
        if std::mem::take(&mut state.is_asleep) {
            drop(state);
            self.0.work.notify_one();
        }
    }

    /// Whether lines are written from this process; not in a fork of it, which the thread did not follow.
    pub fn is_at_home(&self) -> bool {
        self.0.process == std::process::id()
    }

    /// Has the file opened anew by its name: the old one was moved away.
    pub fn reopen(&self) {
        self.0.state().reopen = true;
        self.0.work.notify_one();
    }

    /// Waits until what has been taken in is written, or lost, for `time_max` at the most. Not for the reactor's thread.
    pub fn flush(&self, time_max: Duration) {
        let end = Instant::now() + time_max;
        let mut state = self.0.state();
        let goal = state.queued;
        while state.dealt_with < goal && self.is_at_home() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state.hurry = true;
            self.0.work.notify_one();
            state = self.0.done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread.
    fn write_to(&self, mut writer: Writer) {
        let mut lines = Vec::new();
        loop {
            let mut state = self.state();
            while state.waiting.is_empty() && state.dropped == 0 && !state.reopen {
                state.is_asleep = true;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.is_asleep = false;
            std::mem::swap(&mut lines, &mut state.waiting);
            let (dropped, reopen) = (std::mem::take(&mut state.dropped), std::mem::take(&mut state.reopen));
            let goal = state.queued;
            drop(state);
            let reopened = if reopen { writer.reopen() } else { None };
            let written = writer.write(&lines, dropped, Instant::now());
            for news in [reopened, written].into_iter().flatten() {
                note(format_args!("handwound: {news}"));
            }
            lines.clear();
            // Of a burst nothing is kept.
            lines.shrink_to(KEPT_BYTES_MAX);
            let mut state = self.state();
            state.dealt_with = goal;
            self.done.notify_all();
            let gather = self.work.wait_timeout_while(state, GATHER, |state| !state.hurry && !state.reopen);
            gather.unwrap_or_else(PoisonError::into_inner).0.hurry = false;
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("queued_bytes", &self.0.state().waiting.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;
    use std::path::Path;

    const LONG: Duration = Duration::from_secs(60);

    fn sink(path: &Path) -> Sink {
        Sink::start(Target::file(path).unwrap()).unwrap()
    }

    fn say(sink: &Sink, text: &str) {
        sink.line(|lines| lines.extend_from_slice(text.as_bytes()));
    }

    #[test]
    fn lines_of_many_threads_stay_whole_and_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let sink = sink(&path);
        thread::scope(|scope| {
            for name in 0..4 {
                let sink = &sink;
                scope.spawn(move || (0..500).for_each(|number| say(sink, &format!("{name} {number}\n"))));
            }
        });
        sink.flush(LONG);
        let text = fs::read_to_string(&path).unwrap();
        for name in 0..4 {
            let of_one = text.lines().filter_map(|line| line.strip_prefix(&format!("{name} ")));
            assert!(of_one.eq((0..500).map(|number| number.to_string()).collect::<Vec<_>>()), "{text}");
        }
    }

    #[test]
    fn a_file_that_was_moved_away_is_opened_anew_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("log"), folder.path().join("log.1"));
        let sink = sink(&path);
        say(&sink, "one\n");
        sink.flush(LONG);
        fs::rename(&path, &old).unwrap();
        say(&sink, "two\n");
        sink.flush(LONG);
        sink.reopen();
        say(&sink, "three\n");
        sink.flush(LONG);
        assert_eq!(fs::read_to_string(&old).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn a_folder_that_vanishes_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let sink = sink(&folder.path().join("log"));
        drop(folder);
        for _ in 0..2 {
            say(&sink, "lost\n");
            sink.reopen();
            sink.flush(LONG);
        }
    }

    #[test]
    fn a_pipe_that_nobody_reads_takes_what_it_can_and_the_rest_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        // Held open, and never read.
        let _reader = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let sink = sink(&path);
        let line = "x".repeat(1023) + "\n";
        for _ in 0..2 * QUEUED_BYTES_MAX / line.len() {
            say(&sink, &line);
        }
        assert!(sink.0.state().dropped > 0);
        assert!(sink.0.state().waiting.len() < QUEUED_BYTES_MAX + line.len());
        sink.flush(Duration::from_millis(1));
    }
}
