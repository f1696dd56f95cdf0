//! A chunked body, read line by line from the grammar of RFC 9112 section 7.1, with the whole input at hand.

use crate::grammar::{Limits, field_line, is_hex, is_text, is_token};

/// What a reader came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// This, and so many bytes of the input were it.
    Done(T, usize),
    /// The input breaks a rule.
    Bad,
    /// The input ends too early to tell.
    More,
}

/// Reads one chunked body from the start of `input`. Everything decoded until the end, a fault or the input's end is
/// appended to `body`.
pub fn read(input: &[u8], limits: &Limits, body: &mut Vec<u8>) -> Step<()> {
    let mut at = 0;
    let (mut extensions, mut announced) = (0, 0_u64);
    loop {
        let Step::Done(line, used) = line(&input[at..]) else { return outcome(line(&input[at..])) };
        let Some((size, extension)) = size_line(line) else { return Step::Bad };
        extensions += extension;
        announced = announced.saturating_add(size);
        if extensions > limits.extension_bytes || announced > limits.body_bytes {
            return Step::Bad;
        }
        at += used;
        if size == 0 {
            break;
        }
        let data = &input[at..];
        let taken = usize::try_from(size).map_or(data.len(), |size| size.min(data.len()));
        body.extend_from_slice(&data[..taken]);
        if (taken as u64) < size {
            return Step::More;
        }
        match data[taken..] {
            [b'\r', b'\n', ..] => at += taken + 2,
            [] | [b'\r'] => return Step::More,
            _ => return Step::Bad,
        }
    }
    trailers(input, at, limits)
}

fn trailers(input: &[u8], start: usize, limits: &Limits) -> Step<()> {
    let mut at = start;
    for count in 0.. {
        let Step::Done(line, used) = line(&input[at..]) else { return outcome(line(&input[at..])) };
        at += used;
        if at - start > limits.trailer_bytes {
            return Step::Bad;
        }
        if line.is_empty() {
            return Step::Done((), at);
        }
        if count == limits.fields || field_line(line).is_none() {
            return Step::Bad;
        }
    }
    Step::Bad
}

fn outcome(step: Step<&[u8]>) -> Step<()> {
    match step {
        Step::Done(_, used) => Step::Done((), used),
        Step::Bad => Step::Bad,
        Step::More => Step::More,
    }
}

/// A line without its end, which has to be CR LF. What may stand in it is for the line's own grammar to say.
pub fn line(input: &[u8]) -> Step<&[u8]> {
    let Some(feed) = input.iter().position(|&byte| byte == b'\n') else { return Step::More };
    match input[..feed].split_last() {
        Some((b'\r', line)) => Step::Done(line, feed + 1),
        _ => Step::Bad,
    }
}

/// The size, and the bytes of the extensions with their semicolons.
fn size_line(line: &[u8]) -> Option<(u64, usize)> {
    let digits: Vec<u8> = line.iter().copied().take_while(|byte| is_hex(*byte)).collect();
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let size = u64::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?;
    let mut rest = &line[digits.len()..];
    let extension_bytes = rest.len();
    while let Some(extension) = rest.strip_prefix(b";") {
        rest = after_extension(extension)?;
    }
    rest.is_empty().then_some((size, extension_bytes))
}

fn after_extension(text: &[u8]) -> Option<&[u8]> {
    let rest = after_token(text)?;
    let Some(value) = rest.strip_prefix(b"=") else { return Some(rest) };
    let Some(mut quoted) = value.strip_prefix(b"\"") else { return after_token(value) };
    loop {
        quoted = match quoted {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', byte, rest @ ..] if is_text(*byte) => rest,
            [byte, rest @ ..] if is_text(*byte) && *byte != b'\\' => rest,
            _ => return None,
        };
    }
}

fn after_token(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|&byte| !is_token(&[byte])).unwrap_or(text.len());
    (end > 0).then(|| &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, expected: Step<()>, decoded: &str) {
        let mut body = Vec::new();
        assert_eq!(read(input.as_bytes(), &Limits::default(), &mut body), expected, "{input:?}");
        assert_eq!(body, decoded.as_bytes(), "{input:?}");
    }

    #[test]
    fn bodies_end_break_or_go_on() {
        check("3\r\nabc\r\n0\r\n\r\nGET", Step::Done((), 13), "abc");
        check("3;a;b=c;d=\"\\\"\"\r\nabc\r\n00\r\nA: b\r\n\r\n", Step::Done((), 33), "abc");
        check("3\r\nab", Step::More, "ab");
        check("3\r\nabcd", Step::Bad, "abc");
        check("3\nabc\r\n0\r\n\r\n", Step::Bad, "");
        check("3 \r\nabc\r\n0\r\n\r\n", Step::Bad, "");
        check("0\r\nA : b\r\n\r\n", Step::Bad, "");
    }
}
