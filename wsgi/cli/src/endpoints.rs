//! Where to listen, with the certificates of HTTPS read and the sockets of systemd taken.

use std::io;
use std::time::SystemTime;

use handwound_reactor::{Endpoint, EventLoop, Listening};
use handwound_wsgi::{Site, tls};

use crate::args::Serving;

/// An endpoint, and what it takes to serve there.
pub(crate) struct Prepared {
    pub(crate) endpoint: Endpoint,
    tls: Option<tls::Config>,
}

/// All places to listen at. Reads their certificates: whatever is wrong with one is told before anything is served, and at
/// a reload, which starts new processes, they are read anew.
///
/// # Errors
/// One line that says which file is wrong, and what would be right.
pub(crate) fn prepare(options: &Serving) -> Result<Vec<Prepared>, String> {
    let prepared = |endpoint: Endpoint| {
        let tls = endpoint.tls().map(tls::Config::from_files).transpose()?;
        Ok(Prepared { endpoint, tls })
    };
    options.endpoints().into_iter().map(prepared).collect()
}

impl Prepared {
    /// Listens here.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn listen(&self, site: &Site, event_loop: &EventLoop) -> io::Result<Listening> {
        let (at, options) = (self.endpoint.address(), self.endpoint.options());
        match &self.tls {
            None => site.listen(event_loop, at, &options),
            Some(tls) => site.listen_tls(event_loop, at, &options, tls),
        }
    }

    /// What clients will not like, a line for each.
    pub(crate) fn warnings(&self, now: SystemTime) -> Vec<String> {
        self.tls.as_ref().map(|tls| tls.warnings(now)).unwrap_or_default()
    }
}

/// The sockets that systemd has opened, taken out of the environment at first need.
#[cfg(unix)]
#[derive(Default)]
pub(crate) struct FromSystemd(Option<handwound_reactor::SystemdSockets>);

#[cfg(unix)]
impl FromSystemd {
    /// The socket of an endpoint that is inherited.
    ///
    /// # Errors
    /// One line that says why there is none.
    pub(crate) fn take(&mut self, endpoint: &Endpoint) -> Result<std::os::fd::OwnedFd, String> {
        let sockets = self.0.get_or_insert_with(handwound_reactor::SystemdSockets::take_from_environment);
        sockets.take(endpoint).map_err(|error| format!("cannot listen on {endpoint}: {error}"))
    }
}
