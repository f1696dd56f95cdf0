//! What `handwound web` serves besides an application: a folder with scripts, or what one script makes.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use handwound_cli::Served;
use handwound_cli::args::Files;
use handwound_reactor::{EventLoop, ThreadPool};
use handwound_wsgi::files::{FilesConfig, Folder};
use handwound_wsgi::{Resource, WsgiResource};
use pyo3::prelude::*;

use super::plan::{SitePlan, Tree, plan_of};
use super::scripts::{Detached, Scripts};
use crate::sources;

/// Whether applications may send no `str`: for those that scripts make.
static STRICT: AtomicBool = AtomicBool::new(false);

pub(super) fn is_strict() -> bool {
    STRICT.load(Ordering::Relaxed)
}

/// From here on no application that Python makes a resource of may send a `str`.
pub fn be_strict() {
    STRICT.store(true, Ordering::Relaxed);
}

/// The root of what is not an application. Runs on the reactor's thread, before it serves.
///
/// # Errors
/// One line that says what is wrong; a traceback has been shown before it, if there is one.
pub fn root(
    served: Served<'_>,
    options: &Files,
    event_loop: &EventLoop,
    pool: &ThreadPool,
) -> Result<Rc<dyn Resource>, String> {
    let (option, path) = match served {
        Served::Path(path) => ("--path", path),
        Served::ResourceScript(path) => ("--resource-script", path),
        Served::Wsgi(name) => return Err(format!("'{name}' is an application, and no tree")),
    };
    let found = std::path::absolute(path).map_err(|error| format!("{option} names '{}': {error}", path.display()))?;
    Python::attach(|py| match option {
        "--path" => folder(py, event_loop, pool, &found, options),
        _ => script(py, event_loop, &found, options),
    })
}

/// A folder: its files, and the resources that its scripts make.
fn folder(
    py: Python<'_>,
    event_loop: &EventLoop,
    pool: &ThreadPool,
    path: &Path,
    options: &Files,
) -> Result<Rc<dyn Resource>, String> {
    if !path.exists() {
        return Err(format!("no folder '{}'; --path names the folder to serve", path.display()));
    }
    let tree = || -> PyResult<Tree> {
        let server = py.import("handwound.web.server")?;
        let site = server.call_method1("_folder_site", (path, options.display_tracebacks))?;
        Tree::of(&server, &site)
    };
    let tree = tree().map_err(|error| error.to_string())?;
    let scripts = Arc::new(Scripts::new(tree, pool.clone()));
    let folder = Folder::with_config(path, config(options)).processor(".rpy", scripts);
    Ok(Rc::new(WsgiResource::new(event_loop, pool.clone(), Detached(folder))))
}

fn config(options: &Files) -> FilesConfig {
    let mut config = FilesConfig::default();
    if !options.index.is_empty() {
        config.index_names.clone_from(&options.index);
    }
    if let Some(default_type) = &options.mime_type {
        config.default_type.clone_from(default_type);
    }
    config.ignored_extensions.clone_from(&options.ignore_ext);
    config.ignore_any_extension = options.allow_ignore_ext;
    config
}

/// The resource that a script makes, for all paths.
fn script(py: Python<'_>, event_loop: &EventLoop, path: &Path, options: &Files) -> Result<Rc<dyn Resource>, String> {
    if !path.is_file() {
        return Err(format!("no file '{}'; --resource-script names the script to serve", path.display()));
    }
    sources::note_file(path);
    let plan = || -> PyResult<Result<SitePlan, String>> {
        let server = py.import("handwound.web.server")?;
        let made = server.call_method1("_script_site", (path, options.display_tracebacks))?;
        let (site, why): (Bound<'_, PyAny>, Option<String>) = made.extract()?;
        match why {
            Some(why) => Ok(Err(why)),
            None => plan_of(py, &site).map(Ok),
        }
    };
    let plan = plan().map_err(|error| error.to_string())??;
    Ok(plan.root(event_loop))
}
