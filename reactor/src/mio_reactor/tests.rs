//! What the real reactor promises beyond the contract suite, and what only real sockets can show.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use super::*;

/// Far longer than any machine takes; reached only where an event was lost.
const DEADLINE: Duration = Duration::from_secs(60);

fn loopback() -> Address {
    Address::Tcp(([127, 0, 0, 1], 0).into())
}

/// Polls until `wanted` has been seen.
#[track_caller]
fn wait(reactor: &mut MioReactor, wanted: impl Fn(&Event) -> bool) {
    let end = reactor.now() + DEADLINE;
    let mut events = Vec::new();
    while !events.iter().any(&wanted) {
        assert!(reactor.now() < end, "no such event came");
        reactor.poll(&mut events, Some(end)).unwrap();
    }
}

/// A connection: our end in a reactor, the peer's a plain blocking socket.
fn connection(reactor: &mut MioReactor) -> (Sock, TcpStream) {
    let listener = reactor.listen(&loopback(), &ListenOptions::default()).unwrap();
    let peer = TcpStream::connect(reactor.local_address(listener).unwrap().tcp().unwrap()).unwrap();
    wait(reactor, |event| event.sock == listener);
    let (sock, address) = reactor.accept(listener).unwrap();
    assert_eq!(address.tcp(), Some(peer.local_addr().unwrap()));
    reactor.close(listener, Close::Graceful);
    (sock, peer)
}

/// Reads as an event loop does: until `WouldBlock`, `drained` or the end, waiting for an edge in between.
/// Returns what came, and how many reads said `drained`.
fn read_all(reactor: &mut MioReactor, sock: Sock, chunk: usize) -> (Vec<u8>, usize) {
    let (mut all, mut drained) = (Vec::new(), 0);
    let mut buffer = vec![0; chunk];
    loop {
        match reactor.read(sock, &mut buffer) {
            Ok(Received { bytes: 0, .. }) => return (all, drained),
            Ok(received) => {
                all.extend_from_slice(&buffer[..received.bytes]);
                if received.drained {
                    drained += 1;
                    wait(reactor, |event| event.sock == sock && event.readable);
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                wait(reactor, |event| event.sock == sock && event.readable);
            }
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_short_read_is_drained_and_a_full_one_is_not() {
    let mut reactor = MioReactor::new().unwrap();
    let (sock, mut peer) = connection(&mut reactor);
    peer.write_all(b"12345").unwrap();
    wait(&mut reactor, |event| event.sock == sock && event.readable);
    let mut buffer = [0; 4];
    assert_eq!(reactor.read(sock, &mut buffer).unwrap(), Received { bytes: 4, drained: false });
    assert_eq!(reactor.read(sock, &mut buffer).unwrap(), Received { bytes: 1, drained: true });
    assert_eq!(reactor.read(sock, &mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
    // The edge that `drained` has promised.
    peer.write_all(b"6").unwrap();
    wait(&mut reactor, |event| event.sock == sock && event.readable);
    assert_eq!(reactor.read(sock, &mut buffer).unwrap(), Received { bytes: 1, drained: true });
}

#[test]
fn an_end_that_comes_with_the_data_is_not_missed() {
    let mut reactor = MioReactor::new().unwrap();
    for round in 0..200 {
        let (sock, mut peer) = connection(&mut reactor);
        if round % 2 == 0 {
            // From another thread, so that the end falls before, between and after poll and read.
            std::thread::spawn(move || peer.write_all(b"bye"));
        } else {
            peer.write_all(b"bye").unwrap();
            drop(peer);
        }
        assert_eq!(read_all(&mut reactor, sock, 16).0, b"bye");
        reactor.close(sock, Close::Graceful);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn an_urgent_byte_hides_nothing_behind_it() {
    let mut reactor = MioReactor::new().unwrap();
    let (sock, mut peer) = connection(&mut reactor);
    peer.write_all(b"before").unwrap();
    SockRef::from(&peer).send_out_of_band(b"!").unwrap();
    peer.write_all(b"after").unwrap();
    // The first read stops short at the urgent byte, although more is waiting and no further edge will come.
    wait(&mut reactor, |event| event.sock == sock && event.readable);
    let (mut all, mut buffer) = (Vec::new(), [0; 64]);
    while all.len() < b"beforeafter".len() {
        let received = reactor.read(sock, &mut buffer).unwrap();
        all.extend_from_slice(&buffer[..received.bytes]);
        if received.drained && all.len() < b"beforeafter".len() {
            wait(&mut reactor, |event| event.sock == sock && event.readable);
        }
    }
    assert_eq!(all, b"beforeafter");
}

#[test]
fn both_ends_of_a_connection_send_at_once() {
    let mut reactor = MioReactor::new().unwrap();
    let listener = reactor.listen(&loopback(), &ListenOptions::default()).unwrap();
    let client = reactor.connect(&reactor.local_address(listener).unwrap()).unwrap();
    wait(&mut reactor, |event| event.sock == listener);
    let (server, _) = reactor.accept(listener).unwrap();
    for sock in [client, server] {
        let Kind::TcpStream(stream) = &reactor.sockets.get(sock).unwrap().kind else { unreachable!() };
        assert!(stream.nodelay().unwrap());
    }
}

#[test]
fn a_failed_connect_tells_why_every_time() {
    let mut reactor = MioReactor::new().unwrap();
    let listener = reactor.listen(&loopback(), &ListenOptions::default()).unwrap();
    let nobody = reactor.local_address(listener).unwrap();
    reactor.close(listener, Close::Graceful);
    let sock = reactor.connect(&nobody).unwrap();
    wait(&mut reactor, |event| event.sock == sock && event.writable);
    for _ in 0..2 {
        assert_eq!(reactor.connect_result(sock).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(reactor.read(sock, &mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(reactor.write(sock, &[IoSlice::new(b"x")]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn calls_on_the_wrong_kind_of_socket_are_refused() {
    let mut reactor = MioReactor::new().unwrap();
    let listener = reactor.listen(&loopback(), &ListenOptions::default()).unwrap();
    assert_eq!(reactor.read(listener, &mut [0; 8]).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(reactor.write(listener, &[]).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(reactor.shutdown_write(listener).unwrap_err().kind(), ErrorKind::InvalidInput);
    let (sock, _peer) = connection(&mut reactor);
    assert_eq!(reactor.accept(sock).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(reactor.connect(&Address::Unix(None)).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_port_in_use_is_refused_and_a_shared_one_is_not() {
    let mut reactor = MioReactor::new().unwrap();
    let first = reactor.listen(&loopback(), &ListenOptions::default()).unwrap();
    let at = reactor.local_address(first).unwrap();
    assert_eq!(reactor.listen(&at, &ListenOptions::default()).unwrap_err().kind(), ErrorKind::AddrInUse);
    if cfg!(target_os = "linux") {
        let shared = ListenOptions { reuse_port: true, ..ListenOptions::default() };
        let first = reactor.listen(&loopback(), &shared).unwrap();
        let at = reactor.local_address(first).unwrap();
        let second = reactor.listen(&at, &shared).unwrap();
        assert_eq!(reactor.local_address(second).unwrap(), at);
    }
}

#[test]
fn a_port_can_be_listened_at_again_right_after_its_connections_ended() {
    let mut reactor = MioReactor::new().unwrap();
    let listener = reactor.listen(&loopback(), &ListenOptions::default()).unwrap();
    let at = reactor.local_address(listener).unwrap();
    let mut peer = TcpStream::connect(at.tcp().unwrap()).unwrap();
    wait(&mut reactor, |event| event.sock == listener);
    let (sock, _) = reactor.accept(listener).unwrap();
    // The end that closes first is left with the port in the state TIME_WAIT.
    reactor.close(sock, Close::Graceful);
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    drop(peer);
    reactor.close(listener, Close::Graceful);
    reactor.listen(&at, &ListenOptions::default()).unwrap();
}

#[test]
fn the_ipv6_wildcard_takes_ipv4_too() {
    let mut reactor = MioReactor::new().unwrap();
    let any = Address::Tcp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)));
    let listener = match reactor.listen(&any, &ListenOptions::default()) {
        Ok(listener) => listener,
        // A machine without IPv6.
        Err(error) => return eprintln!("skipped, no IPv6 here: {error}"),
    };
    let port = reactor.local_address(listener).unwrap().tcp().unwrap().port();
    let peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
    wait(&mut reactor, |event| event.sock == listener);
    let (_, from) = reactor.accept(listener).unwrap();
    assert_eq!(from.tcp().unwrap().ip().to_canonical(), peer.local_addr().unwrap().ip());
}

#[test]
fn an_inherited_listener_is_taken_over() {
    let mut reactor = MioReactor::new().unwrap();
    let listener = reactor.adopt_listener(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
    assert_eq!(reactor.accept(listener).unwrap_err().kind(), ErrorKind::WouldBlock);
    let peer = TcpStream::connect(reactor.local_address(listener).unwrap().tcp().unwrap()).unwrap();
    wait(&mut reactor, |event| event.sock == listener && event.readable);
    assert_eq!(reactor.accept(listener).unwrap().1.tcp(), Some(peer.local_addr().unwrap()));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::{Path, PathBuf};

    use super::*;

    /// A path in a folder that goes away at the end.
    fn path() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        (folder, path)
    }

    fn listen(reactor: &mut MioReactor, path: &Path) -> io::Result<Sock> {
        reactor.listen(&Address::Unix(Some(path.to_owned())), &ListenOptions::default())
    }

    #[test]
    fn a_unix_socket_carries_bytes_both_ways() {
        let (_folder, path) = path();
        let mut reactor = MioReactor::new().unwrap();
        let listener = listen(&mut reactor, &path).unwrap();
        assert_eq!(reactor.local_address(listener).unwrap(), Address::Unix(Some(path.clone())));
        let client = reactor.connect(&Address::Unix(Some(path))).unwrap();
        wait(&mut reactor, |event| event.sock == listener && event.readable);
        let (server, from) = reactor.accept(listener).unwrap();
        assert_eq!(from, Address::Unix(None));
        assert!(reactor.connect_result(client).unwrap());
        for (one, other) in [(client, server), (server, client)] {
            assert_eq!(reactor.write(one, &[IoSlice::new(b"he"), IoSlice::new(b"llo")]).unwrap(), 5);
            reactor.shutdown_write(one).unwrap();
            assert_eq!(read_all(&mut reactor, other, 64), (b"hello".to_vec(), 0));
        }
    }

    #[test]
    fn a_stale_socket_file_is_replaced_and_a_live_one_is_not() {
        let (_folder, path) = path();
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let mut reactor = MioReactor::new().unwrap();
        let first = listen(&mut reactor, &path).unwrap();
        assert_eq!(listen(&mut reactor, &path).unwrap_err().kind(), ErrorKind::AddrInUse);
        UnixStream::connect(&path).unwrap();
        reactor.close(first, Close::Graceful);
        listen(&mut reactor, &path).unwrap();
    }

    #[test]
    fn a_file_that_is_not_a_socket_is_left_alone() {
        let (_folder, path) = path();
        fs::write(&path, "precious").unwrap();
        let error = listen(&mut MioReactor::new().unwrap(), &path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().contains("is not a socket"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_missing_folder_is_told() {
        let (_folder, path) = path();
        let error = listen(&mut MioReactor::new().unwrap(), &path.join("socket")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn the_mode_is_applied() {
        let (_folder, path) = path();
        let mut reactor = MioReactor::new().unwrap();
        let options = ListenOptions { unix_mode: Some(0o640), ..ListenOptions::default() };
        reactor.listen(&Address::Unix(Some(path.clone())), &options).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn the_file_goes_with_the_listener_but_not_a_successor() {
        let (_folder, path) = path();
        let mut reactor = MioReactor::new().unwrap();
        let listener = listen(&mut reactor, &path).unwrap();
        reactor.close(listener, Close::Graceful);
        assert!(!path.exists());
        // Dropping the reactor counts as closing.
        listen(&mut reactor, &path).unwrap();
        drop(reactor);
        assert!(!path.exists());
        // Somebody moved in.
        let mut reactor = MioReactor::new().unwrap();
        let listener = listen(&mut reactor, &path).unwrap();
        fs::rename(&path, path.with_extension("old")).unwrap();
        let _successor = UnixListener::bind(&path).unwrap();
        reactor.close(listener, Close::Graceful);
        assert!(path.exists());
    }

    #[test]
    fn an_inherited_listener_leaves_its_file() {
        let (_folder, path) = path();
        let mut reactor = MioReactor::new().unwrap();
        let listener = reactor.adopt_unix_listener(UnixListener::bind(&path).unwrap()).unwrap();
        let _peer = UnixStream::connect(&path).unwrap();
        wait(&mut reactor, |event| event.sock == listener && event.readable);
        reactor.accept(listener).unwrap();
        reactor.close(listener, Close::Graceful);
        assert!(path.exists());
    }
}
