//! The `Range` field: which parts of a file are asked for (RFC 9110 section 14).

/// A part of a file; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

impl Part {
    fn end(&self) -> u64 {
        self.offset + self.bytes
    }
}

/// What a `Range` field asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing that could be met part by part: the whole file is the answer.
    Whole,
    /// These parts, of which no byte is in two. They are in the client's order if they already were apart.
    Parts(Vec<Part>),
    /// Nothing that there is.
    Nothing,
}

/// What `field` asks of a file of `file_bytes`. More than `parts_max` ranges are as none, which a server may do
/// (section 14.2): they cost more than the file does, or are an attack.
pub(super) fn wanted(field: &[u8], file_bytes: u64, parts_max: usize) -> Wanted {
    let Some(specs) = field.split_at_checked(6).filter(|(unit, _)| unit.eq_ignore_ascii_case(b"bytes=")) else {
        return Wanted::Whole;
    };
    let mut parts = Vec::new();
    let mut count = 0;
    for spec in specs.1.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|spec| !spec.is_empty()) {
        count += 1;
        if count > parts_max {
            return Wanted::Whole;
        }
        match part(spec, file_bytes) {
            Err(Invalid) => return Wanted::Whole,
            Ok(None) => {}
            Ok(Some(part)) => parts.push(part),
        }
    }
    match (count, file_bytes) {
        (0, _) => Wanted::Whole,
        // The last bytes of nothing can be had, but no Content-Range can say so.
        (_, 0) if parts.iter().any(|part| part.bytes == 0) => Wanted::Whole,
        _ if parts.is_empty() => Wanted::Nothing,
        _ => Wanted::Parts(apart(parts)),
    }
}

/// It breaks the grammar; the whole field means nothing then.
struct Invalid;

/// `first-last`, `first-` or `-count` (section 14.1.2). `None` if there is nothing of it; what reaches beyond the end ends
/// there.
fn part(spec: &[u8], file_bytes: u64) -> Result<Option<Part>, Invalid> {
    let dash = spec.iter().position(|&byte| byte == b'-').ok_or(Invalid)?;
    match (number(&spec[..dash])?, number(&spec[dash + 1..])?) {
        (None, None) => Err(Invalid),
        (None, Some(0)) => Ok(None),
        (None, Some(count)) => {
            let bytes = count.min(file_bytes);
            Ok(Some(Part { offset: file_bytes - bytes, bytes }))
        }
        (Some(first), Some(last)) if last < first => Err(Invalid),
        (Some(first), _) if first >= file_bytes => Ok(None),
        (Some(first), last) => {
            let last = last.map_or(file_bytes - 1, |last| last.min(file_bytes - 1));
            Ok(Some(Part { offset: first, bytes: last - first + 1 }))
        }
    }
}

/// Digits only; more than there are numbers for is the largest.
fn number(digits: &[u8]) -> Result<Option<u64>, Invalid> {
    if digits.is_empty() {
        return Ok(None);
    }
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    match digits.iter().all(u8::is_ascii_digit) {
        true => Ok(Some(digits.iter().fold(0, add))),
        false => Err(Invalid),
    }
}

/// Overlapping parts become one, so that nobody is sent a byte twice (section 15.3.7.2).
fn apart(parts: Vec<Part>) -> Vec<Part> {
    let mut sorted = parts.clone();
    sorted.sort_unstable_by_key(|part| part.offset);
    if sorted.windows(2).all(|pair| pair[0].end() <= pair[1].offset) {
        return parts;
    }
    let mut merged: Vec<Part> = Vec::with_capacity(sorted.len());
    for part in sorted {
        match merged.last_mut() {
            Some(last) if part.offset <= last.end() => last.bytes = last.bytes.max(part.end() - last.offset),
            _ => merged.push(part),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(field: &str, file_bytes: u64, expected: &[(u64, u64)]) {
        let parts = expected.iter().map(|&(offset, bytes)| Part { offset, bytes }).collect();
        assert_eq!(wanted(field.as_bytes(), file_bytes, 4), Wanted::Parts(parts), "{field}");
    }

    /// RFC 9110 section 14.1.2, with its own examples first.
    #[test]
    fn parts_are_what_the_rfc_says() {
        check("bytes=0-499", 10_000, &[(0, 500)]);
        check("bytes=500-999", 10_000, &[(500, 500)]);
        check("bytes=-500", 10_000, &[(9_500, 500)]);
        check("bytes=9500-", 10_000, &[(9_500, 500)]);
        check("bytes=0-0,-1", 10_000, &[(0, 1), (9_999, 1)]);
        check("bytes= 0-999, 4500-5499, -1000", 10_000, &[(0, 1000), (4500, 1000), (9000, 1000)]);
        check("bytes=500-700,601-999", 10_000, &[(500, 500)]);
        check("BYTES=0-99999999999999999999999", 10, &[(0, 10)]);
        check("bytes=-99999999999999999999999", 10, &[(0, 10)]);
        check("bytes=,,5-,,\t20-,", 10, &[(5, 5)]);
        check("bytes=7-8,0-1", 10, &[(7, 2), (0, 2)]);
        check("bytes=0-1,2-3", 10, &[(0, 2), (2, 2)]);
        check("bytes=5-6,0-9,2-2", 10, &[(0, 10)]);
    }

    #[test]
    fn what_is_malformed_asks_for_nothing_and_what_is_not_there_is_not_satisfiable() {
        for field in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "lines=0-1",
            "bytes=-",
            "bytes=1",
            "bytes=2-1",
            "bytes=a-b",
            "bytes=0x1-",
            "bytes=0-1-2",
            "bytes=--1",
            "bytes=+1-2",
            "bytes=1 -2",
            "bytes=0-1;2-3",
            "bytes=20-,x",
            "bytes 0-1",
            "bytes=0-1,2-3,4-5,6-7,8-9",
        ] {
            assert_eq!(wanted(field.as_bytes(), 10, 4), Wanted::Whole, "{field}");
        }
        for field in ["bytes=10-", "bytes=-0", "bytes=10-20,-0", "bytes=18446744073709551616-"] {
            assert_eq!(wanted(field.as_bytes(), 10, 4), Wanted::Nothing, "{field}");
        }
        assert_eq!(wanted(b"bytes=0-", 0, 4), Wanted::Nothing);
        assert_eq!(wanted(b"bytes=-5", 0, 4), Wanted::Whole);
    }

    /// One range, as a client means it.
    #[derive(Clone, Debug)]
    enum Spec {
        FromTo(u64, u64),
        From(u64),
        Last(u64),
    }

    impl Spec {
        fn text(&self) -> String {
            match self {
                Spec::FromTo(first, last) => format!("{first}-{last}"),
                Spec::From(first) => format!("{first}-"),
                Spec::Last(count) => format!("-{count}"),
            }
        }

        /// Whether the byte at `at` is asked for. Plain, and slow.
        fn wants(&self, at: u64, file_bytes: u64) -> bool {
            match *self {
                Spec::FromTo(first, last) => first <= at && at <= last,
                Spec::From(first) => first <= at,
                Spec::Last(count) => at + count >= file_bytes,
            }
        }
    }

    fn spec() -> impl Strategy<Value = Spec> {
        let at = 0..40u64;
        prop_oneof![
            (at.clone(), at.clone()).prop_map(|(one, other)| Spec::FromTo(one.min(other), one.max(other))),
            at.clone().prop_map(Spec::From),
            at.prop_map(Spec::Last),
        ]
    }

    proptest! {
        /// Exactly the bytes that were asked for, each once.
        #[test]
        fn parts_hold_the_bytes_that_a_plain_model_says(
            specs in proptest::collection::vec((spec(), prop_oneof![Just(""), Just(" "), Just(" \t"), Just(",")]), 1..8),
            file_bytes in 1..40u64,
        ) {
            let field: Vec<_> = specs.iter().map(|(spec, space)| format!("{space}{}{space}", spec.text())).collect();
            let field = format!("bytes={}", field.join(","));
            let expected: BTreeSet<u64> =
                (0..file_bytes).filter(|&at| specs.iter().any(|(spec, _)| spec.wants(at, file_bytes))).collect();
            match wanted(field.as_bytes(), file_bytes, 8) {
                Wanted::Whole => prop_assert!(false, "it is valid: {field}"),
                Wanted::Nothing => prop_assert!(expected.is_empty(), "{field}"),
                Wanted::Parts(parts) => {
                    let found: Vec<u64> = parts.iter().flat_map(|part| part.offset..part.end()).collect();
                    prop_assert!(parts.iter().all(|part| part.bytes > 0));
                    prop_assert_eq!(found.len(), expected.len(), "a byte twice: {}", field);
                    prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "{}", field);
                }
            }
            prop_assert_eq!(wanted(field.as_bytes(), file_bytes, specs.len() - 1), Wanted::Whole);
        }

        /// Whatever it is, what comes out lies within the file.
        #[test]
        fn any_bytes_give_parts_of_the_file_or_none(
            field in proptest::collection::vec(proptest::sample::select(b"bytes=0123456789-, x".to_vec()), 0..40),
            file_bytes in any::<u64>(),
        ) {
            let field = [b"bytes=", &field[..]].concat();
            if let Wanted::Parts(parts) = wanted(&field, file_bytes, 100) {
                for part in parts {
                    prop_assert!(part.bytes > 0 && part.offset.checked_add(part.bytes).is_some_and(|end| end <= file_bytes));
                }
            }
        }
    }
}
