//! Files of runs that have failed once, to be replayed before anything else.
//!
//! One run a line: the name of the test, its replay, and behind `#` what it was. Lines that begin with `#` are
//! comments. The file is meant to be kept with the sources.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const HEADER: &str = "\
# Runs that have failed, and are replayed before others. One a line: test, replay, and what it was.
# Keep this file with the sources. A line that no longer fits the code is reported; then record it anew or drop it.
";

/// The file in which runs of one test are kept.
#[derive(Clone, Debug)]
pub(crate) struct Regressions {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
}

impl Regressions {
    /// `source` is a file of regressions, or a Rust source file: then the file is `regressions/` and the same name
    /// with `.txt`, in the package's folder.
    pub(crate) fn new(source: &Path, name: &str) -> Regressions {
        let path = match source.extension() {
            Some(extension) if extension == "rs" => {
                // Cargo sets it for what it runs; a test binary started by hand is in the folder or finds nothing.
                let package = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(PathBuf::new, PathBuf::from);
                let stem = source.file_stem().unwrap_or_default();
                package.join("regressions").join(stem).with_extension("txt")
            }
            _ => source.to_owned(),
        };
        Regressions { path, name: name.split_whitespace().collect::<Vec<_>>().join("_") }
    }

    /// The replays that are kept for this test, each with the number of its line.
    ///
    /// # Panics
    /// When the file is there and cannot be read: it would be passed over silently.
    pub(crate) fn entries(&self) -> Vec<(usize, String)> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => panic!("regressions in {}: {error}", self.path.display()),
        };
        let mine = |line: &str| {
            let mut words = line.split('#').next().unwrap_or("").split_whitespace();
            (words.next() == Some(self.name.as_str())).then(|| words.next().unwrap_or("").to_owned())
        };
        text.lines().enumerate().filter_map(|(at, line)| Some((at + 1, mine(line)?))).collect()
    }

    /// The line under which a run is kept.
    pub(crate) fn entry(&self, replay: &str, what: &str) -> String {
        let what: String = what.lines().next().unwrap_or("").chars().take(100).collect();
        format!("{} {replay} # {what}", self.name)
    }

    /// Adds a line, unless it is there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn keep(&self, entry: &str) -> io::Result<()> {
        let known = fs::read_to_string(&self.path).unwrap_or_default();
        if known.lines().any(|line| line == entry) {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&self.path)?;
        let header = if known.is_empty() { HEADER } else { "" };
        file.write_all(format!("{header}{entry}\n").as_bytes())
    }
}
