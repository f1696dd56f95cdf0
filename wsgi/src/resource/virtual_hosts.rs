//! Several sites at one address, told apart by the host that the client asked for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use super::{Rendered, Resource, not_found};
use crate::request::Request;

/// A resource for each host name, as `Host` has it: without port, in any case, with or without the dot of a full name.
/// Whoever names none of them, or none at all, gets the default; without one, a 404. It may stand anywhere in the tree.
///
/// ```
/// use handwound_wsgi::{Branch, Redirect, VirtualHosts};
///
/// let hosts = VirtualHosts::new();
/// hosts.add_host("example.com", Branch::new());
/// hosts.add_host("www.example.com", Redirect::permanently_to("http://example.com").with_rest());
/// hosts.set_default(Redirect::to("http://example.com/"));
/// assert_eq!(hosts.list_names(), ["example.com", "www.example.com"]);
/// ```
#[derive(Default)]
pub struct VirtualHosts {
    hosts: RefCell<BTreeMap<String, Rc<dyn Resource>>>,
    default: RefCell<Option<Rc<dyn Resource>>>,
}

impl VirtualHosts {
    /// Without hosts and without a default.
    pub fn new() -> VirtualHosts {
        VirtualHosts::default()
    }

    /// Has `resource` answer for `name`: a host name, or an address without brackets; not for a port.
    pub fn add_host(&self, name: impl AsRef<str>, resource: impl Resource + 'static) {
        let last = self.hosts.borrow_mut().insert(normal(name.as_ref()), Rc::new(resource));
        drop(last);
    }

    /// Takes a host out again.
    pub fn remove_host(&self, name: impl AsRef<str>) -> Option<Rc<dyn Resource>> {
        self.hosts.borrow_mut().remove(&normal(name.as_ref()))
    }

    /// Who answers for all other hosts.
    pub fn set_default(&self, resource: impl Resource + 'static) {
        let last = self.default.replace(Some(Rc::new(resource)));
        drop(last);
    }

    /// The names that there are, sorted, in lower case.
    pub fn list_names(&self) -> Vec<String> {
        self.hosts.borrow().keys().cloned().collect()
    }

    fn of(&self, request: &Request) -> Option<Rc<dyn Resource>> {
        let host = request.head().host().and_then(|host| std::str::from_utf8(host.name).ok());
        let named = host.and_then(|host| self.hosts.borrow().get(&normal(host)).cloned());
        named.or_else(|| self.default.borrow().clone())
    }
}

impl Resource for VirtualHosts {
    fn delegate(&self, request: &Request) -> Option<Rc<dyn Resource>> {
        self.of(request)
    }

    fn render(&self, _request: &Request) -> Rendered {
        // Somebody would have been asked instead.
        not_found()
    }
}

impl fmt::Debug for VirtualHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VirtualHosts").field(&self.list_names()).finish()
    }
}

/// The dot at the end of a full name means nothing here.
fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
