//! Static files (behaviour 37), in the simulation: real temporary files, read on simulated threads.
#![allow(clippy::unwrap_used)]

mod served;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use handwound_wsgi::files::{FilesConfig, Folder, Processor};
use handwound_wsgi::{Call, Failure};
use served::Served;

#[test]
fn spec_37_a_file_is_served_with_type_length_and_validators() {
    let served = Served::new(|root| fs::write(root.join("a.txt"), "hello").unwrap());
    served.set_modified("a.txt", 1_000_000_000);
    let answer = served.get("/a.txt");
    answer.check(200, b"hello");
    answer.has("Content-Type", "text/plain");
    answer.has("Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT");
    answer.has("ETag", "\"5-de0b6b3a7640000\"");
    answer.has("Accept-Ranges", "bytes");
    answer.has("Content-Length", "5");
    served.get("/a.txt?query").check(200, b"hello");
}

#[test]
fn spec_37_head_tells_all_but_the_bytes() {
    let served = Served::new(|root| fs::write(root.join("a.txt"), "hello").unwrap());
    let (got, told) = (served.get("/a.txt"), served.ask("HEAD", "/a.txt", &[]));
    told.check(200, b"");
    for name in ["Content-Type", "Content-Length", "ETag", "Last-Modified", "Accept-Ranges"] {
        assert_eq!(told.header(name), got.header(name), "{name}");
    }
    // A range is for GET only (RFC 9110 section 14.2).
    served.ask("HEAD", "/a.txt", &[("Range", "bytes=0-1")]).has("Content-Length", "5");
    served.ask("HEAD", "/none", &[]).check(404, b"");
    let listing = served.ask("HEAD", "/", &[]);
    listing.check(200, b"");
    assert_eq!(listing.header("Content-Length"), served.get("/").header("Content-Length"));
}

#[test]
fn spec_37_other_methods_are_refused_with_what_is_allowed() {
    let served = Served::new(|root| fs::write(root.join("a.txt"), "hello").unwrap());
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get"] {
        let answer = served.ask(method, "/a.txt", &[]);
        assert_eq!((answer.status(), answer.header("Allow")), (405, Some("GET, HEAD".to_owned())), "{method}");
    }
    assert_eq!(served.ask("POST", "/", &[]).status(), 405);
    assert_eq!(served.ask("POST", "/none", &[]).status(), 404);
    assert_eq!(served.ask("OPTIONS", "*", &[]).status(), 405);
}

#[test]
fn spec_37_large_and_empty_files_come_whole() {
    let large: Vec<u8> = (0..700_001u32).map(|at| (at % 251) as u8).collect();
    let content = large.clone();
    let served = Served::new(move |root| {
        fs::write(root.join("large.bin"), content).unwrap();
        fs::write(root.join("empty"), "").unwrap();
        fs::write(root.join("piece"), [b'x'; 64 << 10]).unwrap();
    });
    served.get("/large.bin").check(200, &large);
    served.get("/empty").check(200, b"");
    served.get("/piece").check(200, &[b'x'; 64 << 10]);
}

#[test]
fn spec_37_the_first_index_that_is_there_answers_for_its_folder() {
    let served = Served::new(|root| {
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/index.htm"), "htm").unwrap();
    });
    served.get("/a/").check(200, b"htm");
    fs::write(served.path("a/index.html"), "html").unwrap();
    served.get("/a/").check(200, b"html");
    fs::write(served.path("a/index"), "plain").unwrap();
    served.get("/a/").check(200, b"plain");
    served.get("/a/").has("Content-Type", "text/html");
    served.get("/a//").check(404, b"No such resource.\n");
    assert!(served.get("/a/b/").text().contains("Index of"));

    let mut config = FilesConfig::default();
    config.index_names = vec!["home.txt".to_owned()];
    let served = Served::with_config(config, |root| {
        fs::write(root.join("home.txt"), "home").unwrap();
        fs::write(root.join("index.html"), "not this").unwrap();
    });
    served.get("/").check(200, b"home");
}

/// It made a circle of redirects, each with one more slash.
#[test]
fn spec_37_a_folder_called_index_is_no_index() {
    let served = Served::new(|root| fs::create_dir(root.join("index")).unwrap());
    assert!(served.get("/").text().contains("index/"));
    assert_eq!(served.get("/index").status(), 302);
}

#[test]
fn spec_37_a_folder_without_its_slash_is_a_302_to_it() {
    let served = Served::new(|root| fs::create_dir_all(root.join("a b/c")).unwrap());
    let location = |path: &str| {
        let answer = served.get(path);
        assert_eq!(answer.status(), 302, "{path}");
        answer.header("Location").unwrap()
    };
    assert_eq!(location("/a%20b"), "/a%20b/");
    assert_eq!(location("/a%20b/c?x=%2F&y"), "/a%20b/c/?x=%2F&y");
    assert_eq!(location("http://x/a%20b"), "/a%20b/");
}

/// `//host` in a Location is another host.
#[test]
fn spec_37_no_redirect_leads_to_another_host() {
    let mut config = FilesConfig::default();
    config.index_names = Vec::new();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("evil.example")).unwrap();
    let root = Folder::with_config(folder.path(), config);
    // Mounted so that an empty segment leads to it.
    let served = Served::application(move |call: &Call| handwound_wsgi::Application::call(&root, &call.below(1)));
    let answer = served.get("//evil.example");
    assert_eq!((answer.status(), answer.header("Location")), (302, Some("/evil.example/".to_owned())));
}

#[test]
fn spec_37_types_and_encodings_go_by_the_name() {
    let mut config = FilesConfig::default();
    config.extra_types.insert(".md".to_owned(), "text/markdown; charset=utf-8".to_owned());
    config.default_type = "application/octet-stream".to_owned();
    let names = ["a.html", "a.PNG", "a.md", "a.nosuch", "a", "a.css.gz", "a.tar.bz2", "a.js.br", "a.json.zst"];
    let served =
        Served::with_config(config, |root| names.iter().for_each(|name| fs::write(root.join(name), "x").unwrap()));
    let found: Vec<_> = names
        .iter()
        .map(|name| {
            let answer = served.get(&format!("/{name}"));
            format!(
                "{} {}",
                answer.header("Content-Type").unwrap(),
                answer.header("Content-Encoding").unwrap_or_default()
            )
        })
        .collect();
    let expected = [
        "text/html ",
        "image/png ",
        "text/markdown; charset=utf-8 ",
        "application/octet-stream ",
        "application/octet-stream ",
        "text/css gzip",
        "application/x-tar bzip2",
        "text/javascript br",
        "application/json zstd",
    ];
    assert_eq!(found, expected);
}

#[test]
fn spec_37_extensions_can_be_left_out_where_that_is_said() {
    let make = |root: &Path| {
        for name in ["a.html", "a.txt", "b.txt", "c.d.e", "a.b.txt"] {
            fs::write(root.join(name), name).unwrap();
        }
        fs::create_dir(root.join("b")).unwrap();
    };
    Served::new(make).get("/a").check(404, b"No such resource.\n");
    let mut config = FilesConfig::default();
    config.ignored_extensions = vec![".txt".to_owned(), ".html".to_owned()];
    let served = Served::with_config(config.clone(), make);
    served.get("/a").check(200, b"a.txt");
    served.get("/a.html").check(200, b"a.html");
    served.get("/a.b").check(200, b"a.b.txt");
    assert_eq!(served.get("/b").status(), 302, "what is there comes first");
    served.get("/c").check(404, b"No such resource.\n");
    config.ignore_any_extension = true;
    let served = Served::with_config(config, make);
    served.get("/c").check(200, b"c.d.e");
    served.get("/a").check(200, b"a.txt");
    for path in ["/d", "/", "/..", "/%2e"] {
        assert_ne!(served.get(path).status(), 500, "{path}");
    }
}

/// Shows which script, and how the call is split.
struct Shows;

impl Processor for Shows {
    fn render(&self, script: &Path, call: &Call) -> Result<(), Failure> {
        let request = call.request();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let name = script.file_name().unwrap().to_string_lossy();
        let (method, place) = (text(request.method()), text(request.script_name()));
        call.start_response("200 OK", &[])?;
        Ok(call.send_whole(format!("{method} {name} {place}|{}", text(request.path_info())).as_bytes())?)
    }
}

#[test]
fn spec_37_scripts_answer_for_themselves_and_for_what_is_below_them() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    fs::create_dir(folder.path().join("folder.rpy")).unwrap();
    for name in ["hello.rpy", "index.rpy", "in/a.rpy", "plain.txt", ".rpy"] {
        fs::write(folder.path().join(name), "source").unwrap();
    }
    let mut config = FilesConfig::default();
    config.ignored_extensions = vec![".rpy".to_owned()];
    let root = Folder::with_config(folder.path(), config).processor(".rpy", Arc::new(Shows));
    let served = Served::application(root.clone());
    served.get("/hello.rpy").check(200, b"GET hello.rpy /hello.rpy|");
    served.get("/hello.rpy/below?q").check(200, b"GET hello.rpy /hello.rpy|/below");
    served.get("/hello.rpy/%2e%2e/..//x/").check(200, b"GET hello.rpy /hello.rpy|/../..//x/");
    served.get("/hello/below").check(200, b"GET hello.rpy /hello|/below");
    served.get("/in/a.rpy/").check(200, b"GET a.rpy /in/a.rpy|/");
    served.get("/").check(200, b"GET index.rpy /|");
    served.ask("POST", "/hello.rpy", &[]).check(200, b"POST hello.rpy /hello.rpy|");
    served.get("/plain.txt/below").check(404, b"No such resource.\n");
    served.get("/.rpy").check(200, b"source");
    assert_eq!(served.get("/folder.rpy").status(), 302);
    assert!(served.get("/folder.rpy/").text().contains("Index of"));

    // Mounted further down, both are counted from the site's root.
    let served = Served::application(move |call: &Call| handwound_wsgi::Application::call(&root, &call.below(2)));
    served.get("/m/n/in/a.rpy/x").check(200, b"GET a.rpy /m/n/in/a.rpy|/x");
}

#[test]
fn spec_37_one_file_can_be_served_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("only.txt");
    fs::write(&path, "only").unwrap();
    let root = Folder::new(&path);
    let mounted = root.clone();
    let served = Served::application(root);
    served.get("/").check(200, b"only");
    served.get("/x").check(404, b"No such resource.\n");
    served.get("//").check(404, b"No such resource.\n");
    let served = Served::application(move |call: &Call| handwound_wsgi::Application::call(&mounted, &call.below(1)));
    served.get("/m").check(200, b"only");
    served.get("/m/").check(404, b"No such resource.\n");
    fs::remove_file(&path).unwrap();
    served.get("/m").check(404, b"No such resource.\n");
}

#[test]
fn spec_37_headers_of_ones_own_come_with_files_only() {
    let mut config = FilesConfig::default();
    config.extra_headers = vec![("Cache-Control".to_owned(), "max-age=60".to_owned())];
    let served = Served::with_config(config, |root| fs::write(root.join("a"), "hello").unwrap());
    let etag = served.get("/a").header("ETag").unwrap();
    let ask = |fields: &[(&str, &str)]| served.ask("GET", "/a", fields).header("Cache-Control");
    let expected = Some("max-age=60".to_owned());
    assert_eq!((ask(&[]), ask(&[("Range", "bytes=1-")])), (expected.clone(), expected.clone()));
    assert_eq!((ask(&[("If-None-Match", &etag)]), ask(&[("Range", "bytes=9-")])), (expected, None));
    assert_eq!(served.get("/b").header("Cache-Control"), None);
}
