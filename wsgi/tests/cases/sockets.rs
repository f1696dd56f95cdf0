//! The same cases on real sockets, each in one piece.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use handwound_reactor::{Address, EventLoop, MioReactor, OsThreads, Remote};
use handwound_wsgi::{Site, WsgiResource};

use crate::answers::{Seen, application, verdict};
use crate::table::Case;

/// A server with a thread of its own, until it is dropped.
struct Server {
    address: SocketAddr,
    remote: Remote,
    thread: Option<std::thread::JoinHandle<()>>,
    seen: Seen,
}

impl Server {
    fn start() -> Server {
        let seen = Seen::default();
        let application = application(&seen);
        let (ready, started) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let reactor = MioReactor::new().unwrap();
            let threads = OsThreads::beside(&reactor);
            let event_loop = EventLoop::new(reactor, threads);
            let site = Site::new(WsgiResource::new(&event_loop, event_loop.thread_pool(), application));
            let at = Address::Tcp((Ipv4Addr::LOCALHOST, 0).into());
            let listening = site.listen(&event_loop, &at, &Default::default()).unwrap();
            ready.send((listening.local_address().tcp().unwrap(), event_loop.remote().clone())).unwrap();
            event_loop.run().unwrap();
        });
        let (address, remote) = started.recv().unwrap();
        Server { address, remote, thread: Some(thread), seen }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.remote.call_from_thread(|event_loop| event_loop.stop_within(Duration::ZERO).unwrap());
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the server's thread panicked");
        }
    }
}

/// Each case in one piece, up to the end of the connection. Those that wait are left to the simulation, where no time
/// passes.
pub fn check(cases: &[Case]) {
    let server = Server::start();
    for case in cases.iter().filter(|case| !case.waits()) {
        println!("{case}");
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // Who is refused early may find nobody to read the rest.
        let _ = stream.write_all(&case.bytes());
        if case.ends {
            let _ = stream.shutdown(Shutdown::Write);
        }
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        let port = stream.local_addr().unwrap().port();
        let seen = server.seen.lock().unwrap().remove(&port).unwrap_or_default();
        let found = verdict(case, &seen, &received, true);
        assert!(found == case.expect, "{case}\n gives {found}\n not   {}", case.expect);
    }
}
