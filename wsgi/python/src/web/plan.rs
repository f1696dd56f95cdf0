//! From a site, as Python programs make it, to what serves it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use handwound_cli::logging::{self, AccessFormat, AccessLines, Target};
use handwound_reactor::{EventLoop, ThreadPool};
use handwound_wsgi::{Application, Call, Failure, Rendered, Request, Resource, Site, SiteConfig, WsgiResource};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::content::is_strict;
use super::exchange::Exchange;
use crate::PythonApplication;
use crate::application::traceback;
use crate::chunk::Habits;
use crate::desk::Desks;
use crate::native::pool_of;

/// A WSGI application, for `handwound.web.wsgi.WSGIResource`.
#[pyclass(frozen, module = "handwound._native", name = "WSGIApplication")]
pub struct WsgiApplication {
    pub(super) application: Arc<PythonApplication>,
}

#[pymethods]
impl WsgiApplication {
    /// For `callable`, which the log will call `name`.
    #[new]
    fn new(callable: Bound<'_, PyAny>, name: &str) -> PyResult<WsgiApplication> {
        let desks = desks(callable.py())?;
        let application = PythonApplication::sharing(callable, desks, habits(name));
        Ok(WsgiApplication { application: Arc::new(application) })
    }
}

/// Scripts make an application anew for each request: what is remembered from one request to the next is remembered
/// for all of them.
fn desks(py: Python<'_>) -> PyResult<Arc<Desks>> {
    static SHARED: PyOnceLock<Arc<Desks>> = PyOnceLock::new();
    SHARED.get_or_try_init(py, || Desks::new(py).map(Arc::new)).cloned()
}

/// What an application of this name has been told.
fn habits(name: &str) -> Arc<Habits> {
    /// Names that are remembered at once.
    const NAMES_MAX: usize = 1000;
    static SHARED: Mutex<BTreeMap<String, Arc<Habits>>> = Mutex::new(BTreeMap::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if shared.len() >= NAMES_MAX && !shared.contains_key(name) {
        shared.clear();
    }
    shared.entry(name.to_owned()).or_insert_with(|| Arc::new(Habits::new(name, is_strict()))).clone()
}

/// What a site serves, ready to be taken to the reactor's thread.
pub struct SitePlan {
    root: Root,
    config: SiteConfig,
    /// Where each request gets a line.
    log: Option<PathBuf>,
}

enum Root {
    /// An application that takes all paths: no Python but its own runs for a request.
    Application(Arc<PythonApplication>, Option<ThreadPool>),
    /// Anything else.
    Tree(Tree),
}

/// A tree of Python resources.
#[derive(Debug)]
pub(super) struct Tree {
    site: Py<PyAny>,
    serve: Py<PyAny>,
    reactor: Py<PyAny>,
}

/// What `site`, a `handwound.web.server.Site`, serves.
///
/// # Errors
/// `TypeError` for what is no site.
pub fn plan_of(py: Python<'_>, site: &Bound<'_, PyAny>) -> PyResult<SitePlan> {
    let server = py.import("handwound.web.server")?;
    let site = server.call_method1("_site_of", (site,))?;
    let mut config = SiteConfig::default();
    if let Some(seconds) = site.getattr("timeOut")?.extract::<Option<f64>>()? {
        config.http.idle_timeout = Duration::try_from_secs_f64(seconds).unwrap_or(config.http.idle_timeout);
    }
    let log = site.getattr("logPath")?.extract::<Option<PathBuf>>()?;
    let root = match application_of(&server, &site)? {
        Some((application, pool)) => Root::Application(application, pool),
        None => Root::Tree(Tree::of(&server, &site)?),
    };
    Ok(SitePlan { root, config, log })
}

/// The application that is all there is to a site, if there is one, and its pool.
fn application_of(
    server: &Bound<'_, PyModule>,
    site: &Bound<'_, PyAny>,
) -> PyResult<Option<(Arc<PythonApplication>, Option<ThreadPool>)>> {
    let found = server.call_method1("_only_application", (site,))?;
    if found.is_none() {
        return Ok(None);
    }
    let (application, pool): (Bound<'_, WsgiApplication>, Bound<'_, PyAny>) = found.extract()?;
    let application = application.get().application.clone();
    if pool.is_none() {
        return Ok(Some((application, None)));
    }
    Ok(pool_of(&pool).map(|pool| (application, Some(pool))))
}

impl Tree {
    /// That of `site`.
    pub(super) fn of(server: &Bound<'_, PyModule>, site: &Bound<'_, PyAny>) -> PyResult<Tree> {
        let serve = server.getattr("_serve")?.unbind();
        Ok(Tree { site: site.clone().unbind(), serve, reactor: site.getattr("reactor")?.unbind() })
    }

    /// As a resource that asks it on workers of `pool`.
    pub(super) fn on(self, pool: &ThreadPool) -> impl Resource + use<> {
        PythonSite { pool: pool.clone(), application: Arc::new(SiteApplication { tree: self, pool: pool.clone() }) }
    }

    /// Has `serve(site, exchange, *arguments)` answer.
    pub(super) fn answer<'py>(
        &self,
        py: Python<'py>,
        pool: &ThreadPool,
        call: &Call,
        script: Option<&std::path::Path>,
    ) -> Result<(), Failure> {
        let asked = || -> PyResult<Bound<'py, Exchange>> {
            let exchange = Bound::new(py, Exchange::new(call.clone(), pool.clone(), self.reactor.clone_ref(py)))?;
            self.serve.call1(py, (&self.site, &exchange, script))?;
            Ok(exchange)
        };
        match asked() {
            Ok(exchange) => exchange.get().rendered(),
            Err(error) => Err(Failure::new(traceback(py, &error))),
        }
    }
}

impl SitePlan {
    /// The root of the site alone: whoever serves it has limits and logs of its own.
    pub fn root(self, event_loop: &EventLoop) -> Rc<dyn Resource> {
        self.root.build(event_loop)
    }

    /// The site itself. Runs on the loop's thread.
    ///
    /// # Errors
    /// One line that says what is wrong with it.
    pub fn build(self, event_loop: &EventLoop) -> Result<Site, String> {
        let SitePlan { root, mut config, log } = self;
        if let Some(path) = log {
            let sink = logging::open(Target::file(&path)?)?;
            config.access_log = Some(Arc::new(AccessLines::new(sink, AccessFormat::combined())));
        }
        config.http.check().map_err(|problem| format!("these limits cannot be served: {problem}"))?;
        Ok(Site::from_rc(root.build(event_loop), config))
    }
}

impl Root {
    fn build(self, event_loop: &EventLoop) -> Rc<dyn Resource> {
        let own = event_loop.thread_pool();
        match self {
            Root::Application(application, pool) => {
                Rc::new(WsgiResource::new(event_loop, pool.unwrap_or(own), Shared(application)))
            }
            Root::Tree(tree) => Rc::new(tree.on(&own)),
        }
    }
}

/// An application that others have too.
struct Shared(Arc<PythonApplication>);

impl Application for Shared {
    fn call(&self, call: &Call) -> Result<(), Failure> {
        self.0.call(call)
    }
}

/// A tree of Python resources, which to the reactor is a leaf.
struct PythonSite {
    pool: ThreadPool,
    application: Arc<SiteApplication>,
}

impl Resource for PythonSite {
    fn is_leaf(&self) -> bool {
        true
    }

    fn render(&self, _request: &Request) -> Rendered {
        Rendered::Pooled { pool: self.pool.clone(), application: self.application.clone() }
    }
}

struct SiteApplication {
    tree: Tree,
    pool: ThreadPool,
}

impl Application for SiteApplication {
    fn call(&self, call: &Call) -> Result<(), Failure> {
        Python::attach(|py| self.tree.answer(py, &self.pool, call, None))
    }
}
