//! Replays on the command line: as they are, or in a file when they are too long for that.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::coder::fnv;
use crate::whose::Whose;

/// Longer lines go to a file: nobody copies them by hand, and environments are bounded.
const LETTERS_MAX: usize = 2_000;

/// What to type to repeat a run of the exploration `whose`, or of whichever is run.
pub(crate) fn command(line: &str, whose: Option<&Whose>) -> String {
    let thread = std::thread::current();
    // A test's thread has its name, but for those that run on the first thread.
    let test = thread.name().filter(|&name| name != "main").map_or(String::new(), |name| format!(" {name} -- --exact"));
    let line = whose.map_or_else(|| line.to_owned(), |whose| whose.signed(line));
    let value = if line.len() <= LETTERS_MAX {
        line
    } else {
        match store(&line) {
            Ok(path) => format!("@{}", path.display()),
            Err(error) => {
                return format!("(the replay could not be written to a file: {error})\nHANDWOUND_REPLAY={line}");
            }
        }
    };
    format!("HANDWOUND_REPLAY={value} cargo test{test}")
}

/// The line that `value` stands for: itself, or the content of the file it names after `@`.
///
/// # Errors
/// When that file cannot be read.
pub(crate) fn load(value: &str) -> Result<String, String> {
    match value.trim().strip_prefix('@') {
        Some(path) => fs::read_to_string(path).map_err(|error| format!("{path}: {error}")),
        None => Ok(value.to_owned()),
    }
}

fn store(line: &str) -> io::Result<PathBuf> {
    let folder = folder();
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{:016x}.replay", fnv(line.bytes())));
    fs::write(&path, line)?;
    Ok(path)
}

/// Beside the compiled test, where `cargo clean` finds it; else the system's folder for temporary files.
fn folder() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|exe| {
        let deps = exe.parent().filter(|folder| folder.ends_with("deps"))?;
        deps.parent().map(|folder| folder.join("handwound-replays"))
    });
    beside.unwrap_or_else(|| std::env::temp_dir().join("handwound-replays"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn long_lines_go_through_a_file() {
        let line = format!("v1:{}", "A".repeat(5000));
        let command = command(&line, None);
        let value = command.strip_prefix("HANDWOUND_REPLAY=").unwrap().split(' ').next().unwrap();
        assert!(value.starts_with('@'));
        assert_eq!(load(value).unwrap(), line);
        fs::remove_file(&value[1..]).unwrap();
        assert_eq!(load("v1:short").unwrap(), "v1:short");
        assert!(load("@no/such/file").unwrap_err().contains("no/such/file"));
    }
}
