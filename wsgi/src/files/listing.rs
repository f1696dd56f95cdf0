//! What is in a folder, as a page.

use std::ffi::OsString;
use std::fmt::Write;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::FilesConfig;
use super::answers::{send_error, send_not_allowed};
use super::pump::{Pump, is_small};
use super::walk::Walk;
use crate::{Application, Call, Failure};

/// Answers with a page that shows what is in `folder`, and links to it; the request's path is to end in a slash. Folders
/// come first; what is neither folder nor file, and links that are not followed, is left out. No name can bring markup
/// into the page, and no script runs in it. Runs on a worker; blocks on the disk. Of a page that does not fit into the
/// response's bounds the rest is sent as the client reads on, as of a [file](super::send_file).
///
/// # Errors
/// The disk's, and the client's if it has left.
pub fn send_listing(call: &Call, folder: &Path, config: &FilesConfig) -> Result<(), Failure> {
    if !matches!(call.request().method(), b"GET" | b"HEAD") {
        return send_not_allowed(call);
    }
    match Walk::below(folder, config) {
        Ok(walk) => send(call, folder, &walk),
        Err(error) => send_error(call, folder, &error),
    }
}

/// As [`send_listing`] to a GET or HEAD, in a walk that may have begun further up.
pub(super) fn send(call: &Call, folder: &Path, walk: &Walk<'_>) -> Result<(), Failure> {
    let listing = match Listing::of(folder, walk) {
        Ok(listing) => listing,
        Err(error) => return send_error(call, folder, &error),
    };
    let request = call.request();
    let path = [request.script_name(), request.path_info()].concat();
    let headers = [
        ("Content-Type", "text/html; charset=utf-8"),
        // The second fence, behind the escaping.
        ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'"),
        ("X-Content-Type-Options", "nosniff"),
    ];
    call.start_response("200 OK", &headers)?;
    let page = listing.page(&path).into_bytes();
    if is_small(page.len() as u64) {
        return Ok(call.send_whole(&page)?);
    }
    call.declare_length(page.len() as u64);
    Pump::of_text(&page).call(call)
}

struct Listing {
    entries: Vec<Entry>,
    /// There are more than are shown.
    has_more: bool,
}

struct Entry {
    /// Of a file; of a folder there is none.
    bytes: Option<u64>,
    name: OsString,
    modified: Option<SystemTime>,
}

impl Listing {
    fn of(folder: &Path, walk: &Walk<'_>) -> io::Result<Listing> {
        let mut listing = Listing { entries: Vec::new(), has_more: false };
        for entry in folder.read_dir()? {
            if listing.entries.len() == walk.config().listing_names_max {
                listing.has_more = true;
                break;
            }
            let name = entry?.file_name();
            // It may be gone by now, or must not be looked at.
            let Ok(Some(place)) = walk.look(folder.join(&name)) else { continue };
            let Ok(found) = place.path.metadata() else { continue };
            if found.is_dir() || found.is_file() {
                let bytes = found.is_file().then_some(found.len());
                listing.entries.push(Entry { bytes, name, modified: found.modified().ok() });
            }
        }
        listing
            .entries
            .sort_unstable_by(|one, other| (one.bytes.is_some(), &one.name).cmp(&(other.bytes.is_some(), &other.name)));
        Ok(listing)
    }

    fn page(&self, path: &[u8]) -> String {
        let title = escaped(&String::from_utf8_lossy(path));
        let mut page = format!("{HEAD}<title>Index of {title}</title>\n{STYLE}<h1>Index of <bdi>{title}</bdi></h1>\n");
        page.push_str("<table>\n<tr><th>Name<th>Size<th>Changed (UTC)\n");
        if path != b"/" {
            page.push_str("<tr><td><a href=\"../\">../</a><td><td>\n");
        }
        for entry in &self.entries {
            entry.show(&mut page);
        }
        page.push_str("</table>\n");
        if self.has_more {
            page.push_str("<p>There are more names than are shown here.</p>\n");
        }
        page
    }
}

impl Entry {
    fn show(&self, page: &mut String) {
        let slash = if self.bytes.is_none() { "/" } else { "" };
        let name = escaped(&self.name.to_string_lossy());
        let link = percent_encoded(self.name.as_encoded_bytes());
        let size = self.bytes.map(readable).unwrap_or_default();
        let changed = self.modified.and_then(date).unwrap_or_default();
        let line =
            writeln!(page, "<tr><td><a href=\"{link}{slash}\"><bdi>{name}</bdi>{slash}</a><td>{size}<td>{changed}");
        line.expect("a string takes all");
    }
}

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width\">\n";

const STYLE: &str = "<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.25rem; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100% }
th { text-align: left; font-weight: 600 }
td, th { padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #8883; overflow-wrap: anywhere }
td + td, th + th { white-space: nowrap; font-variant-numeric: tabular-nums; text-align: right }
tr:hover td { background: #8881 }
a { text-decoration: none } a:hover { text-decoration: underline }
</style>
";

/// Text as it may stand in a page, also within quotes. Controls, which could hide what follows, are shown as U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            control if control.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A name as one segment of a link: what RFC 3986 section 2.3 does not reserve stays.
fn percent_encoded(name: &[u8]) -> String {
    let mut encoded = String::with_capacity(name.len());
    for &byte in name {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            other => write!(encoded, "%{other:02X}").expect("a string takes all"),
        }
    }
    encoded
}

/// `1023 B`, `1.5 KiB`.
fn readable(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let exponent = (bytes.ilog2() / 10) as usize;
    let tenths = u128::from(bytes) * 10 / (1 << (10 * exponent));
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[exponent - 1])
}

/// `2026-11-23 02:45`; none before 1970.
fn date(time: SystemTime) -> Option<String> {
    let minutes = time.duration_since(UNIX_EPOCH).ok()?.as_secs() / 60;
    let (year, month, day) = civil(minutes / 1440);
    Some(format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minutes / 60 % 24, minutes % 60))
}

/// The date of a day, counted from the first one of 1970. Years are reckoned from March on, in eras of 400 of them.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn sizes_and_dates_can_be_read() {
        let sizes = [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_600, "1.5 KiB"), (5 << 30, "5.0 GiB")];
        for (bytes, text) in sizes {
            assert_eq!(readable(bytes), text);
        }
        assert_eq!(readable(u64::MAX), "15.9 EiB");
        let at = |seconds| date(UNIX_EPOCH + Duration::from_secs(seconds));
        for (seconds, text) in
            [(0, "1970-01-01 00:00"), (951_827_696, "2000-02-29 12:34"), (4_107_542_400, "2100-03-01 00:00")]
        {
            assert_eq!(at(seconds).as_deref(), Some(text));
        }
        assert_eq!(date(UNIX_EPOCH - Duration::from_secs(1)), None);
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(escaped("<a href=\"x\">'&\n\u{85}"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;\u{fffd}\u{fffd}");
        assert_eq!(percent_encoded(b"a b:/?#%\xff~-._"), "a%20b%3A%2F%3F%23%25%FF~-._");
    }
}
