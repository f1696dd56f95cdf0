//! `sim.serve(threads(2), |req| ok(req.path()))`.

use handwound_testkit::Sim;

use crate::testing::Server;
use crate::{Body, Call, Failure, SiteConfig};

/// The workers of a server, and the bounds of its site; see [`threads`].
#[derive(Clone, Debug)]
pub struct Workers {
    count: usize,
    config: SiteConfig,
}

/// This many workers: the first argument of [`Serve::serve`].
pub fn threads(count: usize) -> Workers {
    Workers { count, config: SiteConfig::default() }
}

impl Workers {
    /// With these bounds rather than the default ones.
    pub fn with_config(self, config: SiteConfig) -> Workers {
        Workers { config, ..self }
    }
}

/// [`Sim`] serves closures.
pub trait Serve {
    /// Serves a closure at the root of a server in this simulation, on so many [`threads`]. It runs on the workers, and
    /// may block: [`sleep`](handwound_testkit::sleep) takes virtual time. The loop runs as the thread `reactor`, and
    /// the server is [watched](Server::watch): `sim.assert_clean()` stops it, and sees what it leaves.
    ///
    /// # Panics
    /// If the simulation has no threads left to give.
    #[track_caller]
    fn serve<F, B>(&self, workers: Workers, application: F) -> Server
    where
        F: Fn(&Call) -> Result<B, Failure> + Send + Sync + 'static,
        B: Body;
}

impl Serve for Sim {
    #[track_caller]
    fn serve<F, B>(&self, workers: Workers, application: F) -> Server
    where
        F: Fn(&Call) -> Result<B, Failure> + Send + Sync + 'static,
        B: Body,
    {
        let server = Server::prepare(self, workers.count, application, workers.config);
        server.run(self);
        server.watch(self);
        server
    }
}

/// A response that has only a body; see [`ok`].
#[derive(Clone, Debug)]
pub struct Reply(Vec<u8>);

/// Answers `200 OK` with this body, as plain text.
///
/// # Errors
/// None; the result is what an application returns.
pub fn ok(body: impl Into<Vec<u8>>) -> Result<Reply, Failure> {
    Ok(Reply(body.into()))
}

impl Body for Reply {
    fn send(self, call: &Call) -> Result<(), Failure> {
        call.start_response("200 OK", &[("Content-Type", "text/plain; charset=utf-8")])?;
        Ok(call.send_whole(&self.0)?)
    }
}
