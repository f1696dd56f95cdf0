//! Log events and access lines, and where they go. The libraries only emit events; the command alone decides.
//!
//! All lines go through a [`Sink`]: whoever logs never waits for a disk, or for whoever reads stderr.

mod access;
mod format;
mod sink;
mod target;
mod writer;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

pub use access::AccessLines;
pub use format::AccessFormat;
pub use sink::{QUEUED_BYTES_MAX, Sink};
pub use target::Target;

use crate::args::{LogLevel, Logs};

/// The sinks of this process, for what concerns all of them.
static SINKS: Mutex<Vec<Sink>> = Mutex::new(Vec::new());

fn sinks() -> MutexGuard<'static, Vec<Sink>> {
    SINKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `text` as one line, whatever was typed: line ends and other control characters become visible.
pub fn one_line(text: &str) -> String {
    let visible = |c: char| if c.is_control() { c.escape_default().collect() } else { String::from(c) };
    text.chars().map(visible).collect()
}

/// What goes to stderr, once something is logged at all.
static STDERR: OnceLock<Sink> = OnceLock::new();

/// How long a line may keep whoever says it, or all of them the end of the process, where nobody reads them.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes a line to stderr, if it can be written: unlike `eprintln!`, which panics where nobody reads any more. It is
/// there when this returns, unless whoever reads stderr has stopped reading. Not for the reactor's thread.
pub fn say(line: fmt::Arguments<'_>) {
    note(line);
    if let Some(stderr) = STDERR.get() {
        stderr.flush(PATIENCE);
    }
}

/// As [`say`], but does not wait until the line is there.
pub fn note(line: fmt::Arguments<'_>) {
    let line = format!("{line}\n");
    match STDERR.get().filter(|stderr| stderr.is_at_home()) {
        Some(stderr) => stderr.line(|lines| lines.extend_from_slice(line.as_bytes())),
        None => drop(io::stderr().write_all(line.as_bytes())),
    }
}

/// Writes events to where `logs` says from here on. Does nothing where the process logs already.
///
/// # Errors
/// One line that says what is wrong with the file, and what to do.
pub fn start(logs: &Logs) -> Result<(), String> {
    let filter = match logs.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let file = logs.error_logfile.as_deref().filter(|path| path.as_os_str() != "-");
    let colours = file.is_none() && io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if STDERR.get().is_none() {
        // Two at once would be one too many, and no harm.
        let _ = STDERR.set(open(Target::Stderr)?);
    }
    let stderr = STDERR.get().expect("set above").clone();
    let sink = file.map_or(Ok(stderr), |file| open(Target::file(file)?))?;
    let subscriber =
        tracing_subscriber::fmt().compact().with_max_level(filter).with_ansi(colours).with_writer(Events(sink));
    // Nobody may be reading stderr any more, or its disk be full: no reason to panic wherever something is logged.
    let subscriber = subscriber.log_internal_errors(false);
    // Someone's own subscriber stays.
    let _ = subscriber.try_init();
    Ok(())
}

/// A sink that [`reopen`] and [`flush`] know.
///
/// # Errors
/// One line: there is no thread to be had.
pub fn open(target: Target) -> Result<Sink, String> {
    let sink = Sink::start(target).map_err(|error| format!("cannot start a thread for the log: {error}"))?;
    sinks().push(sink.clone());
    Ok(sink)
}

/// Opens all log files anew by their names, as `logrotate` wants it.
pub fn reopen() {
    sinks().iter().for_each(Sink::reopen);
}

/// Waits until all that was logged is written, for about a second at the most. To be called before the process ends.
pub fn flush() {
    // Not under the lock: it may take long.
    let all = sinks().clone();
    all.iter().for_each(|sink| sink.flush(PATIENCE));
}

/// Log events on their way to a sink.
struct Events(Sink);

impl<'a> MakeWriter<'a> for Events {
    type Writer = &'a Events;

    fn make_writer(&'a self) -> &'a Events {
        self
    }
}

/// One call for each event.
impl Write for &Events {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        match self.0.is_at_home() {
            true => self.0.line(|lines| lines.extend_from_slice(event)),
            false => io::stderr().write_all(event)?,
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
