//! A filter for tests: units of `kind, length, payload`, the payload with its bits turned round. It has all that a cipher
//! has, a greeting, data, a last word and refusals, and a person can read it.

use std::io::{Error, ErrorKind};
use std::sync::Arc;

use handwound_reactor::{Filter, Passed};

pub const HELLO: u8 = b'H';
pub const DATA: u8 = b'D';
pub const END: u8 = b'E';
/// What is answered to what is no unit.
pub const REFUSED: u8 = b'R';

/// One unit on the wire.
pub fn unit(kind: u8, plain: &[u8]) -> Vec<u8> {
    let mut wire = vec![kind];
    wire.extend((plain.len() as u16).to_be_bytes());
    wire.extend(plain.iter().map(|byte| !byte));
    wire
}

/// Takes one whole unit from the front, and says how long it is.
pub fn first(wire: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let length = usize::from(u16::from_be_bytes([*wire.get(1)?, *wire.get(2)?]));
    let plain = wire.get(3..3 + length)?.iter().map(|byte| !byte).collect();
    Some((wire[0], plain, 3 + length))
}

/// All units that are whole, and how many bytes are left over.
pub fn units(mut wire: &[u8]) -> (Vec<(u8, Vec<u8>)>, usize) {
    let mut all = Vec::new();
    while let Some((kind, plain, length)) = first(wire) {
        all.push((kind, plain));
        wire = &wire[length..];
    }
    (all, wire.len())
}

/// Either side; the one that begins says hello first.
#[derive(Default)]
pub struct Toy {
    pub begins: bool,
    opened: bool,
    rest: Vec<u8>,
}

impl Toy {
    pub fn server() -> Toy {
        Toy::default()
    }

    pub fn client() -> Toy {
        Toy { begins: true, ..Toy::default() }
    }
}

impl Filter for Toy {
    fn begin(&mut self, wire: &mut Vec<u8>) {
        if self.begins {
            wire.extend(unit(HELLO, b"client"));
        }
    }

    fn receive(
        &mut self,
        bytes: &mut [u8],
        reply: &mut Vec<u8>,
        pass: &mut dyn FnMut(Passed<'_>),
    ) -> Result<(), Error> {
        self.rest.extend_from_slice(bytes);
        while let Some((kind, plain, length)) = first(&self.rest) {
            self.rest.drain(..length);
            match kind {
                HELLO if !self.opened => {
                    self.opened = true;
                    if !self.begins {
                        reply.extend(unit(HELLO, b"server"));
                    }
                    pass(Passed::Opened(Some(Arc::new(plain))));
                }
                DATA if self.opened => pass(Passed::Bytes(&plain)),
                END if self.opened => pass(Passed::Ended),
                b'P' => panic!("a filter that panics"),
                _ => {
                    reply.extend(unit(REFUSED, &[kind]));
                    return Err(Error::new(ErrorKind::InvalidData, "not a unit"));
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), Error> {
        assert!(self.opened && !plain.is_empty());
        plain.chunks(1000).for_each(|piece| wire.extend(unit(DATA, piece)));
        Ok(())
    }

    fn end(&mut self, wire: &mut Vec<u8>) {
        wire.extend(unit(END, b""));
    }

    fn memory_bytes(&self) -> usize {
        self.rest.capacity()
    }
}
