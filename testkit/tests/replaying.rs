//! A line repeats the run that printed it, in the exploration that printed it, and on changed code it says where it no
//! longer fits. What users do at a terminal is done here: this file's own ignored tests, run in processes of their own.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use handwound_reactor::Threads;
use handwound_testkit::{Choices, Exploration, Sim, explore, for_every_cut, seeds};

/// Runs the test `name` of this file, which is ignored otherwise.
fn child(name: &str, environment: &[(&str, &str)], options: &[&str]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", name, "--nocapture"]).args(options);
    for variable in ["HANDWOUND_REPLAY", "HANDWOUND_SEED", "HANDWOUND_TWICE", "HANDWOUND_REGRESSIONS"] {
        command.env_remove(variable);
    }
    command.env("HANDWOUND_TIMELINE", "off").envs(environment.iter().copied()).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What a failed child tells to type, without the command.
#[track_caller]
fn replay_in(output: &Output) -> String {
    let text = text(output);
    assert!(!output.status.success(), "{text}");
    let line = text.split("HANDWOUND_REPLAY=").nth(1).unwrap_or_else(|| panic!("no line in {text}"));
    line.split(' ').next().unwrap().to_owned()
}

fn times(haystack: &str, needle: &str) -> usize {
    haystack.matches(needle).count()
}

#[test]
#[ignore = "run by another test"]
fn child_with_two_explorations() {
    let dislikes = |what: &'static str, least: u32| {
        move |sim: &Sim| {
            let drawn = sim.choose("drawn", 100);
            println!("{what} draws {drawn}.");
            assert!(drawn < least, "{what} dislikes {drawn}");
        }
    };
    explore(seeds(5), dislikes("first", 100));
    explore(seeds(50), dislikes("second", 60));
}

#[test]
#[ignore = "run by another test"]
fn child_that_is_another_test() {
    explore(seeds(5), |sim| println!("another draws {}.", sim.choose("drawn", 100)));
}

#[test]
fn a_line_is_replayed_by_the_exploration_that_it_names_and_by_no_other() {
    let failed = child("child_with_two_explorations", &[], &[]);
    let line = replay_in(&failed);
    assert!(line.starts_with("child_with_two_explorations/replaying::child_with_two_explorations#2=v1:"), "{line}");
    for options in [&[][..], &["--test-threads=1"]] {
        let again = child("child_with_two_explorations", &[("HANDWOUND_REPLAY", &line)], options);
        let told = text(&again);
        assert_eq!(times(&told, "first draws"), 5, "as usual: {told}");
        assert!(told.contains("second draws 60."), "{told}");
        assert_eq!(times(&told, "second draws"), times(&told, "second draws 60."), "only as in the line: {told}");
        assert!(!again.status.success() && told.contains("second dislikes 60"), "{told}");
    }

    let other = child("child_that_is_another_test", &[("HANDWOUND_REPLAY", &line)], &[]);
    let told = text(&other);
    assert!(!other.status.success(), "{told}");
    assert!(told.contains("cargo test child_with_two_explorations -- --exact"), "{told}");
    assert_eq!(times(&told, "another draws"), 0, "{told}");

    // Without a name it is for all; the first exploration has other decisions in it, and passes with them.
    let bare = line.split_once('=').unwrap().1;
    let all = text(&child("child_with_two_explorations", &[("HANDWOUND_REPLAY", bare)], &[]));
    assert!(all.contains("first draws 60.") && all.contains("second dislikes 60"), "{all}");
}

#[test]
fn a_line_that_nobody_takes_up_does_not_pass() {
    let line = replay_in(&child("child_with_two_explorations", &[], &[]));
    for gone in [line.replace("#2", "#3"), line.replace("/replaying::child_with_two_explorations", "/replaying::gone")]
    {
        for options in [&[][..], &["--test-threads=1"]] {
            // A test that passes in itself.
            let renamed = gone.replace("child_with_two_explorations/", "child_that_is_another_test/");
            let left = child("child_that_is_another_test", &[("HANDWOUND_REPLAY", &renamed)], options);
            let told = text(&left);
            assert_eq!(times(&told, "another draws"), 5, "{told}");
            assert!(!left.status.success(), "{told}");
            assert!(told.contains("no exploration of this test has that name"), "{told}");
        }
    }
}

#[test]
#[ignore = "run by another test"]
fn child_that_keeps_its_failures() {
    let file = std::env::var("CHILD_FILE").unwrap();
    Exploration::random(seeds(50)).regressions(file, "kept").run(|sim| {
        let drawn = sim.choose("drawn", 100);
        println!("it draws {drawn}.");
        assert!(drawn < 70, "too much: {drawn}");
    });
}

#[test]
fn a_failure_is_kept_and_replayed_first() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("regressions/kept.txt");
    let run = |keep: &str| {
        let environment = [("CHILD_FILE", file.to_str().unwrap()), ("HANDWOUND_REGRESSIONS", keep)];
        text(&child("child_that_keeps_its_failures", &environment, &[]))
    };
    let kept = |file: &Path| std::fs::read_to_string(file).unwrap_or_default();
    let told = run("0");
    assert!(told.contains("to keep it, add this line to") && kept(&file).is_empty(), "{told}");
    let told = run("");
    assert!(told.contains("commit it with the sources"), "{told}");
    let lines = kept(&file);
    assert_eq!(times(&lines, "\nkept v1:"), 1, "{lines}");
    assert!(lines.contains("# too much: 70"), "{lines}");
    let told = run("");
    assert!(told.contains("in run 1, kept as `kept` of"), "{told}");
    assert!(told.find("it draws 70.") < told.find("the test failed"), "{told}");
    assert_eq!(kept(&file), lines, "once");
}

#[test]
#[ignore = "run by another test"]
fn child_that_cuts() {
    for_every_cut("abc", |sim, cut| {
        println!("cut at {}.", cut.at());
        sim.settle();
        assert!(cut.at() != 2, "two");
    });
}

#[test]
fn cuts_are_replayed_too() {
    let line = replay_in(&child("child_that_cuts", &[], &[]));
    let told = text(&child("child_that_cuts", &[("HANDWOUND_REPLAY", &line)], &[]));
    assert!(told.contains("cut at 2.") && times(&told, "cut at 2.") == times(&told, "cut at"), "{told}");
}

/// A long run: four threads that visit, two drives, and a decision of the test between them.
struct Long {
    visits: [usize; 4],
    label: &'static str,
    options: u32,
}

const LONG: Long = Long { visits: [30_000; 4], label: "middle", options: 7 };

impl Long {
    fn run(&self, sim: &Sim) {
        for half in 0..2 {
            let threads = sim.threads();
            let shared = ["one", "two", "three"].map(|name| threads.shared(name));
            for (name, visits) in ["a", "b", "c", "d"].into_iter().zip(self.visits) {
                let threads = threads.clone();
                sim.spawn(name, move || (0..visits / 2).for_each(|n| threads.visit(shared[n % 3])));
            }
            sim.settle();
            if half == 0 {
                sim.choose(self.label, self.options);
            }
        }
    }
}

#[test]
fn a_run_of_over_a_hundred_thousand_steps_is_repeated_to_the_step_and_no_other_passes_for_it() {
    let sim = Sim::new(Choices::seed(3));
    LONG.run(&sim);
    assert!(sim.steps() > 100_000, "{}", sim.steps());
    let (line, hash, steps) = (sim.recorded(), sim.trace_hash(), sim.steps());
    Exploration::replay(&line)
        .check(|sim| {
            LONG.run(sim);
            assert_eq!((sim.trace_hash(), sim.steps()), (hash, steps));
        })
        .unwrap();

    let problem = |changed: Long| {
        let failure = Exploration::replay(&line).check(|sim| changed.run(sim)).unwrap_err();
        assert!(failure.message.contains("the replay no longer fits"), "{failure}");
        failure.message
    };
    let other_label = problem(Long { label: "center", ..LONG });
    assert!(other_label.contains("was recorded about `middle` (Test, 7 options"), "{other_label}");
    assert!(other_label.contains("is now about `center` (Test, 7 options"), "{other_label}");
    let other_options = problem(Long { options: 8, ..LONG });
    assert!(
        other_options.contains("`middle` (Test, 7 options") && other_options.contains("8 options"),
        "{other_options}"
    );
    let no_decision = problem(Long { options: 1, ..LONG });
    assert!(no_decision.contains("was recorded about `middle`") && no_decision.contains("is now about `next`"));
    for visits in [[29_998, 30_000, 30_000, 30_000], [30_000, 30_002, 30_000, 30_000], [30_000, 30_000, 0, 30_000]] {
        problem(Long { visits, ..LONG });
    }
    // The label is where the runs part: nothing before it is to blame.
    let decision = |text: &str| text.split("decision ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(decision(&other_label), decision(&other_options));
}

#[test]
fn a_step_that_is_gone_new_or_another_is_named_where_the_runs_part() {
    // Two threads take turns; the change is at the `nth` visit of one of them.
    let with = |visits: [usize; 2], extra: Option<usize>| {
        move |sim: &Sim| {
            for (name, visits) in ["a", "b"].into_iter().zip(visits) {
                let (threads, shared, gate) = (sim.threads(), sim.threads().shared("s"), sim.threads().gate("g"));
                sim.spawn(name, move || {
                    for n in 0..visits {
                        if name == "a" && extra == Some(n) {
                            // Two that wait are one that can go: the other's turn comes without a choice.
                            gate.park_until(threads.now() + std::time::Duration::from_millis(1));
                        }
                        threads.visit(shared);
                    }
                });
            }
            sim.settle();
        }
    };
    let sim = Sim::new(Choices::seed(5));
    with([40, 40], None)(&sim);
    let line = sim.recorded();
    Exploration::replay(&line).check(with([40, 40], None)).unwrap();
    let mut last = 0;
    for nth in [0, 5, 10, 20, 30] {
        let failure = Exploration::replay(&line).check(with([40, 40], Some(nth))).unwrap_err();
        assert!(failure.message.contains("the replay no longer fits"), "{failure}");
        let at = failure.message.split("decision ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        // Past the last decision, the run asks for more or ends with other moves.
        let at: usize = at.unwrap_or(usize::MAX);
        assert!(at >= last, "the later the change, the later it is told: {}", failure.message);
        last = at;
    }
}
