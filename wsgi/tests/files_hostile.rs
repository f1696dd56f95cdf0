//! What hostile paths, odd files and changing ones come to (behaviour 37).
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod served;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use handwound_testkit::{explore, seeds};
use handwound_wsgi::files::{FilesConfig, Folder, Symlinks};
use handwound_wsgi::testing::Server;
use handwound_wsgi::{Application, SiteConfig};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use served::Served;

const NOT_FOUND: &[u8] = b"No such resource.\n";

#[test]
fn spec_37_no_path_leads_out_of_the_folder() {
    let outer = tempfile::tempdir().unwrap();
    fs::create_dir_all(outer.path().join("served/in")).unwrap();
    fs::write(outer.path().join("secret"), "secret").unwrap();
    fs::write(outer.path().join("served/open"), "open").unwrap();
    let mut config = FilesConfig::default();
    config.ignored_extensions = vec!["/../../secret".to_owned(), String::new()];
    config.ignore_any_extension = true;
    let served = Served::application(Folder::with_config(outer.path().join("served"), config));
    served.get("/open").check(200, b"open");
    let full = outer.path().join("secret").to_str().unwrap().replace('/', "%2F");
    for path in [
        "/../secret",
        "/in/../../secret",
        "/%2e%2e/secret",
        "/%2E./secret",
        "/.%2e/secret",
        "/..%2fsecret",
        "/..%2Fsecret",
        "/%2e%2e%2fsecret",
        "/in%2f..%2f..%2fsecret",
        "/in/..%5c..%5csecret",
        "/..\u{5c}secret",
        "//../secret",
        "/./../secret",
        "/in/..",
        "/in/../open",
        "/./open",
        "/%2e/open",
        "/in/.",
        "/open/..",
        "/open/",
        "/open/x",
        "/%252e%252e/secret",
        "/..;/secret",
        "/.../secret",
        "/....//secret",
        "/%c0%ae%c0%ae/secret",
        "/secret",
        "/secret%00.html",
        "/%2e%2e",
        "/..",
        &full,
        &format!("/{full}"),
        "/~root",
        "/in%2f",
        "/%2f",
    ] {
        let answer = served.get(path);
        // Some are refused before they are looked at.
        assert!(matches!(answer.status(), 400 | 404), "{path}: {}", answer.head);
        assert!(!answer.text().contains("secret\n") && answer.body != b"secret", "{path}");
    }
    served.get(&format!("/{}", "x".repeat(5000))).check(404, NOT_FOUND);
    served.get(&"/in".repeat(2000)).check(404, NOT_FOUND);
}

/// A NUL never comes from a client, whose target is refused; it may from who splits a path itself.
#[test]
fn spec_37_names_with_nul_are_refused_at_the_door() {
    let served = Served::new(|root| fs::write(root.join("a"), "x").unwrap());
    assert_eq!(served.get("/a%00").status(), 400);
}

#[test]
fn spec_37_symbolic_links_are_followed_as_far_as_the_rule_says() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("served");
    fs::create_dir_all(root.join("in")).unwrap();
    fs::create_dir_all(outer.path().join("served2")).unwrap();
    fs::write(outer.path().join("secret"), "secret").unwrap();
    fs::write(outer.path().join("served2/near"), "secret").unwrap();
    fs::write(root.join("in/file"), "file").unwrap();
    let links = [
        ("out", "../secret"),
        ("out-folder", ".."),
        ("near", "../served2/near"),
        ("to-file", "in/file"),
        ("to-folder", "in"),
        ("in/up", ".."),
        ("nowhere", "no-such"),
        ("circle", "circle"),
        ("twice", "to-file"),
        ("way-out", "in/up/../secret"),
    ];
    for (link, target) in links {
        symlink(target, root.join(link)).unwrap();
    }
    // The folder itself may be reached through a link, whatever the rule.
    symlink(&root, outer.path().join("link")).unwrap();
    let statuses = |symlinks: Symlinks, at: &str| -> Vec<u16> {
        let mut config = FilesConfig::default();
        config.symlinks = symlinks;
        let served = Served::application(Folder::with_config(outer.path().join(at), config));
        let paths = [
            "/in/file",
            "/to-file",
            "/to-folder/file",
            "/in/up/to-file",
            "/twice",
            "/out",
            "/out-folder/secret",
            "/near",
            "/way-out",
            "/nowhere",
            "/circle",
            "/out-folder/",
        ];
        paths.iter().map(|path| served.get(path).status()).collect()
    };
    for at in ["served", "link"] {
        let followed = statuses(Symlinks::Follow, at);
        assert_eq!(followed, [200, 200, 200, 200, 200, 200, 200, 200, 200, 404, 404, 200], "{at}");
        let inside = statuses(Symlinks::Inside, at);
        assert_eq!(inside, [200, 200, 200, 200, 200, 404, 404, 404, 404, 404, 404, 404], "{at}");
        let never = statuses(Symlinks::Never, at);
        assert_eq!(never, [200, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404], "{at}");
    }
    for (symlinks, shown, hidden) in [
        (Symlinks::Inside, "to-file", "\"out\""),
        (Symlinks::Never, "\"in/\"", "to-file"),
        (Symlinks::Follow, "out", "circle"),
    ] {
        let mut config = FilesConfig::default();
        config.symlinks = symlinks;
        let page = Served::application(Folder::with_config(&root, config)).get("/").text();
        assert!(page.contains(shown) && !page.contains(hidden), "{symlinks:?} {page}");
    }
    // A link that leads within the served folder is inside, also where it leads out of its own one.
    let mut config = FilesConfig::default();
    config.symlinks = Symlinks::Inside;
    let page = Served::application(Folder::with_config(&root, config)).get("/in/").text();
    assert!(page.contains("up/"), "{page}");
}

/// Opening a pipe that nobody writes to would hold the worker for ever; opening a device may do anything.
#[test]
fn spec_37_pipes_devices_and_sockets_are_never_opened() {
    let served = Served::new(|root| {
        mknodat(CWD, root.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
        mknodat(CWD, root.join("index.html"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
        mknodat(CWD, root.join("socket"), FileType::Socket, Mode::from_raw_mode(0o666), 0).unwrap();
        symlink("/dev/zero", root.join("zero")).unwrap();
        symlink("/dev/tty", root.join("tty")).unwrap();
        symlink("pipe", root.join("to-pipe")).unwrap();
    });
    for path in ["/pipe", "/socket", "/zero", "/tty", "/to-pipe", "/pipe/x", "/"] {
        served.get(path).check(404, NOT_FOUND);
    }
    let listed = Served::new(|root| {
        mknodat(CWD, root.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
        fs::write(root.join("file"), "").unwrap();
    });
    let page = listed.get("/").text();
    assert!(page.contains("file") && !page.contains("pipe"), "{page}");
}

/// Runs `test` as somebody whom permissions hold for.
fn as_nobody(test: impl FnOnce() + Send + 'static) {
    let body = move || {
        if rustix::process::geteuid().is_root() {
            let nobody = rustix::process::Uid::from_raw(65_534);
            // Of this thread alone; it ends with the test.
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        }
        test();
    };
    std::thread::spawn(body).join().unwrap();
}

#[test]
fn spec_37_what_must_not_be_read_is_a_403() {
    as_nobody(|| {
        let served = Served::new(|root| {
            for folder in ["unlisted", "closed"] {
                fs::create_dir(root.join(folder)).unwrap();
                fs::write(root.join(folder).join("file"), "file").unwrap();
            }
            fs::write(root.join("secret"), "secret").unwrap();
            let set = |name: &str, mode| {
                fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
            };
            set("unlisted", 0o311);
            set("closed", 0o000);
            set("secret", 0o200);
        });
        let forbidden = b"You are not allowed to see this.\n";
        for path in ["/secret", "/unlisted/", "/closed/", "/closed/file"] {
            served.get(path).check(403, forbidden);
        }
        served.get("/unlisted/file").check(200, b"file");
        served.get("/unlisted/none").check(404, NOT_FOUND);
        assert_eq!(served.get("/").status(), 200);
        fs::set_permissions(served.path("closed"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(served.path("unlisted"), fs::Permissions::from_mode(0o700)).unwrap();
    });
}

/// A file of a mebibyte to a slow client; `change` comes when a part of it is sent. What the client has at the end.
fn changed_while_sent(change: impl Fn(&fs::File), judge: impl Fn(&handwound_wsgi::testing::HttpClient)) {
    explore(seeds(20), |sim| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        fs::write(&path, vec![b'a'; 1 << 20]).unwrap();
        let server = Server::prepare(sim, 1, Folder::new(folder.path()), SiteConfig::default());
        server.run(sim);
        let client = server.connect(sim).read_in(64 << 10).every(Duration::from_millis(10));
        client.window(64 << 10);
        client.send("GET /a.bin HTTP/1.1\r\nHost: x\r\n\r\n");
        // It is opened then, and most of it is not even read.
        let begins = (0..2000).any(|_| {
            sim.advance(Duration::from_millis(1));
            !client.received().is_empty()
        });
        assert!(begins);
        change(&fs::File::options().write(true).open(&path).unwrap());
        sim.advance(Duration::from_secs(20));
        judge(&client);
        assert_eq!(server.pool.counts().busy, 0);
    });
}

#[test]
fn spec_37_a_file_that_becomes_shorter_never_looks_complete() {
    let cut = |file: &fs::File| file.set_len(1 << 18).unwrap();
    changed_while_sent(cut, |client| {
        assert!(client.is_closed() && client.whole_responses().is_empty(), "{}", client.received().len());
    });
}

#[test]
fn spec_37_a_file_that_grows_is_sent_as_long_as_it_was() {
    let grow = |file: &fs::File| file.set_len(1 << 22).unwrap();
    changed_while_sent(grow, |client| {
        let response = client.response();
        assert!(response.body().len() == 1 << 20 && response.body().iter().all(|&byte| byte == b'a'));
    });
}

/// Files of what fits into no buffer, to clients that read nothing or little: one worker is enough for all, and for others.
#[test]
fn spec_37_slow_readers_hold_no_worker() {
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..1 << 20).map(|at: u32| (at % 251) as u8).collect();
    fs::write(folder.path().join("a.bin"), &content).unwrap();
    fs::write(folder.path().join("b.txt"), "quick").unwrap();
    explore(seeds(30), |sim| {
        let server = Server::prepare(sim, 1, Folder::new(folder.path()), SiteConfig::default());
        server.run(sim);
        let stuck: Vec<_> = (0..3).map(|_| server.connect(sim)).collect();
        for client in &stuck {
            client.window(1000);
            client.send("GET /a.bin HTTP/1.1\r\nHost: x\r\n\r\n");
        }
        let slow = server.connect(sim).read_in(32 << 10).every(Duration::from_millis(10));
        slow.window(64 << 10);
        slow.send("GET /a.bin HTTP/1.1\r\nHost: x\r\n\r\n");
        let parts = server.connect(sim).read_in(32 << 10).every(Duration::from_millis(10));
        parts.window(64 << 10);
        parts.send("GET /a.bin HTTP/1.1\r\nHost: x\r\nRange: bytes=0-262100,300000-900000,-5\r\n\r\n");
        sim.advance(Duration::from_secs(2));
        let quick = server.get(sim, "/b.txt");
        sim.advance(Duration::from_secs(20));
        assert_eq!(quick.text(), "quick");
        assert_eq!(server.pool.counts().busy, 0, "all are waiting for their clients only");
        assert!(slow.response().body().0 == content);
        let body = parts.response().into_body().0;
        for part in [&content[..262_101], &content[300_000..900_001]] {
            assert!(body.windows(part.len()).any(|window| window == part));
        }
        let open = server.event_loop.connections();
        stuck.iter().for_each(|client| client.reset());
        sim.advance(Duration::from_secs(1));
        assert_eq!(server.event_loop.connections(), open - 3);
    });
}

/// The pool ends while a file waits for its client: the response is cut, and does not look complete.
#[test]
fn spec_37_a_pool_that_stops_cuts_what_it_has_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.bin"), vec![b'a'; 1 << 20]).unwrap();
    explore(seeds(30), |sim| {
        let server = Server::prepare(sim, 1, Folder::new(folder.path()), SiteConfig::default());
        server.run(sim);
        let client = server.connect(sim).read_in(32 << 10).every(Duration::from_millis(20));
        client.window(32 << 10);
        client.send("GET /a.bin HTTP/1.1\r\nHost: x\r\n\r\n");
        sim.advance(Duration::from_millis(100));
        server.pool.begin_stop(|| {});
        sim.advance(Duration::from_secs(20));
        // Stopped before it was begun, it is refused as a whole.
        let whole = client.whole_responses();
        assert!(client.is_closed() && whole.is_empty() || whole[0].status() == 503, "{}", whole.len());
    });
}

#[test]
fn spec_37_a_folder_that_is_not_there_is_a_404_and_may_come_later() {
    let outer = tempfile::tempdir().unwrap();
    for symlinks in [Symlinks::Follow, Symlinks::Inside, Symlinks::Never] {
        let mut config = FilesConfig::default();
        config.symlinks = symlinks;
        let root = Folder::with_config(outer.path().join("later"), config);
        let served = Served::application(move |call: &handwound_wsgi::Call| root.call(call));
        served.get("/").check(404, NOT_FOUND);
        served.get("/a").check(404, NOT_FOUND);
        fs::create_dir(outer.path().join("later")).unwrap();
        fs::write(outer.path().join("later/a"), "a").unwrap();
        served.get("/a").check(200, b"a");
        fs::remove_dir_all(outer.path().join("later")).unwrap();
    }
}
