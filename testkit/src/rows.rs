//! What is worth a row in a diagram, in order; and what can share one.

use crate::columns::Columns;
use crate::story::{Kind, Link, Story, Who};

/// Characters of a label.
const LABEL_MAX: usize = 48;
/// Characters quoted from payload that came in pieces.
const QUOTE_MAX: usize = 26;

/// One line of the diagram, before it is drawn.
pub(crate) struct Row {
    pub(crate) act: usize,
    pub(crate) shape: Shape,
    /// How many like it this row stands for.
    times: usize,
}

pub(crate) enum Shape {
    /// Between lanes; `pieces` arrivals in a row, drawn as one.
    Arrow {
        from: usize,
        to: usize,
        label: String,
        open: bool,
        bytes: u64,
        pieces: usize,
        delay: Option<String>,
    },
    Note {
        lane: usize,
        text: String,
    },
}

/// What is worth a row, in order.
pub(crate) fn rows(story: &Story) -> Vec<Row> {
    let links = story.links.iter().filter(|link| link.from_lane != link.to_lane && shown(story, link));
    let mut rows: Vec<Row> = links.map(|link| arrow_row(story, link)).collect();
    let note =
        |act: usize, text: String| Row { act, shape: Shape::Note { lane: story.acts[act].lane, text }, times: 1 };
    rows.extend(story.notes.iter().map(|told| note(told.act, told.text.clone())));
    // Where nobody speaks over the network, what threads share is the story.
    if !story.lanes.iter().any(|(who, _)| matches!(who, Who::Client(_))) {
        let visits = story.acts.iter().enumerate().filter(|(_, act)| act.kind == Kind::Visit);
        rows.extend(visits.map(|(index, act)| note(index, act.text.clone())));
    }
    rows.sort_by_key(|row| row.act);
    joined(story, rows)
}

fn shown(story: &Story, link: &Link) -> bool {
    // Threads that the test starts are there from the beginning.
    link.kind != Kind::Thread || !matches!(story.lanes[link.from_lane].0, Who::Test)
}

fn arrow_row(story: &Story, link: &Link) -> Row {
    // Hand-offs and connects are drawn where they were made, what has been under way where it arrived.
    let travels = matches!(link.kind, Kind::Bytes | Kind::Connection | Kind::Trouble) && link.label != "connect";
    let (sent, arrived) = (story.acts[link.from].at, story.acts[link.to].at);
    let delay = (travels && sent < arrived).then(|| format!(", sent {sent}"));
    Row {
        act: if travels { link.to } else { link.from },
        shape: Shape::Arrow {
            from: link.from_lane,
            to: link.to_lane,
            label: link.label.clone(),
            open: link.open,
            bytes: link.bytes,
            pieces: 1,
            delay,
        },
        times: 1,
    }
}

/// Makes one row of what came in pieces at one instant, with nothing else to be seen between.
fn joined(story: &Story, rows: Vec<Row>) -> Vec<Row> {
    let mut joined: Vec<Row> = Vec::new();
    for row in rows {
        let at = |row: &Row| story.acts[row.act].at;
        if let Some(last) = joined.last_mut()
            && at(last) == at(&row)
            && last.takes_piece(&row)
        {
            continue;
        }
        joined.push(row);
    }
    joined
}

/// Makes one row of those that say the same at one instant of several who share a column.
pub(crate) fn gathered(story: &Story, rows: Vec<Row>, columns: &Columns) -> Vec<Row> {
    let mut gathered: Vec<Row> = Vec::new();
    for row in rows {
        let at = |row: &Row| story.acts[row.act].at;
        let shared = row.is_shared(columns);
        // Past others of the same column: who of them comes first is not worth a row.
        let near =
            gathered.iter().rev().take_while(|other| shared && at(other) == at(&row) && other.is_shared(columns));
        let like = near.enumerate().find(|(_, other)| other.is_like(&row, columns)).map(|(back, _)| back);
        match like.map(|back| gathered.len() - 1 - back) {
            Some(place) => gathered[place].take_in(row),
            None => gathered.push(row),
        }
    }
    gathered
}

impl Row {
    /// The lanes it touches.
    pub(crate) fn lanes(&self) -> [usize; 2] {
        match self.shape {
            Shape::Arrow { from, to, .. } => [from, to],
            Shape::Note { lane, .. } => [lane; 2],
        }
    }

    fn takes_piece(&mut self, row: &Row) -> bool {
        let Shape::Arrow { from, to, label, open, bytes, pieces, delay } = &mut self.shape else { return false };
        let Shape::Arrow { from: f, to: t, label: rest, open: on, bytes: more, delay: d, .. } = &row.shape else {
            return false;
        };
        if (*from, *to, &*delay) != (*f, *t, d) || *bytes == 0 || *more == 0 {
            return false;
        }
        if *open {
            label.push_str(rest);
        }
        // A quoted line is over when it is long enough.
        *open &= *on && label.len() <= QUOTE_MAX;
        *bytes += more;
        *pieces += 1;
        true
    }

    fn is_shared(&self, columns: &Columns) -> bool {
        self.lanes().iter().any(|&lane| columns.tag(lane).is_some())
    }

    fn is_like(&self, other: &Row, columns: &Columns) -> bool {
        let same_place = self.lanes().map(|lane| columns.at(lane)) == other.lanes().map(|lane| columns.at(lane));
        same_place
            && match (&self.shape, &other.shape) {
                (Shape::Note { text: one, .. }, Shape::Note { text: other, .. }) => {
                    without_numbers(one) == without_numbers(other)
                }
                (Shape::Arrow { label: one, delay: d, .. }, Shape::Arrow { label: other, delay: e, .. }) => {
                    without_numbers(one) == without_numbers(other) && d == e
                }
                _ => false,
            }
    }

    fn take_in(&mut self, row: Row) {
        self.times += row.times;
        match (&mut self.shape, row.shape) {
            (Shape::Arrow { label, bytes, .. }, Shape::Arrow { label: other, bytes: more, .. }) => {
                *bytes += more;
                *label = merged(label, &other);
            }
            (Shape::Note { text, .. }, Shape::Note { text: other, .. }) => *text = merged(text, &other),
            _ => {}
        }
    }

    /// What stands at the arrow, or at the bar.
    pub(crate) fn label(&self, columns: &Columns) -> String {
        let tag = self.lanes().iter().find_map(|&lane| columns.tag(lane));
        let before = match (self.times, tag) {
            (1, Some(tag)) => format!("{tag} "),
            (1, None) => String::new(),
            (times, _) => format!("{times}x "),
        };
        match &self.shape {
            Shape::Note { text, .. } => format!("{before}{text}"),
            Shape::Arrow { label, bytes: 0, delay, .. } => format!("{before}{label}{}", delay.as_deref().unwrap_or("")),
            Shape::Arrow { label, bytes, pieces, delay, .. } => {
                let in_pieces = if *pieces > 1 { format!(" in {pieces}") } else { String::new() };
                let size =
                    if label.is_empty() { format!("{bytes} B{in_pieces}") } else { format!(" ({bytes} B{in_pieces})") };
                let text = format!("{before}{label}{size}{}", delay.as_deref().unwrap_or(""));
                match text.chars().count() > LABEL_MAX {
                    true => text.chars().take(LABEL_MAX - 2).chain("..".chars()).collect(),
                    false => text,
                }
            }
        }
    }
}

/// Two texts that differ in numbers only, with `#` where they do.
fn merged(one: &str, other: &str) -> String {
    let ends = |letter: char| !(letter.is_ascii_digit() || letter == '#');
    let (mut one, mut other, mut merged) = (one, other, String::new());
    while let (Some(letter), Some(_)) = (one.chars().next(), other.chars().next()) {
        let lengths = [one, other].map(|text| match text.find(ends) {
            Some(0) => letter.len_utf8(),
            end => end.unwrap_or(text.len()),
        });
        merged.push_str(if one[..lengths[0]] == other[..lengths[1]] { &one[..lengths[0]] } else { "#" });
        (one, other) = (&one[lengths[0]..], &other[lengths[1]..]);
    }
    merged
}

/// The same text with `#` for each number.
pub(crate) fn without_numbers(text: &str) -> String {
    let mut plain = String::new();
    for letter in text.chars() {
        match letter {
            '0'..='9' if plain.ends_with('#') => {}
            '0'..='9' => plain.push('#'),
            letter => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_merged_where_they_differ_and_kept_where_not() {
        let all = ["GET /8 HTTP/1.1", "GET /9 HTTP/1.1", "GET /10 HTTP/1.1"];
        assert!(all.iter().all(|label| without_numbers(label) == "GET /# HTTP/#.#"));
        assert_eq!(merged(&merged(all[0], all[1]), all[2]), "GET /# HTTP/1.1");
        assert_eq!(merged("é 1", "é 1"), "é 1");
    }
}
