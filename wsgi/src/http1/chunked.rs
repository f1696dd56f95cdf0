//! Decodes the chunked transfer coding, byte-exact (RFC 9112 section 7.1). Keeps no bytes: what is cut off in the middle
//! goes on in the next call.
//!
//! Stricter than the grammar in two points: no white space around `;` and `=` in extensions, and at most 16 digits in a
//! size, leading zeros included. Extensions and trailers are checked and dropped.

use super::bytes::{self, FIELD_VALUE, TOKEN};
use super::config::Config;
use super::rejection::Rejection;

/// Digits in a size: enough for 64 bits.
const SIZE_DIGITS_MAX: u8 = 16;

/// Where in a chunked body the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In a size, after this many digits.
    Size(u8),
    /// After `;`.
    ExtensionStart,
    ExtensionName,
    /// After `=`.
    ExtensionValueStart,
    ExtensionValue,
    ExtensionQuoted,
    /// After `\` in a quoted string.
    ExtensionEscape,
    /// After a quoted string.
    ExtensionQuotedEnd,
    /// After the CR of a size line.
    SizeLineFeed,
    /// In the chunk's data; `left` counts down.
    Data,
    DataCarriageReturn,
    DataLineFeed,
    /// At the start of a trailer line, or of the empty line that ends the body.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLineFeed,
    EndLineFeed,
    End,
}

/// The state of one chunked body.
#[derive(Debug)]
pub(crate) struct Chunked {
    at: At,
    /// The size being read, then what is left of the chunk.
    left: u64,
    /// Decoded so far, the current chunk included.
    body_bytes: u64,
    extension_bytes: usize,
    trailer_bytes: usize,
    trailer_count: usize,
}

/// What a call to `decode` came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// All input is used up and there is no data in it.
    More,
    /// Data, from `start` to `end` of the input; everything before `end` is used up.
    Data { start: usize, end: usize },
    /// The body is over; this many bytes of the input belonged to it.
    End { used: usize },
}

impl Chunked {
    pub(crate) fn new() -> Chunked {
        let at = At::Size(0);
        Chunked { at, left: 0, body_bytes: 0, extension_bytes: 0, trailer_bytes: 0, trailer_count: 0 }
    }

    /// Takes `input`, which goes on where the last call's use of it ended.
    ///
    /// # Errors
    ///
    /// The peer's fault. The body is lost, and with it the connection.
    pub(crate) fn decode(&mut self, input: &[u8], config: &Config) -> Result<Decoded, Rejection> {
        let mut used = 0;
        while self.at != At::End {
            if self.at == At::Data {
                let available = (input.len() - used) as u64;
                if available == 0 {
                    return Ok(Decoded::More);
                }
                let taken = self.left.min(available);
                self.left -= taken;
                if self.left == 0 {
                    self.at = At::DataCarriageReturn;
                }
                return Ok(Decoded::Data { start: used, end: used + taken as usize });
            }
            let Some(&byte) = input.get(used) else { return Ok(Decoded::More) };
            self.at = self.framing_byte(byte, config)?;
            used += 1;
        }
        Ok(Decoded::End { used })
    }

    fn framing_byte(&mut self, byte: u8, config: &Config) -> Result<At, Rejection> {
        match self.at {
            At::Size(digits) => self.size_byte(digits, byte, config),
            At::SizeLineFeed => match byte {
                b'\n' if self.left == 0 => Ok(At::TrailerStart),
                b'\n' => Ok(At::Data),
                _ => Err(Rejection::bad("a chunk size line ends in a bare CR")),
            },
            At::DataCarriageReturn if byte == b'\r' => Ok(At::DataLineFeed),
            At::DataLineFeed if byte == b'\n' => Ok(At::Size(0)),
            At::DataCarriageReturn | At::DataLineFeed => Err(Rejection::bad("chunk data does not end where it should")),
            At::TrailerStart | At::TrailerName | At::TrailerValue | At::TrailerLineFeed | At::EndLineFeed => {
                self.trailer_byte(byte, config)
            }
            _ => self.extension_byte(byte, config),
        }
    }

    fn size_byte(&mut self, digits: u8, byte: u8, config: &Config) -> Result<At, Rejection> {
        if let Some(value) = bytes::hex_value(byte) {
            if digits == SIZE_DIGITS_MAX {
                return Err(Rejection::bad("a chunk size has too many digits"));
            }
            self.left = self.left << 4 | u64::from(value);
            return Ok(At::Size(digits + 1));
        }
        if digits == 0 || !matches!(byte, b'\r' | b';') {
            return Err(Rejection::bad("a chunk size is not a hexadecimal number"));
        }
        self.body_bytes = self.body_bytes.saturating_add(self.left);
        if self.body_bytes > config.body_bytes_max {
            return Err(Rejection::new(413, "the chunked body is too large"));
        }
        if byte == b'\r' {
            return Ok(At::SizeLineFeed);
        }
        self.count_extension_byte(config)?;
        Ok(At::ExtensionStart)
    }

    fn count_extension_byte(&mut self, config: &Config) -> Result<(), Rejection> {
        self.extension_bytes += 1;
        if self.extension_bytes > config.chunk_extension_bytes_max {
            return Err(Rejection::bad("too many bytes of chunk extensions"));
        }
        Ok(())
    }

    /// RFC 9112 section 7.1.1: `; name`, `; name=token`, `; name="quoted"`.
    fn extension_byte(&mut self, byte: u8, config: &Config) -> Result<At, Rejection> {
        const BAD: Rejection = Rejection::bad("a chunk extension is malformed");
        if byte == b'\r' && matches!(self.at, At::ExtensionName | At::ExtensionValue | At::ExtensionQuotedEnd) {
            return Ok(At::SizeLineFeed);
        }
        self.count_extension_byte(config)?;
        let is_token = bytes::is(byte, TOKEN);
        match (self.at, byte) {
            (At::ExtensionStart | At::ExtensionName, _) if is_token => Ok(At::ExtensionName),
            (At::ExtensionName, b'=') => Ok(At::ExtensionValueStart),
            (At::ExtensionValueStart, b'"') => Ok(At::ExtensionQuoted),
            (At::ExtensionValueStart | At::ExtensionValue, _) if is_token => Ok(At::ExtensionValue),
            (At::ExtensionName | At::ExtensionValue | At::ExtensionQuotedEnd, b';') => Ok(At::ExtensionStart),
            (At::ExtensionQuoted, b'"') => Ok(At::ExtensionQuotedEnd),
            (At::ExtensionQuoted, b'\\') => Ok(At::ExtensionEscape),
            (At::ExtensionQuoted | At::ExtensionEscape, _) if bytes::is(byte, FIELD_VALUE) => Ok(At::ExtensionQuoted),
            _ => Err(BAD),
        }
    }

    /// RFC 9112 section 7.1.2: field lines, then an empty line.
    fn trailer_byte(&mut self, byte: u8, config: &Config) -> Result<At, Rejection> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > config.trailer_bytes_max {
            return Err(Rejection::new(431, "the trailer section is too long"));
        }
        match (self.at, byte) {
            (At::TrailerStart, b'\r') => Ok(At::EndLineFeed),
            (At::EndLineFeed, b'\n') => Ok(At::End),
            (At::TrailerStart, _) if bytes::is(byte, TOKEN) => {
                self.trailer_count += 1;
                if self.trailer_count > config.header_count_max {
                    return Err(Rejection::new(431, "too many trailer fields"));
                }
                Ok(At::TrailerName)
            }
            (At::TrailerName, b':') => Ok(At::TrailerValue),
            (At::TrailerName, _) if bytes::is(byte, TOKEN) => Ok(At::TrailerName),
            (At::TrailerValue, b'\r') => Ok(At::TrailerLineFeed),
            (At::TrailerValue, _) if bytes::is(byte, FIELD_VALUE) => Ok(At::TrailerValue),
            (At::TrailerLineFeed, b'\n') => Ok(At::TrailerStart),
            _ => Err(Rejection::bad("the trailer section is malformed")),
        }
    }
}
