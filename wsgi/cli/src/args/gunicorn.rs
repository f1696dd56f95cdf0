//! The options that gunicorn's users know: processes, and where they run.

use std::path::PathBuf;

use clap::Args;

use crate::values;

/// Processes, and where they run.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Processes")]
pub struct Processes {
    /// How many processes serve, each with threads of its own; they share the port and are watched over.
    #[arg(short, long, value_name = "N", default_value = "1", value_parser = values::workers)]
    pub workers: usize,

    /// Replace a worker when the code that it has imported changes.
    #[arg(long)]
    pub reload: bool,

    /// Replace a worker after about this many requests; 0 is never.
    #[arg(long, value_name = "N", default_value = "0", value_parser = values::requests)]
    pub max_requests: u64,

    /// Up to this many requests more, another number for each worker, so that they are not replaced all at once.
    #[arg(long, value_name = "N", default_value = "0", value_parser = values::requests)]
    pub max_requests_jitter: u64,

    /// Write the number of the process that takes the signals to this file.
    #[arg(long, visible_alias = "pidfile", value_name = "FILE")]
    pub pid: Option<PathBuf>,

    /// Go to this folder first; all other paths are seen from there.
    #[arg(long, value_name = "DIR")]
    pub chdir: Option<PathBuf>,

    /// Which permissions new files do not get, in octal, as 027.
    #[arg(long, value_name = "MODE", value_parser = values::umask)]
    pub umask: Option<u32>,
}

impl Processes {
    /// Whether a master process watches over workers, be it over one: where there are several, where they are replaced, and
    /// where somebody wants to send signals.
    pub fn is_supervised(&self) -> bool {
        self.workers > 1 || self.reload || self.max_requests > 0 || self.pid.is_some()
    }
}
