//! Listings of folders (behaviour 37).
#![allow(clippy::unwrap_used)]

mod served;

use std::fs;
use std::time::Duration;

use handwound_wsgi::files::FilesConfig;
use served::Served;

/// The links of a listing, in order.
fn links(page: &str) -> Vec<String> {
    page.split("href=\"").skip(1).map(|rest| rest.split_once('"').unwrap().0.to_owned()).collect()
}

#[test]
fn spec_37_a_folder_without_an_index_shows_what_is_in_it() {
    let served = Served::new(|root| {
        fs::create_dir_all(root.join("z folder")).unwrap();
        fs::write(root.join("b.txt"), [b'x'; 1536]).unwrap();
        fs::write(root.join("a.txt"), "").unwrap();
        fs::write(root.join(".hidden"), "").unwrap();
    });
    served.set_modified("b.txt", 1_000_000_000);
    let answer = served.get("/");
    answer.has("Content-Type", "text/html; charset=utf-8");
    let page = answer.text();
    assert_eq!(links(&page), ["z%20folder/", ".hidden", "a.txt", "b.txt"]);
    assert!(page.contains("<h1>Index of <bdi>/</bdi></h1>"), "{page}");
    assert!(page.contains("<bdi>b.txt</bdi></a><td>1.5 KiB<td>2001-09-09 01:46\n"), "{page}");
    let below = served.get("/z%20folder/").text();
    assert_eq!(links(&below), ["../"]);
    assert!(below.contains("<bdi>/z folder/</bdi>"), "{below}");
}

/// Each link of a listing leads to the file that it names, whatever the name.
#[cfg(unix)]
#[test]
fn spec_37_every_name_is_shown_and_linked_rightly() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let names: [&[u8]; 11] = [
        b"plain",
        b"a b",
        "\u{e4}\u{20ac}\u{1f40d}".as_bytes(),
        b"latin\xe4\xff",
        b"%41?#&;=+",
        b"javascript:alert(1)",
        b"a\\b",
        b"new\nline",
        b"\x1b[31m",
        b"<script>alert(1)</script>",
        b"'\"><img src=x onerror=alert(1)>",
    ];
    let served = Served::new(|root| {
        for name in names.iter().filter(|name| !name.contains(&b'/')) {
            fs::write(root.join(OsStr::from_bytes(name)), name).unwrap();
        }
    });
    let answer = served.get("/");
    let mut found: Vec<Vec<u8>> =
        links(&answer.text()).iter().map(|link| served.get(&format!("/{link}")).body).collect();
    found.sort();
    let mut expected: Vec<Vec<u8>> =
        names.iter().filter(|name| !name.contains(&b'/')).map(|name| name.to_vec()).collect();
    expected.sort();
    assert_eq!(found, expected);
    assert!(answer.text().contains("<bdi>latin\u{fffd}\u{fffd}</bdi>"));
}

#[test]
fn spec_37_no_name_and_no_path_brings_markup_into_a_listing() {
    let folder = "<img src=x onerror=alert(1)>";
    let served = Served::new(|root| {
        fs::create_dir(root.join(folder)).unwrap();
        fs::write(root.join(folder).join("\"onmouseover=alert(1) '&amp;\u{202e}\n"), "").unwrap();
    });
    let answer = served.get("/%3Cimg%20src=x%20onerror=alert(1)%3E/");
    let page = answer.text();
    assert_eq!(answer.status(), 200);
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;") && !page.contains("<img"), "{page}");
    assert!(page.contains("&quot;onmouseover=alert(1) &#39;&amp;amp;\u{202e}\u{fffd}</bdi>"), "{page}");
    assert_eq!(links(&page), ["../", "%22onmouseover%3Dalert%281%29%20%27%26amp%3B%E2%80%AE%0A"]);
    assert!(answer.header("Content-Security-Policy").unwrap().contains("default-src 'none'"));
    let missing = served.get("/%3Cscript%3E");
    missing.check(404, b"No such resource.\n");
    missing.has("Content-Type", "text/plain; charset=utf-8");
}

#[test]
fn spec_37_listings_are_bounded_and_can_be_refused() {
    let make = |root: &std::path::Path| (0..5).for_each(|at| fs::write(root.join(format!("f{at}")), "").unwrap());
    let mut config = FilesConfig::default();
    config.listing_names_max = 3;
    let page = Served::with_config(config.clone(), make).get("/").text();
    assert_eq!(links(&page).len(), 3);
    assert!(page.contains("There are more names than are shown here."), "{page}");
    config.listing_names_max = 5;
    let page = Served::with_config(config.clone(), make).get("/").text();
    assert!(links(&page).len() == 5 && !page.contains("more names"), "{page}");
    config.list_folders = false;
    let served = Served::with_config(config, make);
    assert_eq!(served.get("/").status(), 403);
    served.get("/f1").check(200, b"");
}

/// A listing that fits into no buffer, to clients that read nothing: the only worker is free for others.
#[test]
fn spec_37_slow_readers_of_long_listings_hold_no_worker() {
    let served = Served::new(|root| {
        let long = "n".repeat(200);
        (0..2500).for_each(|number| fs::write(root.join(format!("{long}{number}")), "").unwrap());
        fs::create_dir(root.join("short")).unwrap();
    });
    let stuck = served.server.connect(&served.sim);
    stuck.window(1000);
    stuck.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    served.sim.advance(Duration::from_secs(1));
    assert_eq!(served.server.pool.counts().busy, 0, "it waits for its client only");
    assert_eq!(links(&served.get("/short/").text()), ["../"]);
    let whole = served.get("/");
    assert_eq!(
        (links(&whole.text()).len(), whole.header("Content-Length")),
        (2501, Some(whole.body.len().to_string()))
    );
    assert!(whole.text().ends_with("</table>\n"));
    assert!(served.ask("HEAD", "/", &[]).body.is_empty());
}
