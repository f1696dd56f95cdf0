//! How a run failed, and what is told about it.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::PathBuf;
use std::sync::Once;

use crate::report::{Scene, Timeline};
use crate::rows::without_numbers;

/// A panic, as far as it is compared: two runs fail in the same way when place and message agree but for numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Panicked {
    /// File, line and column; `None` on a thread that is not watched.
    pub(crate) place: Option<String>,
    pub(crate) message: String,
}

impl Panicked {
    /// Whether `other` is the same failure.
    pub(crate) fn is_like(&self, other: &Panicked) -> bool {
        self.place == other.place && kind(&self.message) == kind(&other.message)
    }
}

/// The first line, without the numbers in it: they change when there are fewer requests or bytes.
fn kind(message: &str) -> String {
    without_numbers(message.lines().next().unwrap_or(""))
}

struct Watch {
    quiet: bool,
    panics: Vec<Panicked>,
}

thread_local! {
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// Panics that are kept of one run: that by which it fails is the last with its message.
const PANICS_MAX: usize = 64;

/// Panics on threads that are watched are noted, and shown unless they are to be quiet; all others go where they went.
fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            let noted = WATCH.try_with(|watch| {
                let Ok(mut watch) = watch.try_borrow_mut() else { return false };
                let Some(watch) = watch.as_mut() else { return false };
                if watch.panics.len() >= PANICS_MAX {
                    watch.panics.remove(0);
                }
                let place = info.location().map(ToString::to_string);
                watch.panics.push(Panicked { place, message: panic_text(info.payload()) });
                watch.quiet
            });
            if !noted.unwrap_or(false) {
                before(info);
            }
        }));
    });
}

/// Runs something that may panic. When it is `quiet`, panics within it are not shown.
pub(crate) fn caught<R>(quiet: bool, run: impl FnOnce() -> R) -> Result<R, (Panicked, Box<dyn Any + Send>)> {
    watch();
    let outer = WATCH.replace(Some(Watch { quiet, panics: Vec::new() }));
    let result = catch_unwind(AssertUnwindSafe(run));
    let watch = WATCH.replace(outer).unwrap_or(Watch { quiet, panics: Vec::new() });
    result.map_err(|payload| {
        let message = panic_text(payload.as_ref());
        let place =
            watch.panics.iter().rev().find(|noted| noted.message == message).and_then(|noted| noted.place.clone());
        (Panicked { place, message }, payload)
    })
}

/// Whether panics on this thread are not shown at present.
pub(crate) fn is_quiet() -> bool {
    WATCH.with_borrow(|watch| watch.as_ref().is_some_and(|watch| watch.quiet))
}

/// What a panic says.
pub fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}

/// A run that failed, shrunk: what [`Exploration::check`](crate::Exploration::check) gives, and what
/// [`Exploration::run`](crate::Exploration::run) prints.
#[non_exhaustive]
pub struct Failure {
    /// In which run it was found, counting from 1.
    pub run: u64,
    /// The original: its seed, or which order it was.
    pub origin: String,
    /// The panic's message, from the shrunk run.
    pub message: String,
    /// Where the panic was: file, line and column.
    pub place: Option<String>,
    /// Decisions of the original run that were not the plain ones.
    pub choices: usize,
    /// Those of the shrunk run.
    pub shrunk_choices: usize,
    /// How many runs it took to shrink.
    pub shrink_runs: u64,
    /// The shrunk run, for [`Choices::replay`](crate::Choices::replay).
    pub replay: String,
    /// The shrunk run as a sequence diagram: its beginning and its end, where it is long.
    pub diagram: String,
    /// Who waits for what where the shrunk run ends, and the ring of a deadlock; empty where no thread is left.
    pub waits: String,
    /// Where the [timeline](crate::Sim::timeline_html) of the shrunk run is. Written by
    /// [`Exploration::run`](crate::Exploration::run) only; see [`report`](crate::report()) for the folder.
    pub timeline: Option<PathBuf>,
    /// What else there is to say: why it could not be shrunk, or that it does not come again.
    pub notes: Vec<String>,
    pub(crate) command: String,
    pub(crate) payload: Box<dyn Any + Send>,
}

impl Failure {
    /// Takes over what there is to be seen of a run.
    pub(crate) fn shows(&mut self, scene: Scene) {
        (self.diagram, self.waits) = (scene.diagram, scene.waits);
        match scene.timeline {
            Timeline::NotWanted => {}
            Timeline::At(path) => self.timeline = Some(path),
            Timeline::Failed(why) => self.notes.push(why),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the test failed in run {}, {}:", self.run, self.origin)?;
        writeln!(f, "  {}", self.message.trim_end().replace('\n', "\n  "))?;
        if let Some(place) = &self.place {
            writeln!(f, "  at {place}")?;
        }
        for (title, text) in [("what happened", self.diagram.trim_end()), ("who waits for what", self.waits.trim_end())]
        {
            // A message that is about who waits need not be followed by the same.
            if !text.is_empty() && !self.message.contains(text) {
                write!(f, "\n{title}:\n\n{text}\n")?;
            }
        }
        if !self.diagram.is_empty() || !self.notes.is_empty() {
            writeln!(f)?;
        }
        if let Some(path) = &self.timeline {
            writeln!(f, "all of it, to be opened in a browser: {}", path.display())?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        if self.replay.is_empty() {
            return Ok(());
        }
        let (from, to) = (self.choices, self.shrunk_choices);
        let choices = if from == 1 { "choice" } else { "choices" };
        match self.shrink_runs {
            0 => writeln!(f, "not shrunk: {from} {choices} that are not the plain ones; to repeat it:")?,
            1 => writeln!(f, "shrunk from {from} {choices} to {to} in one run; to repeat it:")?,
            runs => writeln!(f, "shrunk from {from} {choices} to {to} in {runs} runs; to repeat it:")?,
        }
        write!(f, "{}", self.command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_known_and_numbers_do_not_matter() {
        let panics = |number| caught(true, || panic!("lost {number} of 40")).expect_err("it panics").0;
        let (one, two) = (panics(3), panics(17));
        assert!(one.is_like(&two));
        assert_eq!(one.message, "lost 3 of 40");
        assert!(one.place.as_ref().is_some_and(|place| place.contains("failure.rs")));
        let other = caught(true, || panic!("lost 3 of 40")).expect_err("it panics").0;
        assert!(!one.is_like(&other), "the same words at another place are another failure");
    }
}
