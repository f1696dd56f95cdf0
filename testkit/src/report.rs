//! What a failed run tells: the diagram, who waits for what, and where the timeline is.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::sim::Sim;
use crate::waits;

/// Names the file, or the folder, for timelines of failed runs.
const TIMELINE: &str = "HANDWOUND_TIMELINE";
/// Rows of the diagram in a report; the timeline has all.
const ROWS_MAX: usize = 120;

/// What there is to say about a run that has failed: the end of its diagram, and who waits for what. Where
/// `HANDWOUND_TIMELINE` names a file that ends in `.html`, or a folder, the [timeline](Sim::timeline_html) is
/// written there, and the report says where; a folder gets one file for each test, named after it.
///
/// ```
/// # use handwound_testkit::{Choices, Sim, report};
/// let sim = Sim::new(Choices::calm());
/// assert!(report(&sim).contains("no thread is left"));
/// ```
pub fn report(sim: &Sim) -> String {
    let mut text = String::from("what happened:\n\n");
    let diagram = sim.diagram();
    let lines: Vec<&str> = diagram.lines().collect();
    let left_out = lines.len().saturating_sub(ROWS_MAX + 1);
    if left_out > 0 {
        let _ = writeln!(text, "{}\n({left_out} earlier rows)", lines[0]);
    }
    for line in &lines[left_out..] {
        let _ = writeln!(text, "{line}");
    }
    let _ = write!(text, "\n{}", sim.with(|w| waits::text(w)));
    match std::env::var_os(TIMELINE) {
        None => {
            let _ = writeln!(text, "{TIMELINE}=path writes a timeline of the run, as a page of HTML");
        }
        Some(path) => match write_timeline(sim, Path::new(&path)) {
            Ok(path) => {
                let _ = writeln!(text, "the timeline is at {}", path.display());
            }
            Err(error) => {
                let _ = writeln!(text, "{TIMELINE}: cannot write to {}: {error}", Path::new(&path).display());
            }
        },
    }
    text
}

fn write_timeline(sim: &Sim, asked: &Path) -> std::io::Result<PathBuf> {
    let path = if asked.extension().is_some_and(|extension| extension == "html") {
        asked.to_owned()
    } else {
        std::fs::create_dir_all(asked)?;
        let thread = std::thread::current();
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' };
        let name: String = thread.name().unwrap_or("run").replace("::", ".").chars().map(plain).collect();
        asked.join(format!("{name}.html"))
    };
    std::fs::write(&path, sim.timeline_html())?;
    path.canonicalize().or(Ok(path))
}
