//! The file that holds the number of the process that takes the signals.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::{fs, process};

use rustix::process::{Pid, test_kill_process};

/// A file with this process's number; removed when dropped, unless another process has written its own since.
#[derive(Debug)]
pub(super) struct PidFile(PathBuf);

impl PidFile {
    /// Writes it. One that a process has left behind which lives no more is replaced.
    ///
    /// # Errors
    /// One line: the process that the file names lives, or the file cannot be written.
    pub(super) fn write(path: &Path) -> Result<PidFile, String> {
        let file = path.display();
        if let Some(pid) = read(path).filter(|pid| *pid != process::id() as i32)
            && Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
        {
            return Err(format!(
                "process {pid} runs already, says '{file}'; stop it with 'kill {pid}', or choose another --pid"
            ));
        }
        // As a whole or not at all: somebody may be waiting for it.
        let write = || -> io::Result<()> {
            let beside = path.with_extension(format!("{}.tmp", process::id()));
            let mut made = fs::File::create(&beside)?;
            writeln!(made, "{}", process::id())?;
            drop(made);
            fs::rename(&beside, path)
        };
        write().map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::NotFound => "no such folder; make it first".to_owned(),
                io::ErrorKind::PermissionDenied => {
                    "permission denied; choose a folder that this user may write to".to_owned()
                }
                io::ErrorKind::IsADirectory => "it is a folder; name a file in it".to_owned(),
                _ => error.to_string(),
            };
            format!("cannot write --pid '{file}': {why}")
        })?;
        Ok(PidFile(std::path::absolute(path).unwrap_or_else(|_| path.to_owned())))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if read(&self.0) == Some(process::id() as i32) {
            // Nobody is left to tell; the next one replaces it.
            let _ = fs::remove_file(&self.0);
        }
    }
}

fn read(path: &Path) -> Option<i32> {
    fs::read_to_string(path).ok()?.trim().parse().ok().filter(|pid| *pid > 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn in_folder(content: Option<&str>, check: impl FnOnce(&Path)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.pid");
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        check(&path);
    }

    #[test]
    fn it_holds_this_process_and_goes_with_it() {
        for left_behind in [None, Some(""), Some("nonsense\n"), Some("-1\n")] {
            in_folder(left_behind, |path| {
                let file = PidFile::write(path).unwrap();
                assert_eq!(fs::read_to_string(path).unwrap(), format!("{}\n", process::id()));
                assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
                drop(file);
                assert!(!path.exists());
            });
        }
    }

    #[test]
    fn a_process_that_lives_keeps_its_file_and_one_that_does_not_is_replaced() {
        in_folder(Some("1\n"), |path| {
            let refused = PidFile::write(path).unwrap_err();
            assert!(refused.starts_with("process 1 runs already, says '"), "{refused}");
            assert_eq!(fs::read_to_string(path).unwrap(), "1\n");
        });
        let mut child = process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        in_folder(Some(&child.id().to_string()), |path| drop(PidFile::write(path).unwrap()));
    }

    #[test]
    fn another_ones_file_is_left_alone() {
        in_folder(None, |path| {
            let file = PidFile::write(path).unwrap();
            fs::write(path, "1\n").unwrap();
            drop(file);
            assert!(path.exists());
        });
    }

    #[test]
    fn what_cannot_be_written_is_told() {
        in_folder(Some("7\n"), |path| {
            let refused = PidFile::write(&path.join("below")).unwrap_err();
            assert!(refused.starts_with("cannot write --pid '"), "{refused}");
            let folder = path.with_file_name("missing");
            let refused = PidFile::write(&folder.join("server.pid")).unwrap_err();
            assert!(refused.ends_with("no such folder; make it first") && !folder.exists(), "{refused}");
        });
    }
}
