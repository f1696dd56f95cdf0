//! Responses, read as strictly as a suspicious client would: anything that two readers could understand in two ways is
//! an error.

use crate::grammar::{field_line, is_text, trimmed};

/// How a response's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none: HEAD, 204, 304.
    Bodiless,
    /// By its length.
    Length(u64),
    /// In chunks.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// One final response. It borrows what was received: a copy of each field took a tenth of an execution of `head`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// From 200 to 999.
    pub status: u16,
    /// What follows the status and a space.
    pub reason: &'a [u8],
    /// Names and values in order.
    pub fields: Vec<(&'a [u8], &'a [u8])>,
    /// Where its body ends.
    pub framing: Framing,
    /// As far as it came.
    pub body: Vec<u8>,
    /// It says that the connection closes.
    pub closes: bool,
    /// Its body is complete, as far as the framing tells.
    pub whole: bool,
}

impl<'a> Answer<'a> {
    /// The values of all fields of this name.
    pub fn values(&self, wanted: &str) -> Vec<&'a [u8]> {
        let of_name = |(name, _): &&(&[u8], &[u8])| name.eq_ignore_ascii_case(wanted.as_bytes());
        self.fields.iter().filter(of_name).map(|(_, value)| *value).collect()
    }
}

/// All that came from a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers<'a> {
    /// The final responses; only the last may be incomplete.
    pub finals: Vec<Answer<'a>>,
    /// How many `100 Continue` there were.
    pub continues: usize,
    /// The stream ends within a head.
    pub is_cut: bool,
}

/// Reads all of `stream`. `is_head` says which of the final responses answer HEAD requests.
///
/// # Errors
/// What is wrong with it.
pub fn read(stream: &[u8], is_head: impl Fn(usize) -> bool) -> Result<Answers<'_>, String> {
    let mut answers = Answers::default();
    let mut rest = stream;
    while !rest.is_empty() {
        let Some((lines, after)) = head_lines(rest)? else {
            answers.is_cut = true;
            return Ok(answers);
        };
        rest = after;
        let mut answer = read_head(&lines, is_head(answers.finals.len()))?;
        if answer.status == 100 {
            answers.continues += 1;
            continue;
        }
        read_body(&mut answer, &mut rest)?;
        if answer.closes && !rest.is_empty() {
            return Err(format!("{} bytes after a response that closes", rest.len()));
        }
        let is_whole = answer.whole;
        answers.finals.push(answer);
        if !is_whole && !rest.is_empty() {
            return Err("something follows an incomplete response".to_owned());
        }
    }
    Ok(answers)
}

type Lines<'a> = Vec<&'a [u8]>;

/// The lines of a head, and what follows its empty line; `None` where that has not come.
fn head_lines(stream: &[u8]) -> Result<Option<(Lines<'_>, &[u8])>, String> {
    let mut rest = stream;
    let mut lines = Vec::with_capacity(8);
    while let Some(feed) = rest.iter().position(|&byte| byte == b'\n') {
        let line = rest[..feed].strip_suffix(b"\r").ok_or("a bare LF in a head")?;
        if !line.iter().all(|byte| is_text(*byte)) {
            return Err(format!("a control character in a head: {}", line.escape_ascii()));
        }
        rest = &rest[feed + 1..];
        if line.is_empty() {
            return Ok(Some((lines, rest)));
        }
        lines.push(line);
    }
    Ok(None)
}

fn read_head<'a>(lines: &[&'a [u8]], is_head: bool) -> Result<Answer<'a>, String> {
    let (first, fields) = lines.split_first().ok_or("an empty line where a response should be")?;
    let status_line = first.strip_prefix(b"HTTP/1.1 ").ok_or("no version")?;
    let [a, b, c, b' ', reason @ ..] = status_line else { return Err("no status and reason".to_owned()) };
    let digits = [*a, *b, *c];
    let status = std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse::<u16>().ok());
    let status = status.ok_or("the status is no number")?;
    if !digits.iter().all(u8::is_ascii_digit) || (status < 200 && status != 100) {
        return Err(format!("status {status}"));
    }
    if status == 100 && !fields.is_empty() {
        return Err("an interim response with fields".to_owned());
    }
    let mut answer = Answer {
        status,
        reason,
        fields: Vec::with_capacity(fields.len()),
        framing: Framing::Bodiless,
        body: Vec::new(),
        closes: false,
        whole: true,
    };
    for line in fields {
        let (name, value) = field_line(line).ok_or("a line that is no field")?;
        answer.fields.push((name, trimmed(value)));
    }
    answer.closes = match &answer.values("Connection")[..] {
        [] | [b"keep-alive"] => false,
        [b"close"] => true,
        other => return Err(format!("connection options {other:?}")),
    };
    answer.framing = framing(&answer, is_head)?;
    Ok(answer)
}

fn framing(answer: &Answer<'_>, is_head: bool) -> Result<Framing, String> {
    let declared = match &answer.values("Content-Length")[..] {
        [] => None,
        [one] if !one.is_empty() && one.iter().all(u8::is_ascii_digit) => {
            let text = std::str::from_utf8(one).map_err(|error| error.to_string())?;
            Some(text.parse::<u64>().map_err(|error| error.to_string())?)
        }
        _ => return Err("not one Content-Length".to_owned()),
    };
    let chunked = match &answer.values("Transfer-Encoding")[..] {
        [] => false,
        [b"chunked"] => true,
        _ => return Err("not one coding".to_owned()),
    };
    match (answer.status, declared, chunked) {
        (_, Some(_), true) => Err("two framings".to_owned()),
        (204 | 304, Some(_), _) | (204 | 304, _, true) => Err("a framing where there is no body".to_owned()),
        (205, Some(1..), _) | (205, _, true) => Err("a body of a 205".to_owned()),
        (100 | 204 | 304, ..) => Ok(Framing::Bodiless),
        _ if is_head => Ok(Framing::Bodiless),
        (_, Some(length), _) => Ok(Framing::Length(length)),
        (_, None, true) => Ok(Framing::Chunked),
        _ if answer.closes => Ok(Framing::UntilClose),
        _ => Err("no framing, and no close".to_owned()),
    }
}

fn read_body(answer: &mut Answer<'_>, rest: &mut &[u8]) -> Result<(), String> {
    match answer.framing {
        Framing::Bodiless => {}
        Framing::UntilClose => answer.body = std::mem::take(rest).to_vec(),
        Framing::Length(length) => {
            let taken = usize::try_from(length).map_or(rest.len(), |length| length.min(rest.len()));
            answer.whole = taken as u64 == length;
            answer.body = rest[..taken].to_vec();
            *rest = &rest[taken..];
        }
        Framing::Chunked => answer.whole = read_chunks(&mut answer.body, rest)?,
    }
    Ok(())
}

/// Chunks without extensions or trailers, their sizes without needless digits. Whether the last one has come.
fn read_chunks(body: &mut Vec<u8>, rest: &mut &[u8]) -> Result<bool, String> {
    loop {
        let Some(feed) = rest.iter().position(|&byte| byte == b'\n') else {
            *rest = &[];
            return Ok(false);
        };
        let digits = rest[..feed].strip_suffix(b"\r").ok_or("a bare LF after a chunk's size")?;
        let digits = std::str::from_utf8(digits).map_err(|error| error.to_string())?;
        let size = usize::from_str_radix(digits, 16).map_err(|error| error.to_string())?;
        if format!("{size:x}") != digits {
            return Err(format!("a chunk's size is {digits:?}"));
        }
        *rest = &rest[feed + 1..];
        let taken = size.min(rest.len());
        body.extend_from_slice(&rest[..taken]);
        *rest = &rest[taken..];
        match rest.split_at_checked(2) {
            Some((b"\r\n", after)) if taken == size => *rest = after,
            Some(_) => return Err("a chunk without its end".to_owned()),
            None => {
                *rest = &[];
                return Ok(false);
            }
        }
        if size == 0 {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_plain_is_read_and_what_is_not_is_refused() {
        let good = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab";
        let answers = read(good, |_| false).unwrap();
        assert_eq!((answers.continues, answers.finals.len()), (1, 2));
        assert_eq!((answers.finals[0].body.as_slice(), answers.finals[0].whole), (&b"hi"[..], true));
        assert!(!answers.finals[1].whole);
        for bad in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 204 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n02\r\nhi\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\nx",
            "HTTP/1.1 101 Up\r\n\r\n",
        ] {
            assert!(read(bad.as_bytes(), |_| false).is_err(), "{bad:?}");
        }
    }
}
