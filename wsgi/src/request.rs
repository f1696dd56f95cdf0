//! What an application is told of a request: PEP 3333's environ, before anything Python.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use handwound_reactor::Address;

use crate::Secured;
use crate::http1::{RequestHead, Version, has_byte, percent_decode};

/// One request, its body aside. All texts are bytes as they came; PEP 3333 hands them to Python as latin-1.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) head: Box<RequestHead>,
    /// Where the path is cut in two. What is not percent-encoded is its own decoding, as nearly all paths are: then it is
    /// not copied.
    cut: usize,
    is_encoded: bool,
    /// The two parts of the path, decoded, if it is encoded.
    script_name: Vec<u8>,
    path_info: Vec<u8>,
    pub(crate) peer: Address,
    pub(crate) local: Address,
    pub(crate) secured: Option<Arc<Secured>>,
}

impl Request {
    pub(crate) fn new(head: Box<RequestHead>, peer: Address, local: Address) -> Request {
        Request {
            head,
            cut: 0,
            is_encoded: false,
            script_name: Vec::new(),
            path_info: Vec::new(),
            peer,
            local,
            secured: None,
        }
    }

    /// It has come on this connection.
    pub(crate) fn come_from(&mut self, peer: &Address, local: &Address, secured: Option<Arc<Secured>>) {
        for (mine, new) in [(&mut self.peer, peer), (&mut self.local, local)] {
            // The usual case, without a look at what an address of another kind would have to drop.
            match (mine, new) {
                (Address::Tcp(mine), Address::Tcp(new)) => *mine = *new,
                (mine, new) => mine.clone_from(new),
            }
        }
        self.secured = secured;
    }

    /// Splits the path for a resource that is reached by the first `prepath` of its segments and takes the rest itself.
    /// A `prepath` of zero is the root. To be called whenever there is another head.
    pub(crate) fn split_path(&mut self, prepath: usize) {
        let path = self.head.path();
        self.cut = match prepath {
            // Before the first slash. Also of `OPTIONS *`, which asks for no place at all.
            0 => 0,
            _ => nth_slash(path, prepath + 1).unwrap_or(path.len()),
        };
        self.is_encoded = has_byte(b'%', path);
        if self.is_encoded {
            self.script_name.clear();
            self.path_info.clear();
            percent_decode(&path[..self.cut], &mut self.script_name);
            percent_decode(&path[self.cut..], &mut self.path_info);
        }
    }

    /// Moves the next segment of the path to the place of whoever answers, as another [`split_path`](Self::split_path)
    /// would; `segment` is it, decoded. False if there is none.
    pub(crate) fn descend(&mut self, segment: &mut Vec<u8>) -> bool {
        let path = self.head.path();
        let Some(rest) = path[self.cut..].strip_prefix(b"/") else { return false };
        let bytes = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
        segment.clear();
        percent_decode(&rest[..bytes], segment);
        self.cut += 1 + bytes;
        if self.is_encoded {
            // Not decoded anew: a path of thousands of segments would cost the square of it.
            self.path_info.drain(..=segment.len());
            self.script_name.push(b'/');
            self.script_name.extend_from_slice(segment);
        }
        true
    }

    /// The head as it came.
    pub fn head(&self) -> &RequestHead {
        &self.head
    }

    /// The bytes of the head. Where they are those of another request, so is all that this one says of its head.
    pub fn head_bytes(&self) -> &[u8] {
        &self.head.bytes
    }

    /// REQUEST_METHOD: any token, in the client's spelling.
    pub fn method(&self) -> &[u8] {
        self.head.method()
    }

    /// SCRIPT_NAME: the decoded path of the application's own place; empty at the root.
    pub fn script_name(&self) -> &[u8] {
        if self.is_encoded { &self.script_name } else { &self.head.path()[..self.cut] }
    }

    /// PATH_INFO: the decoded rest of the path; `*` for `OPTIONS *`.
    pub fn path_info(&self) -> &[u8] {
        if self.is_encoded { &self.path_info } else { &self.head.path()[self.cut..] }
    }

    /// The segments of the path that lead to whoever answers, decoded: SCRIPT_NAME, in which `%2F` separates none.
    pub fn prepath(&self) -> Vec<Vec<u8>> {
        segments(&self.head.path()[..self.cut])
    }

    /// The segments of the path that are left, decoded. The last one of `/a/` is empty.
    pub fn postpath(&self) -> Vec<Vec<u8>> {
        segments(&self.head.path()[self.cut..])
    }

    /// The rest of the path as it came, still encoded.
    pub fn raw_path_info(&self) -> &[u8] {
        &self.head.path()[self.cut..]
    }

    /// PATH_INFO as text; what is not UTF-8 becomes U+FFFD.
    pub fn path(&self) -> String {
        String::from_utf8_lossy(self.path_info()).into_owned()
    }

    /// QUERY_STRING: as it came, without the `?`.
    pub fn query_string(&self) -> &[u8] {
        self.head.query().unwrap_or_default()
    }

    /// REQUEST_URI and RAW_URI: the whole target as it came.
    pub fn raw_uri(&self) -> &[u8] {
        self.head.target()
    }

    /// SERVER_PROTOCOL.
    pub fn protocol(&self) -> &'static str {
        match self.head.version() {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        }
    }

    /// SERVER_NAME: the host that the client asked for, without port or brackets; this end's address where it named
    /// none. ASCII.
    pub fn server_name(&self) -> Cow<'_, [u8]> {
        match (self.head.host(), &self.local) {
            (Some(host), _) => Cow::Borrowed(host.name),
            (None, Address::Tcp(local)) => Cow::Owned(ip_text(local).into_bytes()),
            (None, Address::Unix(_)) => Cow::Borrowed(b"localhost"),
        }
    }

    /// SERVER_PORT: of this end's socket; on a UNIX socket the one that the client named, or the scheme's.
    pub fn server_port(&self) -> u16 {
        match &self.local {
            Address::Tcp(local) => local.port(),
            Address::Unix(_) => {
                self.head.host().and_then(|host| host.port).unwrap_or(if self.secured.is_some() { 443 } else { 80 })
            }
        }
    }

    /// REMOTE_ADDR; empty on a UNIX socket.
    pub fn remote_addr(&self) -> String {
        self.peer.tcp().map(|peer| ip_text(&peer)).unwrap_or_default()
    }

    /// REMOTE_PORT; empty on a UNIX socket.
    pub fn remote_port(&self) -> Option<u16> {
        self.peer.tcp().map(|peer| peer.port())
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Address {
        &self.peer
    }

    /// This end: the address that the connection was made to.
    pub fn local(&self) -> &Address {
        &self.local
    }

    /// `wsgi.url_scheme`.
    pub fn url_scheme(&self) -> &'static str {
        if self.secured.is_some() { "https" } else { "http" }
    }

    /// What it came through, if it came by HTTPS.
    pub fn secured(&self) -> Option<&Secured> {
        self.secured.as_deref()
    }

    /// The header fields in order, in the client's spelling, without the white space around values.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.head.headers()
    }

    /// The value of the first header field of this name, in any spelling.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.head.get(name)
    }
}

/// An IPv4 address that came through an IPv6 socket is shown as IPv4.
fn ip_text(address: &SocketAddr) -> String {
    match address.ip() {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(|| v6.to_string(), |v4| v4.to_string()),
        v4 => v4.to_string(),
    }
}

/// The decoded segments behind the leading slash. Of `*` there are none.
fn segments(path: &[u8]) -> Vec<Vec<u8>> {
    let encoded = path.strip_prefix(b"/").into_iter().flat_map(|rest| rest.split(|&byte| byte == b'/'));
    let decode = |encoded: &[u8]| {
        let mut segment = Vec::with_capacity(encoded.len());
        percent_decode(encoded, &mut segment);
        segment
    };
    encoded.map(decode).collect()
}

fn nth_slash(path: &[u8], n: usize) -> Option<usize> {
    // Not with memchr: the slashes wanted stand within the first few bytes.
    path.iter().enumerate().filter(|&(_, &byte)| byte == b'/').nth(n - 1).map(|(at, _)| at)
}

/// `GET /path?query`, for logs: printable ASCII only.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.head.method().escape_ascii(), self.head.target().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::SystemTime;

    use handwound_reactor::Time;

    use super::*;
    use crate::http1::{Config, Connection, Event, TargetForm};

    /// A GET for `/a%20b?q=%20` with these lines after it, from `peer` to `local`.
    fn request(lines: &str, peer: Address, local: Address) -> Request {
        let mut connection = Connection::new(std::sync::Arc::new(Config::default()), Time::ZERO);
        connection.receive(format!("GET /a%20b?q=%20 {lines}\r\n\r\n").as_bytes(), Time::ZERO);
        let Some(Event::Head(head)) = connection.poll_event(|| SystemTime::UNIX_EPOCH) else { panic!("{lines}") };
        let mut request = Request::new(head, peer, local);
        request.split_path(0);
        request
    }

    fn tcp(address: &str) -> Address {
        Address::Tcp(address.parse().unwrap())
    }

    /// PEP 3333, environ Variables.
    #[test]
    fn a_request_says_what_the_environ_needs() {
        let lines = "HTTP/1.1\r\nHost: [::1]:99\r\nX-A: v\r\nContent-Length: 3";
        let found = request(lines, tcp("[::ffff:10.0.0.1]:50000"), tcp("127.0.0.1:8080"));
        assert_eq!((found.method(), found.script_name(), found.path_info()), (&b"GET"[..], &b""[..], &b"/a b"[..]));
        assert_eq!((found.query_string(), found.raw_uri()), (&b"q=%20"[..], &b"/a%20b?q=%20"[..]));
        assert_eq!((&*found.server_name(), found.server_port()), (&b"::1"[..], 8080));
        assert_eq!((found.remote_addr().as_str(), found.remote_port()), ("10.0.0.1", Some(50000)));
        assert_eq!((found.protocol(), found.url_scheme()), ("HTTP/1.1", "http"));
        assert_eq!((found.header("x-a"), found.header("x-b")), (Some(&b"v"[..]), None));
        assert_eq!(found.peer(), &tcp("[::ffff:10.0.0.1]:50000"));
        let head = found.head();
        assert_eq!((head.content_length(), head.is_chunked(), head.keep_alive()), (Some(3), false, true));
        assert_eq!((head.target_form(), found.to_string().as_str()), (TargetForm::Origin, "GET /a%20b?q=%20"));
    }

    /// However it is reached, a place is the same.
    #[test]
    fn descending_splits_as_splitting_does() {
        for path in ["/", "//", "/a", "/a/", "/a/b%2Fc/%61//d", "/a%20b/c"] {
            let mut walked = of_target(path);
            let (mut split, mut segment, mut prepath) = (walked.clone(), Vec::new(), 0);
            loop {
                split.split_path(prepath);
                let parts = |request: &Request| (request.script_name().to_vec(), request.path_info().to_vec());
                assert_eq!(parts(&walked), parts(&split), "{path} at {prepath}");
                assert_eq!((walked.prepath().len(), walked.postpath()), (prepath, split.postpath()));
                if !walked.descend(&mut segment) {
                    break;
                }
                prepath += 1;
                assert_eq!(walked.prepath().last(), Some(&segment));
            }
            assert!(walked.postpath().is_empty());
        }
        let mut all = of_target("*");
        assert!(!all.descend(&mut Vec::new()) && all.postpath().is_empty());
    }

    fn of_target(target: &str) -> Request {
        let method = if target == "*" { "OPTIONS" } else { "GET" };
        let mut connection = Connection::new(std::sync::Arc::new(Config::default()), Time::ZERO);
        connection.receive(format!("{method} {target} HTTP/1.0\r\n\r\n").as_bytes(), Time::ZERO);
        let Some(Event::Head(head)) = connection.poll_event(|| SystemTime::UNIX_EPOCH) else { panic!("{target}") };
        let mut request = Request::new(head, Address::Unix(None), Address::Unix(None));
        request.split_path(0);
        request
    }

    /// PEP 3333, environ Variables: neither is ever empty.
    #[test]
    fn server_name_and_port_are_never_empty() {
        let unix = || Address::Unix(None);
        let named = |lines, local| {
            let found = request(lines, unix(), local);
            assert_eq!((found.remote_addr().as_str(), found.remote_port()), ("", None));
            (String::from_utf8(found.server_name().into_owned()).unwrap(), found.server_port())
        };
        assert_eq!(named("HTTP/1.0", unix()), ("localhost".to_owned(), 80));
        assert_eq!(named("HTTP/1.1\r\nHost: a:99", unix()), ("a".to_owned(), 99));
        assert_eq!(named("HTTP/1.1\r\nHost:", tcp("10.0.0.1:1")), ("10.0.0.1".to_owned(), 1));
        assert_eq!(named("HTTP/1.0", tcp("[::1]:2")), ("::1".to_owned(), 2));
    }
}
