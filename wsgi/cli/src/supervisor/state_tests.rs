//! The master's decisions as transcripts: a line is a time, what happens, and what is done about it.

use std::time::Duration;

use handwound_reactor::Time;

use super::events::{Action, Event, Fate, IsReplaced, Request, Said, WorkerId};
use super::state::{Config, Supervisor};

/// Signal numbers, as the system's.
const TERM: i32 = 15;

fn config(workers: usize) -> Config {
    Config { workers, ..Config::default() }
}

fn after(ms: u64) -> Time {
    Time::ZERO + Duration::from_millis(ms)
}

/// What `said` is in a transcript.
fn told(said: &Said) -> String {
    let pause = |again: &Duration| format!("{}ms", again.as_millis());
    match said {
        Said::Serving => "\"serving\"".into(),
        Said::Ready(id) => format!("\"{} ready\"", id.0),
        Said::CannotStart(id, _) => format!("\"{} cannot start\"", id.0),
        Said::WaitsForChange(id, _) => format!("\"{} waits for a change\"", id.0),
        Said::NotReady(id, _, again) => format!("\"{} did not come, again in {}\"", id.0, pause(again)),
        Said::Lost(id, _, again) => format!("\"{} lost, again in {}\"", id.0, pause(again)),
        Said::Reloading => "\"reloading\"".into(),
        Said::Reloaded => "\"reloaded\"".into(),
        Said::ReloadFailed(id, _) => format!("\"{} is broken, the old go on\"", id.0),
        Said::Spent(id) => format!("\"{} spent\"", id.0),
        Said::Late(id) => format!("\"{} late\"", id.0),
        Said::Stopping { .. } => "\"stopping\"".into(),
        Said::Wanted(count) => format!("\"{count} wanted\""),
    }
}

fn done(action: &Action) -> String {
    match action {
        Action::Spawn(id) => format!("spawn {}", id.0),
        Action::Drain(id, IsReplaced::Yes) => format!("replace {}", id.0),
        Action::Drain(id, IsReplaced::No) => format!("end {}", id.0),
        Action::Kill(id) => format!("kill {}", id.0),
        Action::ReopenLogs(id) => format!("reopen {}", id.0),
        Action::Say(said) => told(said),
        Action::End(code) => format!("exit {code}"),
    }
}

fn happened(text: &str) -> Event {
    let words: Vec<_> = text.split(' ').collect();
    let id = || WorkerId(words[1].parse().expect("a number"));
    match words[0] {
        "ready" => Event::Ready(id()),
        "spent" => Event::Spent(id()),
        "leaves" => Event::Leaving(id()),
        "ended" => Event::Ended(id(), Fate::Code(0)),
        "failed" => Event::Ended(id(), Fate::Code(1)),
        "killed" => Event::Ended(id(), Fate::Signal(9)),
        "TERM" => Event::Asked(Request::Stop(TERM)),
        "HUP" => Event::Asked(Request::Reload),
        "TTIN" => Event::Asked(Request::More),
        "TTOU" => Event::Asked(Request::Fewer),
        "USR1" => Event::Asked(Request::ReopenLogs),
        "-" => Event::Time,
        other => panic!("no such event: {other}"),
    }
}

/// Lines of `milliseconds: event => actions`; the first line's event is the start.
#[track_caller]
fn check(config: Config, transcript: &str) {
    let mut lines = transcript.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut supervisor = Supervisor::new(config, Time::ZERO);
    let mut first = lines.next();
    loop {
        let Some(line) = first.take().or_else(|| lines.next()) else { return };
        let (cause, expected) = line.split_once("=>").expect("a line has =>");
        let (ms, event) = cause.split_once(':').expect("a cause has a time");
        let now = after(ms.trim().parse().expect("milliseconds"));
        if event.trim() != "start" {
            supervisor.handle(happened(event.trim()), now);
        }
        let actions: Vec<_> = std::iter::from_fn(|| supervisor.poll_action()).map(|action| done(&action)).collect();
        assert_eq!(actions.join(", "), expected.trim(), "after {line}");
    }
}

#[test]
fn the_first_worker_comes_alone_and_the_others_after_it() {
    check(
        config(3),
        "0: start     => spawn 1
         5: ready 1   => \"serving\", \"1 ready\", spawn 2, spawn 3
         9: ready 3   => \"3 ready\"
         9: ready 2   => \"2 ready\"",
    );
}

#[test]
fn an_application_that_is_broken_from_the_first_ends_the_master() {
    check(config(3), "0: start => spawn 1\n 5: failed 1 => \"1 cannot start\", exit 1");
}

#[test]
fn with_somebody_who_changes_it_a_broken_application_is_tried_again() {
    check(
        Config { waits_for_changes: true, ..config(2) },
        "0: start     => spawn 1
         5: failed 1  => \"1 waits for a change\"
         9000: -      =>
         9001: HUP    => \"reloading\", spawn 2
         9002: ready 2 => \"serving\", \"2 ready\", spawn 3",
    );
    check(
        Config { waits_for_changes: true, ..config(1) },
        "0: start     => spawn 1
         5: failed 1  => \"1 waits for a change\"
         7: TERM      => \"stopping\", exit 0",
    );
}

#[test]
fn a_worker_that_dies_after_long_is_replaced_at_once_and_soon_ones_with_longer_and_longer_pauses() {
    check(
        config(1),
        "0: start      => spawn 1
         0: ready 1    => \"serving\", \"1 ready\"
         10000: killed 1 => \"1 lost, again in 0ms\", spawn 2
         10001: ready 2  => \"2 ready\"
         10002: killed 2 => \"2 lost, again in 100ms\"
         10101: -        =>
         10102: -        => spawn 3
         10103: failed 3 => \"3 did not come, again in 200ms\"
         10303: -        => spawn 4
         10304: failed 4 => \"4 did not come, again in 400ms\"
         10704: -        => spawn 5
         10705: ready 5  => \"5 ready\"
         20705: killed 5 => \"5 lost, again in 0ms\", spawn 6
         20706: failed 6 => \"6 did not come, again in 100ms\"",
    );
}

#[test]
fn a_reload_replaces_one_by_one_and_the_old_go_only_when_the_new_serve() {
    check(
        config(2),
        "0: start    => spawn 1
         1: ready 1  => \"serving\", \"1 ready\", spawn 2
         2: ready 2  => \"2 ready\"
         3: HUP      => \"reloading\", spawn 3
         4: ready 3  => \"3 ready\", replace 1, spawn 4
         5: ended 1  =>
         6: ready 4  => \"4 ready\", replace 2, \"reloaded\"
         7: ended 2  =>",
    );
}

#[test]
fn a_reload_to_something_broken_leaves_the_old_and_the_next_reload_is_another_try() {
    check(
        config(2),
        "0: start    => spawn 1
         1: ready 1  => \"serving\", \"1 ready\", spawn 2
         2: ready 2  => \"2 ready\"
         3: HUP      => \"reloading\", spawn 3
         4: failed 3 => \"3 is broken, the old go on\"
         99999: -    =>
         100000: killed 2 => \"2 lost, again in 0ms\", spawn 4
         100001: ready 4  => \"4 ready\"
         100002: HUP      => \"reloading\", spawn 5
         100003: ready 5  => \"5 ready\", replace 1, spawn 6
         100004: ready 6  => \"6 ready\", replace 4, \"reloaded\"",
    );
}

#[test]
fn a_reload_within_a_reload_lets_the_half_new_go_in_order_for_they_may_serve_already() {
    check(
        config(2),
        "0: start    => spawn 1
         1: ready 1  => \"serving\", \"1 ready\", spawn 2
         2: ready 2  => \"2 ready\"
         3: HUP      => \"reloading\", spawn 3
         4: HUP      => \"reloading\", replace 3, spawn 4
         5: ready 3  =>
         5: ready 4  => \"4 ready\", replace 1, spawn 5
         6: ended 3  =>
         7: HUP      => \"reloading\", replace 5, spawn 6
         8: failed 6 => \"6 is broken, the old go on\"
         9: ended 5  =>",
    );
}

#[test]
fn an_old_worker_that_dies_during_a_reload_has_its_successor_on_the_way() {
    check(
        config(1),
        "0: start    => spawn 1
         1: ready 1  => \"serving\", \"1 ready\"
         2: HUP      => \"reloading\", spawn 2
         3: killed 1 => \"1 lost, again in 0ms\"
         4: ready 2  => \"2 ready\", \"reloaded\"",
    );
    // And where it does not come, the place is not left empty.
    check(
        config(1),
        "0: start    => spawn 1
         1: ready 1  => \"serving\", \"1 ready\"
         2: HUP      => \"reloading\", spawn 2
         3: killed 1 => \"1 lost, again in 0ms\"
         4: failed 2 => \"2 is broken, the old go on\"
         103: -      =>
         104: -      => spawn 3
         105: failed 3 => \"3 did not come, again in 200ms\"",
    );
}

#[test]
fn a_stop_ends_all_and_kills_who_is_late() {
    check(
        config(2),
        "0: start    => spawn 1
         1: ready 1  => \"serving\", \"1 ready\", spawn 2
         2: TERM     => \"stopping\", end 1, end 2
         3: HUP      =>
         3: TTIN     =>
         4: ended 2  =>
         32001: -    =>
         32002: -    => \"1 late\", kill 1
         32003: killed 1 => exit 1",
    );
    check(
        config(1),
        "0: start    => spawn 1
         1: ready 1  => \"serving\", \"1 ready\"
         2: TERM     => \"stopping\", end 1
         3: ended 1  => exit 0
         4: TERM     =>",
    );
    // Some of what was under way was cut.
    check(
        config(1),
        "0: start    => spawn 1
         1: ready 1  => \"serving\", \"1 ready\"
         2: TERM     => \"stopping\", end 1
         3: failed 1 => exit 1",
    );
}

#[test]
fn a_second_stop_ends_all_at_once() {
    check(
        config(1),
        "0: start    => spawn 1
         1: ready 1  => \"serving\", \"1 ready\"
         2: HUP      => \"reloading\", spawn 2
         3: ready 2  => \"2 ready\", replace 1, \"reloaded\"
         4: TERM     => \"stopping\", end 2
         5: TERM     => kill 1, kill 2
         6: TERM     =>
         7: killed 1 =>
         7: killed 2 => exit 143",
    );
}

#[test]
fn a_stop_before_anything_serves_ends_what_is_on_its_way() {
    check(config(2), "0: start => spawn 1\n 1: TERM => \"stopping\", end 1\n 2: ended 1 => exit 0");
}

#[test]
fn a_spent_worker_goes_on_until_its_successor_serves() {
    check(
        config(1),
        "0: start    => spawn 1
         1: ready 1  => \"serving\", \"1 ready\"
         2: spent 1  => \"1 spent\", spawn 2
         3: spent 1  =>
         4: failed 2 => \"2 did not come, again in 100ms\"
         104: -      => spawn 3
         105: ready 3 => \"3 ready\", replace 1
         106: ended 1 =>",
    );
}

#[test]
fn who_leaves_by_itself_is_replaced_before_it_has_ended() {
    check(
        config(1),
        "0: start    => spawn 1
         1: ready 1  => \"serving\", \"1 ready\"
         2: leaves 1 => spawn 2
         3: ready 2  => \"2 ready\"
         9: ended 1  =>",
    );
}

#[test]
fn one_more_one_less_and_never_none() {
    check(
        Config { workers_max: 2, ..config(1) },
        "0: start    => spawn 1
         1: ready 1  => \"serving\", \"1 ready\"
         2: TTIN     => \"2 wanted\", spawn 2
         3: ready 2  => \"2 ready\"
         4: TTIN     =>
         5: TTOU     => \"1 wanted\", replace 2
         6: TTOU     =>",
    );
}

#[test]
fn logs_are_opened_anew_by_all_that_live() {
    check(
        config(1),
        "0: start    => spawn 1
         1: ready 1  => \"serving\", \"1 ready\"
         2: HUP      => \"reloading\", spawn 2
         3: USR1     => reopen 1, reopen 2
         4: ready 2  => \"2 ready\", replace 1, \"reloaded\"
         5: USR1     => reopen 2, reopen 1",
    );
}

#[test]
fn what_is_told_of_workers_that_have_ended_changes_nothing() {
    check(
        config(1),
        "0: start    => spawn 1
         1: ready 1  => \"serving\", \"1 ready\"
         2: ready 1  =>
         3: killed 7 =>
         4: leaves 7 =>
         5: spent 7  =>",
    );
}

#[test]
fn lines_are_for_people() {
    let check = |said: Said, line: &str| assert_eq!(said.line(|id| format!("{id} (process 9)")), line);
    let id = WorkerId(3);
    check(
        Said::Lost(id, Fate::Signal(9), Duration::from_millis(200)),
        "worker 3 (process 9) was ended by SIGKILL; the next one starts in 0.2 s",
    );
    check(
        Said::NotReady(id, Fate::Code(1), Duration::ZERO),
        "worker 3 (process 9) ended with exit code 1 before it could serve; the next one starts at once",
    );
    check(
        Said::ReloadFailed(id, Fate::NotStarted("no memory".into())),
        "worker 3 (process 9) cannot be started: no memory; the old workers go on",
    );
    check(
        Said::Stopping { signal: TERM, patience: Duration::from_secs(30) },
        "SIGTERM: finishing what is under way, for at most 30 s; another signal ends it at once",
    );
}

#[test]
fn a_stop_ends_a_reload_and_nobody_is_told_that_all_are_new() {
    check(
        config(1),
        "0: start    => spawn 1
         1: ready 1  => \"serving\", \"1 ready\"
         2: HUP      => \"reloading\", spawn 2
         3: TERM     => \"stopping\", end 1, end 2
         4: ended 2  =>
         5: ended 1  => exit 0",
    );
}
