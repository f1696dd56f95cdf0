//! The file of a UNIX socket: who may replace it, and who removes it.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{fs, mem};

use socket2::{Domain, SockAddr, Socket, Type};

/// A socket file that we have made; removed when dropped, unless another has taken its place since.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn made_at(path: &Path) -> io::Result<SocketFile> {
        let made = fs::symlink_metadata(path)?;
        Ok(SocketFile { path: path.to_owned(), device: made.dev(), inode: made.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = |there: fs::Metadata| (there.dev(), there.ino()) == (self.device, self.inode);
        if fs::symlink_metadata(&self.path).is_ok_and(ours) {
            // Nobody is left to tell; the next one to listen here replaces a stale file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds `socket` to `path`, which gets `mode`. To be called before `listen`: until then nobody can connect, so
/// the mode holds for everyone.
///
/// A socket file at which nobody listens is replaced. Two processes that start at the very same moment can each
/// take the other's file for stale, as it is not listened at yet; the later one then has the path.
pub(super) fn bind(socket: &Socket, path: &Path, mode: Option<u32>) -> io::Result<SocketFile> {
    let address = SockAddr::unix(path)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if !is_stale(path, &address)? {
                return Err(error);
            }
            fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        result => result?,
    }
    let file = SocketFile::made_at(path)?;
    if let Some(mode) = mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    Ok(file)
}

/// Whether there is a socket file at which nobody listens.
fn is_stale(path: &Path, address: &SockAddr) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        let what = format!("'{}' exists and is not a socket", path.display());
        return Err(io::Error::new(io::ErrorKind::AddrInUse, what));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A listener with a full queue must not make us wait: that it has one is all we want to know.
    probe.set_nonblocking(true)?;
    let refused = probe.connect(address).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    mem::drop(probe);
    Ok(refused)
}
