//! The leaf that an application is.

use std::fmt;
use std::sync::Arc;

use handwound_reactor::{EventLoop, ThreadPool};

use super::{Rendered, Resource};
use crate::application::Application;
use crate::request::Request;

/// A leaf that runs a WSGI application on a thread pool: the rest of the path belongs to the application.
#[derive(Clone)]
pub struct WsgiResource {
    pool: ThreadPool,
    application: Arc<dyn Application>,
}

impl WsgiResource {
    /// The application on the pool's workers. The loop's own pool ([`EventLoop::thread_pool`]) starts and stops with
    /// the loop; any other is started and stopped by whoever made it.
    pub fn new(_reactor: &EventLoop, pool: ThreadPool, application: impl Application) -> WsgiResource {
        WsgiResource::shared(pool, Arc::new(application))
    }

    /// As [`new`](WsgiResource::new), for an application that others run too.
    pub fn shared(pool: ThreadPool, application: Arc<dyn Application>) -> WsgiResource {
        WsgiResource { pool, application }
    }
}

impl Resource for WsgiResource {
    fn is_leaf(&self) -> bool {
        true
    }

    fn render(&self, _request: &Request) -> Rendered {
        Rendered::Pooled { pool: self.pool.clone(), application: self.application.clone() }
    }
}

impl fmt::Debug for WsgiResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsgiResource").field("pool", &self.pool).finish_non_exhaustive()
    }
}
