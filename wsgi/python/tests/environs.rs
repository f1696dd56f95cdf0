//! Environs are made from what is remembered of earlier requests, and nobody can tell: each is what its own request
//! says, whatever came before, and whatever applications have done with theirs.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use handwound_python::testing;
use handwound_testkit::{Sim, explore, seeds};
use handwound_wsgi::testing::HttpClient;

/// Answers with its environ, and then does to it what the query asks for.
const CODE: &str = r#"
from handwound.testing import sleep

kept = []

def application(environ, start_response):
    start_response('200 OK', [])
    for theirs, copy in kept:
        assert theirs == copy, 'a kept environ has changed'
    lines = ['%s=%s' % item for item in sorted(environ.items()) if type(item[1]) is str]
    lines.append('others=%d' % (len(environ) - len(lines)))
    lines.append('body=' + environ['wsgi.input'].read().decode('latin-1'))
    act = environ['QUERY_STRING']
    if act == 'keep': kept.append((environ, dict(environ)))
    if act == 'clear': environ.clear()
    if act == 'change': environ['PATH_INFO'] = environ['HTTP_X_EVIL'] = 'changed'
    if act == 'delete': del environ['SERVER_NAME'], environ['wsgi.input']
    if act == 'update': environ.update(HTTP_ACCEPT='other', HTTP_HOST='other')
    if act == 'restore': environ['REQUEST_METHOD'] = environ.pop('REQUEST_METHOD')
    if act == 'sleep': sleep(1)
    if act == 'raise': raise KeyError(environ)
    text = '\n'.join(lines).encode('latin-1')
    return iter([text]) if act == 'late' else [text]
"#;

const ACTS: [&str; 10] = ["", "keep", "clear", "change", "delete", "update", "restore", "sleep", "raise", "late"];
const NAMES: [&str; 10] =
    ["Accept", "User-Agent", "X-A", "x-a", "Cookie", "cookie", "Authorization", "Content-Type", "X_Under", "Proxy"];

struct Request {
    method: &'static str,
    /// As sent, and decoded.
    path: (String, String),
    act: &'static str,
    fields: Vec<(&'static str, String)>,
    /// How it is framed, if there is one.
    body: Option<(bool, &'static str)>,
}

/// Often the first, so that requests are often alike.
fn pick<T: Clone>(sim: &Sim, label: &'static str, from: &[T]) -> T {
    let rare = sim.choose("whether another", 4) == 3;
    from[if rare { sim.choose(label, from.len() as u32) as usize } else { 0 }].clone()
}

impl Request {
    fn drawn(sim: &Sim, names: &[&'static str]) -> Request {
        let long = "l".repeat(300);
        let values = ["v", "", "\u{e9}", "w", &long].map(str::to_owned);
        let paths = [("/", "/"), ("/a", "/a"), ("/a%20b/%E9", "/a b/\u{e9}"), (&long, &long)];
        let paths = paths.map(|(sent, decoded)| {
            let rooted = |path: &str| if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
            (rooted(sent), rooted(decoded))
        });
        let host = pick(sim, "host", &["x", "y:80", "[::1]"]).to_owned();
        let mut fields = vec![("Host", host)];
        fields.extend(names.iter().map(|name| (*name, pick(sim, "value", &values))));
        // Most leave their environ alone: it takes a run of those for environs to be lent.
        let acts = if sim.choose("whether it acts", 6) == 5 { &ACTS[..] } else { &ACTS[..1] };
        Request {
            method: pick(sim, "method", &["GET", "POST", "PUT"]),
            path: pick(sim, "path", &paths),
            act: acts[sim.choose("act", acts.len() as u32) as usize],
            fields,
            body: pick(sim, "framing", &[None, Some(false), Some(true)])
                .map(|is_chunked| (is_chunked, ["hello", "", "hi"][sim.choose("body", 3) as usize])),
        }
    }

    fn target(&self) -> String {
        format!("{}?{}", self.path.0, self.act)
    }

    fn send(&self, client: &HttpClient) {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target());
        for (name, value) in &self.fields {
            text += &format!("{name}: {value}\r\n");
        }
        text += &match self.body {
            None => "\r\n".to_owned(),
            Some((false, body)) => format!("Content-Length: {}\r\n\r\n{body}", body.len()),
            Some((true, body)) => {
                let chunks = match body {
                    "" => String::new(),
                    body => format!("{:x}\r\n{body}\r\n", body.len()),
                };
                format!("Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
            }
        };
        client.send(text.chars().map(|character| character as u8).collect::<Vec<_>>());
    }

    /// What the application answers, from nothing but this request (`wsgi/REQUIREMENTS.md`, and PEP 3333).
    fn environ(&self, port: u16) -> String {
        let mut environ = BTreeMap::new();
        let (target, port) = (self.target(), port.to_string());
        let host = &self.fields[0].1;
        let name = if host.starts_with('[') { "::1" } else { host.split(':').next().unwrap() };
        for (key, value) in [
            ("REQUEST_METHOD", self.method),
            ("SCRIPT_NAME", ""),
            ("PATH_INFO", &self.path.1),
            ("QUERY_STRING", self.act),
            ("RAW_URI", &target),
            ("REQUEST_URI", &target),
            ("SERVER_NAME", name),
            ("SERVER_PORT", "80"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("REMOTE_PORT", &port),
            ("CONTENT_TYPE", ""),
            ("wsgi.url_scheme", "http"),
        ] {
            environ.insert(key.to_owned(), value.to_owned());
        }
        let length = self.body.map(|(_, body)| body.len().to_string());
        environ.insert("CONTENT_LENGTH".to_owned(), length.unwrap_or_default());
        for (name, value) in &self.fields {
            let key = format!("HTTP_{}", name.to_uppercase().replace('-', "_"));
            match (key.as_str(), environ.get_mut(&key)) {
                ("HTTP_CONTENT_TYPE", _) => drop(environ.insert("CONTENT_TYPE".to_owned(), value.clone())),
                ("HTTP_X_UNDER" | "HTTP_PROXY", _) => {}
                ("HTTP_COOKIE", Some(there)) => *there += &format!("; {value}"),
                (_, Some(there)) => *there += &format!(",{value}"),
                (_, None) => drop(environ.insert(key, value.clone())),
            }
        }
        let mut text: String = environ.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        text += &format!("others=8\nbody={}", self.body.map_or("", |(_, body)| body));
        text
    }
}

fn port(client: &HttpClient) -> u16 {
    client.address().unwrap().tcp().unwrap().port()
}

#[test]
fn an_environ_says_what_its_request_says_whatever_came_before() {
    explore(seeds(300), |sim| {
        let server = testing::serve(sim, 2, testing::application_of(CODE));
        let mut clients: Vec<_> = (0..3).map(|_| (server.connect(sim), Vec::new())).collect();
        let count = |sim: &Sim| sim.choose("names", 5) as usize;
        let draw = |_| NAMES[sim.choose("name", NAMES.len() as u32) as usize];
        let lists: Vec<Vec<_>> = (0..3).map(|_| (0..count(sim)).map(draw).collect()).collect();
        for _ in 0..40 {
            let request = Request::drawn(sim, &pick(sim, "list of names", &lists));
            let (client, expected) = &mut clients[sim.choose("client", 3) as usize];
            request.send(client);
            sim.advance(Duration::from_millis(100));
            expected.push((request.act != "raise").then(|| request.environ(port(client))));
        }
        sim.advance(Duration::from_secs(60));
        for (client, expected) in clients {
            let answers = client.responses().into_iter().map(|response| {
                let text = || response.body().iter().map(|byte| char::from(*byte)).collect::<String>();
                response.status().is_success().then(text)
            });
            let answers: Vec<_> = answers.collect();
            assert_eq!(answers.len(), expected.len());
            for (answer, expected) in answers.iter().zip(&expected) {
                assert_eq!(answer, expected);
            }
        }
    });
}
