//! A folder of the tree.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use super::{Rendered, Resource, not_found};
use crate::request::Request;

/// A folder of the tree: children by name, which may come and go while it serves.
///
/// ```
/// use std::rc::Rc;
///
/// use handwound_wsgi::{Branch, Methods, Response};
///
/// let api = Rc::new(Branch::new());
/// let root = Branch::new();
/// root.put_child("api", api.clone());
/// // Later, also from within a request: `/api/ping` is there now.
/// api.put_child("ping", Methods::new().get(|_request| Response::text("200 OK", "pong\n")));
/// assert_eq!(api.list_names(), [b"ping"]);
/// ```
#[derive(Default)]
pub struct Branch {
    children: RefCell<BTreeMap<Vec<u8>, Rc<dyn Resource>>>,
    index: Option<Rc<dyn Resource>>,
    fallback: Option<Fallback>,
}

type Fallback = Box<dyn Fn(&[u8], &Request) -> Option<Rc<dyn Resource>>>;

impl Branch {
    /// A folder without children.
    pub fn new() -> Branch {
        Branch::default()
    }

    /// Puts `child` below this folder, replacing what was there. The name is one decoded segment; the empty name is
    /// what a trailing slash leads to.
    pub fn put_child(&self, name: impl AsRef<[u8]>, child: impl Resource + 'static) {
        let last = self.children.borrow_mut().insert(name.as_ref().to_vec(), Rc::new(child));
        // What it drops may look at this folder.
        drop(last);
    }

    /// Takes the child of this name out again. Requests that have reached it go on.
    pub fn remove_child(&self, name: impl AsRef<[u8]>) -> Option<Rc<dyn Resource>> {
        self.children.borrow_mut().remove(name.as_ref())
    }

    /// The names of its children, sorted; dynamic ones have none.
    pub fn list_names(&self) -> Vec<Vec<u8>> {
        self.children.borrow().keys().cloned().collect()
    }

    /// What the folder itself answers with, instead of a 404.
    pub fn with_index(mut self, index: impl Resource + 'static) -> Branch {
        self.index = Some(Rc::new(index));
        self
    }

    /// Who makes children for names that none was put at: [`Resource::get_child`] as a closure.
    ///
    /// ```
    /// use std::rc::Rc;
    ///
    /// use handwound_wsgi::{Branch, Methods, Resource, Response};
    ///
    /// let users = Branch::new().with_dynamic(|name, _request| {
    ///     let greeting = format!("Hello, {}!\n", String::from_utf8_lossy(name));
    ///     let user = Methods::new().get(move |_request| Response::text("200 OK", &greeting));
    ///     Some(Rc::new(user) as Rc<dyn Resource>)
    /// });
    /// # drop(users);
    /// ```
    pub fn with_dynamic(mut self, get_child: impl Fn(&[u8], &Request) -> Option<Rc<dyn Resource>> + 'static) -> Branch {
        self.fallback = Some(Box::new(get_child));
        self
    }
}

impl Resource for Branch {
    fn get_child(&self, segment: &[u8], request: &Request) -> Option<Rc<dyn Resource>> {
        let child = self.children.borrow().get(segment).cloned();
        child.or_else(|| self.fallback.as_ref()?(segment, request))
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
