//! The resources of the tree: folders that change, virtual hosts, redirects, methods.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use handwound_reactor::{Address, EventLoop, ListenOptions};
use handwound_testkit::{Choices, Client, Sim};
use handwound_wsgi::{Branch, Methods, Redirect, Rendered, Request, Resource, Response, Site, VirtualHosts};

/// A site in a simulation of its own, and one connection to it.
struct Asked {
    sim: Sim,
    client: Client,
}

fn serve(root: impl Resource + 'static) -> Asked {
    let sim = Sim::new(Choices::calm());
    let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
    let at = Address::from(SocketAddr::from(([127, 0, 0, 1], 80)));
    Site::new(root).listen(&event_loop, &at, &ListenOptions::default()).unwrap();
    sim.spawn("reactor", move || drop(event_loop.run()));
    let client = sim.connect(&at);
    Asked { sim, client }
}

impl Asked {
    /// The response's head and body, as text.
    fn ask(&self, request: &str) -> (String, String) {
        self.client.send(format!("{request}\r\n\r\n"));
        self.sim.advance(Duration::from_secs(1));
        let answer = String::from_utf8(self.client.take_received()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn get(&self, host: &str, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: {host}")).1
    }

    /// The status, and one header's value.
    fn head(&self, request: &str, name: &str) -> (u16, Option<String>) {
        let (head, _) = self.ask(&format!("{request} HTTP/1.1\r\nHost: x"));
        let value = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        (head[9..12].parse().unwrap(), value.map(str::to_owned))
    }
}

/// A page that says its name and how its path is split.
fn page(name: &'static str) -> impl Resource + 'static {
    Methods::new().leaf().get(move |request| {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let (script, path) = (text(request.script_name()), text(request.path_info()));
        Response::text("200 OK", &format!("{name} {script}|{path}"))
    })
}

const NOWHERE: &str = "No such resource.\n";

#[test]
fn children_come_and_go_while_the_folder_serves() {
    let (root, shared) = (Rc::new(Branch::new()), Rc::new(Branch::new()));
    root.put_child("one", shared.clone());
    root.put_child("two", shared.clone());
    let asked = serve(root.clone());
    assert_eq!(asked.get("x", "/one/a"), NOWHERE);
    shared.put_child("a", page("A"));
    assert_eq!(asked.get("x", "/one/a/b"), "A /one/a|/b");
    assert_eq!(asked.get("x", "/two/a"), "A /two/a|");
    assert_eq!(root.list_names(), [b"one", b"two"]);
    assert!(root.remove_child("two").is_some() && root.remove_child("two").is_none());
    assert_eq!(asked.get("x", "/two/a"), NOWHERE);
    shared.put_child("a", page("B"));
    assert_eq!(asked.get("x", "/one/a"), "B /one/a|");
}

#[test]
fn dynamic_children_are_made_for_names_that_none_was_put_at() {
    let root = Branch::new().with_dynamic(|name, request| {
        assert_eq!(request.prepath().last().unwrap(), name, "it is asked where it stands");
        let page = page(if name == b"b c" { "decoded" } else { "other" });
        (name != b"none").then(|| Rc::new(page) as Rc<dyn Resource>)
    });
    root.put_child("put", page("put"));
    let asked = serve(root);
    assert_eq!(asked.get("x", "/put"), "put /put|");
    assert_eq!(asked.get("x", "/b%20c/%2F"), "decoded /b c|//");
    assert_eq!(asked.get("x", "/"), "other /|");
    assert_eq!(asked.get("x", "/none"), NOWHERE);
}

#[test]
fn virtual_hosts_are_told_apart_by_name_only() {
    let hosts = Rc::new(VirtualHosts::new());
    hosts.add_host("One.example", page("one"));
    let two = Branch::new();
    two.put_child("a", page("two"));
    hosts.add_host("two.example.", two);
    hosts.add_host("::1", page("six"));
    let asked = serve(hosts.clone());
    assert_eq!(asked.get("one.EXAMPLE", "/a"), "one |/a");
    assert_eq!(asked.get("one.example:8080", "/a/"), "one |/a/");
    assert_eq!(asked.get("one.example.", "/"), "one |/");
    assert_eq!(asked.get("two.example", "/a/b"), "two /a|/b");
    assert_eq!(asked.get("two.example", "/"), NOWHERE);
    assert_eq!(asked.get("[::1]:80", "/"), "six |/");
    assert_eq!(asked.get("three.example", "/a"), NOWHERE);
    assert_eq!(asked.get("x", "http://two.example/a"), "two /a|");

    hosts.set_default(page("default"));
    assert_eq!(asked.get("three.example", "/a"), "default |/a");
    assert_eq!(asked.get("", "/a"), "default |/a");
    assert!(hosts.remove_host("ONE.example").is_some());
    assert_eq!(asked.get("one.example", "/a"), "default |/a");
    assert_eq!(hosts.list_names(), ["::1", "two.example"]);
}

/// Below a folder they use up no segment; and hosts of hosts are asked in turn.
#[test]
fn virtual_hosts_may_stand_below_others() {
    let (inner, outer, root) = (VirtualHosts::new(), VirtualHosts::new(), Branch::new());
    inner.add_host("a", page("A"));
    outer.set_default(inner);
    root.put_child("v", outer);
    let asked = serve(root);
    assert_eq!(asked.get("a", "/v"), "A /v|");
    assert_eq!(asked.get("a", "/v/w"), "A /v|/w");
    assert_eq!(asked.get("b", "/v/w"), NOWHERE);
}

/// Who stands for itself is asked no more than a few times.
#[test]
fn a_circle_of_delegates_ends() {
    struct Circle(std::cell::RefCell<std::rc::Weak<Circle>>);
    impl Resource for Circle {
        fn delegate(&self, _request: &Request) -> Option<Rc<dyn Resource>> {
            self.0.borrow().upgrade().map(|this| this as Rc<dyn Resource>)
        }
        fn render(&self, _request: &Request) -> Rendered {
            Response::text("200 OK", "round").into()
        }
    }
    let circle = Rc::new(Circle(Default::default()));
    *circle.0.borrow_mut() = Rc::downgrade(&circle);
    assert_eq!(serve(circle).ask("GET * HTTP/1.1\r\nHost: x").1, "the target * is for OPTIONS only\n");
    let circle = Rc::new(Circle(Default::default()));
    *circle.0.borrow_mut() = Rc::downgrade(&circle);
    assert_eq!(serve(circle.clone()).ask("OPTIONS * HTTP/1.1\r\nHost: x").1, "round");
}

#[test]
fn redirects_lead_elsewhere_with_the_rest_if_asked() {
    let root = Branch::new();
    root.put_child("old", Redirect::to("/new/?a"));
    root.put_child("moved", Redirect::permanently_to("https://h").with_rest());
    root.put_child("bare", Redirect::to("/").with_rest());
    root.put_child("slashed", Redirect::to("/new/").with_rest());
    let asked = serve(root);
    let at = |text: &str| Some(text.to_owned());
    assert_eq!(asked.head("GET /old", "Location"), (302, at("/new/?a")));
    assert_eq!(asked.head("GET /old/x?y", "Location"), (302, at("/new/?a")));
    assert_eq!(asked.head("POST /moved/%2F/x?y=%20", "Location"), (308, at("https://h/%2F/x?y=%20")));
    assert_eq!(asked.head("GET /moved", "Location"), (308, at("https://h")));
    assert_eq!(asked.head("GET /moved//evil", "Location"), (308, at("https://h//evil")));
    assert_eq!(asked.head("GET /bare", "Location"), (302, at("/")));
    for path in ["/bare/evil/", "/bare//evil/", "/bare////evil/"] {
        assert_eq!(asked.head(&format!("GET {path}"), "Location"), (302, at("/evil/")), "{path} names no host");
    }
    assert_eq!(asked.head("GET /slashed/x//y", "Location"), (302, at("/new/x//y")));
    let all = serve(Redirect::to("https://h").with_rest());
    assert_eq!(all.head("OPTIONS *", "Location"), (302, at("https://h")));
}

#[test]
#[should_panic(expected = "control characters")]
fn a_redirect_splits_no_head() {
    let _ = Redirect::to("/a\r\nX: y");
}

#[test]
fn methods_are_answered_by_their_closures() {
    let root = Branch::new();
    let page = Methods::new()
        .get(|_| Response::text("200 OK", "got"))
        .post(|request| Response::text("201 Created", &request.path()))
        .on("PURGE", |_| Rendered::Now(Response::new("204 No Content", &[], b"")));
    root.put_child("page", page);
    root.put_child("write", Methods::new().post(|_| Response::text("200 OK", "")));
    let asked = serve(root);
    assert_eq!(asked.get("x", "/page"), "got");
    let (head, body) = asked.ask("HEAD /page HTTP/1.1\r\nHost: x");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("Content-Length: 3") && body.is_empty(), "{head}");
    assert_eq!(asked.head("POST /page", "Allow").0, 201);
    assert_eq!(asked.head("PURGE /page", "Allow").0, 204);
    let allowed = |text: &str| (405, Some(text.to_owned()));
    assert_eq!(asked.head("purge /page", "Allow"), allowed("GET, HEAD, POST, PURGE"));
    assert_eq!(asked.head("HEAD /write", "Allow"), allowed("POST"));
    assert_eq!(asked.head("GET /page/below", "Allow").0, 404);
}
