//! The body of a response, as tests compare it.

use std::fmt;
use std::ops::Deref;

/// A body that has come whole. It can be compared with text and with bytes, and is a `Vec<u8>` otherwise.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content(pub Vec<u8>);

/// As text where it is, so that a failed comparison can be read.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.0) {
            Ok(text) => text.fmt(f),
            Err(_) => write!(f, "b\"{}\"", self.0.escape_ascii()),
        }
    }
}

impl Deref for Content {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl AsRef<[u8]> for Content {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Content> for Vec<u8> {
    fn from(content: Content) -> Vec<u8> {
        content.0
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Content {
        Content(text.as_bytes().to_vec())
    }
}

impl PartialEq<str> for Content {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Content {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<String> for Content {
    fn eq(&self, other: &String) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<[u8]> for Content {
    fn eq(&self, other: &[u8]) -> bool {
        self.0 == other
    }
}

impl<const N: usize> PartialEq<[u8; N]> for Content {
    fn eq(&self, other: &[u8; N]) -> bool {
        self.0 == other
    }
}

impl PartialEq<Vec<u8>> for Content {
    fn eq(&self, other: &Vec<u8>) -> bool {
        self.0 == *other
    }
}
