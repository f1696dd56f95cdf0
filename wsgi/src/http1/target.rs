//! Request targets in their four forms, hosts, and percent-decoding (RFC 9112 section 3.2, RFC 3986).
//!
//! Leniencies, each for the sake of honest clients: `[` and `]` may stand unencoded in a path or a query, unless the
//! configuration refuses that, and in a query a `%` may stand alone, since the query is handed on as it came. Whatever else RFC 3986 forbids is refused.

use std::net::Ipv6Addr;

use super::bytes::{self, PATH, QUERY, REG_NAME};
use super::rejection::Rejection;

const BAD_BYTE: Rejection = Rejection::bad("the target holds a byte that must be percent-encoded");

/// Which of the forms of RFC 9112 section 3.2 a target had. The authority-form belongs to CONNECT, which is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TargetForm {
    /// `/path?query`
    #[default]
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `*`, with OPTIONS only
    Asterisk,
}

/// A range of bytes in a head. Heads are shorter than 4 GiB, see `HEAD_BYTES_LIMIT`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: end as u32 }
    }

    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }

    /// The same bytes seen from `by` bytes further to the left.
    pub(crate) fn shifted(self, by: usize) -> Span {
        Span { start: self.start + by as u32, end: self.end + by as u32 }
    }
}

/// The parts of a target, as ranges inside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) form: TargetForm,
    pub(crate) authority: Option<Span>,
    pub(crate) path: Span,
    pub(crate) query: Option<Span>,
}

impl Target {
    /// Refuses `[` and `]` outside of the host of `target`, which has these parts.
    pub(crate) fn check_brackets(&self, target: &[u8]) -> Result<(), Rejection> {
        match memchr::memchr2(b'[', b']', &target[self.path.start as usize..]) {
            Some(_) => Err(BAD_BYTE),
            None => Ok(()),
        }
    }
}

/// Takes `target` apart, and refuses what is not one of the forms that `method` allows.
pub(crate) fn parse(method: &[u8], target: &[u8]) -> Result<Target, Rejection> {
    if method == b"CONNECT" {
        return Err(Rejection::new(501, "CONNECT asks for a tunnel, and there is none here"));
    }
    if target.first() == Some(&b'/') {
        return parse_path_and_query(target, 0).map(|(path, query)| Target { path, query, ..Target::default() });
    }
    if target == b"*" {
        if method != b"OPTIONS" {
            return Err(Rejection::bad("the target * is for OPTIONS only"));
        }
        return Ok(Target { form: TargetForm::Asterisk, path: Span::new(0, 1), ..Target::default() });
    }
    parse_absolute(target)
}

fn parse_absolute(target: &[u8]) -> Result<Target, Rejection> {
    let starts_with =
        |scheme: &[u8]| target.len() >= scheme.len() && target[..scheme.len()].eq_ignore_ascii_case(scheme);
    let start = match target {
        _ if starts_with(b"http://") => 7,
        _ if starts_with(b"https://") => 8,
        _ => return Err(Rejection::bad("the target is neither a path nor an http URL")),
    };
    let end = target[start..].iter().position(|byte| matches!(byte, b'/' | b'?')).map_or(target.len(), |at| start + at);
    let authority = &target[start..end];
    // An http URL without a host is invalid, and one with a user name is to be treated as an error (RFC 9110
    // sections 4.2.1 and 4.2.4); `@` is no host byte.
    if parse_host(authority).is_none_or(|host| host.name.start == host.name.end) {
        return Err(Rejection::bad("the target's host is empty or invalid"));
    }
    let (path, query) = parse_path_and_query(target, end)?;
    Ok(Target { form: TargetForm::Absolute, authority: Some(Span::new(start, end)), path, query })
}

/// The path and the query of `target[start..]`, every byte checked.
fn parse_path_and_query(target: &[u8], start: usize) -> Result<(Span, Option<Span>), Rejection> {
    let mut at = start;
    loop {
        at += bytes::leading(&target[at..], PATH);
        match target.get(at) {
            None => return Ok((Span::new(start, at), None)),
            Some(b'?') => break,
            Some(b'%') => at += check_percent(&target[at..])?,
            Some(b'#') => return Err(Rejection::bad("the target has a fragment")),
            Some(_) => return Err(BAD_BYTE),
        }
    }
    let path = Span::new(start, at);
    let query = &target[at + 1..];
    if bytes::all(query, QUERY) {
        return Ok((path, Some(Span::new(at + 1, target.len()))));
    }
    Err(if query.contains(&b'#') { Rejection::bad("the target has a fragment") } else { BAD_BYTE })
}

/// The length of the percent-encoding that `text` starts with.
fn check_percent(text: &[u8]) -> Result<usize, Rejection> {
    match text {
        // RFC 3986 section 7.3: no file name and no database key wants it, and C code ends there.
        [b'%', b'0', b'0', ..] => Err(Rejection::bad("the path holds an encoded NUL")),
        [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => Ok(3),
        _ => Err(Rejection::bad("the path has a % without two hexadecimal digits")),
    }
}

/// Where the name stands in an authority, without its brackets if it has any, and the port if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostParts {
    pub(crate) name: Span,
    pub(crate) port: Option<u16>,
}

/// Takes `uri-host [ ":" port ]` apart (RFC 9110 section 7.2). Nothing at all is valid here, a port of nobody is not: the
/// target's URI would have no host (section 4.2.1). `None` for what is not valid.
pub(crate) fn parse_host(text: &[u8]) -> Option<HostParts> {
    let (name, rest) = if text.first() == Some(&b'[') {
        let end = text.iter().position(|&byte| byte == b']')?;
        if !is_ip_literal(&text[1..end]) {
            return None;
        }
        (Span::new(1, end), &text[end + 1..])
    } else {
        // Most names have nothing that is percent-encoded.
        let plain = bytes::leading(text, REG_NAME);
        if plain == text.len() {
            return Some(HostParts { name: Span::new(0, plain), port: None });
        }
        let end = plain + bytes::find(b':', &text[plain..]).unwrap_or(text.len() - plain);
        if end > plain && !is_reg_name(&text[plain..end]) {
            return None;
        }
        (Span::new(0, end), &text[end..])
    };
    let port = match rest {
        [] => None,
        // A port of nobody.
        _ if name.start == name.end => return None,
        [b':'] => None,
        [b':', digits @ ..] => Some(u16::try_from(bytes::parse_digits_saturating(digits)?).ok()?),
        _ => return None,
    };
    Some(HostParts { name, port })
}

/// An IPv6 address, or `v1.something` (RFC 3986 section 3.2.2). Zone identifiers mean nothing off the host they name.
fn is_ip_literal(text: &[u8]) -> bool {
    if let [b'v' | b'V', future @ ..] = text {
        let Some(dot) = future.iter().position(|&byte| byte == b'.') else { return false };
        let (version, address) = (&future[..dot], &future[dot + 1..]);
        let is_address_byte = |&byte: &u8| byte == b':' || bytes::is(byte, REG_NAME);
        return !version.is_empty()
            && version.iter().all(u8::is_ascii_hexdigit)
            && !address.is_empty()
            && address.iter().all(is_address_byte);
    }
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// A name or an IPv4 address. What is percent-encoded must not be what would end or break a host elsewhere.
fn is_reg_name(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte == b'%' {
            let decoded = match text[at..] {
                [_, high, low, ..] => bytes::hex_value(high).zip(bytes::hex_value(low)).map(|(h, l)| h << 4 | l),
                _ => None,
            };
            if !decoded.is_some_and(|byte| byte >= 0x80 || bytes::is(byte, REG_NAME)) {
                return false;
            }
            at += 3;
        } else if bytes::is(byte, REG_NAME) {
            at += 1;
        } else {
            return false;
        }
    }
    true
}

/// Appends `encoded` to `into`, each `%xx` as the byte it stands for. A `%` that is followed by anything else stays as
/// it is; no path of an accepted request has one.
///
/// The result is bytes: neither UTF-8 nor anything else is assumed. `+` is a plus.
pub fn percent_decode(encoded: &[u8], into: &mut Vec<u8>) {
    let mut rest = encoded;
    while let Some(at) = bytes::find(b'%', rest) {
        into.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let decoded = match *rest {
            [_, high, low, ..] => bytes::hex_value(high).zip(bytes::hex_value(low)).map(|(h, l)| h << 4 | l),
            _ => None,
        };
        into.push(decoded.unwrap_or(b'%'));
        rest = &rest[if decoded.is_some() { 3 } else { 1 }..];
    }
    into.extend_from_slice(rest);
}
