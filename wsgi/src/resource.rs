//! The resource tree: which thing answers for a path. It lives on the reactor's thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use handwound_reactor::{EventLoop, ThreadPool};

use crate::application::Application;
use crate::http1::ResponseHead;
use crate::request::Request;

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

    /// The child for one decoded segment; `None` makes a 404.
    fn get_child(&self, _segment: &[u8], _request: &Request) -> Option<Rc<dyn Resource>> {
        None
    }

    /// Answers a request that ends here.
    fn render(&self, request: &Request) -> Rendered;
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

/// A folder of the tree: children by name.
#[derive(Default)]
pub struct Branch {
    children: RefCell<BTreeMap<Vec<u8>, Rc<dyn Resource>>>,
    index: Option<Rc<dyn Resource>>,
}

impl Branch {
    /// A folder without children.
    pub fn new() -> Branch {
        Branch::default()
    }

    /// Puts `child` below this folder, replacing what was there. The name is one decoded segment; the empty name is
    /// what a trailing slash leads to.
    pub fn put_child(&self, name: impl AsRef<[u8]>, child: impl Resource + 'static) {
        self.children.borrow_mut().insert(name.as_ref().to_vec(), Rc::new(child));
    }

    /// What the folder itself answers with, instead of a 404.
    pub fn with_index(mut self, index: impl Resource + 'static) -> Branch {
        self.index = Some(Rc::new(index));
        self
    }
}

impl Resource for Branch {
    fn get_child(&self, segment: &[u8], _request: &Request) -> Option<Rc<dyn Resource>> {
        self.children.borrow().get(segment).cloned()
    }

    fn render(&self, request: &Request) -> Rendered {
        match &self.index {
            Some(index) => index.render(request),
            None => not_found(),
        }
    }
}

impl fmt::Debug for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let children = self.children.borrow();
        f.debug_set().entries(children.keys().map(|name| name.escape_ascii().to_string())).finish()
    }
}

/// A leaf that runs a WSGI application on a thread pool: the rest of the path belongs to the application.
#[derive(Clone)]
pub struct WsgiResource {
    pool: ThreadPool,
    application: Arc<dyn Application>,
}

impl WsgiResource {
    /// The application on the pool's workers. The loop's own pool ([`EventLoop::thread_pool`]) starts and stops with
    /// the loop; any other is started and stopped by whoever made it.
    pub fn new(_reactor: &EventLoop, pool: ThreadPool, application: impl Application) -> WsgiResource {
        WsgiResource { pool, application: Arc::new(application) }
    }
}

impl Resource for WsgiResource {
    fn is_leaf(&self) -> bool {
        true
    }

    fn render(&self, _request: &Request) -> Rendered {
        Rendered::Pooled { pool: self.pool.clone(), application: self.application.clone() }
    }
}

impl fmt::Debug for WsgiResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsgiResource").field("pool", &self.pool).finish_non_exhaustive()
    }
}

pub(crate) fn not_found() -> Rendered {
    Rendered::Now(Response::text("404 Not Found", "No such resource.\n"))
}

/// Walks from `root` along the request's path, and leaves the request with the path split where the walk ended.
pub(crate) fn traverse(root: &Rc<dyn Resource>, request: &mut Request) -> Rendered {
    // Also for those that are asked on the way: what they see is not the path of the connection's last request.
    request.split_path(0);
    if root.is_leaf() {
        return root.render(request);
    }
    let mut resource = root.clone();
    let mut segment = Vec::new();
    let mut prepath = 0;
    for encoded in segments(request.head.path()).map(<[u8]>::to_vec).collect::<Vec<_>>() {
        if resource.is_leaf() {
            break;
        }
        segment.clear();
        crate::http1::percent_decode(&encoded, &mut segment);
        match resource.get_child(&segment, request) {
            Some(child) => resource = child,
            None => return not_found(),
        }
        prepath += 1;
    }
    request.split_path(prepath);
    resource.render(request)
}

/// The segments behind the leading slash, still encoded. `*` has none.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.strip_prefix(b"/").into_iter().flat_map(|rest| rest.split(|&byte| byte == b'/'))
}
