//! Applications that others follow, and that follow others.
#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::sync::Arc;

use handwound_reactor::ThreadPool;
use handwound_testkit::Sim;
use handwound_wsgi::{Application, Call, Failure, SiteConfig, application};

pub const GET: &str = "GET /a/b%20c/d HTTP/1.1\r\nHost: x\r\n\r\n";

pub fn config() -> SiteConfig {
    SiteConfig::default()
}

/// Says how its request is split.
pub fn place(call: &Call) -> Result<String, Failure> {
    call.start_response("200 OK", &[])?;
    let request = call.request();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let texts = |segments: Vec<Vec<u8>>| segments.iter().map(|segment| text(segment)).collect::<Vec<_>>();
    let (prepath, postpath) = (texts(request.prepath()), texts(request.postpath()));
    Ok(format!("{}|{} {prepath:?}{postpath:?}", text(request.script_name()), text(request.path_info())))
}

/// A pool beside the server's, started.
pub fn second_pool(sim: &Sim) -> ThreadPool {
    let pool = ThreadPool::new(sim.threads(), 1..=1);
    pool.start().unwrap();
    pool
}

pub fn hands_over(pool: &ThreadPool, next: impl Application) -> impl Application {
    let (pool, next) = (pool.clone(), Arc::new(next) as Arc<dyn Application>);
    application(move |call: &Call| {
        call.below(1).hand_over(&pool, next.clone());
        Ok(())
    })
}

/// Writes `count` times `bytes` bytes, one time each time there is room.
pub struct Steps {
    pub count: usize,
    pub bytes: usize,
    pub held: Arc<()>,
}

pub fn steps(count: usize, bytes: usize) -> Steps {
    Steps { count, bytes, held: Arc::default() }
}

impl Application for Steps {
    fn call(&self, call: &Call) -> Result<(), Failure> {
        if !call.is_started() {
            call.start_response("200 OK", &[])?;
        }
        assert!(call.room_bytes()? > 0, "it goes on with room");
        call.write(&vec![b'x'; self.bytes])?;
        if self.count > 1 {
            call.go_on_with_room(Arc::new(Steps { count: self.count - 1, bytes: self.bytes, held: self.held.clone() }));
        }
        Ok(())
    }
}

pub fn tight() -> SiteConfig {
    let mut config = SiteConfig::default();
    config.response_bytes_max = 100;
    config
}
