//! The story as an ASCII sequence diagram: a column for each who takes part, an arrow for each act that led to
//! another's. Polls and reads are left out; times are printed when they change.

use std::fmt::Write;

use crate::columns::Columns;
use crate::rows::{Row, Shape, gathered, rows};
use crate::story::Story;

/// Rows of a diagram that a test asks for.
pub(crate) const ROWS_MAX: usize = 400;
/// Of a long story, one in so many of its rows is shown from the beginning, and the others from the end.
const HEAD: usize = 4;
/// Rows of the longest round that is told by how often it comes, and how often that is at least.
const ROUND_MAX: usize = 12;
const ROUND_TIMES_MIN: usize = 3;
/// Between two columns, at least.
const GAP_MIN: usize = 9;

/// The diagram of a story, in `rows_max` rows.
pub(crate) fn draw(story: &Story, rows_max: usize) -> String {
    let rows = rows(story);
    if rows.is_empty() {
        return "(nothing to show)\n".to_owned();
    }
    let mut shown = vec![false; story.lanes.len()];
    rows.iter().flat_map(Row::lanes).for_each(|lane| shown[lane] = true);
    let columns = Columns::of(story, &shown);
    let mut rows = gathered(story, rows, &columns);
    let mut again = rounds(story, &mut rows, &columns);
    let (left_out, head) = (rows.len().saturating_sub(rows_max), rows_max / HEAD);
    if left_out > 0 {
        rows.drain(head..head + left_out);
        again.drain(head..head + left_out);
    }
    let times: Vec<String> = rows.iter().map(|row| story.acts[row.act].at.to_string()).collect();
    let margin = times.iter().map(String::len).max().unwrap_or(0) + 2;
    let bars = bars(&columns, &rows, margin);

    let mut text = String::new();
    if story.dropped > 0 {
        let _ = writeln!(text, "(the first {} events are no longer kept)", story.dropped);
    }
    let mut names = Canvas::default();
    for (name, &bar) in columns.names.iter().zip(&bars) {
        names.put(bar.saturating_sub(name.chars().count() / 2), name);
    }
    text.push_str(&names.finish());
    let mut last = "";
    for (index, (row, time)) in rows.iter().zip(&times).enumerate() {
        if left_out > 0 && index == head {
            let _ = writeln!(text, "{:margin$}... {left_out} rows are left out here ...", "");
            last = "";
        }
        let mut line = Canvas::default();
        if time != last {
            line.put(0, time);
            last = time;
        }
        for &bar in &bars {
            line.put(bar, "|");
        }
        let label = row.label(&columns);
        match &row.shape {
            Shape::Note { lane, .. } => line.put(bars[columns.at(*lane)], &format!("* {label}")),
            Shape::Arrow { from, to, .. } => arrow(&mut line, bars[columns.at(*from)], bars[columns.at(*to)], &label),
        }
        text.push_str(&line.finish());
        if let Some(Round { rows, times }) = again[index] {
            let what = if rows == 1 { "the same".to_owned() } else { format!("the same {rows} rows") };
            let _ = writeln!(text, "{:margin$}... {what} {times} more times ...", "");
        }
    }
    text
}

/// Rows that come again and again, at one instant.
#[derive(Clone, Copy)]
struct Round {
    rows: usize,
    times: usize,
}

/// Leaves one of rounds that follow each other, in the place of its last row.
fn rounds(story: &Story, rows: &mut Vec<Row>, columns: &Columns) -> Vec<Option<Round>> {
    let key = |row: &Row| (story.acts[row.act].at, row.lanes(), row.label(columns));
    let keys: Vec<_> = rows.iter().map(key).collect();
    let mut kept = vec![true; rows.len()];
    let mut ends = vec![None; rows.len()];
    let mut at = 0;
    while at < keys.len() {
        let times = |length: usize| {
            let alike = keys[at..].iter().zip(&keys[at + length..]).take_while(|(one, other)| one == other).count();
            alike / length
        };
        let longest = ROUND_MAX.min(keys.len() - at - 1);
        let mut found = (1..=longest).map(|rows| Round { rows, times: times(rows) });
        match found.find(|round| round.times >= ROUND_TIMES_MIN) {
            Some(round) => {
                let (first, end) = (at + round.rows, at + round.rows * (round.times + 1));
                ends[first - 1] = Some(round);
                kept[first..end].fill(false);
                at = end;
            }
            None => at += 1,
        }
    }
    let mut keep = kept.iter();
    rows.retain(|_| keep.next() == Some(&true));
    ends.into_iter().zip(kept).filter_map(|(end, kept)| kept.then_some(end)).collect()
}

fn arrow(line: &mut Canvas, from: usize, to: usize, label: &str) {
    if from == to {
        return line.put(from, &format!("> {label}"));
    }
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

/// Where each column's bar stands: near enough together, and far enough apart for names and labels.
fn bars(columns: &Columns, rows: &[Row], margin: usize) -> Vec<usize> {
    let names = &columns.names;
    let half = |name: &str| name.chars().count().div_ceil(2);
    let mut gaps: Vec<usize> =
        names.windows(2).map(|pair| (half(&pair[0]) + half(&pair[1]) + 2).max(GAP_MIN)).collect();
    let mut wanted: Vec<(usize, usize, usize)> = Vec::new();
    for row in rows {
        let [one, other] = row.lanes().map(|lane| columns.at(lane));
        let label = row.label(columns).chars().count();
        let (from, to) = (one.min(other), one.max(other));
        if from < to {
            wanted.push((from, to, label + 7));
        } else if from + 1 < names.len() {
            wanted.push((from, from + 1, label + 4));
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
