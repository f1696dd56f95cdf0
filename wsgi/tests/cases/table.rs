//! The tables of cases: text files in `data`, one case a line. `data/README.md` explains them.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// One conversation and what it must come to.
pub struct Case {
    /// `file.txt:12 id`
    pub place: String,
    pub id: String,
    /// `9112 2.2`: a document and a section of it.
    pub section: String,
    pub send: Vec<u8>,
    /// Whether the client ends its side behind that.
    pub ends: bool,
    /// What comes of it, as [`crate::answers::verdict`] puts it.
    pub expect: String,
}

/// What follows most cases in the same breath: served if and only if the connection goes on.
pub const TAIL: &str = "GET /tail HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

impl Case {
    /// Whether the case stands alone: the tail would complete what it leaves incomplete.
    pub fn has_no_tail(&self) -> bool {
        self.ends || self.waits()
    }

    /// Whether it is about a request that is not complete, and nothing happens.
    pub fn waits(&self) -> bool {
        self.expect.ends_with("wait")
    }

    /// All that the client sends.
    pub fn bytes(&self) -> Vec<u8> {
        let tail = if self.has_no_tail() { "" } else { TAIL };
        [&self.send, tail.as_bytes()].concat()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_BYTES_MAX: usize = 400;
        let shown = &self.send[..self.send.len().min(SHOWN_BYTES_MAX)];
        let rest = if shown.len() < self.send.len() { "…" } else { "" };
        write!(f, "{}: {}{rest}", self.place, shown.escape_ascii())
    }
}

/// Where the tables are.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/data")
}

/// The names of all tables, in order.
pub fn names() -> Vec<String> {
    let files = fs::read_dir(folder()).expect("the tables are part of the sources");
    let names = files.map(|file| file.expect("a readable folder").file_name().into_string().expect("an ASCII name"));
    names.filter(|name| name.ends_with(".txt")).collect::<BTreeSet<_>>().into_iter().collect()
}

/// One table.
#[track_caller]
pub fn load(name: &str) -> Vec<Case> {
    let text = fs::read_to_string(folder().join(name)).expect("a table of this name");
    let mut template = "{}".to_owned();
    let mut cases = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", number + 1);
        if let Some(next) = line.strip_prefix("@send ") {
            template = next.to_owned();
        } else if !line.is_empty() && !line.starts_with('#') {
            cases.push(case(&place, line, &template));
        }
    }
    cases
}

/// Every case there is.
pub fn all() -> Vec<Case> {
    let cases: Vec<Case> = names().iter().flat_map(|name| load(name)).collect();
    let ids: BTreeSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids.len(), cases.len(), "an id stands twice");
    cases
}

fn case(place: &str, line: &str, template: &str) -> Case {
    let columns: Vec<&str> = line.split('|').map(str::trim).collect();
    let [id, section, send, expect] = columns[..] else { panic!("{place}: not four columns") };
    let sections = ["9110 ", "9112 ", "3986 ", "3333 "];
    assert!(sections.iter().any(|document| section.starts_with(document)), "{place}: the section {section:?}");
    let send = template.replacen("{}", send, 1);
    let (send, ends) = send.strip_suffix("\\z").map_or((send.as_str(), false), |send| (send, true));
    Case {
        place: format!("{place} {id}"),
        id: id.to_owned(),
        section: section.to_owned(),
        send: unescape(place, send),
        ends,
        expect: expect.replace("\\p", "|"),
    }
}

/// `\r \n \t \0 \\`, `\s` a space, `\p` a pipe, `\xHH`, `\(ab*3)` for `ababab`.
fn unescape(place: &str, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let kind = after.chars().next().unwrap_or_else(|| panic!("{place}: a backslash at the end"));
        rest = &after[kind.len_utf8()..];
        match kind {
            'r' => bytes.push(b'\r'),
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            '0' => bytes.push(0),
            's' => bytes.push(b' '),
            'p' => bytes.push(b'|'),
            '\\' => bytes.push(b'\\'),
            'x' => {
                let (digits, after) = rest.split_at_checked(2).unwrap_or_else(|| panic!("{place}: \\x without digits"));
                bytes.push(u8::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{place}: \\x{digits}")));
                rest = after;
            }
            '(' => {
                let (inner, after) = rest.split_once(')').unwrap_or_else(|| panic!("{place}: \\( without its end"));
                let (text, times) = inner.rsplit_once('*').unwrap_or_else(|| panic!("{place}: \\({inner}) has no *"));
                bytes.extend(unescape(place, text).repeat(times.parse().expect("a number of times")));
                rest = after;
            }
            _ => panic!("{place}: \\{kind} means nothing"),
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
