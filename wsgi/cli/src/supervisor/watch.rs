//! Files that are watched for a change, by looking at them now and then.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The files, as they looked last.
#[derive(Debug, Default)]
pub(super) struct Watch(BTreeMap<PathBuf, Look>);

/// What tells a file from what it was: device, inode, size, and when it was written.
type Look = Option<(u64, u64, u64, i64, i64)>;

impl Watch {
    /// Watches these too, from now on.
    pub(super) fn add(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        for file in files {
            self.0.entry(file).or_insert_with_key(|file| look(file));
        }
    }

    /// The first file that has changed since the last call, come or gone included.
    pub(super) fn changed(&mut self) -> Option<PathBuf> {
        let mut first = None;
        for (file, last) in &mut self.0 {
            let now = look(file);
            if std::mem::replace(last, now) != now {
                first = first.or_else(|| Some(file.clone()));
            }
        }
        first
    }
}

fn look(file: &Path) -> Look {
    let look = |it: Metadata| (it.dev(), it.ino(), it.size(), it.mtime(), it.mtime_nsec());
    fs::metadata(file).ok().map(look)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_written_replaced_gone_and_come_back_is_a_change_each_and_one_time() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        fs::write(&one, "1").unwrap();
        let mut watch = Watch::default();
        watch.add([one.clone(), two.clone()]);
        let mut check = |changed: Option<&Path>| {
            assert_eq!(watch.changed().as_deref(), changed);
            assert_eq!(watch.changed(), None);
        };
        check(None);
        fs::write(&one, "22").unwrap();
        check(Some(&one));
        fs::write(&two, "").unwrap();
        check(Some(&two));
        fs::rename(&two, &one).unwrap();
        check(Some(&one));
        check(None);
        fs::remove_file(&one).unwrap();
        check(Some(&one));
    }

    #[test]
    fn what_is_watched_already_keeps_its_look() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let mut watch = Watch::default();
        watch.add([file.clone()]);
        fs::write(&file, "").unwrap();
        watch.add([file.clone()]);
        assert_eq!(watch.changed(), Some(file));
    }
}
