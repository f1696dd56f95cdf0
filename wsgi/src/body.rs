//! A request's body: in memory, then in a temporary file past a limit. It is complete before an application sees it.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

/// What an idle connection may keep of its last body, in bytes.
pub(crate) const LIGHT_BYTES: usize = 64 << 10;

/// A complete request body. Reading needs no lock: whoever reads keeps its own position.
#[derive(Debug)]
pub(crate) enum RequestBody {
    Memory(Vec<u8>),
    File { file: File, bytes: u64 },
}

impl Default for RequestBody {
    fn default() -> RequestBody {
        RequestBody::Memory(Vec::new())
    }
}

impl RequestBody {
    pub(crate) fn len(&self) -> u64 {
        match self {
            RequestBody::Memory(bytes) => bytes.len() as u64,
            RequestBody::File { bytes, .. } => *bytes,
        }
    }

    /// Whether it holds no file and little memory.
    pub(crate) fn is_light(&self) -> bool {
        matches!(self, RequestBody::Memory(bytes) if bytes.capacity() <= LIGHT_BYTES)
    }

    /// Reads from `offset` on; zero bytes are the end.
    pub(crate) fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        match self {
            RequestBody::Memory(bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
                let taken = rest.len().min(into.len());
                into[..taken].copy_from_slice(&rest[..taken]);
                Ok(taken)
            }
            RequestBody::File { file, .. } => read_file_at(file, into, offset),
        }
    }

    /// Appends a piece; moves to an unnamed temporary file once there are more than `memory_bytes_max`.
    ///
    /// # Errors
    /// The file system's: no space, no folder for temporary files.
    pub(crate) fn push(&mut self, piece: &[u8], memory_bytes_max: usize) -> io::Result<()> {
        match self {
            RequestBody::Memory(bytes) if bytes.len() + piece.len() <= memory_bytes_max => {
                bytes.extend_from_slice(piece);
                Ok(())
            }
            RequestBody::Memory(bytes) => {
                let mut file = tempfile::tempfile()?;
                file.write_all(bytes)?;
                file.write_all(piece)?;
                *self = RequestBody::File { bytes: (bytes.len() + piece.len()) as u64, file };
                Ok(())
            }
            RequestBody::File { file, bytes } => {
                file.seek(SeekFrom::Start(*bytes))?;
                file.write_all(piece)?;
                *bytes += piece.len() as u64;
                Ok(())
            }
        }
    }
}

#[cfg(unix)]
fn read_file_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, offset)
}

#[cfg(windows)]
fn read_file_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, offset)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However it is cut and wherever the limit lies, the body reads back as it was pushed.
        #[test]
        fn reads_back_what_was_pushed(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..10),
            memory_bytes_max in 0usize..200,
            step in 1usize..50,
        ) {
            let mut body = RequestBody::default();
            for piece in &pieces {
                body.push(piece, memory_bytes_max).unwrap();
            }
            let whole = pieces.concat();
            prop_assert_eq!(body.len(), whole.len() as u64);
            prop_assert_eq!(matches!(body, RequestBody::File { .. }), whole.len() > memory_bytes_max);
            let mut read = Vec::new();
            let mut buffer = vec![0; step];
            loop {
                let bytes = body.read_at(read.len() as u64, &mut buffer).unwrap();
                if bytes == 0 {
                    break;
                }
                read.extend_from_slice(&buffer[..bytes]);
            }
            prop_assert_eq!(read, whole);
            prop_assert_eq!(body.read_at(u64::MAX - 1, &mut buffer).unwrap_or(0), 0);
        }
    }
}
