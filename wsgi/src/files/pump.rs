//! Bytes of a file, or of a page, on their way to a client, at the client's pace; no worker waits for it.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::range::Part;
use crate::body::read_file_at;
use crate::{Application, Call, Failure};

/// Bytes that are read at once.
const PIECE_BYTES: usize = 64 << 10;

/// What is to be sent, in order.
pub(super) enum Piece {
    /// Of the file.
    Part(Part),
    Text(Vec<u8>),
}

/// Sends pieces of a file. As an [`Application`] it goes on where it stopped for want of room.
pub(super) struct Pump(Arc<Source>);

struct Source {
    /// None where all is text.
    file: Option<(PathBuf, File)>,
    rest: Mutex<VecDeque<Piece>>,
}

impl Pump {
    pub(super) fn new(path: &Path, file: File, pieces: impl IntoIterator<Item = Piece>) -> Pump {
        Pump::of(Some((path.to_path_buf(), file)), pieces)
    }

    /// Sends a text that may be long.
    pub(super) fn of_text(text: &[u8]) -> Pump {
        Pump::of(None, text.chunks(PIECE_BYTES).map(|piece| Piece::Text(piece.to_vec())))
    }

    fn of(file: Option<(PathBuf, File)>, pieces: impl IntoIterator<Item = Piece>) -> Pump {
        Pump(Arc::new(Source { file, rest: Mutex::new(pieces.into_iter().collect()) }))
    }
}

impl Application for Pump {
    fn call(&self, call: &Call) -> Result<(), Failure> {
        // Not under its lock: a write is a visible operation.
        let mut rest = std::mem::take(&mut *self.0.rest.lock().unwrap_or_else(PoisonError::into_inner));
        let mut buffer = Vec::new();
        while let Some(piece) = rest.front_mut() {
            let room = call.room_bytes()?;
            if room == 0 {
                *self.0.rest.lock().unwrap_or_else(PoisonError::into_inner) = rest;
                call.go_on_with_room(Arc::new(Pump(self.0.clone())));
                return Ok(());
            }
            let is_over = match piece {
                Piece::Text(text) => {
                    let fits = text.len().min(room);
                    call.write(&text[..fits])?;
                    text.drain(..fits);
                    text.is_empty()
                }
                Piece::Part(part) => {
                    let wanted = part.bytes.min(room.min(PIECE_BYTES) as u64);
                    buffer.resize(wanted as usize, 0);
                    let read = self.0.read(&mut buffer, part.offset)?;
                    call.write(&buffer[..read])?;
                    (part.offset, part.bytes) = (part.offset + read as u64, part.bytes - read as u64);
                    part.bytes == 0
                }
            };
            if is_over {
                rest.pop_front();
            }
        }
        Ok(())
    }
}

impl Source {
    fn read(&self, into: &mut [u8], offset: u64) -> Result<usize, Failure> {
        let (path, file) = self.file.as_ref().expect("parts come with their file");
        read_some(path, file, into, offset)
    }
}

fn read_some(path: &Path, file: &File, into: &mut [u8], offset: u64) -> Result<usize, Failure> {
    loop {
        return match read_file_at(file, into, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(Failure::new(format!("cannot read {}: {error}", path.display()))),
            Ok(0) => Err(Failure::new(format!("{} has become shorter while it was sent", path.display()))),
            Ok(read) => Ok(read),
        };
    }
}

/// Reads a small file whole, and sends it together with its head.
pub(super) fn send_at_once(call: &Call, path: &Path, file: File, bytes: u64) -> Result<(), Failure> {
    let mut content = vec![0; bytes as usize];
    let mut filled = 0;
    while filled < content.len() {
        filled += read_some(path, &file, &mut content[filled..], filled as u64)?;
    }
    Ok(call.send_whole(&content)?)
}

/// Whether so many bytes are read and sent at once.
pub(super) fn is_small(bytes: u64) -> bool {
    bytes <= PIECE_BYTES as u64
}
