//! Request targets and hosts, read from the grammars of RFC 9112 section 3.2 and RFC 3986, with lists of characters
//! instead of tables and no regard for speed.

use crate::grammar::is_hex;

const UNRESERVED: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
const SUB_DELIMS: &[u8] = b"!$&'()*+,;=";

/// A target's parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The host and port of an absolute target.
    pub authority: Option<Vec<u8>>,
    /// `/` where an absolute target has none.
    pub path: Vec<u8>,
    /// What follows the first `?`.
    pub query: Option<Vec<u8>>,
}

/// A host and port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// The whole.
    pub text: Vec<u8>,
    /// Without port and brackets.
    pub name: Vec<u8>,
    /// The port, if there are digits.
    pub port: Option<u16>,
}

/// The target's parts, if it may be served for `method`.
pub fn target(method: &[u8], text: &[u8]) -> Option<Parts> {
    if method == b"CONNECT" {
        return None;
    }
    if text == b"*" {
        let parts = Parts { authority: None, path: text.to_vec(), query: None };
        return (method == b"OPTIONS").then_some(parts);
    }
    let lower = text.to_ascii_lowercase();
    let (authority, rest) = if text.first() == Some(&b'/') {
        (None, text)
    } else {
        let scheme = if lower.starts_with(b"http://") {
            7
        } else if lower.starts_with(b"https://") {
            8
        } else {
            return None;
        };
        let rest = &text[scheme..];
        let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
        host(&rest[..end]).filter(|host| !host.name.is_empty())?;
        (Some(rest[..end].to_vec()), &rest[end..])
    };
    let mut halves = rest.splitn(2, |&byte| byte == b'?');
    let path = halves.next()?;
    let query = halves.next();
    let allowed = |byte: &u8| UNRESERVED.contains(byte) || SUB_DELIMS.contains(byte) || b":@/[]%".contains(byte);
    if !path.iter().all(allowed) || !query.unwrap_or_default().iter().all(|byte| allowed(byte) || *byte == b'?') {
        return None;
    }
    for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        let digits = path.get(at + 1..at + 3)?;
        if !digits.iter().all(|digit| is_hex(*digit)) || digits == b"00" {
            return None;
        }
    }
    let path = if path.is_empty() { b"/".to_vec() } else { path.to_vec() };
    Some(Parts { authority, path, query: query.map(<[u8]>::to_vec) })
}

/// Takes a host apart, if it is one. It may be empty, but has no port then.
pub fn host(text: &[u8]) -> Option<Host> {
    let (name, rest) = if let Some(literal) = text.strip_prefix(b"[") {
        let end = literal.iter().position(|&byte| byte == b']')?;
        let inside = &literal[..end];
        if !is_ipv6(std::str::from_utf8(inside).ok()?) && !is_future(inside) {
            return None;
        }
        (inside, &literal[end + 1..])
    } else {
        let end = text.iter().position(|&byte| byte == b':').unwrap_or(text.len());
        if !is_registered_name(&text[..end]) {
            return None;
        }
        text.split_at(end)
    };
    if name.is_empty() && !rest.is_empty() {
        return None;
    }
    let port = match rest {
        [] | [b':'] => None,
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            let text = std::str::from_utf8(digits).ok()?;
            let text = if text.trim_start_matches('0').is_empty() { "0" } else { text.trim_start_matches('0') };
            Some(text.parse().ok()?)
        }
        _ => return None,
    };
    Some(Host { text: text.to_vec(), name: name.to_vec(), port })
}

fn is_registered_name(name: &[u8]) -> bool {
    let plain = |byte: u8| UNRESERVED.contains(&byte) || SUB_DELIMS.contains(&byte);
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let Some((digits, after)) = rest.split_at_checked(2) else { return false };
            let Some(decoded) = hex_pair(digits) else { return false };
            if decoded < 0x80 && !plain(decoded) {
                return false;
            }
            rest = after;
        } else if !plain(byte) {
            return false;
        }
    }
    true
}

fn is_future(text: &[u8]) -> bool {
    let Some(b'v' | b'V') = text.first() else { return false };
    let mut halves = text[1..].splitn(2, |&byte| byte == b'.');
    let (Some(version), Some(address)) = (halves.next(), halves.next()) else { return false };
    let allowed = |byte: &u8| UNRESERVED.contains(byte) || SUB_DELIMS.contains(byte) || *byte == b':';
    !version.is_empty()
        && version.iter().all(|byte| is_hex(*byte))
        && !address.is_empty()
        && address.iter().all(allowed)
}

/// RFC 3986 section 3.2.2, `IPv6address`.
fn is_ipv6(text: &str) -> bool {
    let halves: Vec<&str> = text.splitn(2, "::").collect();
    match halves[..] {
        [all] => groups(all, true) == Some(8),
        [left, right] => {
            let left = if left.is_empty() { Some(0) } else { groups(left, false) };
            let right = if right.is_empty() { Some(0) } else { groups(right, true) };
            left.zip(right).is_some_and(|(left, right)| left + right <= 7)
        }
        _ => false,
    }
}

/// How many 16-bit groups `text` is, if it is groups; an IPv4 address at the end counts as two.
fn groups(text: &str, may_end_in_ipv4: bool) -> Option<usize> {
    let parts: Vec<&str> = text.split(':').collect();
    let mut count = 0;
    for (index, part) in parts.iter().enumerate() {
        let is_group = (1..=4).contains(&part.len()) && part.bytes().all(is_hex);
        let is_last = index + 1 == parts.len();
        count += match is_group {
            true => 1,
            false if is_last && may_end_in_ipv4 && is_ipv4(part) => 2,
            false => return None,
        };
    }
    Some(count)
}

fn is_ipv4(text: &str) -> bool {
    let octets: Vec<&str> = text.split('.').collect();
    let is_octet = |octet: &&str| {
        octet.bytes().all(|byte| byte.is_ascii_digit())
            && octet.len() <= 3
            && octet.parse::<u16>().is_ok_and(|number| number <= 255)
            && (*octet == "0" || !octet.starts_with('0'))
    };
    octets.len() == 4 && octets.iter().all(is_octet)
}

/// The byte that two hexadecimal digits stand for.
pub fn hex_pair(digits: &[u8]) -> Option<u8> {
    if digits.len() != 2 || !digits.iter().all(|digit| is_hex(*digit)) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Percent-decoding, one byte after the other. A `%` without two digits stays.
pub fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let pair = (text[at] == b'%').then(|| text.get(at + 1..at + 3).and_then(hex_pair)).flatten();
        decoded.push(pair.unwrap_or(text[at]));
        at += if pair.is_some() { 3 } else { 1 };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_text() {
        for good in ["::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::1.2.3.4", "1:2:3:4:5:6:1.2.3.4"] {
            assert!(is_ipv6(good), "{good}");
        }
        for bad in ["", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7::8", "1.2.3.4::", "::01.2.3.4", "12345::", "::g"] {
            assert!(!is_ipv6(bad), "{bad}");
        }
    }

    #[test]
    fn hosts_are_taken_apart() {
        let parts = |text: &str| {
            host(text.as_bytes()).map(|host| (String::from_utf8_lossy(&host.name).into_owned(), host.port))
        };
        assert_eq!(parts("a.b:080"), Some(("a.b".into(), Some(80))));
        assert_eq!(parts("[::1]:"), Some(("::1".into(), None)));
        assert_eq!(parts(""), Some((String::new(), None)));
        for bad in ["a:65536", "a:b", ":80", ":", "a@b", "%2f", "[::1]a", "[", "a b"] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }
}
