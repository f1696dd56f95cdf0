//! A server with one worker that has just read a request: from here on reactor and worker go in every order.

use handwound_testkit::Sim;
use handwound_wsgi::testing::{HttpClient, Server};
use handwound_wsgi::{Application, SiteConfig};

pub fn just_read(sim: &Sim, application: impl Application, config: SiteConfig, request: &str) -> (Server, HttpClient) {
    let server = Server::prepare(sim, 1, application, config);
    sim.run_task("worker-1");
    let client = server.connect(sim);
    server.run(sim);
    sim.run_task("reactor");
    client.send(request);
    sim.run_task("reactor");
    (server, client)
}
