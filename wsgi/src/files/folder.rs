//! A folder as an application: from the path of a request to a file, a script, an index or a listing.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::answers::{is_absent, send_error, send_forbidden, send_not_allowed, send_not_found};
use super::{FilesConfig, Processor, send_file, send_listing};
use crate::{Application, Call, Failure};

/// Serves the files below a folder: an [`Application`], for a [`WsgiResource`](crate::WsgiResource) at any place of the
/// tree.
#[derive(Clone)]
pub struct Folder {
    root: PathBuf,
    config: FilesConfig,
    processors: BTreeMap<String, Arc<dyn Processor>>,
}

impl Folder {
    /// The folder at `path`, or one file. It need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Folder {
        Folder::with_config(path, FilesConfig::default())
    }

    /// As [`new`](Folder::new), served like this.
    pub fn with_config(path: impl Into<PathBuf>, config: FilesConfig) -> Folder {
        Folder { root: path.into(), config, processors: BTreeMap::new() }
    }

    /// Has `processor` answer for files of this extension, which is written with its dot: `.rpy`.
    pub fn processor(mut self, extension: impl Into<String>, processor: Arc<dyn Processor>) -> Folder {
        self.processors.insert(extension.into(), processor);
        self
    }

    /// How its files are served.
    pub fn config(&self) -> &FilesConfig {
        &self.config
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder").field("root", &self.root).field("config", &self.config).finish_non_exhaustive()
    }
}

/// Where a walk has ended.
enum Found {
    File(PathBuf),
    /// A file that is answered for, and how many segments of the whole path led to it.
    Script(PathBuf, Arc<dyn Processor>, usize),
    Listing(PathBuf),
    /// A folder, asked for without the slash behind it.
    Unslashed,
    Nothing,
}

impl Application for Folder {
    fn call(&self, call: &Call) -> Result<(), Failure> {
        let request = call.request();
        let found = match self.find(&request.postpath(), request.prepath().len()) {
            Ok(found) => found,
            Err(error) => return send_error(call, &self.root, &error),
        };
        match found {
            Found::Script(script, processor, prepath) => processor.render(&script, &call.below(prepath)),
            _ if !matches!(request.method(), b"GET" | b"HEAD") => send_not_allowed(call),
            Found::File(path) => send_file(call, &path, &self.config),
            Found::Listing(folder) if self.config.list_folders => send_listing(call, &folder, &self.config),
            Found::Listing(_) => send_forbidden(call),
            Found::Unslashed => redirect_to_slash(call),
            Found::Nothing => send_not_found(call),
        }
    }
}

impl Folder {
    /// Walks from the root along `postpath`; `prepath` segments have led here.
    ///
    /// # Errors
    /// The file system's, but for what is not there.
    fn find(&self, postpath: &[Vec<u8>], prepath: usize) -> io::Result<Found> {
        let mut path = self.root.clone();
        let mut is_folder = match kind(&path)? {
            Some(Kind::Folder) => true,
            Some(Kind::Other) => false,
            None => return Ok(Found::Nothing),
        };
        if !is_folder {
            return Ok(match self.processor_of(&path) {
                Some(processor) => Found::Script(path, processor, prepath),
                None if postpath.is_empty() || postpath == [b""] => Found::File(path),
                None => Found::Nothing,
            });
        }
        for (at, segment) in postpath.iter().enumerate() {
            if !is_folder {
                return Ok(Found::Nothing);
            }
            let child = match segment.is_empty() {
                true => self.index(&path)?,
                false => self.child(&path, segment)?,
            };
            let Some((child, kind)) = child else {
                let is_last = at + 1 == postpath.len();
                return Ok(if segment.is_empty() && is_last { Found::Listing(path) } else { Found::Nothing });
            };
            (path, is_folder) = (child, matches!(kind, Kind::Folder));
            if !is_folder && let Some(processor) = self.processor_of(&path) {
                return Ok(Found::Script(path, processor, prepath + at + 1));
            }
        }
        if is_folder {
            return Ok(Found::Unslashed);
        }
        Ok(Found::File(path))
    }

    fn index(&self, folder: &Path) -> io::Result<Option<(PathBuf, Kind)>> {
        for name in &self.config.index_names {
            let path = folder.join(name);
            if let Some(kind) = kind(&path)? {
                return Ok(Some((path, kind)));
            }
        }
        Ok(None)
    }

    fn child(&self, folder: &Path, segment: &[u8]) -> io::Result<Option<(PathBuf, Kind)>> {
        let Some(name) = file_name(segment) else { return Ok(None) };
        let path = folder.join(name);
        Ok(kind(&path)?.map(|kind| (path, kind)))
    }

    fn processor_of(&self, path: &Path) -> Option<Arc<dyn Processor>> {
        let extension = path.extension()?.to_str()?;
        self.processors.get(&format!(".{extension}")).cloned()
    }
}

enum Kind {
    Folder,
    /// Also what is neither: whoever opens it looks.
    Other,
}

/// What there is; nothing where there is nothing.
fn kind(path: &Path) -> io::Result<Option<Kind>> {
    match path.metadata() {
        Ok(found) if found.is_dir() => Ok(Some(Kind::Folder)),
        Ok(_) => Ok(Some(Kind::Other)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The name that a decoded segment asks for; none for what would leave the folder, and for what no file is called.
fn file_name(segment: &[u8]) -> Option<&OsStr> {
    if matches!(segment, b"." | b"..") || segment.iter().any(|byte| matches!(byte, b'/' | 0)) {
        return None;
    }
    os_str(segment)
}

#[cfg(unix)]
fn os_str(segment: &[u8]) -> Option<&OsStr> {
    Some(std::os::unix::ffi::OsStrExt::from_bytes(segment))
}

/// A drive, a stream or a backslash would lead elsewhere.
#[cfg(not(unix))]
fn os_str(segment: &[u8]) -> Option<&OsStr> {
    let text = std::str::from_utf8(segment).ok()?;
    (!text.contains(['\\', ':'])).then_some(OsStr::new(text))
}

/// As Twisted has it, a 302.
fn redirect_to_slash(call: &Call) -> Result<(), Failure> {
    let head = call.request().head();
    // Two slashes at the start would name a host.
    let path = head.path();
    let slashes = path.iter().take_while(|&&byte| byte == b'/').count();
    let mut location = vec![b'/'];
    location.extend_from_slice(&path[slashes..]);
    location.push(b'/');
    if let Some(query) = head.query() {
        location.push(b'?');
        location.extend_from_slice(query);
    }
    let mut found = call.new_head("302 Found")?;
    found.push("Location", location)?;
    found.push("Content-Type", "text/plain; charset=utf-8")?;
    call.start(found)?;
    Ok(call.send_whole(b"A folder's path ends in a slash.\n")?)
}
