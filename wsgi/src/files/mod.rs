//! Static files: a folder as an application, and what it is made of. All of it runs on workers and may block on the disk;
//! the reactor's thread never does.

mod answers;
mod conditions;
mod config;
mod folder;
mod listing;
mod pump;
mod range;
mod send;
mod types;
mod walk;

use std::path::Path;

use crate::{Call, Failure};

pub use config::{FilesConfig, Symlinks};
pub use folder::Folder;
pub use listing::send_listing;
pub use send::send_file;

/// What answers for files of some extension instead of their bytes: scripts, for the most part.
///
/// ```
/// use std::path::Path;
/// use std::sync::Arc;
///
/// use handwound_wsgi::files::{Folder, Processor};
/// use handwound_wsgi::{Call, Failure};
///
/// /// Shows how long a text is, and what was asked for below it.
/// struct Count;
///
/// impl Processor for Count {
///     fn render(&self, script: &Path, call: &Call) -> Result<(), Failure> {
///         let text = std::fs::read_to_string(script)?;
///         call.start_response("200 OK", &[("Content-Type", "text/plain")])?;
///         Ok(call.send_whole(format!("{} bytes; {}", text.len(), call.path()).as_bytes())?)
///     }
/// }
///
/// let folder = Folder::new("/srv/www").processor(".txt", Arc::new(Count));
/// # drop(folder);
/// ```
pub trait Processor: Send + Sync {
    /// Answers for `script`, which exists. `call` is split below it: of `/hello.rpy/below` its SCRIPT_NAME is
    /// `/hello.rpy` and its PATH_INFO `/below`. Runs on a worker; may block.
    ///
    /// # Errors
    /// As [`Application::call`](crate::Application::call).
    fn render(&self, script: &Path, call: &Call) -> Result<(), Failure>;
}
