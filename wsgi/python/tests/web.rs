//! The web half of the package, under every Python from 3.9 on that is installed here, with nothing compiled.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python of this minor version: on the PATH, or one of pyenv's. A shim that leads nowhere is none.
fn python(minor: u32) -> Option<PathBuf> {
    let pyenv = std::env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv")));
    let versions = pyenv.and_then(|root| root.join("versions").read_dir().ok()).into_iter().flatten().flatten();
    let is_meant = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("3.{minor}.")))
    };
    let of_pyenv = versions.map(|entry| entry.path()).filter(is_meant).map(|path| path.join("bin/python3"));
    let is_there =
        |path: &PathBuf| Command::new(path).args(["-c", "pass"]).output().is_ok_and(|output| output.status.success());
    std::iter::once(PathBuf::from(format!("python3.{minor}"))).chain(of_pyenv).find(is_there)
}

#[test]
fn the_modules_of_the_web_half_hold_under_every_python() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web");
    let mut tested = 0;
    for minor in 9..=14 {
        let Some(python) = python(minor) else {
            // Past the test harness, which would swallow it.
            let _ = writeln!(std::io::stderr(), "SKIPPED web::python3.{minor}: it is not installed");
            continue;
        };
        let mut command = Command::new(&python);
        command.args(["-W", "error", "-m", "unittest", "discover"]).current_dir(&folder);
        let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.contains("OK") && !said.contains("Ran 0"),
            "{}: {said}",
            python.display()
        );
        tested += 1;
    }
    assert!(tested > 0, "the Python that this was built with is at least 3.9, and on the PATH");
}
