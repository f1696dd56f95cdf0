//! What is still to be done, for whoever asks: a simulation, at the end of a test. Nothing that happens depends on it.

use std::fmt;
use std::panic::Location;

use crate::Time;

/// Where in the code something was made. Passing it on costs a pointer; it is text only when somebody asks.
pub type Place = &'static Location<'static>;

/// Something that is still to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// What kind of thing it is: `timer`, `job` or `call`.
    pub kind: &'static str,
    /// What it is, for people.
    pub what: String,
    /// When it is due, where that is known; on the clock of its reactor.
    pub due: Option<Time>,
    /// Where in the code it was made, where that is known.
    pub place: Option<Place>,
}

impl Pending {
    pub(crate) fn new(kind: &'static str, what: impl Into<String>) -> Pending {
        Pending { kind, what: what.into(), due: None, place: None }
    }

    pub(crate) fn made_at(self, place: Place) -> Pending {
        Pending { place: Some(place), ..self }
    }
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.what)?;
        if let Some(due) = self.due {
            write!(f, ", due at {due}")?;
        }
        match self.place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

/// Has things to do, and can say which: an event loop, a thread pool.
pub trait Outstanding {
    /// What is still to be done, in the order in which it is to be done. For the end of a test: elsewhere it may be
    /// outdated as soon as it is known.
    fn outstanding(&self) -> Vec<Pending>;
}
