//! Where the process is at home: its folder, and what its files may be read by.

use std::io;
use std::sync::Mutex;

use rustix::fs::Mode;
use rustix::process::umask;

use crate::args::Processes;
use crate::supervisor::is_worker;

/// Goes where `--chdir` says and takes on `--umask`, once: later calls do nothing. To be called before anything is
/// opened, for all other paths are seen from there.
///
/// # Errors
/// One line that says what is wrong with the folder, and what to do.
pub fn enter(processes: &Processes) -> Result<(), String> {
    static ENTERED: Mutex<bool> = Mutex::new(false);
    let mut entered = ENTERED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if std::mem::replace(&mut *entered, true) || is_worker() {
        // A worker is where its master went.
        return Ok(());
    }
    if let Some(folder) = &processes.chdir {
        std::env::set_current_dir(folder).map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::NotFound => "no such folder".to_owned(),
                io::ErrorKind::NotADirectory => "it is no folder".to_owned(),
                io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                _ => error.to_string(),
            };
            format!("cannot go to --chdir '{}': {why}; name the folder that the other paths are in", folder.display())
        })?;
    }
    if let Some(mask) = processes.umask {
        umask(Mode::from_raw_mode(mask));
    }
    Ok(())
}
