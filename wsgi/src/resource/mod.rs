//! The resource tree: which thing answers for a path. It lives on the reactor's thread.

mod branch;
mod methods;
mod redirect;
mod virtual_hosts;
mod wsgi;

use std::rc::Rc;
use std::sync::Arc;

use handwound_reactor::ThreadPool;

use crate::application::Application;
use crate::http1::ResponseHead;
use crate::request::Request;

pub use branch::Branch;
pub use methods::Methods;
pub use redirect::Redirect;
pub use virtual_hosts::VirtualHosts;
pub use wsgi::WsgiResource;

/// A thing that answers for a place in the tree of paths.
///
/// From the root on, each segment of the path asks the resource found so far for a child, until the path is used up
/// or a leaf is reached. Segments are percent-decoded first, so `%2F` never separates two. All calls run on the
/// reactor's thread and must not block; what blocks belongs into an [`Application`].
pub trait Resource {
    /// Whether this resource takes the rest of the path itself.
    fn is_leaf(&self) -> bool {
        false
    }

    /// Who is asked in its place for everything about this request, without a segment of the path being used up.
    fn delegate(&self, _request: &Request) -> Option<Rc<dyn Resource>> {
        None
    }

    /// The child for one decoded segment, the last of [`Request::prepath`]; `None` makes a 404.
    fn get_child(&self, _segment: &[u8], _request: &Request) -> Option<Rc<dyn Resource>> {
        None
    }

    /// Answers a request that ends here.
    fn render(&self, request: &Request) -> Rendered;
}

/// What is shared is a resource too: so a part of the tree can stand at several places, and be changed while it serves.
impl<R: Resource + ?Sized> Resource for Rc<R> {
    fn is_leaf(&self) -> bool {
        (**self).is_leaf()
    }

    fn delegate(&self, request: &Request) -> Option<Rc<dyn Resource>> {
        (**self).delegate(request)
    }

    fn get_child(&self, segment: &[u8], request: &Request) -> Option<Rc<dyn Resource>> {
        (**self).get_child(segment, request)
    }

    fn render(&self, request: &Request) -> Rendered {
        (**self).render(request)
    }
}

/// How a resource answers.
pub enum Rendered {
    /// With this, from the reactor's thread.
    Now(Response),
    /// With what this application makes of it, on a worker of this pool.
    Pooled {
        /// Where it runs.
        pool: ThreadPool,
        /// What runs.
        application: Arc<dyn Application>,
    },
}

impl From<Response> for Rendered {
    fn from(response: Response) -> Rendered {
        Rendered::Now(response)
    }
}

/// A complete small response.
#[derive(Clone, Debug)]
pub struct Response {
    pub(crate) head: ResponseHead,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// A response with a plain text.
    ///
    /// # Panics
    /// If `status` is not of the form `404 Not Found`.
    pub fn text(status: &str, text: &str) -> Response {
        Response::new(status, &[("Content-Type", "text/plain; charset=utf-8")], text.as_bytes())
    }

    /// A response of these parts; its `Content-Length` is added.
    ///
    /// # Panics
    /// If the status or a header breaks a rule: they are the program's own, not a client's.
    pub fn new(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut head = ResponseHead::new(status).expect("the caller's status is valid");
        for (name, value) in headers {
            head.push(name.as_bytes(), value.as_bytes()).expect("the caller's headers are valid");
        }
        head.set_content_length_if_absent(body.len() as u64);
        Response { head, body: body.to_vec() }
    }
}

pub(crate) fn not_found() -> Rendered {
    Rendered::Now(Response::text("404 Not Found", "No such resource.\n"))
}

/// Resources that may stand for one another in a row; more are a circle.
const DELEGATES_MAX: usize = 16;

/// Walks from `root` along the request's path, and leaves the request with the path split where the walk ended.
pub(crate) fn traverse(root: &Rc<dyn Resource>, request: &mut Request) -> Rendered {
    // Also for those that are asked on the way: what they see is not the path of the connection's last request.
    request.split_path(0);
    if root.is_leaf() {
        return root.render(request);
    }
    let mut resource = root.clone();
    let mut segment = Vec::new();
    loop {
        for _ in 0..DELEGATES_MAX {
            let Some(delegate) = resource.delegate(request) else { break };
            resource = delegate;
        }
        if resource.is_leaf() || !request.descend(&mut segment) {
            return resource.render(request);
        }
        match resource.get_child(&segment, request) {
            Some(child) => resource = child,
            None => return not_found(),
        }
    }
}
