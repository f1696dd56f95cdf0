//! Which bytes may stand where, as one table that is looked up once per byte. Nothing else.

/// RFC 9110 section 5.6.2: `tchar`, what methods, field names and extension names are made of.
pub(crate) const TOKEN: u8 = 1;
/// What a request target's path may hold; `%` is judged by who reads it.
pub(crate) const PATH: u8 = 1 << 1;
/// What a request target's query may hold.
pub(crate) const QUERY: u8 = 1 << 2;
/// RFC 3986 section 3.2.2: `reg-name` without its percent-encoding.
pub(crate) const REG_NAME: u8 = 1 << 3;
/// RFC 9110 section 5.5: `field-vchar`, `obs-text`, space and tab.
pub(crate) const FIELD_VALUE: u8 = 1 << 4;

static CLASSES: [u8; 256] = classes();

/// Whether `byte` belongs to one of the classes in `class`.
#[inline]
pub(crate) fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// Whether every byte of `bytes` belongs to `class`.
#[inline]
pub(crate) fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().all(|&byte| is(byte, class))
}

/// A token: at least one byte, token bytes only (RFC 9110 section 5.6.2).
#[inline]
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(bytes, TOKEN)
}

/// The value of one hexadecimal digit.
#[inline]
pub(crate) fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Digits only, so neither a sign nor white space; `None` for anything else. A number too large for 64 bits is the
/// largest one: it is over every limit that there is.
pub(crate) fn parse_digits_saturating(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, &byte| {
        byte.is_ascii_digit().then(|| sum.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
    })
}

/// `text` without the spaces and tabs around it. Other white space is none (RFC 9110 section 5.6.3).
pub(crate) fn trim_ows(text: &[u8]) -> &[u8] {
    let is_ows = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(start) = text.iter().position(|byte| !is_ows(byte)) else { return &[] };
    let end = text.iter().rposition(|byte| !is_ows(byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = class_of(byte as u8);
        byte += 1;
    }
    table
}

const fn class_of(byte: u8) -> u8 {
    let alphanumeric = byte.is_ascii_alphanumeric();
    let unreserved = alphanumeric || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let sub_delim = matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=');
    let mut class = 0;
    if alphanumeric
        || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`')
        || matches!(byte, b'|' | b'~')
    {
        class |= TOKEN;
    }
    // The brackets are a leniency: RFC 3986 wants them encoded, but every browser sends them as they are, as in `?id[]=1`.
    if unreserved || sub_delim || matches!(byte, b':' | b'@' | b'/' | b'%' | b'[' | b']') {
        class |= PATH | QUERY;
    }
    if byte == b'?' {
        class |= QUERY;
    }
    if unreserved || sub_delim {
        class |= REG_NAME;
    }
    if byte == b'\t' || (byte >= b' ' && byte != 0x7f) {
        class |= FIELD_VALUE;
    }
    class
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check_class(class: u8, members: &str, outsiders: &[u8]) {
        for byte in members.bytes() {
            assert!(is(byte, class), "{:?} belongs", char::from(byte));
        }
        for &byte in outsiders {
            assert!(!is(byte, class), "{byte:#04x} does not belong");
        }
    }

    #[test]
    fn classes_follow_the_grammars() {
        check_class(TOKEN, "!#$%&'*+-.^_`|~09azAZ", b"\"(),/:;<=>?@[\\]{} \t\r\n\0\x7f\x80\xff");
        check_class(PATH, "azAZ09-._~!$&'()*+,;=:@/%[]", b"?#\"<>\\^`{|} \t\r\n\0\x7f\x80\xff");
        check_class(QUERY, "azAZ09-._~!$&'()*+,;=:@/%[]?", b"#\"<>\\^`{|} \t\r\n\0\x7f\x80\xff");
        check_class(REG_NAME, "azAZ09-._~!$&'()*+,;=", b":@/?#[]%\"<>\\^`{|} \t\0\x7f\x80");
        check_class(FIELD_VALUE, " \t!~\"(),/:;<=>?@[\\]{}", b"\0\x01\x08\x0a\x0b\x0c\x0d\x1f\x7f");
        assert!(all(b"\x80\xa0\xff", FIELD_VALUE));
    }

    #[test]
    fn digits_are_digits_and_nothing_else() {
        assert_eq!(parse_digits_saturating(b"0005"), Some(5));
        assert_eq!(parse_digits_saturating(b"18446744073709551616"), Some(u64::MAX));
        for bad in ["", "+5", "-5", "5 ", " 5", "5.0", "0x5", "\u{665}"] {
            assert_eq!(parse_digits_saturating(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn only_space_and_tab_are_trimmed() {
        assert_eq!(trim_ows(b" \t a\tb \t"), b"a\tb");
        assert_eq!(trim_ows(b" \t "), b"");
        assert_eq!(trim_ows(b"\x0b\xa0a\x85"), b"\x0b\xa0a\x85");
    }
}
