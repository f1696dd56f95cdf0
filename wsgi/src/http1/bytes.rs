//! Which bytes may stand where, as one table; and how to look at many of them with few instructions. Nothing else.
//!
//! Every trick of the parsers with bytes is here, each with what it saves.

/// RFC 9110 section 5.6.2: `tchar`, what methods, field names and extension names are made of.
pub(crate) const TOKEN: u8 = 1;
/// What a request target's path may hold, without its percent-encoding.
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

/// How many bytes at the start of `text` belong to `class`, a single one. Four at a time: with a branch for each byte it
/// takes more than six instructions a byte and not five, and every byte of a target and of a name comes by here.
#[inline]
pub(crate) fn leading(text: &[u8], class: u8) -> usize {
    let mut rest = text;
    while let Some((four, behind)) = rest.split_first_chunk::<4>() {
        if four.iter().fold(class, |common, &byte| common & CLASSES[usize::from(byte)]) == 0 {
            break;
        }
        rest = behind;
    }
    let more = rest.iter().position(|&byte| !is(byte, class)).unwrap_or(rest.len());
    text.len() - rest.len() + more
}

/// Whether every byte of `bytes` belongs to `class`, a single one.
#[inline]
pub(crate) fn all(bytes: &[u8], class: u8) -> bool {
    leading(bytes, class) == bytes.len()
}

/// Whether every byte of `text` belongs to [`FIELD_VALUE`]. Eight at a time, with a little more than one instruction a
/// byte: values are most of a head. A tab is judged by the table.
#[inline]
pub(crate) fn is_field_value(text: &[u8]) -> bool {
    let has_no_control = |eight: &[u8; 8]| {
        let word = u64::from_le_bytes(*eight);
        let below_space = word.wrapping_sub(EACH * b' ' as u64) & !word;
        let delete = word ^ (EACH * 0x7f);
        let is_delete = delete.wrapping_sub(EACH) & !delete;
        (below_space | is_delete) & HIGH_BITS == 0
    };
    // The last eight may overlap those before: that is cheaper than a rest of fewer.
    let Some(last) = text.last_chunk::<8>() else { return all(text, FIELD_VALUE) };
    (text.as_chunks::<8>().0.iter().all(has_no_control) && has_no_control(last)) || all(text, FIELD_VALUE)
}

/// Where `byte` stands first in `text`. The first bytes are looked at here, as most lines end within them: a call of
/// `memchr` costs some fifty instructions before it looks at one.
#[inline]
pub(crate) fn find(byte: u8, text: &[u8]) -> Option<usize> {
    const NEAR_BYTES: usize = 32;
    let mut rest = text;
    while let Some((eight, behind)) = rest.split_first_chunk::<8>() {
        let at = text.len() - rest.len();
        if at == NEAR_BYTES {
            return memchr::memchr(byte, rest).map(|more| at + more);
        }
        let differs = u64::from_le_bytes(*eight) ^ (EACH * u64::from(byte));
        // The lowest bit that is set here belongs to the first byte that is equal.
        let equal = differs.wrapping_sub(EACH) & !differs & HIGH_BITS;
        if equal != 0 {
            return Some(at + equal.trailing_zeros() as usize / 8);
        }
        rest = behind;
    }
    rest.iter().position(|&other| other == byte).map(|more| text.len() - rest.len() + more)
}

/// Whether `byte` stands in `text`. Where [`find`] looks at the last few bytes one by one, this looks at those before once
/// more. A round trip whose request has three short fields takes 8,190 instructions, with `contains` 8,243.
#[inline]
pub(crate) fn has(byte: u8, text: &[u8]) -> bool {
    let is_in = |eight: u64| {
        let differs = eight ^ (EACH * u64::from(byte));
        differs.wrapping_sub(EACH) & !differs & HIGH_BITS != 0
    };
    if let Some(last) = text.last_chunk::<8>() {
        let mut eights = text.as_chunks::<8>().0.iter().chain([last]);
        return eights.any(|eight| is_in(u64::from_le_bytes(*eight)));
    }
    match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            is_in(u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)))
        }
        _ => text.contains(&byte),
    }
}

/// A one in each byte of a word.
const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = EACH << 7;

/// A token: at least one byte, token bytes only (RFC 9110 section 5.6.2).
#[inline]
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(bytes, TOKEN)
}

/// Whether `name` is `lower`, a name in lower case, in any case. The standard comparison folds both sides byte by byte,
/// fourteen instructions each; here the compiler knows the length, and looks at many at once.
#[inline]
pub(crate) fn is_name<const LEN: usize>(name: &[u8], lower: &[u8; LEN]) -> bool {
    // What the bit makes equal to a letter is that letter. With anything else it would hide a control character.
    let case = |lower: u8| if lower.is_ascii_lowercase() { 0x20 } else { 0 };
    let fold = |same: bool, (byte, lower): (&u8, &u8)| same & (byte | case(*lower) == *lower);
    <&[u8; LEN]>::try_from(name).is_ok_and(|name| name.iter().zip(lower).fold(true, fold))
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
    let mut text = text;
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
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
    if unreserved || sub_delim || matches!(byte, b':' | b'@' | b'/' | b'[' | b']') {
        class |= PATH | QUERY;
    }
    if matches!(byte, b'?' | b'%') {
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
        check_class(PATH, "azAZ09-._~!$&'()*+,;=:@/[]", b"%?#\"<>\\^`{|} \t\r\n\0\x7f\x80\xff");
        check_class(QUERY, "azAZ09-._~!$&'()*+,;=:@/%[]?", b"#\"<>\\^`{|} \t\r\n\0\x7f\x80\xff");
        check_class(REG_NAME, "azAZ09-._~!$&'()*+,;=", b":@/?#[]%\"<>\\^`{|} \t\0\x7f\x80");
        check_class(FIELD_VALUE, " \t!~\"(),/:;<=>?@[\\]{}", b"\0\x01\x08\x0a\x0b\x0c\x0d\x1f\x7f");
        assert!(all(b"\x80\xa0\xff", FIELD_VALUE));
    }

    /// Every byte, at every place of texts of every length that matters to how they are read, also where more stands
    /// behind that must not be looked at.
    #[test]
    fn many_at_once_is_as_one_by_one() {
        for len in 0..70 {
            for at in 0..len {
                for byte in 0..=255 {
                    let mut text = vec![b'a'; len + 3];
                    text[len..].copy_from_slice(b"\0\n\x7f");
                    text[at] = byte;
                    let text = &text[..len];
                    let outside = |class| text.iter().position(|&byte| !is(byte, class));
                    assert_eq!(leading(text, TOKEN), outside(TOKEN).unwrap_or(len), "{text:?}");
                    assert_eq!(is_field_value(text), outside(FIELD_VALUE).is_none(), "{text:?}");
                    assert_eq!(find(byte, text), text.iter().position(|&other| other == byte), "{text:?}");
                    assert_eq!(find(b'\n', text), text.iter().position(|&other| other == b'\n'), "{text:?}");
                    assert!(has(byte, text));
                    assert_eq!(has(b'_', text), text.contains(&b'_'), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn what_comes_before_hides_nothing() {
        for before in [0x00, 0x01, 0x1f, 0x20, 0x7e, 0x7f, 0x80, 0x8a, 0xff] {
            let text = [[before; 9].as_slice(), b"\n"].concat();
            assert_eq!(find(b'\n', &text), Some(9), "{before:#04x}");
            assert!(has(b'\n', &text), "{before:#04x}");
            assert!(!is_field_value(&text), "{before:#04x}");
            assert_eq!(is_field_value(&text[..9]), is(before, FIELD_VALUE), "{before:#04x}");
        }
        assert!(is_field_value(b"with\ttabs\tand more"));
    }

    #[test]
    fn names_are_the_same_in_any_case() {
        for name in ["te", "Te", "tE", "TE"] {
            assert!(is_name(name.as_bytes(), b"te"), "{name}");
        }
        assert!(is_name(b"Keep-ALIVE", b"keep-alive"));
        for other in ["keep-alivf", "keep_alive", "keepMalive", "keep-aliv", "keep-alive-", ""] {
            assert!(!is_name(other.as_bytes(), b"keep-alive"), "{other}");
        }
        // Each byte is the same as its own lower case and as no other.
        for byte in 0..=255_u8 {
            for lower in b"abcdefghijklmnopqrstuvwxyz-0123456789" {
                assert_eq!(
                    is_name(&[byte], &[*lower]),
                    byte.to_ascii_lowercase() == *lower,
                    "{byte:#04x} {lower:#04x}"
                );
            }
        }
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
