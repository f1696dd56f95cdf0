//! Log events as lines on stderr. The libraries only emit events; the command alone decides where they go.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use tracing_subscriber::filter::LevelFilter;

use crate::args::LogLevel;

/// Writes a line to stderr, if it can be written: unlike `eprintln!`, which panics where nobody reads any more.
pub fn say(line: fmt::Arguments<'_>) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Writes events of `level` and above to stderr from here on. Does nothing where the process logs already.
pub fn start(level: LogLevel) {
    let filter = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let subscriber =
        tracing_subscriber::fmt().compact().with_max_level(filter).with_ansi(colours).with_writer(io::stderr);
    // Nobody may be reading stderr any more, or its disk be full: no reason to panic wherever something is logged.
    let subscriber = subscriber.log_internal_errors(false);
    // Someone's own subscriber stays.
    let _ = subscriber.try_init();
}
