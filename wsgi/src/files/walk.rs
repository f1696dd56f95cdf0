//! From names to places on the disk, none of them outside of where it may lead.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use super::answers::is_absent;
use super::{FilesConfig, Symlinks};

/// A walk through a folder.
pub(super) struct Walk<'a> {
    folder: &'a Path,
    config: &'a FilesConfig,
    /// Where links may lead, if that is bounded.
    inside: Option<PathBuf>,
}

/// What was found.
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File,
    /// A pipe, a device, a socket: nothing to serve.
    Other,
}

impl Kind {
    fn of(found: &Metadata) -> Kind {
        match found {
            _ if found.is_dir() => Kind::Folder,
            _ if found.is_file() => Kind::File,
            _ => Kind::Other,
        }
    }
}

impl<'a> Walk<'a> {
    /// From `folder` on.
    ///
    /// # Errors
    /// The file system's, but for a folder that is not there.
    pub(super) fn below(folder: &'a Path, config: &'a FilesConfig) -> io::Result<Walk<'a>> {
        let inside = match config.symlinks {
            Symlinks::Inside => none_if_absent(folder.canonicalize())?,
            Symlinks::Follow | Symlinks::Never => None,
        };
        Ok(Walk { folder, config, inside })
    }

    pub(super) fn config(&self) -> &FilesConfig {
        self.config
    }

    /// The served folder itself, which may be a link whatever the rule.
    pub(super) fn look_at_root(&self) -> io::Result<Option<Place>> {
        let path = match self.config.symlinks {
            Symlinks::Follow => self.folder.to_path_buf(),
            Symlinks::Inside | Symlinks::Never => match none_if_absent(self.folder.canonicalize())? {
                Some(path) => path,
                None => return Ok(None),
            },
        };
        let found = none_if_absent(path.metadata())?;
        Ok(found.map(|found| Place { path, kind: Kind::of(&found) }))
    }

    /// What is at `path`, if links may lead there.
    pub(super) fn look(&self, path: PathBuf) -> io::Result<Option<Place>> {
        let Some(mut found) = none_if_absent(match self.config.symlinks {
            Symlinks::Follow => path.metadata(),
            Symlinks::Inside | Symlinks::Never => path.symlink_metadata(),
        })?
        else {
            return Ok(None);
        };
        if found.is_symlink() {
            let Some(inside) = &self.inside else { return Ok(None) };
            let Some(target) = none_if_absent(path.canonicalize())? else { return Ok(None) };
            if !target.starts_with(inside) {
                return Ok(None);
            }
            found = target.metadata()?;
        }
        Ok(Some(Place { path, kind: Kind::of(&found) }))
    }

    /// What answers for a folder.
    pub(super) fn index(&self, folder: &Path) -> io::Result<Option<Place>> {
        for name in &self.config.index_names {
            // A folder of such a name answers for nothing: there would be no end to its slashes.
            if let Some(place) = self.look(folder.join(name))?.filter(|place| place.kind != Kind::Folder) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// What a decoded segment names, its extension perhaps left out.
    pub(super) fn child(&self, folder: &Path, segment: &[u8]) -> io::Result<Option<Place>> {
        let Some(name) = file_name(segment) else { return Ok(None) };
        if let Some(place) = self.look(folder.join(name))? {
            return Ok(Some(place));
        }
        for extension in &self.config.ignored_extensions {
            let mut full = name.to_owned();
            full.push(extension);
            if let Some(place) = self.look(folder.join(full))? {
                return Ok(Some(place));
            }
        }
        match self.config.ignore_any_extension {
            true => self.any_extension(folder, name),
            false => Ok(None),
        }
    }

    /// The first by name of those that are `name`, a dot, and an extension.
    fn any_extension(&self, folder: &Path, name: &OsStr) -> io::Result<Option<Place>> {
        // A folder may be one that can be passed through, but not read.
        let Ok(entries) = folder.read_dir() else { return Ok(None) };
        let mut names: Vec<OsString> = Vec::new();
        for entry in entries {
            let found = entry?.file_name();
            let extension = found.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
            if extension.is_some_and(|extension| extension.starts_with(b".")) {
                names.push(found);
            }
        }
        names.sort_unstable();
        for found in names {
            if let Some(place) = self.look(folder.join(found))? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }
}

fn none_if_absent<V>(result: io::Result<V>) -> io::Result<Option<V>> {
    match result {
        Err(error) if is_absent(&error) => Ok(None),
        result => result.map(Some),
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
