//! A folder as an application: from the path of a request to a file, a script, an index or a listing.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::answers::{send_error, send_forbidden, send_not_allowed, send_not_found};
use super::walk::{Kind, Place, Walk};
use super::{FilesConfig, Processor, listing, send_file};
use crate::{Application, Call, Failure};

/// Serves the files below a folder: an [`Application`], for a [`WsgiResource`](crate::WsgiResource) at any place of the
/// tree.
///
/// ```
/// use handwound_wsgi::files::{FilesConfig, Folder};
/// use handwound_wsgi::testing::prelude::*;
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("index.html"), "<p>Hello</p>")?;
/// std::fs::write(folder.path().join("notes.md"), "Hello")?;
/// let mut config = FilesConfig::default();
/// config.extra_types.insert(".md".into(), "text/markdown; charset=utf-8".into());
///
/// let sim = Sim::new(Choices::calm());
/// let server = handwound_wsgi::testing::serve(&sim, 1, Folder::with_config(folder.path(), config));
/// let (index, notes) = (server.get(&sim, "/"), server.get(&sim, "/notes.md"));
/// sim.settle();
/// assert_eq!(index.text(), "<p>Hello</p>");
/// assert_eq!(notes.response().headers()["Content-Type"], "text/markdown; charset=utf-8");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// What a path can reach: names below the folder, one a segment; `.`, `..`, and segments with a slash or a NUL in them are
/// not found, however they are encoded. Neither is what is neither file nor folder. Symbolic links are followed as
/// [`FilesConfig::symlinks`] says. Names that begin with a dot are like all others.
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
        let found = Walk::below(&self.root, &self.config).and_then(|walk| {
            let found = self.find(&walk, &request.postpath(), request.prepath().len())?;
            Ok((walk, found))
        });
        let (walk, found) = match found {
            Ok(found) => found,
            Err(error) => return send_error(call, &self.root, &error),
        };
        match found {
            Found::Script(script, processor, prepath) => processor.render(&script, &call.below(prepath)),
            Found::Nothing => send_not_found(call),
            _ if !matches!(request.method(), b"GET" | b"HEAD") => send_not_allowed(call),
            Found::File(path) => send_file(call, &path, &self.config),
            Found::Listing(folder) if self.config.list_folders => listing::send(call, &folder, &walk),
            Found::Listing(_) => send_forbidden(call),
            Found::Unslashed => redirect_to_slash(call),
        }
    }
}

impl Folder {
    /// Walks from the root along `postpath`; `prepath` segments have led here.
    ///
    /// # Errors
    /// The file system's, but for what is not there.
    fn find(&self, walk: &Walk<'_>, postpath: &[Vec<u8>], prepath: usize) -> io::Result<Found> {
        let Some(root) = walk.look_at_root()? else { return Ok(Found::Nothing) };
        if root.kind != Kind::Folder {
            // At the site's root its path is a slash.
            let is_asked_for = postpath.is_empty() || (prepath == 0 && postpath == [b""]);
            return Ok(self.file(root, prepath, is_asked_for));
        }
        let mut folder = root.path;
        for (at, segment) in postpath.iter().enumerate() {
            let is_last = at + 1 == postpath.len();
            let child = match segment.is_empty() {
                true => walk.index(&folder)?,
                false => walk.child(&folder, segment)?,
            };
            match child {
                Some(Place { path, kind: Kind::Folder }) => folder = path,
                Some(place) => return Ok(self.file(place, prepath + at + 1, is_last)),
                None if segment.is_empty() && is_last => return Ok(Found::Listing(folder)),
                None => return Ok(Found::Nothing),
            }
        }
        Ok(Found::Unslashed)
    }

    /// What a place that is no folder comes to; a path may go on below scripts only.
    fn file(&self, place: Place, prepath: usize, is_last: bool) -> Found {
        match self.processor_of(&place.path) {
            _ if place.kind != Kind::File => Found::Nothing,
            Some(processor) => Found::Script(place.path, processor, prepath),
            None if is_last => Found::File(place.path),
            None => Found::Nothing,
        }
    }

    fn processor_of(&self, path: &Path) -> Option<Arc<dyn Processor>> {
        let extension = path.extension()?.to_str()?;
        self.processors.get(&format!(".{extension}")).cloned()
    }
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
