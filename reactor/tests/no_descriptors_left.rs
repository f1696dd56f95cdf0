//! What an accept says when the process has no file descriptor left. In a process of its own: the limit holds for
//! all that runs in it.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Duration;

use handwound_reactor::{Address, ListenOptions, MioReactor, Reactor, Sock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn wait(reactor: &mut MioReactor, listener: Sock) {
    let end = reactor.now() + Duration::from_secs(60);
    let mut events = Vec::new();
    while !events.iter().any(|event: &handwound_reactor::Event| event.sock == listener) {
        assert!(reactor.now() < end, "no edge came");
        reactor.poll(&mut events, Some(end)).unwrap();
    }
}

#[test]
fn accept_gives_emfile_and_takes_who_waits_once_there_is_a_descriptor() {
    let mut reactor = MioReactor::new().unwrap();
    let at = Address::Tcp(([127, 0, 0, 1], 0).into());
    let listener = reactor.listen(&at, &ListenOptions::default()).unwrap();
    let peer = TcpStream::connect(reactor.local_address(listener).unwrap().tcp().unwrap()).unwrap();
    wait(&mut reactor, listener);

    let usual = getrlimit(Resource::Nofile);
    // The lowest free number: the system hands them out in order.
    let next = File::open("/").unwrap().as_raw_fd() as u64;
    setrlimit(Resource::Nofile, Rlimit { current: Some(next), ..usual }).unwrap();
    let refused: Vec<_> = (0..2).map(|_| reactor.accept(listener).unwrap_err().raw_os_error()).collect();
    let connect = reactor.connect(&at).unwrap_err().raw_os_error();
    setrlimit(Resource::Nofile, usual).unwrap();

    let emfile = Some(rustix::io::Errno::MFILE.raw_os_error());
    assert_eq!(refused, [emfile, emfile]);
    assert_eq!(connect, emfile);
    // Without another edge: who stops before `WouldBlock` remembers that there is more.
    assert_eq!(reactor.accept(listener).unwrap().1.tcp(), Some(peer.local_addr().unwrap()));
}
