//! A resource that is elsewhere.

use super::{Rendered, Resource, Response};
use crate::http1::ResponseHead;
use crate::request::Request;

/// Sends whoever asks for it, or for anything below it, to another place.
///
/// ```
/// use handwound_wsgi::{Branch, Redirect};
///
/// let root = Branch::new();
/// root.put_child("old", Redirect::to("/new/"));
/// // `/shop/cart?id=1` goes to `https://shop.example/cart?id=1`.
/// root.put_child("shop", Redirect::permanently_to("https://shop.example").with_rest());
/// ```
#[derive(Clone, Debug)]
pub struct Redirect {
    status: &'static str,
    location: Vec<u8>,
    with_rest: bool,
}

impl Redirect {
    /// With a 302, which clients do not remember.
    ///
    /// # Panics
    /// If `location` is empty, or holds control characters.
    #[track_caller]
    pub fn to(location: impl AsRef<[u8]>) -> Redirect {
        Redirect::new("302 Found", location.as_ref())
    }

    /// With a 308, which clients remember, and which keeps method and body.
    ///
    /// # Panics
    /// If `location` is empty, or holds control characters.
    #[track_caller]
    pub fn permanently_to(location: impl AsRef<[u8]>) -> Redirect {
        Redirect::new("308 Permanent Redirect", location.as_ref())
    }

    /// Appends what is left of the path, and the query, as they came; there is one slash between the location and the path.
    pub fn with_rest(mut self) -> Redirect {
        self.with_rest = true;
        self
    }

    #[track_caller]
    fn new(status: &'static str, location: &[u8]) -> Redirect {
        // Empty, and followed by a rest of `//host`, it would lead there.
        assert!(!location.is_empty(), "a redirect's location is empty");
        assert!(!location.iter().any(u8::is_ascii_control), "a redirect's location holds control characters");
        Redirect { status, location: location.to_vec(), with_rest: false }
    }
}

impl Resource for Redirect {
    fn is_leaf(&self) -> bool {
        true
    }

    fn render(&self, request: &Request) -> Rendered {
        let mut location = self.location.clone();
        // The rest is a path, but for `OPTIONS *`.
        if self.with_rest && request.head().path() != b"*" {
            let rest = request.raw_path_info();
            if location.ends_with(b"/") && rest.starts_with(b"/") {
                location.pop();
            }
            // Two slashes at the start would name a host, and it would be the client's choice.
            let slashes = if location.is_empty() { rest.iter().take_while(|&&byte| byte == b'/').count() } else { 1 };
            location.extend_from_slice(&rest[slashes.saturating_sub(1)..]);
            if let Some(query) = request.head().query() {
                location.push(b'?');
                location.extend_from_slice(query);
            }
        }
        let mut head = ResponseHead::new(self.status).expect("it is one of ours");
        head.push("Location", location).expect("neither ours nor a request's target holds control characters");
        head.push("Content-Type", "text/plain; charset=utf-8").expect("it is ours");
        let body = b"It is elsewhere.\n".to_vec();
        head.set_content_length_if_absent(body.len() as u64);
        Rendered::Now(Response { head, body })
    }
}
