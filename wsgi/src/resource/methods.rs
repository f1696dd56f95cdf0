//! A resource made of closures, one for each method.

use std::collections::BTreeMap;
use std::fmt;

use super::{Rendered, Resource, Response};
use crate::request::Request;

/// Answers each method with a closure of its own: Twisted's `render_GET` and its family. HEAD is answered as GET, unless
/// it has its own; any other method gets a 405 that names those there are. The closures run on the reactor's thread and
/// must not block.
///
/// ```
/// use handwound_wsgi::{Methods, Response};
///
/// let ping = Methods::new()
///     .get(|_request| Response::text("200 OK", "pong\n"))
///     .on("DELETE", |_request| Response::text("403 Forbidden", "It stays.\n"));
/// assert_eq!(ping.allowed(), "DELETE, GET, HEAD");
/// ```
#[derive(Default)]
pub struct Methods {
    renders: BTreeMap<String, Render>,
    is_leaf: bool,
}

type Render = Box<dyn Fn(&Request) -> Rendered>;

impl Methods {
    /// One that answers no method yet.
    pub fn new() -> Methods {
        Methods::default()
    }

    /// [`on`](Methods::on) GET, and HEAD.
    pub fn get<R: Into<Rendered>>(self, render: impl Fn(&Request) -> R + 'static) -> Methods {
        self.on("GET", render)
    }

    /// [`on`](Methods::on) POST.
    pub fn post<R: Into<Rendered>>(self, render: impl Fn(&Request) -> R + 'static) -> Methods {
        self.on("POST", render)
    }

    /// Has `render` answer requests of this method, which is compared to the letter. It gives a [`Response`], or a
    /// [`Rendered`] that may send a worker to do it.
    pub fn on<R: Into<Rendered>>(
        mut self,
        method: impl Into<String>,
        render: impl Fn(&Request) -> R + 'static,
    ) -> Methods {
        self.renders.insert(method.into(), Box::new(move |request| render(request).into()));
        self
    }

    /// Answers for all paths below it, too.
    pub fn leaf(mut self) -> Methods {
        self.is_leaf = true;
        self
    }

    /// The methods that it answers, as `Allow` has them.
    pub fn allowed(&self) -> String {
        let mut names: Vec<&str> = self.renders.keys().map(String::as_str).collect();
        if names.contains(&"GET") && !names.contains(&"HEAD") {
            names.push("HEAD");
            names.sort_unstable();
        }
        names.join(", ")
    }

    fn render_of(&self, method: &[u8]) -> Option<&Render> {
        let find = |method: &[u8]| self.renders.get(std::str::from_utf8(method).ok()?);
        find(method).or_else(|| if method == b"HEAD" { find(b"GET") } else { None })
    }
}

impl Resource for Methods {
    fn is_leaf(&self) -> bool {
        self.is_leaf
    }

    fn render(&self, request: &Request) -> Rendered {
        match self.render_of(request.method()) {
            Some(render) => render(request),
            None => {
                let headers = [("Allow", &*self.allowed()), ("Content-Type", "text/plain; charset=utf-8")];
                Response::new("405 Method Not Allowed", &headers, b"This is not for that method.\n").into()
            }
        }
    }
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Methods").field(&self.allowed()).finish()
    }
}
