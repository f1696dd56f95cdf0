//! Listeners that another process has bound: whose they are, and that no connection in them is lost.

#![allow(clippy::unwrap_used)]

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;

use super::*;

fn loopback() -> Address {
    Address::Tcp(([127, 0, 0, 1], 0).into())
}

fn bound() -> Bound {
    Bound::new(&loopback(), &ListenOptions::default()).unwrap()
}

fn duplicate(bound: &Bound) -> OwnedFd {
    bound.as_fd().try_clone_to_owned().unwrap()
}

/// A reactor that listens at what `bound` has bound.
fn heir(bound: &Bound) -> (MioReactor, Sock) {
    let mut reactor = MioReactor::new().unwrap();
    reactor.inherit(loopback(), duplicate(bound)).unwrap();
    let listener = reactor.listen(&loopback(), &ListenOptions::default()).unwrap();
    assert_eq!(&reactor.local_address(listener).unwrap(), bound.local_address());
    (reactor, listener)
}

fn client(bound: &Bound) -> TcpStream {
    TcpStream::connect(bound.local_address().tcp().unwrap()).unwrap()
}

/// Whether the next poll tells of a connection.
fn is_told(reactor: &mut MioReactor, listener: Sock) -> bool {
    let mut events = Vec::new();
    reactor.poll(&mut events, Some(reactor.now())).unwrap();
    events.iter().any(|event| event.sock == listener && event.readable)
}

#[test]
fn a_listen_takes_what_was_inherited_for_its_address_and_the_next_one_binds() {
    let (first, second) = (bound(), bound());
    let mut reactor = MioReactor::new().unwrap();
    reactor.inherit(loopback(), duplicate(&first)).unwrap();
    reactor.inherit(loopback(), duplicate(&second)).unwrap();
    let mut next = || {
        let listener = reactor.listen(&loopback(), &ListenOptions::default()).unwrap();
        reactor.local_address(listener).unwrap()
    };
    assert_eq!(&next(), first.local_address());
    assert_eq!(&next(), second.local_address());
    let own = next();
    assert!(&own != first.local_address() && &own != second.local_address());
}

#[test]
fn what_does_not_listen_is_no_inheritance() {
    let refuse = |descriptor: OwnedFd, why: &str| {
        let error = MioReactor::new().unwrap().inherit(loopback(), descriptor).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::InvalidInput, why));
    };
    refuse(UdpSocket::bind("127.0.0.1:0").unwrap().into(), "an inherited descriptor is no stream socket");
    refuse(std::fs::File::open("/dev/null").unwrap().into(), "an inherited descriptor is no stream socket");
    let stream = TcpStream::connect(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()).unwrap();
    refuse(stream.into(), "an inherited socket does not listen");
}

#[test]
fn a_connection_made_before_anybody_accepts_is_told_to_whoever_comes() {
    let bound = bound();
    let early = client(&bound);
    let (mut reactor, listener) = heir(&bound);
    assert!(is_told(&mut reactor, listener));
    assert_eq!(reactor.accept(listener).unwrap().1.tcp(), Some(early.local_addr().unwrap()));
}

#[test]
fn whoever_was_told_of_a_connection_and_goes_leaves_it_to_the_others() {
    let bound = bound();
    let ((mut one, at_one), (mut other, at_other)) = (heir(&bound), heir(&bound));
    let first = client(&bound);
    // Both are told; the one that would have taken it closes.
    assert!(is_told(&mut one, at_one) && is_told(&mut other, at_other));
    one.close(at_one, Close::Graceful);
    assert_eq!(other.accept(at_other).unwrap().1.tcp(), Some(first.local_addr().unwrap()));
    assert_eq!(other.accept(at_other).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    // The other goes too, and a third comes only after the next connection.
    drop(other);
    let second = client(&bound);
    let (mut third, at_third) = heir(&bound);
    assert!(is_told(&mut third, at_third));
    assert_eq!(third.accept(at_third).unwrap().1.tcp(), Some(second.local_addr().unwrap()));
}

#[test]
fn the_file_is_removed_by_who_made_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let at = Address::Unix(Some(path.clone()));
    let bound = Bound::new(&at, &ListenOptions::default()).unwrap();
    let mut reactor = MioReactor::new().unwrap();
    reactor.inherit(at.clone(), duplicate(&bound)).unwrap();
    let listener = reactor.listen(&at, &ListenOptions::default()).unwrap();
    assert_eq!(reactor.local_address(listener).unwrap(), at);
    reactor.close(listener, Close::Graceful);
    drop(reactor);
    assert!(path.exists());
    drop(bound);
    assert!(!path.exists());
}
