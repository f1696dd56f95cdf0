//! What lines are written to: a file, or a stream of the process.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What lines are written to.
#[derive(Debug)]
pub enum Target {
    /// A file, at whose end is written.
    File {
        /// Its name, absolute: the process may change its folder.
        path: PathBuf,
        /// The file that had this name when it was opened.
        file: File,
    },
    /// What the process prints.
    Stdout,
    /// What it complains to.
    Stderr,
    /// What a test wants of each write.
    #[cfg(test)]
    Script(Script),
}

/// What a test wants of each write, and what was written.
#[cfg(test)]
#[derive(Debug)]
pub struct Script {
    outcomes: std::collections::VecDeque<io::Result<usize>>,
    text: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
}

#[cfg(test)]
impl Script {
    /// A target whose first writes end like this, and all others well; and what it has taken.
    pub fn target(
        outcomes: impl IntoIterator<Item = io::Result<usize>>,
    ) -> (Target, std::sync::Arc<std::sync::Mutex<Vec<u8>>>) {
        let text = std::sync::Arc::default();
        let script = Script { outcomes: outcomes.into_iter().collect(), text: std::sync::Arc::clone(&text) };
        (Target::Script(script), text)
    }
}

impl Target {
    /// Opens the file at `path`; makes it where there is none.
    ///
    /// # Errors
    /// One line that says what is wrong and what to do.
    pub fn file(path: &Path) -> Result<Target, String> {
        let cannot = |why: &str| format!("cannot write the log '{}': {why}", path.display());
        let path = std::path::absolute(path).map_err(|_| cannot("an empty name; write -, or the name of a file"))?;
        let file = open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => cannot("no such folder; make it first"),
            io::ErrorKind::IsADirectory => cannot("it is a folder; name a file in it"),
            io::ErrorKind::PermissionDenied => cannot("permission denied; choose a file that this user may write"),
            _ => cannot(&error.to_string()),
        })?;
        Ok(Target::File { path, file })
    }

    /// Opens the file anew by its name. Where that fails the old one stays.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Target::File { path, file } = self {
            *file = open(path)?;
        }
        Ok(())
    }

    /// Writes some of `bytes`.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Target::File { file, .. } => file.write(bytes),
            // Its lock and its buffer are passed by: whoever prints may wait for a reader while it has the lock.
            Target::Stdout => Ok(rustix::io::write(rustix::stdio::stdout(), bytes)?),
            Target::Stderr => Ok(rustix::io::write(rustix::stdio::stderr(), bytes)?),
            #[cfg(test)]
            Target::Script(Script { outcomes, text }) => {
                let taken = outcomes.pop_front().unwrap_or(Ok(bytes.len()))?.min(bytes.len());
                text.lock().expect("no test panics under it").extend_from_slice(&bytes[..taken]);
                Ok(taken)
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::File { path, .. } => write!(f, "'{}'", path.display()),
            Target::Stdout => f.write_str("on stdout"),
            Target::Stderr => f.write_str("on stderr"),
            #[cfg(test)]
            Target::Script(_) => f.write_str("in a test"),
        }
    }
}
