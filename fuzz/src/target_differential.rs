//! Our own reading of a stream against those of independent parsers: what is accepted here, nobody frames otherwise.

use crate::drive;
use crate::grammar::Asked;
use crate::make_config;
use crate::peers::{self, Framed, Rest, View, sorted};
use crate::quirks::QUIRKS;

/// What a client sends, to us and to the peers.
pub fn differential(data: &[u8]) {
    for difference in differences(data) {
        if quirk(data, &difference).is_none() {
            panic!("{difference}");
        }
    }
}

/// A request that a peer understands otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `pico` or `hyper`.
    pub peer: &'static str,
    /// What differs: `method`, `target`, `version`, `fields`, `body`, `waits`, `reads on`.
    pub what: &'static str,
    /// As we see it.
    pub ours: Asked,
    /// As the peer does.
    pub theirs: Option<Framed>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Difference { peer, what, ours, theirs } = self;
        write!(f, "{peer} differs, {what}: we have\n  {}\nand it has\n  {theirs:?}", ours.to_bytes().escape_ascii())
    }
}

/// The name of the quirk that covers `difference`, if one does.
pub fn quirk(stream: &[u8], difference: &Difference) -> Option<&'static str> {
    let covers = |quirk: &&crate::quirks::Quirk| {
        quirk.peer == difference.peer && quirk.what == difference.what && (quirk.covers)(stream, difference)
    };
    QUIRKS.iter().find(covers).map(|quirk| quirk.name)
}

/// All differences between us and the peers. That a peer refuses what we accept is none: it is stricter.
pub fn differences(stream: &[u8]) -> Vec<Difference> {
    // The peers do not drop fields.
    let mut config = make_config(0);
    config.keep_underscore_headers = true;
    let log = drive::record(stream, false, &config.into());
    let ours: Vec<(&Asked, bool)> = log
        .requests
        .iter()
        .map(|asked| (asked, true))
        // What is refused in the end is not accepted.
        .chain(log.begun.iter().filter(|_| log.refused.is_none()).map(|asked| (asked, false)))
        .collect();
    if ours.is_empty() {
        return Vec::new();
    }
    // Unless it is our response that ends the connection: one of unknown length, to HTTP/1.0.
    let ends = |asked: &Asked| drive::streams(asked) && !asked.is_11;
    let closed = log.refused.is_none() && log.closing.is_some() && !log.requests.last().is_some_and(ends);
    let mut differences = Vec::new();
    for (peer, view) in [("pico", peers::pico(stream)), ("hyper", peers::hyper(stream))] {
        if let Some((what, index)) = compare(&ours, &view, closed && peer == "hyper") {
            let theirs = view.requests.get(index).cloned();
            let ours = ours[index.min(ours.len() - 1)].0.clone();
            differences.push(Difference { peer, what, ours, theirs });
        }
    }
    differences
}

/// The first thing that differs, and in which request.
fn compare(ours: &[(&Asked, bool)], view: &View, closed: bool) -> Option<(&'static str, usize)> {
    for (index, (asked, whole)) in ours.iter().enumerate() {
        let Some(theirs) = view.requests.get(index) else {
            return (view.rest == Rest::Waits).then_some(("waits", index));
        };
        if let Some(what) = compare_one(asked, theirs) {
            return Some((what, index));
        }
        match (whole, theirs.whole) {
            (true, true) if asked.body == theirs.body => {}
            // It has refused the body.
            (_, false) if view.rest != Rest::Waits => return None,
            (false, false) => return None,
            (true, false) => return Some(("waits", index)),
            _ => return Some(("body", index)),
        }
    }
    (closed && view.requests.len() > ours.len()).then_some(("reads on", ours.len()))
}

fn compare_one(asked: &Asked, theirs: &Framed) -> Option<&'static str> {
    if asked.method != theirs.method {
        return Some("method");
    }
    if asked.target != theirs.target {
        return Some("target");
    }
    if asked.is_11 != theirs.is_11 {
        return Some("version");
    }
    let is_absolute = !asked.target.starts_with(b"/") && asked.target != b"*";
    // An absolute target's host takes the place of the Host field.
    let keep = |(name, _): &(Vec<u8>, Vec<u8>)| !(is_absolute && name.eq_ignore_ascii_case(b"host"));
    let ours = sorted(asked.fields.iter().filter(|field| keep(field)).cloned().collect());
    let theirs: Vec<_> = theirs.fields.iter().filter(|field| keep(field)).cloned().collect();
    (ours != theirs).then_some("fields")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b"POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nabGET /2 HTTP/1.1\r\nHost: h\r\n\r\n";

    /// What is found when a peer's view is changed like this.
    #[track_caller]
    fn check(change: impl Fn(&mut View), expected: Option<(&'static str, usize)>) {
        let log = drive::record(STREAM, false, &make_config(0).into());
        let ours: Vec<_> = log.requests.iter().map(|asked| (asked, true)).collect();
        for mut view in [peers::pico(STREAM), peers::hyper(STREAM)] {
            change(&mut view);
            assert_eq!(compare(&ours, &view, false), expected);
        }
    }

    #[test]
    fn peers_agree_or_are_stricter_or_differ() {
        check(|_| {}, None);
        check(|view| (view.requests.truncate(1), view.rest = Rest::Refuses).1, None);
        check(|view| view.requests.truncate(1), Some(("waits", 1)));
        check(|view| view.requests[0].body.truncate(1), Some(("body", 0)));
        check(|view| view.requests[0].whole = false, Some(("waits", 0)));
        check(|view| view.requests[1].target.push(b'3'), Some(("target", 1)));
        check(|view| view.requests[0].fields.truncate(1), Some(("fields", 0)));
    }

    #[test]
    fn a_peer_that_reads_on_after_the_end_differs() {
        let log = drive::record(STREAM, false, &make_config(0).into());
        let ours = [(&log.requests[0], true)];
        assert_eq!(compare(&ours, &peers::hyper(STREAM), true), Some(("reads on", 1)));
    }
}
