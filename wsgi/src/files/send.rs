//! One file as the response to a request.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use super::answers::{send_error, send_not_allowed, send_not_found};
use super::{FilesConfig, Symlinks, types};
use crate::body::read_file_at;
use crate::{Call, Failure};

/// Bytes that are read at once. A file of no more is sent together with its head.
const PIECE_BYTES: usize = 64 << 10;

/// Answers with the file at `path`, as SPEC says of static files: its type, its parts if the client asks for ranges, 304
/// if it has it already; 404 if it is not there, or no plain file, 403 if it must not be read, 405 for other methods
/// than GET and HEAD. Runs on a worker; blocks on the disk, and while the client reads slowly.
///
/// Of `config` it takes the types, and whether `path` itself may be a symbolic link.
///
/// # Errors
/// The disk's, and a file that has become shorter while it was sent; the client's if it has left.
pub fn send_file(call: &Call, path: &Path, config: &FilesConfig) -> Result<(), Failure> {
    let is_head = match call.request().method() {
        b"GET" => false,
        b"HEAD" => true,
        _ => return send_not_allowed(call),
    };
    let (file, metadata) = match open(path, config) {
        Ok(Some(opened)) => opened,
        Ok(None) => return send_not_found(call),
        Err(error) => return send_error(call, path, &error),
    };
    let bytes = metadata.len();
    let (content_type, encoding) = types::of(path, config);
    let mut head = call.new_head("200 OK")?;
    head.push("Content-Type", content_type)?;
    if let Some(encoding) = encoding {
        head.push("Content-Encoding", encoding)?;
    }
    head.set_content_length_if_absent(bytes);
    call.start(head)?;
    if is_head {
        return Ok(());
    }
    send_part(call, path, &file, 0, bytes)
}

/// The file, if there is a plain one. Never waits for who might write into a pipe, and never opens a device.
pub(super) fn open(path: &Path, config: &FilesConfig) -> io::Result<Option<(File, Metadata)>> {
    let looked_at = match config.symlinks {
        Symlinks::Never => path.symlink_metadata()?,
        _ => path.metadata()?,
    };
    if !looked_at.is_file() {
        return Ok(None);
    }
    let file = options(config).open(path)?;
    // It may be another one by now.
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then_some((file, metadata)))
}

#[cfg(unix)]
fn options(config: &FilesConfig) -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;
    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    if config.symlinks == Symlinks::Never {
        flags |= OFlags::NOFOLLOW;
    }
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    options
}

#[cfg(not(unix))]
fn options(_config: &FilesConfig) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    options
}

/// Sends `bytes` of the file from `offset` on.
fn send_part(call: &Call, path: &Path, file: &File, mut offset: u64, bytes: u64) -> Result<(), Failure> {
    let end = offset + bytes;
    let mut piece = vec![0; PIECE_BYTES.min(usize::try_from(bytes).unwrap_or(PIECE_BYTES))];
    while offset < end {
        let wanted = piece.len().min(usize::try_from(end - offset).unwrap_or(usize::MAX));
        match read_file_at(file, &mut piece[..wanted], offset) {
            Ok(0) => return Err(Failure::new(format!("{} has become shorter while it was sent", path.display()))),
            Ok(read) => {
                call.write(&piece[..read])?;
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::new(format!("cannot read {}: {error}", path.display()))),
        }
    }
    Ok(())
}
