//! Parts of files and conditional requests (behaviour 37; RFC 9110 sections 13 and 14).
#![allow(clippy::unwrap_used)]

mod served;

use std::fs;

use handwound_wsgi::files::FilesConfig;
use served::{Answer, Served};

const DIGITS: &[u8] = b"0123456789";

/// The time of the files' last change, and dates around it.
const MODIFIED: u64 = 1_000_000_000;
const BEFORE: &str = "Sun, 09 Sep 2001 01:46:39 GMT";
const THEN: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
const AFTER: &str = "Sun, 09 Sep 2001 01:46:41 GMT";

fn digits() -> Served {
    let served = Served::new(|root| {
        fs::write(root.join("digits.txt"), DIGITS).unwrap();
        fs::write(root.join("digits.txt.gz"), DIGITS).unwrap();
        fs::write(root.join("empty"), "").unwrap();
    });
    served.set_modified("digits.txt", MODIFIED);
    served
}

fn range(served: &Served, range: &str) -> Answer {
    served.ask("GET", "/digits.txt", &[("Range", range)])
}

#[test]
fn spec_37_one_range_is_a_206() {
    let served = digits();
    for (asked, body, content_range) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-1", "9", "bytes 9-9/10"),
        ("bytes=0-", "0123456789", "bytes 0-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
        ("bytes=2-4,20-", "234", "bytes 2-4/10"),
        ("bytes=2-4,3-6", "23456", "bytes 2-6/10"),
    ] {
        let answer = range(&served, asked);
        answer.check(206, body.as_bytes());
        answer.has("Content-Range", content_range);
        answer.has("Content-Length", &body.len().to_string());
        answer.has("Content-Type", "text/plain");
        answer.has("ETag", "\"a-de0b6b3a7640000\"");
    }
    let packed = served.ask("GET", "/digits.txt.gz", &[("Range", "bytes=1-2")]);
    packed.check(206, b"12");
    packed.has("Content-Encoding", "gzip");
}

/// RFC 9110 section 14.6.
#[test]
fn spec_37_several_ranges_are_a_multipart() {
    let served = digits();
    let answer = range(&served, "bytes=7-8, 0-1, -1");
    assert_eq!(answer.status(), 206);
    assert_eq!(answer.header("Content-Range"), None);
    let content_type = answer.header("Content-Type").unwrap();
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let part = |range: &str, body: &str| {
        format!("\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes {range}/10\r\n\r\n{body}")
    };
    let expected = [part("7-8", "78"), part("0-1", "01"), part("9-9", "9"), format!("\r\n--{boundary}--\r\n")].concat();
    assert_eq!(answer.text(), expected);
    answer.has("Content-Length", &expected.len().to_string());
    answer.has("ETag", "\"a-de0b6b3a7640000\"");
}

/// Parts of more than a piece, over the place where pieces meet.
#[test]
fn spec_37_parts_of_large_files_are_exact() {
    let content: Vec<u8> = (0..300_000u32).map(|at| (at % 253) as u8).collect();
    let large = content.clone();
    let served = Served::new(move |root| fs::write(root.join("large.txt"), large).unwrap());
    let ask = |range: &str| served.ask("GET", "/large.txt", &[("Range", range)]);
    ask("bytes=65535-65536").check(206, &content[65_535..65_537]);
    ask("bytes=1-299998").check(206, &content[1..299_999]);
    let several = ask("bytes=0-99999,200000-");
    let body = several.body;
    let at = |part: &[u8]| body.windows(part.len()).filter(|window| *window == part).count();
    assert_eq!((at(&content[..100_000]), at(&content[200_000..])), (1, 1));
}

/// RFC 9110 section 15.5.17.
#[test]
fn spec_37_ranges_of_nothing_are_a_416() {
    let served = digits();
    for asked in ["bytes=10-", "bytes=99-100", "bytes=-0", "bytes=10-,20-"] {
        let answer = range(&served, asked);
        answer.check(416, b"The file has 10 bytes.\n");
        answer.has("Content-Range", "bytes */10");
    }
    let empty = served.ask("GET", "/empty", &[("Range", "bytes=0-")]);
    empty.check(416, b"The file has 0 bytes.\n");
    served.ask("GET", "/empty", &[("Range", "bytes=-1")]).check(200, b"");
}

#[test]
fn spec_37_ranges_that_mean_nothing_are_ignored() {
    let served = digits();
    for asked in ["bytes=5-2", "lines=0-1", "bytes=a-", "bytes", "bytes=", "bytes=0-1,x"] {
        range(&served, asked).check(200, DIGITS);
    }
    served.ask("GET", "/digits.txt", &[("Range", "bytes=0-1"), ("Range", "bytes=2-3")]).check(200, DIGITS);
}

/// A request of 8 KiB can name thousands of ranges, and each costs more than it asks for (RFC 9110 section 14.2).
#[test]
fn spec_37_very_many_ranges_are_answered_with_the_file_once() {
    let served = digits();
    let many = |count: usize| vec!["0-0"; count].join(",");
    range(&served, &format!("bytes={}", many(33))).check(200, DIGITS);
    range(&served, &format!("bytes={}", many(1900))).check(200, DIGITS);
    range(&served, &format!("bytes={}", many(32))).check(206, b"0");
    let mut config = FilesConfig::default();
    config.ranges_max = 0;
    let none = Served::with_config(config, |root| fs::write(root.join("digits.txt"), DIGITS).unwrap());
    range(&none, "bytes=0-0").check(200, DIGITS);
}

/// RFC 9110 section 13.1.5.
#[test]
fn spec_37_if_range_gives_a_part_of_the_very_same_state_only() {
    let served = digits();
    let ask = |state: &str| served.ask("GET", "/digits.txt", &[("Range", "bytes=1-1"), ("If-Range", state)]);
    let etag = served.get("/digits.txt").header("ETag").unwrap();
    ask(&etag).check(206, b"1");
    ask(THEN).check(206, b"1");
    for other in ["\"x\"", &format!("W/{etag}"), BEFORE, AFTER, "", "*"] {
        ask(other).check(200, DIGITS);
    }
    served.set_modified("digits.txt", MODIFIED + 1);
    ask(&etag).check(200, DIGITS);
}

/// RFC 9110 section 15.4.5.
#[test]
fn spec_37_a_client_that_has_the_file_gets_a_304() {
    let served = digits();
    let etag = served.get("/digits.txt").header("ETag").unwrap();
    let ask = |name: &str, value: &str| served.ask("GET", "/digits.txt", &[(name, value)]);
    for tags in [&etag, &format!("\"x\", W/{etag}"), "*"] {
        let answer = ask("If-None-Match", tags);
        answer.check(304, b"");
        answer.has("ETag", &etag);
        assert_eq!((answer.header("Content-Type"), answer.header("Content-Length")), (None, None));
        served.ask("HEAD", "/digits.txt", &[("If-None-Match", tags)]).check(304, b"");
    }
    for date in [THEN, AFTER, "Sunday, 09-Sep-01 01:46:40 GMT", "Sun Sep  9 01:46:40 2001"] {
        ask("If-Modified-Since", date).check(304, b"");
    }
    ask("If-Modified-Since", BEFORE).check(200, DIGITS);
    for not_a_date in ["yesterday", "", "Sun, 99 Sep 2001 01:46:40 GMT", "1"] {
        ask("If-Modified-Since", not_a_date).check(200, DIGITS);
    }
    ask("If-None-Match", "\"x\"").check(200, DIGITS);
    // Tags win over dates, as they are more exact; all fields of tags count.
    served.ask("GET", "/digits.txt", &[("If-None-Match", "\"x\""), ("If-Modified-Since", AFTER)]).check(200, DIGITS);
    served.ask("GET", "/digits.txt", &[("If-None-Match", "\"x\""), ("If-None-Match", &etag)]).check(304, b"");
    // A changed file is another one.
    fs::write(served.path("digits.txt"), "9876543210").unwrap();
    ask("If-None-Match", &etag).check(200, b"9876543210");
}

#[test]
fn spec_37_conditions_that_do_not_hold_are_a_412() {
    let served = digits();
    let etag = served.get("/digits.txt").header("ETag").unwrap();
    let ask = |fields: &[(&str, &str)]| served.ask("GET", "/digits.txt", fields).status();
    assert_eq!((ask(&[("If-Match", &etag)]), ask(&[("If-Match", "*")])), (200, 200));
    assert_eq!((ask(&[("If-Match", "\"x\"")]), ask(&[("If-Match", &format!("W/{etag}"))])), (412, 412));
    assert_eq!((ask(&[("If-Unmodified-Since", THEN)]), ask(&[("If-Unmodified-Since", BEFORE)])), (200, 412));
    // The order of RFC 9110 section 13.2.2.
    assert_eq!(ask(&[("If-Match", &etag), ("If-Unmodified-Since", BEFORE)]), 200);
    assert_eq!(ask(&[("If-Match", "\"x\""), ("If-None-Match", &etag)]), 412);
    assert_eq!(ask(&[("If-Match", &etag), ("If-None-Match", &etag)]), 304);
    assert_eq!(ask(&[("If-None-Match", &etag), ("Range", "bytes=99-")]), 304);
    assert_eq!(served.ask("GET", "/none", &[("If-Match", "*")]).status(), 404);
}

/// Times that a date in HTTP cannot say panicked in its formatter.
#[test]
fn spec_37_files_from_before_1970_and_after_9999_are_served() {
    use std::time::{Duration, UNIX_EPOCH};
    let served = digits();
    let file = fs::File::options().write(true).open(served.path("digits.txt")).unwrap();
    let early = UNIX_EPOCH - Duration::from_secs(86_400);
    // Not every file system can keep the other.
    for time in [Some(early), UNIX_EPOCH.checked_add(Duration::from_secs(1 << 38))].into_iter().flatten() {
        if file.set_modified(time).is_err() || file.metadata().unwrap().modified().unwrap() != time {
            continue;
        }
        let answer = served.get("/digits.txt");
        answer.check(200, DIGITS);
        assert_eq!(answer.header("Last-Modified"), None);
        served.ask("GET", "/digits.txt", &[("If-Modified-Since", AFTER)]).check(200, DIGITS);
        assert_eq!(served.get("/").status(), 200);
    }
}
