//! The Perfetto file against the rules of the Chrome trace event format: phases and their fields, complete events that
//! nest, metadata that names every thread, flows in pairs that are bound to what they connect.
#![allow(clippy::unwrap_used)]

mod views_world;

use std::collections::{BTreeMap, BTreeSet};

use handwound_testkit::{Choices, Sim};
use proptest::prelude::*;
use serde_json::{Value, json};
use views_world::shouting;

/// What breaks the rules; empty for a good file.
fn faults(file: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    if !["ms", "ns"].contains(&file["displayTimeUnit"].as_str().unwrap_or("")) {
        faults.push("displayTimeUnit is ms or ns".to_owned());
    }
    let Some(events) = file["traceEvents"].as_array() else { return vec!["traceEvents is an array".to_owned()] };
    let mut file = File::default();
    for event in events {
        if let Err(fault) = file.add(event) {
            faults.push(format!("{fault}: {event}"));
        }
    }
    faults.extend(file.faults());
    faults
}

/// Times are in nanoseconds: the format's microseconds with three decimals.
#[derive(Default)]
struct File {
    process_names: u32,
    thread_names: BTreeMap<u64, String>,
    sorted: BTreeSet<u64>,
    /// By thread: begin and end.
    slices: BTreeMap<u64, Spots>,
    /// By category, name and id: begins and ends, as thread and time.
    flows: BTreeMap<(String, String, u64), [Spots; 2]>,
}

type Spots = Vec<(u64, u64)>;

fn text<'a>(event: &'a Value, field: &str) -> Result<&'a str, String> {
    event[field].as_str().filter(|text| !text.is_empty()).ok_or(format!("{field} is a text"))
}

fn number(event: &Value, field: &str) -> Result<u64, String> {
    event[field].as_u64().ok_or(format!("{field} is a whole number"))
}

fn nanos(event: &Value, field: &str) -> Result<u64, String> {
    let micros = event[field].as_f64().filter(|micros| micros.is_finite() && *micros >= 0.0);
    micros.map(|micros| (micros * 1000.0).round() as u64).ok_or(format!("{field} is a number, and not negative"))
}

impl File {
    fn add(&mut self, event: &Value) -> Result<(), String> {
        let fields = event.as_object().ok_or("an event is an object")?;
        let known = ["ph", "pid", "tid", "name", "cat", "ts", "dur", "id", "bp", "args"];
        if let Some(other) = fields.keys().find(|field| !known.contains(&field.as_str())) {
            return Err(format!("no field {other} in this format"));
        }
        if number(event, "pid")? != 1 {
            return Err("one process, whose number is 1".to_owned());
        }
        let (thread, name, phase) = (number(event, "tid")?, text(event, "name")?, text(event, "ph")?);
        if fields.get("args").is_some_and(|args| !args.is_object()) {
            return Err("args is an object".to_owned());
        }
        if phase == "M" {
            return self.metadata(event, thread, name);
        }
        let (category, at) = (text(event, "cat")?, nanos(event, "ts")?);
        if (phase == "X") != fields.contains_key("dur") {
            return Err("complete events have a duration, others have none".to_owned());
        }
        match phase {
            "X" => {
                self.slices.entry(thread).or_default().push((at, at + nanos(event, "dur")?));
                Ok(())
            }
            "s" | "f" => {
                let end = usize::from(phase == "f");
                if (end == 1) != (event["bp"] == "e") {
                    return Err("the end of a flow, and only that, is bound to the slice around it (bp: e)".to_owned());
                }
                let key = (category.to_owned(), name.to_owned(), number(event, "id")?);
                self.flows.entry(key).or_default()[end].push((thread, at));
                Ok(())
            }
            other => Err(format!("phase {other} is not used here")),
        }
    }

    fn metadata(&mut self, event: &Value, thread: u64, name: &str) -> Result<(), String> {
        let args = &event["args"];
        let fresh = match name {
            "process_name" => {
                self.process_names += 1;
                text(args, "name").map(|_| self.process_names == 1)
            }
            "thread_name" => text(args, "name").map(|name| self.thread_names.insert(thread, name.to_owned()).is_none()),
            "thread_sort_index" => number(args, "sort_index").map(|_| self.sorted.insert(thread)),
            other => Err(format!("{other} is not metadata of this format")),
        };
        if fresh? { Ok(()) } else { Err("said twice".to_owned()) }
    }

    fn faults(mut self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.process_names != 1 {
            faults.push("the process has a name".to_owned());
        }
        let flow_threads = self.flows.values().flatten().flatten().map(|(thread, _)| *thread);
        for thread in self.slices.keys().copied().chain(flow_threads).collect::<BTreeSet<_>>() {
            if !self.thread_names.contains_key(&thread) || !self.sorted.contains(&thread) {
                faults.push(format!("thread {thread} has a name and a place"));
            }
        }
        for (thread, slices) in &mut self.slices {
            // Of those that begin together the longer is around the other.
            slices.sort_by_key(|&(begin, end)| (begin, std::cmp::Reverse(end)));
            let mut around: Vec<u64> = Vec::new();
            for &(begin, end) in slices.iter() {
                around.retain(|&outer| outer > begin);
                if around.last().is_some_and(|&outer| outer < end) {
                    faults.push(format!("slices of thread {thread} overlap at {begin} ns"));
                }
                around.push(end);
            }
        }
        let mut ids = BTreeSet::new();
        for ((_, name, id), [begins, ends]) in &self.flows {
            let (&[(from, sent)], &[(to, arrived)]) = (begins.as_slice(), ends.as_slice()) else {
                faults.push(format!("flow {id} ({name}) begins once and ends once"));
                continue;
            };
            if sent >= arrived {
                faults.push(format!("flow {id} ends behind its begin"));
            }
            if !ids.insert(id) {
                faults.push(format!("flow {id} is one flow"));
            }
            let bound =
                |thread, at| self.slices.get(&thread).is_some_and(|all| all.iter().any(|&(b, e)| b <= at && at < e));
            if !bound(from, sent) || !bound(to, arrived) {
                faults.push(format!("flow {id} is bound to slices"));
            }
        }
        faults
    }
}

fn file(sim: &Sim) -> Value {
    serde_json::from_str(&sim.perfetto_json()).unwrap()
}

#[test]
fn the_file_keeps_the_rules_and_tells_the_whole_story() {
    let sim = shouting(Choices::seed(3));
    let file = file(&sim);
    assert_eq!(faults(&file), [] as [&str; 0]);
    let events = file["traceEvents"].as_array().unwrap();
    let names: Vec<&Value> =
        events.iter().filter(|event| event["name"] == "thread_name").map(|event| &event["args"]["name"]).collect();
    assert_eq!(names, ["test", "client 0", "client 1", "loop (reactor)", "worker (thread)"]);
    let acts: Vec<&Value> = events.iter().filter(|event| event["ph"] == "X" && event["cat"] != "wait").collect();
    assert_eq!(acts.len(), sim.trace().lines().count(), "every event is there");
    let numbers: Vec<u64> = acts.iter().map(|act| act["args"]["event"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, other| one < other));
    assert!(acts.is_sorted_by(|one, other| one["ts"].as_f64() < other["ts"].as_f64()));
    assert_eq!(file["otherData"]["events_left_out"], 0);
    assert!(events.iter().any(|event| event["ph"] == "X" && event["cat"] == "wait"), "waits are drawn");
}

#[test]
fn a_world_in_which_nothing_happened_is_a_good_file_too() {
    let file = file(&Sim::new(Choices::calm()));
    assert_eq!(faults(&file), [] as [&str; 0]);
    assert_eq!(file["traceEvents"].as_array().unwrap().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_run_makes_a_good_file(seed in any::<u64>()) {
        prop_assert_eq!(faults(&file(&shouting(Choices::seed(seed)))), Vec::<String>::new());
    }
}

/// The checker is no use if it takes everything: each rule, broken once.
#[test]
fn each_broken_rule_is_found() {
    let good = file(&shouting(Choices::calm()));
    let events = good["traceEvents"].as_array().unwrap();
    let place = |phase: &str| events.iter().position(|event| event["ph"] == phase).unwrap();
    let (meta, slice, begin, end) = (place("M"), place("X"), place("s"), place("f"));
    let broken = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut file = good.clone();
        change(file["traceEvents"].as_array_mut().unwrap());
        faults(&file)
    };
    let finds = |change: &dyn Fn(&mut Vec<Value>), rule: &str| {
        let found = broken(change);
        assert!(found.iter().any(|fault| fault.contains(rule)), "{rule}: {found:?}");
    };
    assert_eq!(broken(&|_| {}), [] as [&str; 0]);
    finds(&|all| all[slice]["ph"] = json!("Q"), "others have none");
    finds(&|all| all[slice]["pid"] = json!("1"), "pid is a whole number");
    finds(&|all| all[slice]["tid"] = json!(99), "thread 99 has a name");
    finds(&|all| all[slice]["ts"] = json!(-1), "ts is a number");
    finds(&|all| drop(all[slice].as_object_mut().unwrap().remove("dur")), "have a duration");
    let longer = |all: &mut Vec<Value>| {
        for wait in all.iter_mut().filter(|event| event["cat"] == "wait") {
            wait["dur"] = json!(wait["dur"].as_f64().unwrap() + 0.002);
        }
    };
    finds(&longer, "overlap");
    finds(&|all| all[slice]["color"] = json!("red"), "no field color");
    finds(&|all| drop(all.remove(meta)), "the process has a name");
    finds(&|all| all[meta + 1]["name"] = json!("thread_title"), "is not metadata");
    finds(&|all| drop(all.remove(end)), "begins once and ends once");
    finds(&|all| all[begin]["bp"] = json!("e"), "bp: e");
    finds(&|all| all[begin]["ts"] = json!(1e9), "ends behind its begin");
    finds(&|all| all[end]["ts"] = json!(1e9), "is bound to slices");
    finds(&|all| all[slice]["name"] = json!(""), "name is a text");
}
