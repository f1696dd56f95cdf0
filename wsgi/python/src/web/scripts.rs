//! Files whose name ends in `.rpy`, as the folder that they lie in serves them.

use std::path::Path;

use handwound_reactor::ThreadPool;
use handwound_wsgi::files::{Folder, Processor};
use handwound_wsgi::{Application, Call, Failure};
use pyo3::prelude::*;

use super::plan::Tree;
use crate::attach::detached;

/// Runs scripts and has their resources answer. Their `registry` is that of the site's root.
pub struct Scripts {
    tree: Tree,
    pool: ThreadPool,
}

impl Scripts {
    /// With workers of `pool` for what they put off.
    pub(super) fn new(tree: Tree, pool: ThreadPool) -> Scripts {
        Scripts { tree, pool }
    }
}

impl Processor for Scripts {
    fn render(&self, script: &Path, call: &Call) -> Result<(), Failure> {
        Python::attach(|py| self.tree.answer(py, &self.pool, call, Some(script)))
    }
}

/// A folder whose workers are attached to Python, and which needs it for scripts only.
pub struct Detached(pub Folder);

impl Application for Detached {
    fn call(&self, call: &Call) -> Result<(), Failure> {
        Python::attach(|py| detached(py, || self.0.call(call)))
    }
}
