//! What a failed run tells: the diagram, who waits for what, and where the timeline is.

use std::ffi::OsStr;
use std::fmt::{self, Write};
use std::io;
use std::path::{Path, PathBuf};

use crate::diagram;
use crate::sim::Sim;
use crate::timeline;
use crate::waits;

/// Names the file, or the folder, for timelines of failed runs.
const TIMELINE: &str = "HANDWOUND_TIMELINE";
/// Rows of the diagram in a report; the timeline has all.
const ROWS_MAX: usize = 80;

/// What there is to see of a run.
pub(crate) struct Scene {
    pub(crate) diagram: String,
    pub(crate) waits: String,
    pub(crate) timeline: Timeline,
}

/// What has become of a timeline.
pub(crate) enum Timeline {
    NotWanted,
    At(PathBuf),
    /// Why it could not be written, and what to do.
    Failed(String),
}

impl Scene {
    /// Of this run; writes the timeline if asked to.
    pub(crate) fn of(sim: &Sim, writes: bool) -> Scene {
        let story = sim.story();
        let mut diagram = diagram::draw(&story, ROWS_MAX);
        let _ = writeln!(diagram, "{}  the run ends here", story.ends_at);
        let timeline = if writes { write_timeline(&timeline::html(&story)) } else { Timeline::NotWanted };
        let waits = sim.with(|w| if waits::tell(w) { waits::text(w) } else { String::new() });
        Scene { diagram, waits, timeline }
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "what happened:\n\n{}", self.diagram)?;
        if !self.waits.is_empty() {
            writeln!(f, "who waits for what:\n\n{}", self.waits)?;
        }
        match &self.timeline {
            Timeline::NotWanted => Ok(()),
            Timeline::At(path) => writeln!(f, "all of it, to be opened in a browser: {}", path.display()),
            Timeline::Failed(why) => writeln!(f, "note: {why}"),
        }
    }
}

/// What there is to say about a run that has failed: its diagram, who waits for what, and where its
/// [timeline](Sim::timeline_html) is. Explorations say the same by themselves.
///
/// The timeline is written to the folder `handwound` of Cargo's target folder, in a file named after the test's program
/// and the test. `HANDWOUND_TIMELINE` in the environment names another folder, or a file that ends in `.html`; `off`
/// has none written. A file that cannot be written is no failure: the text says why.
///
/// ```no_run
/// # use handwound_testkit::{Choices, Sim, report};
/// let sim = Sim::new(Choices::seed(7));
/// // …
/// println!("{}", report(&sim));
/// ```
pub fn report(sim: &Sim) -> String {
    Scene::of(sim, true).to_string()
}

fn write_timeline(html: &str) -> Timeline {
    let Some(path) = path(std::env::var_os(TIMELINE).as_deref(), std::env::current_exe().ok().as_deref()) else {
        return Timeline::NotWanted;
    };
    match write(&path, html) {
        Ok(path) => Timeline::At(path),
        Err(error) => Timeline::Failed(format!(
            "the timeline could not be written to {}: {error}; set {TIMELINE} to a folder that can be written to, or \
             to `off`",
            path.display()
        )),
    }
}

fn write(path: &Path, html: &str) -> io::Result<PathBuf> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, html)?;
    path.canonicalize().or_else(|_| Ok(path.to_owned()))
}

/// Where the timeline goes; `None` where it is not wanted.
fn path(asked: Option<&OsStr>, program: Option<&Path>) -> Option<PathBuf> {
    let asked = asked.filter(|asked| !asked.is_empty());
    if asked.is_some_and(|asked| ["off", "0", "no", "false"].iter().any(|no| asked.eq_ignore_ascii_case(no))) {
        return None;
    }
    match asked.map(Path::new) {
        Some(file) if file.extension().is_some_and(|extension| extension == "html") => Some(file.to_owned()),
        Some(folder) => Some(folder.join(file_name(program))),
        None => Some(folder(program).join(file_name(program))),
    }
}

/// `target/handwound`, where `cargo clean` finds it. Cargo says where that is only while it compiles, so it is found
/// from where the test's program is; else the system's folder for temporary files.
fn folder(program: Option<&Path>) -> PathBuf {
    let target = program.and_then(|program| {
        let place = program.parent().filter(|place| place.ends_with("deps") || place.ends_with("examples"))?;
        place.parent()?.parent()
    });
    target.map_or_else(std::env::temp_dir, Path::to_owned).join("handwound")
}

/// The program's name without Cargo's hash, and the test's, which its thread has.
fn file_name(program: Option<&Path>) -> String {
    let program = program.and_then(Path::file_stem).and_then(OsStr::to_str).unwrap_or("run");
    let is_hash = |hash: &str| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let program = program.rsplit_once('-').filter(|(_, hash)| is_hash(hash)).map_or(program, |(name, _)| name);
    let thread = std::thread::current();
    let test = thread.name().filter(|&name| name != "main").map(|name| format!(".{}", name.replace("::", ".")));
    let name = format!("{program}{}", test.unwrap_or_default());
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '-' };
    format!("{}.html", name.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn goes_to(asked: Option<&str>, program: &str, expected: Option<&str>) {
        let found = std::thread::Builder::new().name("site::it_serves".to_owned()).spawn({
            let (asked, program) = (asked.map(str::to_owned), program.to_owned());
            move || path(asked.as_ref().map(OsStr::new), Some(Path::new(&program)))
        });
        assert_eq!(found.unwrap().join().unwrap(), expected.map(PathBuf::from));
    }

    #[test]
    fn a_timeline_goes_beside_what_cargo_builds_unless_told_otherwise() {
        let program = "/p/target/debug/deps/views-0123456789abcdef";
        goes_to(None, program, Some("/p/target/handwound/views.site.it_serves.html"));
        goes_to(Some(""), program, Some("/p/target/handwound/views.site.it_serves.html"));
        goes_to(None, "/p/target/x/release/examples/soak", Some("/p/target/x/handwound/soak.site.it_serves.html"));
        goes_to(Some("shots"), program, Some("shots/views.site.it_serves.html"));
        goes_to(Some("shots/one.html"), program, Some("shots/one.html"));
        ["off", "0", "Off", "no"].iter().for_each(|off| goes_to(Some(off), program, None));
        let elsewhere = std::env::temp_dir().join("handwound/my-tool.site.it_serves.html");
        goes_to(None, "/opt/my-tool", elsewhere.to_str());
    }
}
