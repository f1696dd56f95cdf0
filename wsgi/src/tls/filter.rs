//! One connection's TLS, as the reactor's filter: rustls without buffers of its own between it and the socket.

use std::io::{Error, ErrorKind};
use std::sync::Arc;

use handwound_reactor::{Filter, Passed};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{CipherSuite, ProtocolVersion, ServerConfig};

use crate::secured::Secured;

type Writing<'a> = WriteTraffic<'a, ServerConnectionData>;

/// What is answered to who speaks HTTP where TLS is spoken.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 64\r\n\
    Connection: close\r\n\
    \r\n\
    This port speaks HTTPS; write https:// instead of http:// here.\n";

/// What a record begins with: its type, the version, its length (RFC 8446, section 5.1).
const HEADER_BYTES: usize = 5;
/// What a record is longer than what it carries, at the most: header, nonce, tag, type.
const OVERHEAD_BYTES: usize = 64;
/// What one record can carry.
const RECORD_BYTES_MAX: usize = 1 << 14;
/// What is kept of records that cannot be dealt with yet: one that is not complete (it may be 2 KiB longer than what it
/// carries), and as much of a handshake message before it. Messages may come in records of a byte each, which would cost
/// some twenty times what they carry; nobody who means well sends such.
const REST_BYTES_MAX: usize = 2 * (HEADER_BYTES + RECORD_BYTES_MAX + 2048);

pub(super) struct Tls {
    connection: Result<Box<UnbufferedServerConnection>, Error>,
    /// The beginning of what is not complete: a record, or the records of a handshake message.
    rest: Vec<u8>,
    opened: bool,
    /// The first byte has been looked at.
    judged: bool,
    /// The peer has said that nothing more will come.
    peer_closed: bool,
}

impl Tls {
    pub(super) fn new(config: Arc<ServerConfig>) -> Tls {
        let connection = UnbufferedServerConnection::new(config).map(Box::new).map_err(Error::other);
        Tls { connection, rest: Vec::new(), opened: false, judged: false, peer_closed: false }
    }

    /// Deals with records as far as they are complete. Returns how many bytes are done with; the others have to come
    /// again, in front of those that follow.
    fn process(
        &mut self,
        bytes: &mut [u8],
        reply: &mut Vec<u8>,
        pass: &mut dyn FnMut(Passed<'_>),
    ) -> Result<usize, Error> {
        let connection = self.connection.as_mut().map_err(|error| Error::other(error.to_string()))?;
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state } = connection.process_tls_records(&mut bytes[used..]);
            let mut goes_on = true;
            match state {
                // Not before it is known to be open: the same comes again.
                Ok(ConnectionState::ReadTraffic(mut traffic)) if self.opened => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(refused)?;
                        discard += record.discard;
                        if !record.payload.is_empty() {
                            pass(Passed::Bytes(record.payload));
                        }
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, reply)?,
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.peer_closed = true,
                Ok(ConnectionState::ReadTraffic(_)) => {}
                Ok(_) => goes_on = false,
                Err(error) => {
                    used += discard;
                    alert(connection, &mut bytes[used..], reply);
                    return Err(refused(error));
                }
            }
            used += discard;
            if !self.opened && !connection.is_handshaking() {
                self.opened = true;
                pass(Passed::Opened(Some(secured(connection))));
                goes_on = true;
            }
            // Behind that: who ends the handshake may leave with the same bytes.
            if self.peer_closed {
                pass(Passed::Ended);
                return Ok(bytes.len());
            }
            if !goes_on {
                return Ok(used);
            }
        }
    }

    /// Adds to `wire` what `write` makes, once all that waits to be sent before it has been.
    fn write(
        &mut self,
        wire: &mut Vec<u8>,
        room: usize,
        mut write: impl FnMut(&mut Writing<'_>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> Result<(), Error> {
        let connection = self.connection.as_mut().map_err(|error| Error::other(error.to_string()))?;
        let mut room = room;
        loop {
            let UnbufferedStatus { discard, state } = connection.process_tls_records(&mut self.rest);
            match state.map_err(refused)? {
                ConnectionState::EncodeTlsData(mut data) => encode(&mut data, wire)?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::WriteTraffic(mut traffic) => {
                    let at = wire.len();
                    wire.resize(at + room, 0);
                    match write(&mut traffic, &mut wire[at..]) {
                        Ok(bytes) => {
                            wire.truncate(at + bytes);
                            return Ok(());
                        }
                        Err(EncryptError::InsufficientSize(size)) if size.required_size > room => {
                            wire.truncate(at);
                            room = size.required_size;
                        }
                        Err(error) => {
                            wire.truncate(at);
                            return Err(Error::other(error));
                        }
                    }
                }
                other => return Err(Error::other(format!("nothing can be sent now: {other:?}"))),
            }
            self.rest.drain(..discard);
        }
    }
}

impl Filter for Tls {
    fn receive(
        &mut self,
        bytes: &mut [u8],
        reply: &mut Vec<u8>,
        pass: &mut dyn FnMut(Passed<'_>),
    ) -> Result<(), Error> {
        // No record's type is a letter, and every request begins with one.
        if !std::mem::replace(&mut self.judged, true) && bytes[0].is_ascii_alphabetic() {
            reply.extend_from_slice(PLAIN);
            return Err(Error::new(ErrorKind::InvalidData, "the client does not speak TLS but HTTP"));
        }
        let mut bytes = bytes;
        // Only as much is copied as completes what is kept; all else is decrypted where it is. What follows the peer's last
        // word is ignored (RFC 8446, section 6.1).
        while !self.rest.is_empty() && !bytes.is_empty() && !self.peer_closed {
            let missing = missing(&self.rest).unwrap_or(bytes.len()).min(bytes.len());
            let (front, back) = bytes.split_at_mut(missing);
            let mut rest = std::mem::take(&mut self.rest);
            rest.extend_from_slice(front);
            bytes = back;
            let used = self.process(&mut rest, reply, pass)?;
            rest.drain(..used);
            if rest.len() > REST_BYTES_MAX {
                return Err(in_crumbs());
            }
            if !rest.is_empty() {
                self.rest = rest;
            }
        }
        if !bytes.is_empty() && !self.peer_closed {
            let used = self.process(bytes, reply, pass)?;
            if bytes.len() - used > REST_BYTES_MAX {
                return Err(in_crumbs());
            }
            self.rest.extend_from_slice(&bytes[used..]);
        }
        Ok(())
    }

    fn send(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), Error> {
        let room = plain.len() + plain.len().div_ceil(RECORD_BYTES_MAX) * OVERHEAD_BYTES;
        self.write(wire, room, |traffic, wire| traffic.encrypt(plain, wire))
    }

    fn end(&mut self, wire: &mut Vec<u8>) {
        // What goes wrong here changes nothing: the end is what comes next.
        let _ = self.write(wire, OVERHEAD_BYTES, |traffic, wire| traffic.queue_close_notify(wire));
    }

    fn memory_bytes(&self) -> usize {
        self.rest.capacity()
    }
}

/// How many bytes complete the first of these records, or its header. `None` if it is complete: then it is a piece of a
/// message that has to be kept whole. Those behind it are not looked at: for each byte that comes that would be work
/// without bound, and rustls has moved what is in them.
fn missing(records: &[u8]) -> Option<usize> {
    let Some((header, after)) = records.split_at_checked(HEADER_BYTES) else {
        return Some(HEADER_BYTES - records.len());
    };
    let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
    length.checked_sub(after.len()).filter(|&missing| missing > 0)
}

fn in_crumbs() -> Error {
    Error::new(ErrorKind::InvalidData, "the client sends a message of its handshake in too many pieces")
}

fn encode<D>(data: &mut EncodeTlsData<'_, D>, wire: &mut Vec<u8>) -> Result<(), Error> {
    let at = wire.len();
    // How much it is, it says when there is too little room.
    match data.encode(&mut wire[at..]) {
        Err(EncodeError::InsufficientSize(size)) => {
            wire.resize(at + size.required_size, 0);
            let written = data.encode(&mut wire[at..]).map_err(Error::other)?;
            wire.truncate(at + written);
            Ok(())
        }
        Err(error) => Err(Error::other(error)),
        Ok(_) => Ok(()),
    }
}

/// What there is to say about an error.
fn alert(connection: &mut UnbufferedServerConnection, bytes: &mut [u8], reply: &mut Vec<u8>) {
    while connection.wants_write() {
        match connection.process_tls_records(bytes).state {
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                if encode(&mut data, reply).is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

fn refused(error: rustls::Error) -> Error {
    Error::new(ErrorKind::InvalidData, error)
}

fn secured(connection: &UnbufferedServerConnection) -> Arc<Secured> {
    let protocol = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    };
    let cipher = connection.negotiated_cipher_suite().map_or("", |suite| openssl_name(suite.suite()));
    Arc::new(Secured { protocol, cipher })
}

/// By these names people know them, from Apache and OpenSSL.
fn openssl_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        other => other.as_str().unwrap_or(""),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_record_says_how_much_of_it_is_missing() {
        let check = |bytes: &[u8], expected| assert_eq!(missing(bytes), expected, "{bytes:?}");
        check(&[22], Some(4));
        check(&[22, 3], Some(3));
        check(&[22, 3, 3, 1, 0], Some(256));
        check(&[22, 3, 3, 0, 2, 9], Some(1));
        check(&[22, 3, 3, 0, 2, 9, 9], None);
        check(&[22, 3, 3, 0, 1, 9, 23, 3, 3, 0, 4, 1], None);
    }

    #[test]
    fn the_plain_answer_is_whole() {
        let text = std::str::from_utf8(PLAIN).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }
}
