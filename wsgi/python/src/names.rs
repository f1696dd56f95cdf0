//! Header fields to environ entries, remembered: names and values repeat from request to request.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::raw;

/// Different names that are remembered at once.
const SLOTS: usize = 256;
/// Longer values than this, in bytes, are made anew each time.
const VALUE_BYTES_MAX: usize = 256;

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is `HTTP_NAME`; several of a name are joined by this.
    Kept { separator: &'static str },
    /// It is no part of the environ, or set from elsewhere.
    Dropped,
    /// It is `CONTENT_TYPE`.
    ContentType,
}

/// What is known of a name.
pub struct Known {
    name: Box<[u8]>,
    fate: Fate,
    is_personal: bool,
    entry: Entry,
}

/// An entry of the environ: its key, and the value it had last.
pub struct Entry {
    key: Py<PyString>,
    value: Vec<u8>,
    text: Py<PyString>,
}

impl Entry {
    /// The entry `key`, whose last value was the empty one.
    pub fn new(py: Python<'_>, key: &str) -> Entry {
        Entry::of(py, PyString::intern(py, key).unbind())
    }

    fn of(py: Python<'_>, key: Py<PyString>) -> Entry {
        Entry { key, value: Vec::new(), text: PyString::intern(py, "").unbind() }
    }

    /// Its key.
    pub fn key(&self) -> &Py<PyString> {
        &self.key
    }

    /// The value it had last.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The value it had last, as a string.
    pub fn text(&self) -> &Py<PyString> {
        &self.text
    }

    /// `value` as a string: the last one again, if it is the same.
    pub fn text_of<'py>(&mut self, py: Python<'py>, value: &[u8]) -> PyResult<Bound<'py, PyString>> {
        if self.value == value {
            return Ok(self.text.bind(py).clone());
        }
        let text = raw::latin1(py, value)?;
        if is_short(value) {
            self.remember(value, text.clone().unbind());
        }
        Ok(text)
    }

    /// Sets it in `dict`, which has the last value, if `value` is another one. False if it is too long to be remembered:
    /// then nothing is set.
    #[inline]
    pub fn update(&mut self, dict: &Bound<'_, PyDict>, value: &[u8]) -> PyResult<bool> {
        if self.value == value { Ok(true) } else { self.change(dict, value) }
    }

    /// [`update`](Entry::update), if the value is known to be another one.
    pub fn change(&mut self, dict: &Bound<'_, PyDict>, value: &[u8]) -> PyResult<bool> {
        if !is_short(value) {
            return Ok(false);
        }
        let text = raw::latin1(dict.py(), value)?;
        self.change_to(dict, value, text.unbind())
    }

    /// [`change`](Entry::change), where `text` says the same as `value`, which is short.
    pub fn change_to(&mut self, dict: &Bound<'_, PyDict>, value: &[u8], text: Py<PyString>) -> PyResult<bool> {
        raw::set(dict, &self.key, text.bind(dict.py()))?;
        self.remember(value, text);
        Ok(true)
    }

    fn remember(&mut self, value: &[u8], text: Py<PyString>) {
        self.value.clear();
        self.value.extend_from_slice(value);
        self.text = text;
    }
}

/// Whether `value` may be remembered.
pub fn is_short(value: &[u8]) -> bool {
    value.len() <= VALUE_BYTES_MAX
}

/// The names seen so far, as many as there is room for.
pub struct Names {
    slots: Box<[Option<Known>]>,
}

impl Names {
    /// No names yet.
    pub fn new() -> Names {
        Names { slots: (0..SLOTS).map(|_| None).collect() }
    }

    /// Adds a header field to `environ`.
    pub fn add(&mut self, environ: &Bound<'_, PyDict>, name: &[u8], value: &[u8]) -> PyResult<()> {
        let py = environ.py();
        let known = self.known(py, name);
        let text = known.text_of(py, value)?;
        match known.fate {
            Fate::Dropped => Ok(()),
            Fate::ContentType => raw::set(environ, &known.entry.key, &text),
            Fate::Kept { separator } => match raw::set_new(environ, &known.entry.key, &text)? {
                None => Ok(()),
                Some(there) => {
                    let joined = format!("{there}{separator}{text}");
                    raw::set(environ, &known.entry.key, &PyString::new(py, &joined))
                }
            },
        }
    }

    /// What is known of `name`.
    pub fn known(&mut self, py: Python<'_>, name: &[u8]) -> &mut Known {
        let slot = &mut self.slots[place(name)];
        if slot.as_ref().is_some_and(|known| *known.name != *name) {
            *slot = None;
        }
        slot.get_or_insert_with(|| Known::new(py, name))
    }
}

impl Known {
    fn new(py: Python<'_>, name: &[u8]) -> Known {
        // Cookies differ from person to person, and so do credentials: neither worth keeping, nor wise to keep.
        let is_personal = name.eq_ignore_ascii_case(b"cookie") || name.eq_ignore_ascii_case(b"authorization");
        let fate = fate(name);
        let entry = match fate {
            Fate::ContentType => Entry::new(py, "CONTENT_TYPE"),
            _ => Entry::new(py, &key_of(name)),
        };
        Known { name: name.into(), fate, is_personal, entry }
    }

    /// An entry for it that has had no value yet; `None` if it has no place in an environ.
    pub fn entry(&self, py: Python<'_>) -> Option<Entry> {
        (self.fate != Fate::Dropped).then(|| Entry::of(py, self.entry.key.clone_ref(py)))
    }

    /// Whether its values are not to be remembered.
    pub fn is_personal(&self) -> bool {
        self.is_personal
    }

    fn text_of<'py>(&mut self, py: Python<'py>, value: &[u8]) -> PyResult<Bound<'py, PyString>> {
        if self.is_personal { raw::latin1(py, value) } else { self.entry.text_of(py, value) }
    }
}

/// `HTTP_USER_AGENT` of `User-Agent`.
fn key_of(name: &[u8]) -> String {
    let upper = name.iter().map(|byte| if *byte == b'-' { '_' } else { char::from(byte.to_ascii_uppercase()) });
    "HTTP_".chars().chain(upper).collect()
}

fn fate(name: &[u8]) -> Fate {
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    if is("content-type") {
        Fate::ContentType
    } else if is("content-length") || is("transfer-encoding") || is("proxy") || name.contains(&b'_') {
        // CONTENT_LENGTH comes from the body itself, which has been decoded: frameworks that see a transfer coding
        // decode it again. HTTP_PROXY would pass for the variable that HTTP clients obey (httpoxy). `X_User` would
        // pass for `X-User`.
        Fate::Dropped
    } else if is("cookie") {
        Fate::Kept { separator: "; " }
    } else {
        Fate::Kept { separator: "," }
    }
}

fn place(name: &[u8]) -> usize {
    // FNV-1a: short names, no adversary worth the cost of a keyed hash; a collision only costs making the key again.
    let hash = name.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    (hash ^ (hash >> 16)) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(fields: &[(&str, &[u8])], expected: &str) {
        crate::socket_server::python();
        Python::attach(|py| {
            let mut names = Names::new();
            // Twice: the second time from memory.
            for _ in 0..2 {
                let environ = PyDict::new(py);
                for (name, value) in fields {
                    names.add(&environ, name.as_bytes(), value).unwrap();
                }
                assert_eq!(environ.repr().unwrap().to_string(), expected);
            }
        });
    }

    #[test]
    fn names_become_keys() {
        check(&[("Host", b"a"), ("user-AGENT", b"b")], "{'HTTP_HOST': 'a', 'HTTP_USER_AGENT': 'b'}");
    }

    #[test]
    fn fields_of_one_name_are_joined() {
        check(&[("X-Foo", b"a"), ("x-foo", b"b")], "{'HTTP_X_FOO': 'a,b'}");
        check(&[("X-Foo", b"a"), ("X-Foo", b"a"), ("X-Foo", b"a")], "{'HTTP_X_FOO': 'a,a,a'}");
        check(&[("Cookie", b"a=1"), ("Cookie", b"b=2")], "{'HTTP_COOKIE': 'a=1; b=2'}");
        check(&[("X-Foo", b"\xe9"), ("X-Foo", b"\xff")], "{'HTTP_X_FOO': '\u{e9},\u{ff}'}");
    }

    #[test]
    fn names_that_could_deceive_are_left_out() {
        check(&[("X_Foo", b"a"), ("Proxy", b"b"), ("pROXY", b"c"), ("Content_Type", b"d")], "{}");
    }

    #[test]
    fn content_fields_have_keys_of_their_own() {
        check(&[("Content-Type", b"text/plain"), ("Content-Length", b"5")], "{'CONTENT_TYPE': 'text/plain'}");
        check(&[("Transfer-Encoding", b"chunked")], "{}");
    }

    #[test]
    fn a_name_that_takes_anothers_place_does_no_harm() {
        crate::socket_server::python();
        Python::attach(|py| {
            let mut names = Names::new();
            for number in 0..4 * SLOTS {
                let environ = PyDict::new(py);
                names.add(&environ, format!("X-{number}").as_bytes(), b"v").unwrap();
                assert_eq!(environ.repr().unwrap().to_string(), format!("{{'HTTP_X_{number}': 'v'}}"));
            }
        });
    }
}
