//! A site: HTTP/1.1 on the connections of an event loop, answered by a resource tree.

mod access;
mod protocol;
mod request_limit;
mod spares;

use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use handwound_reactor::{Address, EventLoop, Filters, ListenOptions, Listening};

use crate::access_log::AccessLog;
use crate::body::Room;
use crate::http1::{self, OwnLines};
use crate::refusals::Refusals;
use crate::resource::Resource;
use protocol::HttpProtocol;
pub use request_limit::RequestLimit;
use spares::Spares;

/// The bounds of a site, beyond those of its connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SiteConfig {
    /// The bounds of each connection.
    pub http: http1::Config,
    /// Bytes of a request's body kept in memory; a longer one goes to a temporary file.
    pub body_memory_bytes_max: usize,
    /// The folder for those files; `None` is the system's own. They have no names there.
    pub body_folder: Option<PathBuf>,
    /// Bytes of one response that wait between its worker and the connection's output; above it the worker parks.
    /// 256 KiB. A client that reads nothing costs up to about three times this, and the output's mark.
    pub response_bytes_max: usize,
    /// How long a client may take next to nothing of a response that waits for it: less than it would at the rate below,
    /// and less than there is.
    pub send_timeout: Duration,
    /// Bytes a second; 240. Who takes a byte now and then would hold a worker for ever. 0: any byte is enough.
    pub send_bytes_per_second_min: u64,
    /// Who is told of each response that has ended.
    pub access_log: Option<Arc<dyn AccessLog>>,
    /// Who is told when so many requests have come.
    pub request_limit: Option<RequestLimit>,
}

impl Default for SiteConfig {
    fn default() -> SiteConfig {
        SiteConfig {
            http: http1::Config::default(),
            body_memory_bytes_max: 512 << 10,
            body_folder: None,
            response_bytes_max: 256 << 10,
            send_timeout: Duration::from_secs(60),
            send_bytes_per_second_min: 240,
            access_log: None,
            request_limit: None,
        }
    }
}

impl SiteConfig {
    /// The send timeout, but what has just been queued is offered to the client before it can be late.
    fn send_patience(&self) -> Duration {
        self.send_timeout.max(Duration::from_millis(1))
    }

    /// What a client has to take within the send timeout, if that much waits for it.
    fn send_bytes_min(&self) -> u64 {
        let bytes = u128::from(self.send_bytes_per_second_min).saturating_mul(self.send_timeout.as_millis()) / 1000;
        u64::try_from(bytes).unwrap_or(u64::MAX).max(1)
    }
}

/// Serves a resource tree over HTTP/1.1.
#[derive(Clone)]
pub struct Site(Rc<Shared>);

struct Shared {
    root: Rc<dyn Resource>,
    http: Arc<http1::Config>,
    room: Room,
    config: SiteConfig,
    refusals: Refusals,
    lines: OwnLines,
    spares: Spares,
    /// Requests that were complete.
    requests: Cell<u64>,
    /// See [`Site::keep_idle_when_stopping`].
    idle_when_stopping: Cell<Option<(Duration, Duration)>>,
}

impl Shared {
    fn count_request(&self) {
        let requests = self.requests.get() + 1;
        self.requests.set(requests);
        if let Some(limit) = &self.config.request_limit {
            limit.come_to(requests);
        }
    }
}

impl Site {
    /// A site with the default bounds.
    pub fn new(root: impl Resource + 'static) -> Site {
        Site::with_config(root, SiteConfig::default())
    }

    /// A site with these bounds.
    ///
    /// # Panics
    /// If the bounds contradict themselves; see [`http1::Config::check`].
    pub fn with_config(root: impl Resource + 'static, config: SiteConfig) -> Site {
        Site::from_rc(Rc::new(root), config)
    }

    /// A site whose root others may have too.
    ///
    /// # Panics
    /// As [`with_config`](Self::with_config).
    pub fn from_rc(root: Rc<dyn Resource>, config: SiteConfig) -> Site {
        if let Err(problem) = config.http.check() {
            panic!("this configuration cannot be served: {problem}");
        }
        let http = Arc::new(config.http.clone());
        let room = Room { memory_bytes_max: config.body_memory_bytes_max, folder: config.body_folder.clone() };
        let (requests, idle_when_stopping) = (Cell::new(0), Cell::new(None));
        let (refusals, lines, spares) = (Refusals::default(), OwnLines::new(), Spares::default());
        Site(Rc::new(Shared { root, http, room, config, refusals, lines, spares, requests, idle_when_stopping }))
    }

    /// For a server whose place is taken by another: a stop that begins after this call does not close connections at once
    /// that wait for a request, since one may be on its way to them. They stay for `idle`; `unused` ones, which have had no
    /// request yet, for that long. The response to the request that comes says that the connection ends with it.
    pub fn keep_idle_when_stopping(&self, idle: Duration, unused: Duration) {
        self.0.idle_when_stopping.set(Some((idle, unused)));
    }

    /// Serves on `at`, from the loop's first turn on.
    ///
    /// # Errors
    /// As [`EventLoop::listen`].
    #[track_caller]
    pub fn listen(&self, event_loop: &EventLoop, at: &Address, options: &ListenOptions) -> io::Result<Listening> {
        let shared = self.0.clone();
        let threads = event_loop.threads();
        event_loop.listen(at, options, move |_peer| HttpProtocol::new(shared.clone(), threads.watched("exchange")))
    }

    /// As [`listen`](Site::listen), through filters: HTTPS, where their session is a [`Secured`](crate::Secured).
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn listen_filtered(
        &self,
        event_loop: &EventLoop,
        at: &Address,
        options: &ListenOptions,
        filters: Filters,
    ) -> io::Result<Listening> {
        let shared = self.0.clone();
        let threads = event_loop.threads();
        let make = move |_: &Address| HttpProtocol::new(shared.clone(), threads.watched("exchange"));
        event_loop.listen_filtered(at, options, filters, make)
    }

    /// How long a request's head may take.
    #[cfg(feature = "tls")]
    pub(crate) fn head_timeout(&self) -> Duration {
        self.0.http.head_timeout
    }
}
