//! Where other parsers are known to differ from us on what we accept, each with its reason. A difference that no row
//! covers is a finding. Every row has an example, and a test that the example is still covered by that row alone.

use crate::grammar::trimmed;
use crate::peers::sorted;
use crate::target_differential::Difference;

/// One known difference.
pub struct Quirk {
    /// Short, without spaces.
    pub name: &'static str,
    /// Whose.
    pub peer: &'static str,
    /// What differs, as [`Difference::what`] has it.
    pub what: &'static str,
    /// Why it is so, and why we do as we do.
    pub why: &'static str,
    /// A stream that shows it.
    pub example: &'static [u8],
    /// Whether it explains this difference.
    pub covers: fn(&[u8], &Difference) -> bool,
}

/// The table.
pub const QUIRKS: &[Quirk] = &[
    Quirk {
        name: "space_after_value",
        peer: "pico",
        what: "fields",
        why: "This release leaves white space at the end of a value to its user. RFC 9112 section 5 has it excluded \
              before the value is evaluated, which is what we do.",
        example: b"GET / HTTP/1.1\r\nHost: h \t\r\n\r\n",
        covers: |_, difference| {
            let Some(theirs) = &difference.theirs else { return false };
            let trimmed = |(name, value): &(Vec<u8>, Vec<u8>)| (name.clone(), trimmed(value).to_vec());
            // Elsewhere its own host stands there.
            let is_absolute = !difference.ours.target.starts_with(b"/");
            let is_host = |(name, _): &(Vec<u8>, Vec<u8>)| is_absolute && name == b"host";
            let ours = sorted(difference.ours.fields.clone()).into_iter().filter(|field| !is_host(field));
            ours.eq(theirs.fields.iter().map(trimmed).filter(|field| !is_host(field)))
        },
    },
    Quirk {
        name: "slash_added",
        peer: "hyper",
        what: "target",
        why: "An absolute target without a path comes back with `/` for one, as RFC 9110 section 4.2.3 has it. We do \
              the same in the path and leave the target as it came, for logs and for REQUEST_URI.",
        example: b"GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n",
        covers: |_, difference| {
            let Some(theirs) = &difference.theirs else { return false };
            let ours = &difference.ours.target;
            let start = ours.windows(3).position(|part| part == b"://").map_or(0, |at| at + 3);
            let end = ours[start..].iter().position(|byte| *byte == b'?').map_or(ours.len(), |at| start + at);
            // In lower case, as the row below has it.
            let scheme = ours[..start].to_ascii_lowercase();
            start > 0 && theirs.target == [&scheme, &ours[start..end], b"/", &ours[end..]].concat()
        },
    },
    Quirk {
        name: "scheme_in_lower_case",
        peer: "hyper",
        what: "target",
        why: "The scheme of an absolute target comes back in lower case, as RFC 3986 section 6.2.2.1 makes it normal. \
              We leave the target as it came.",
        example: b"GET HTTP://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
        covers: |_, difference| {
            let Some(theirs) = &difference.theirs else { return false };
            let ours = &difference.ours.target;
            let colon = ours.iter().position(|byte| *byte == b':').unwrap_or(0);
            theirs.target == [ours[..colon].to_ascii_lowercase().as_slice(), &ours[colon..]].concat()
        },
    },
    Quirk {
        name: "connection_beyond_ascii",
        peer: "hyper",
        what: "reads on",
        why: "A Connection field with bytes beyond visible ASCII is not looked into, so that a `close` in it goes unheard. \
              RFC 9110 section 5.5 lets such bytes into values, and what the other members of the list say holds. Who \
              closes loses nothing.",
        example: b"GET / HTTP/1.1\r\nHost: h\r\nConnection: \xd4, close\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        covers: |_, difference| {
            let is_visible = |byte: &u8| matches!(byte, b'\t' | 0x20..=0x7e);
            let connections =
                difference.ours.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"connection"));
            connections.into_iter().any(|(_, value)| !value.iter().all(is_visible))
        },
    },
];
