//! What most simulated tests of servers need: `use handwound_wsgi::testing::prelude::*`.

pub use handwound_testkit::prelude::*;

pub use crate::testing::{HttpClient, Serve, Server, ok, threads};
