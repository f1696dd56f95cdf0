//! The story as an ASCII sequence diagram: a column for each who takes part, an arrow for each act that led to
//! another's. Polls, visits and reads are left out; times are printed when they change.

use std::fmt::Write;

use crate::story::{Kind, Link, Story};

/// Rows shown; of a longer story, the last ones.
const ROWS_MAX: usize = 400;
/// Characters of a label.
const LABEL_MAX: usize = 48;
/// Characters quoted from payload that came in pieces.
const QUOTE_MAX: usize = 26;
/// Between two columns, at least.
const GAP_MIN: usize = 9;

/// One line of the diagram, before it is drawn.
struct Row {
    act: usize,
    shape: Shape,
}

enum Shape {
    /// `pieces` arrivals in a row, drawn as one.
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

/// The diagram of a story.
pub(crate) fn draw(story: &Story) -> String {
    let mut rows = rows(story);
    let left_out = rows.len().saturating_sub(ROWS_MAX);
    rows.drain(..left_out);
    if rows.is_empty() {
        return "(nothing to show)\n".to_owned();
    }
    let used = used_lanes(story, &rows);
    let place = |lane: usize| used.iter().position(|&at| at == lane).expect("lanes of rows are used");
    let names: Vec<&str> = used.iter().map(|&lane| story.lanes[lane].1.as_str()).collect();
    let times: Vec<String> = rows.iter().map(|row| story.acts[row.act].at.to_string()).collect();
    let margin = times.iter().map(String::len).max().unwrap_or(0) + 2;
    let bars = bars(&names, &rows, place, margin);

    let mut text = String::new();
    if left_out > 0 || story.dropped > 0 {
        let _ = writeln!(text, "({left_out} earlier rows and {} earlier events are left out)", story.dropped);
    }
    let mut head = Canvas::default();
    for (name, &bar) in names.iter().zip(&bars) {
        head.put(bar.saturating_sub(name.chars().count() / 2), name);
    }
    text.push_str(&head.finish());
    let mut last = "";
    for (row, time) in rows.iter().zip(&times) {
        let mut line = Canvas::default();
        if time != last {
            line.put(0, time);
            last = time;
        }
        for &bar in &bars {
            line.put(bar, "|");
        }
        match &row.shape {
            Shape::Note { lane, text } => line.put(bars[place(*lane)], &format!("* {text}")),
            Shape::Arrow { from, to, .. } => arrow(&mut line, bars[place(*from)], bars[place(*to)], &row.label()),
        }
        text.push_str(&line.finish());
    }
    text
}

fn arrow(line: &mut Canvas, from: usize, to: usize, label: &str) {
    let (left, right) = (from.min(to), from.max(to));
    let room = right - left - 1;
    let mut shaft = vec!['-'; room];
    let label: Vec<char> = format!(" {label} ").chars().collect();
    // Beside its beginning, where the eye starts.
    let start = if from < to { 2 } else { room.saturating_sub(label.len() + 2) };
    for (index, &character) in label.iter().enumerate() {
        if let Some(place) = shaft.get_mut(start + index) {
            *place = character;
        }
    }
    let head = if from < to { room - 1 } else { 0 };
    shaft[head] = if from < to { '>' } else { '<' };
    line.put(left + 1, &shaft.iter().collect::<String>());
}

impl Row {
    fn label(&self) -> String {
        match &self.shape {
            Shape::Note { text, .. } => text.clone(),
            Shape::Arrow { label, bytes: 0, delay, .. } => format!("{label}{}", delay.as_deref().unwrap_or("")),
            Shape::Arrow { label, bytes, pieces, delay, .. } => {
                let in_pieces = if *pieces > 1 { format!(" in {pieces}") } else { String::new() };
                let size =
                    if label.is_empty() { format!("{bytes} B{in_pieces}") } else { format!(" ({bytes} B{in_pieces})") };
                let mut text = format!("{label}{size}{}", delay.as_deref().unwrap_or(""));
                if text.chars().count() > LABEL_MAX {
                    text = text.chars().take(LABEL_MAX - 2).chain("..".chars()).collect();
                }
                text
            }
        }
    }
}

/// What is worth a row, in order.
fn rows(story: &Story) -> Vec<Row> {
    let links = story.links.iter().filter(|link| link.from_lane != link.to_lane && shown(story, link));
    let mut rows: Vec<Row> = links.map(|link| arrow_row(story, link)).collect();
    rows.extend(story.notes.iter().map(|note| Row {
        act: note.act,
        shape: Shape::Note { lane: story.acts[note.act].lane, text: note.text.clone() },
    }));
    rows.sort_by_key(|row| row.act);
    merged(story, rows)
}

fn shown(story: &Story, link: &Link) -> bool {
    // Threads that the test starts are there from the beginning.
    link.kind != Kind::Thread || !matches!(story.lanes[link.from_lane].0, crate::story::Who::Test)
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
    }
}

/// Draws as one what came in pieces at one instant, with nothing else to be seen between.
fn merged(story: &Story, rows: Vec<Row>) -> Vec<Row> {
    let mut merged: Vec<Row> = Vec::new();
    for row in rows {
        let at = |row: &Row| story.acts[row.act].at;
        if let Some(last) = merged.last_mut()
            && at(last) == at(&row)
            && let Shape::Arrow { from, to, label, open, bytes, pieces, delay } = &mut last.shape
            && let Shape::Arrow { from: f, to: t, label: rest, open: on, bytes: more, delay: d, .. } = &row.shape
            && (*from, *to, &*delay) == (*f, *t, d)
            && *bytes > 0
            && *more > 0
        {
            if *open {
                label.push_str(rest);
            }
            // A quoted line is over when it is long enough.
            *open &= *on && label.len() <= QUOTE_MAX;
            *bytes += more;
            *pieces += 1;
            continue;
        }
        merged.push(row);
    }
    merged
}

fn used_lanes(story: &Story, rows: &[Row]) -> Vec<usize> {
    let mut used = vec![false; story.lanes.len()];
    for row in rows {
        match &row.shape {
            Shape::Arrow { from, to, .. } => (used[*from], used[*to]) = (true, true),
            Shape::Note { lane, .. } => used[*lane] = true,
        }
    }
    (0..used.len()).filter(|&lane| used[lane]).collect()
}

/// Where each lane's bar stands: near enough together, and far enough apart for names and labels.
fn bars(names: &[&str], rows: &[Row], place: impl Fn(usize) -> usize, margin: usize) -> Vec<usize> {
    let half = |name: &str| name.chars().count().div_ceil(2);
    let mut gaps: Vec<usize> = names.windows(2).map(|pair| (half(pair[0]) + half(pair[1]) + 2).max(GAP_MIN)).collect();
    let mut wanted: Vec<(usize, usize, usize)> = Vec::new();
    for row in rows {
        match &row.shape {
            Shape::Arrow { from, to, .. } => {
                let (from, to) = (place(*from), place(*to));
                wanted.push((from.min(to), from.max(to), row.label().chars().count() + 7));
            }
            Shape::Note { lane, text } => {
                let lane = place(*lane);
                if lane + 1 < names.len() {
                    wanted.push((lane, lane + 1, text.chars().count() + 4));
                }
            }
        }
    }
    // Short spans first: the long ones may then have room already.
    wanted.sort_by_key(|(from, to, _)| to - from);
    for (from, to, room) in wanted {
        let have: usize = gaps[from..to].iter().sum();
        let missing = room.saturating_sub(have);
        for (index, gap) in gaps[from..to].iter_mut().enumerate() {
            *gap += missing / (to - from) + usize::from(index < missing % (to - from));
        }
    }
    let first = margin + names.first().map_or(0, |name| half(name));
    let mut bars = vec![first];
    for gap in gaps {
        bars.push(bars.last().expect("has the first") + gap);
    }
    bars
}

/// A line that is written here and there.
#[derive(Default)]
struct Canvas(Vec<char>);

impl Canvas {
    fn put(&mut self, at: usize, text: &str) {
        for (index, character) in text.chars().enumerate() {
            if self.0.len() <= at + index {
                self.0.resize(at + index + 1, ' ');
            }
            self.0[at + index] = character;
        }
    }

    fn finish(self) -> String {
        let line: String = self.0.into_iter().collect();
        format!("{}\n", line.trim_end())
    }
}
