//! A request's body: in memory, then in a temporary file past a limit. It is complete before an application sees it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What an idle connection may keep of any buffer of its last request, in bytes.
pub(crate) const LIGHT_BYTES: usize = 16 << 10;

/// A file is written in pieces of at least so many bytes: a body of tiny chunks must not cost a system call each.
const WRITE_BYTES: usize = 64 << 10;

/// A request body: pushed piece by piece, finished, then read. Reading needs no lock: whoever reads keeps its own
/// position.
#[derive(Debug)]
pub(crate) enum RequestBody {
    Memory(Vec<u8>),
    /// In a box, since a body without a file is moved with each request.
    File(Box<Spool>),
}

/// A body in an unnamed temporary file.
#[derive(Debug)]
pub(crate) struct Spool {
    file: File,
    /// All there are, written or not.
    bytes: u64,
    /// The last of them, until they are enough to be written.
    unwritten: Vec<u8>,
    #[cfg(test)]
    writes: u64,
}

/// Where a body may be kept.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    /// Longer ones go to a file.
    pub(crate) memory_bytes_max: usize,
    /// Where the file is made; `None` is the system's folder for such.
    pub(crate) folder: Option<PathBuf>,
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
            RequestBody::File(spool) => spool.bytes,
        }
    }

    /// Whether it holds no file and little memory.
    pub(crate) fn is_light(&self) -> bool {
        matches!(self, RequestBody::Memory(bytes) if bytes.capacity() <= LIGHT_BYTES)
    }

    /// Bytes of memory that it takes, used or not.
    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            RequestBody::Memory(bytes) => bytes.capacity(),
            RequestBody::File(spool) => spool.unwritten.capacity(),
        }
    }

    /// These bytes, if it is in memory and has as many.
    pub(crate) fn in_memory(&self, offset: u64, length: usize) -> Option<&[u8]> {
        match self {
            RequestBody::Memory(bytes) => bytes.get(usize::try_from(offset).ok()?..)?.get(..length),
            RequestBody::File(_) => None,
        }
    }

    /// Reads from `offset` on; zero bytes are the end. Of a finished body only.
    pub(crate) fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        match self {
            RequestBody::Memory(bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
                let taken = rest.len().min(into.len());
                into[..taken].copy_from_slice(&rest[..taken]);
                Ok(taken)
            }
            RequestBody::File(spool) => read_file_at(&spool.file, into, offset),
        }
    }

    /// Appends a piece; moves to a temporary file once there are more than `room` has memory for. All of it will be
    /// `declared_bytes` long, if that is known.
    ///
    /// # Errors
    /// The file system's: no space, no folder for temporary files.
    pub(crate) fn push(&mut self, piece: &[u8], declared_bytes: Option<u64>, room: &Room) -> io::Result<()> {
        match self {
            RequestBody::Memory(bytes) if bytes.len() + piece.len() <= room.memory_bytes_max => {
                // A body that comes in parts is not to be moved as it grows. What is only declared costs nothing yet: for
                // so much the system gives addresses, and memory once it is written. So who sends little gets little.
                if let Some(declared) = declared_bytes
                    && bytes.len() + piece.len() > bytes.capacity()
                    && bytes.len() >= LIGHT_BYTES
                {
                    let left = usize::try_from(declared.saturating_sub(bytes.len() as u64)).unwrap_or(usize::MAX);
                    bytes.reserve_exact(left.min(room.memory_bytes_max - bytes.len()).max(piece.len()));
                }
                bytes.extend_from_slice(piece);
                Ok(())
            }
            RequestBody::Memory(bytes) => {
                let mut spool = Spool::new(room.folder.as_deref())?;
                spool.push(bytes)?;
                spool.push(piece)?;
                *self = RequestBody::File(Box::new(spool));
                Ok(())
            }
            RequestBody::File(spool) => spool.push(piece),
        }
    }

    /// All has been pushed; it can be read now.
    ///
    /// # Errors
    /// The file system's, as above.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        match self {
            RequestBody::Memory(_) => Ok(()),
            RequestBody::File(spool) => spool.finish(),
        }
    }
}

impl Spool {
    fn new(folder: Option<&Path>) -> io::Result<Spool> {
        let file = folder.map_or_else(tempfile::tempfile, tempfile::tempfile_in)?;
        Ok(Spool {
            file,
            bytes: 0,
            unwritten: Vec::new(),
            #[cfg(test)]
            writes: 0,
        })
    }

    fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        self.bytes += piece.len() as u64;
        if piece.len() < WRITE_BYTES {
            self.unwritten.extend_from_slice(piece);
            return if self.unwritten.len() < WRITE_BYTES { Ok(()) } else { self.write_rest() };
        }
        self.write_rest()?;
        self.write(piece)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.write_rest()?;
        self.unwritten = Vec::new();
        Ok(())
    }

    fn write_rest(&mut self) -> io::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let mut unwritten = std::mem::take(&mut self.unwritten);
        let written = self.write(&unwritten);
        unwritten.clear();
        self.unwritten = unwritten;
        written
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        {
            self.writes += 1;
        }
        self.file.write_all(bytes)
    }
}

#[cfg(unix)]
pub(crate) fn read_file_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, offset)
}

#[cfg(windows)]
pub(crate) fn read_file_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, offset)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn room(memory_bytes_max: usize) -> Room {
        Room { memory_bytes_max, folder: None }
    }

    /// The body of `times` equal pieces, and how often its file was written.
    fn spooled(piece: &[u8], times: usize) -> (Vec<u8>, u64) {
        let mut body = RequestBody::default();
        (0..times).for_each(|_| body.push(piece, None, &room(10)).unwrap());
        body.finish().unwrap();
        let mut read = vec![0; body.len() as usize + 1];
        let mut bytes = 0;
        while let taken @ 1.. = body.read_at(bytes as u64, &mut read[bytes..]).unwrap() {
            bytes += taken;
        }
        read.truncate(bytes);
        let RequestBody::File(spool) = body else { panic!("it is longer than 10 bytes") };
        (read, spool.writes)
    }

    /// Six bytes of input, `1 CR LF x CR LF`, cost a seek and a write once.
    #[test]
    fn a_body_of_declared_length_is_not_moved_as_it_grows() {
        let (mut body, piece, room) = (RequestBody::default(), [b'x'; LIGHT_BYTES], room(10 * LIGHT_BYTES));
        for pushed in 1..=8 {
            body.push(&piece, Some(8 * LIGHT_BYTES as u64), &room).unwrap();
            // The first piece says nothing of what will come.
            let expected = if pushed == 1 { LIGHT_BYTES } else { 8 * LIGHT_BYTES };
            assert_eq!(body.memory_bytes(), expected);
        }
        // Who declares more than goes into memory gets no more than that.
        let mut body = RequestBody::default();
        (0..2).for_each(|_| body.push(&piece, Some(u64::MAX), &room).unwrap());
        assert_eq!(body.memory_bytes(), 10 * LIGHT_BYTES);
    }

    #[test]
    fn tiny_pieces_are_written_together() {
        assert_eq!(spooled(b"x", 200_000), (vec![b'x'; 200_000], 4));
        assert_eq!(spooled(&[b'y'; WRITE_BYTES], 3), (vec![b'y'; 3 * WRITE_BYTES], 3));
        let large = [b'z'; WRITE_BYTES + 1];
        assert_eq!(spooled(&large, 2).0, [large, large].concat());
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let nowhere = Room { memory_bytes_max: 3, folder: Some("/no/such/folder".into()) };
        let mut body = RequestBody::default();
        body.push(b"abc", None, &nowhere).unwrap();
        assert!(body.push(b"d", None, &nowhere).is_err());
    }

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
                body.push(piece, None, &room(memory_bytes_max)).unwrap();
            }
            body.finish().unwrap();
            let whole = pieces.concat();
            prop_assert_eq!(body.len(), whole.len() as u64);
            prop_assert_eq!(matches!(body, RequestBody::File(_)), whole.len() > memory_bytes_max);
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
