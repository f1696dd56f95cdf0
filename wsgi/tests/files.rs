//! Static files, in the simulation: real temporary files, read on simulated threads.
#![allow(clippy::unwrap_used)]

use handwound_testkit::{Choices, Sim};
use handwound_wsgi::files::Folder;
use handwound_wsgi::testing::serve;

#[test]
fn spec_37_a_folder_serves_its_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "hello").unwrap();
    let sim = Sim::new(Choices::calm());
    let server = serve(&sim, 1, Folder::new(folder.path()));
    let client = server.get(&sim, "/a.txt");
    sim.settle();
    let response = client.response();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["Content-Type"], "text/plain");
    assert_eq!(response.body(), "hello");
}
