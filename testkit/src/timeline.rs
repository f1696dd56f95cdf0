//! The story as one page of HTML: the page is fixed, the story is data in it.

use std::fmt::Write;

use crate::story::{Kind, Story, Who};

const PAGE: &str = include_str!("timeline.html");
/// Stands in the page where the data go.
const DATA: &str = "/*DATA*/null";

const KINDS: [Kind; 8] =
    [Kind::Bytes, Kind::Connection, Kind::Trouble, Kind::Thread, Kind::Gate, Kind::Wake, Kind::Poll, Kind::Visit];

/// The page.
pub(crate) fn html(story: &Story) -> String {
    PAGE.replacen(DATA, &data(story), 1)
}

fn data(story: &Story) -> String {
    let kind = |kind: Kind| KINDS.iter().position(|&known| known == kind).expect("all kinds are listed");
    let mut text = String::new();
    let kinds = list(KINDS.iter().map(|kind| quoted(kind.text())));
    let lanes = list(story.lanes.iter().map(|(who, name)| format!("[{},{}]", quoted(name), quoted(role(*who)))));
    let acts = list(story.acts.iter().map(|act| {
        let nanos = act.at.since_start().as_nanos();
        format!("[{},{nanos},{},{}]", act.lane, kind(act.kind), quoted(&act.text))
    }));
    let links = list(story.links.iter().map(|link| {
        let size = if link.bytes > 0 { format!(" ({} B)", link.bytes) } else { String::new() };
        let label = quoted(format!("{}{size}", link.label.trim_end()).trim_start());
        format!("[{},{},{},{label}]", link.from, link.to, kind(link.kind))
    }));
    let waits = list(story.waits.iter().map(|wait| {
        let to = wait.to.map_or(-1, |to| to as i64);
        format!("[{},{},{to},{}]", wait.lane, wait.from, quoted(&wait.text))
    }));
    let (dropped, end) = (story.dropped, story.ends_at.since_start().as_nanos());
    let _ = write!(
        text,
        "{{\"kinds\":{kinds},\"lanes\":{lanes},\"acts\":{acts},\"links\":{links},\"waits\":{waits},\"dropped\":{dropped},\"end\":{end}}}"
    );
    text
}

fn role(who: Who) -> &'static str {
    match who {
        Who::Test => "test",
        Who::Client(_) => "client",
        Who::Reactor(_) => "reactor",
        Who::Worker(_) => "worker",
        Who::Network => "network",
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

/// A JSON string that can also stand in a script of a page.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_end_the_script_they_stand_in() {
        assert_eq!(quoted("</script>\n\"\\é"), r#""\u003c/script\u003e\u000a\"\\é""#);
        assert_eq!(PAGE.matches(DATA).count(), 1);
    }
}
