//! `handwound.testing`, as an ordinary `python3` has it: the simulated tests of `tests/simulate`, and the seeded bugs of
//! `tests/simulate/bugs`, with the library that this build made. `tests/wheel.py` runs the former from a wheel, on each
//! Python there is.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// A folder with the package as a wheel would install it.
fn package() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("handwound");
    std::fs::create_dir(&package).unwrap();
    for entry in std::fs::read_dir(Path::new(HERE).join("handwound")).unwrap() {
        let entry = entry.unwrap();
        std::os::unix::fs::symlink(entry.path(), package.join(entry.file_name())).unwrap();
    }
    std::os::unix::fs::symlink(library(), package.join("_native.so")).unwrap();
    folder
}

/// The library that was built beside this test.
fn library() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let library = here.parent().unwrap().join("libhandwound_python.so");
    assert!(library.exists(), "{} is built with this test", library.display());
    library
}

fn run(python: &str, script: &str, more: &[&str]) {
    let package = package();
    let ended = Command::new(python)
        .arg(Path::new(HERE).join("tests/simulate").join(script))
        .args(more)
        .env("PYTHONPATH", package.path())
        .env("HANDWOUND_TIMELINE", package.path())
        .env_remove("HANDWOUND_REPLAY")
        .env_remove("HANDWOUND_SEED")
        .env_remove("HANDWOUND_TWICE")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    println!("{out}{err}");
    for skipped in out.lines().filter(|line| line.starts_with("SKIPPED")) {
        // Past the test harness, which would swallow it.
        let _ = writeln!(std::io::stderr(), "{skipped}");
    }
    assert!(ended.status.success(), "{script} ended with {}", ended.status);
}

#[test]
fn the_simulated_tests_hold() {
    run(env!("HANDWOUND_PYTHON"), "run.py", &[]);
}

#[test]
fn every_seeded_bug_is_found_and_no_corrected_twin_fails() {
    // Flask and Django are where the framework tests have them; without them their bugs are skipped, by name.
    let python = std::env::var("HANDWOUND_TEST_PYTHON").unwrap_or_else(|_| env!("HANDWOUND_PYTHON").to_owned());
    run(&python, "bugs/run.py", &["--runs", "100"]);
}
