//! The story as Chrome trace events (JSON), which Perfetto opens.

use std::fmt::Write;

use handwound_reactor::Time;

use crate::story::{Story, Who};
use crate::timeline::quoted;

/// How long an act is drawn; nothing is bound to slices of no length. Acts are so far apart at least.
const ACT_NANOS: u128 = 1;

/// A whole file.
pub(crate) fn json(story: &Story) -> String {
    let mut events = Vec::new();
    let mut event = |body: String| events.push(format!("{{\"pid\":1,{body}}}"));
    event("\"tid\":0,\"ph\":\"M\",\"name\":\"process_name\",\"args\":{\"name\":\"handwound\"}".to_owned());
    for (lane, (who, name)) in story.lanes.iter().enumerate() {
        let tid = lane + 1;
        let name = quoted(&match who {
            Who::Reactor(_) => format!("{name} (reactor)"),
            Who::Worker(_) => format!("{name} (thread)"),
            _ => name.clone(),
        });
        event(format!("\"tid\":{tid},\"ph\":\"M\",\"name\":\"thread_name\",\"args\":{{\"name\":{name}}}"));
        event(format!("\"tid\":{tid},\"ph\":\"M\",\"name\":\"thread_sort_index\",\"args\":{{\"sort_index\":{tid}}}"));
    }
    let times = times(story);
    let end = story.acts.len();
    let stamp = |act: usize| micros(times.get(act).copied().unwrap_or_else(|| times.last().map_or(0, |last| last + 1)));
    for wait in &story.waits {
        let (from, to) = (wait.from, wait.to.unwrap_or(end));
        // Between the two acts, touching neither: slices of one thread must nest.
        let start = times[from] + ACT_NANOS;
        let length = times.get(to).copied().unwrap_or(times[end - 1] + 2 * ACT_NANOS).saturating_sub(start);
        if length == 0 {
            continue;
        }
        let (tid, name) = (wait.lane + 1, quoted(&wait.text));
        let (start, length) = (micros(start), micros(length));
        event(format!("\"tid\":{tid},\"ph\":\"X\",\"cat\":\"wait\",\"name\":{name},\"ts\":{start},\"dur\":{length}"));
    }
    for (index, act) in story.acts.iter().enumerate() {
        let (tid, ts, name, kind) = (act.lane + 1, stamp(index), quoted(&act.text), act.kind.text());
        let (at, length) = (quoted(&act.at.to_string()), micros(ACT_NANOS));
        event(format!(
            "\"tid\":{tid},\"ph\":\"X\",\"cat\":\"{kind}\",\"name\":{name},\"ts\":{ts},\"dur\":{length},\"args\":{{\"at\":{at},\"event\":{index}}}"
        ));
    }
    for (id, link) in story.links.iter().enumerate() {
        let name = quoted(if link.label.is_empty() { link.kind.text() } else { &link.label });
        let kind = link.kind.text();
        for (phase, act, lane) in [("s", link.from, link.from_lane), ("f", link.to, link.to_lane)] {
            let (tid, ts) = (lane + 1, stamp(act));
            let bind = if phase == "f" { ",\"bp\":\"e\"" } else { "" };
            event(format!(
                "\"tid\":{tid},\"ph\":\"{phase}\",\"cat\":\"{kind}\",\"name\":{name},\"id\":{id},\"ts\":{ts}{bind}"
            ));
        }
    }
    let mut text = String::from("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n");
    text.push_str(&events.join(",\n"));
    let _ = write!(text, "\n],\"otherData\":{{\"clock\":\"virtual\",\"events_left_out\":{}}}}}\n", story.dropped);
    text
}

/// When each act is drawn, in nanoseconds: at its time, but after the one before.
fn times(story: &Story) -> Vec<u128> {
    let mut last = None;
    let place = |at: Time| at.since_start().as_nanos();
    let after = |act: &crate::story::Act| {
        let time = last.map_or(place(act.at), |last: u128| place(act.at).max(last + ACT_NANOS));
        last = Some(time);
        time
    };
    story.acts.iter().map(after).collect()
}

/// Nanoseconds as microseconds, exact.
fn micros(nanos: u128) -> String {
    format!("{}.{:03}", nanos / 1000, nanos % 1000)
}
