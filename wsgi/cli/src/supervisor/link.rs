//! The socket that joins a master and a worker: what each tells the other, and how descriptors go over.
//!
//! The worker's end is its standard input when it starts. So nothing needs to be told about numbers of descriptors, and no
//! descriptor is left open in what an application starts. A worker that reads the end of the stream knows that its master
//! is gone. (A master learns of the end of a worker from the system: a process that an application has forked may hold the
//! worker's end open.)

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, send, sendmsg,
};

/// Bytes of the paths in one [`News::Files`].
const FILES_BYTES_MAX: u32 = 16 << 20;

/// What a master tells a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// End in order; others take over.
    BeReplaced,
    /// End in order; the server ends.
    Stop,
    /// Open log files anew.
    ReopenLogs,
    /// Say which files the application is made of.
    TellFiles,
}

const ORDERS: [(u8, Order); 4] =
    [(b'd', Order::BeReplaced), (b's', Order::Stop), (b'u', Order::ReopenLogs), (b'f', Order::TellFiles)];

/// What a worker tells its master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It serves.
    Ready,
    /// It has served what it was to serve at the most.
    Spent,
    /// It ends, by itself.
    Leaving,
    /// The files that its application is made of, as far as it has not told them before.
    Files(Vec<PathBuf>),
}

/// Tells a worker. Never waits: a worker that reads nothing is told nothing, and killed when it is late.
pub fn order(to: &UnixStream, order: Order) {
    let byte = ORDERS.iter().find(|(_, it)| *it == order).map_or(0, |(byte, _)| *byte);
    let _ = send(to, &[byte], SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

/// The next order; `None` when the master has gone.
pub fn next_order(mut from: &UnixStream) -> Option<Order> {
    loop {
        let mut byte = [0];
        from.read_exact(&mut byte).ok()?;
        // One that this version does not know is for another.
        if let Some((_, order)) = ORDERS.iter().find(|(known, _)| *known == byte[0]) {
            return Some(*order);
        }
    }
}

/// Tells the master. Whoever finds it gone will read so, too.
pub fn tell(to: &UnixStream, news: &News) {
    let mut bytes = match news {
        News::Ready => vec![b'r'],
        News::Spent => vec![b'p'],
        News::Leaving => vec![b'l'],
        News::Files(files) => {
            let paths = files.iter().map(|file| file.as_os_str().as_bytes()).collect::<Vec<_>>().join(&0);
            let length = u32::try_from(paths.len()).unwrap_or(u32::MAX);
            [&b"f"[..], &length.to_be_bytes(), &paths].concat()
        }
    };
    while !bytes.is_empty() {
        match send(to, &bytes, SendFlags::NOSIGNAL) {
            Ok(sent) => drop(bytes.drain(..sent)),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// What a worker sends is none of our language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonsense;

/// Takes the next word of a worker from the front of what it has sent; `None` where it is not complete.
pub fn take_news(received: &mut Vec<u8>) -> Result<Option<News>, Nonsense> {
    let (used, news) = match received[..] {
        [] => return Ok(None),
        [b'r', ..] => (1, News::Ready),
        [b'p', ..] => (1, News::Spent),
        [b'l', ..] => (1, News::Leaving),
        [b'f', a, b, c, d, ref rest @ ..] => {
            let length = u32::from_be_bytes([a, b, c, d]);
            if length > FILES_BYTES_MAX {
                return Err(Nonsense);
            }
            let Some(paths) = rest.get(..length as usize) else { return Ok(None) };
            let files = paths.split(|byte| *byte == 0).filter(|path| !path.is_empty());
            let files = files.map(|path| OsString::from_vec(path.to_vec()).into()).collect();
            (5 + paths.len(), News::Files(files))
        }
        [b'f', ..] => return Ok(None),
        _ => return Err(Nonsense),
    };
    received.drain(..used);
    Ok(Some(news))
}

/// Sends a descriptor; the other end gets a duplicate.
pub fn send_descriptor(to: &UnixStream, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    // There is room for just this.
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    // A message needs a byte to travel with.
    sendmsg(to, &[IoSlice::new(b"i")], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives a descriptor, which what this process starts will not inherit.
pub fn receive_descriptor(from: &UnixStream) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::empty())?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let missing = || io::Error::new(io::ErrorKind::UnexpectedEof, "the master sent no descriptor");
    let descriptor = descriptor.ok_or_else(missing)?;
    rustix::io::fcntl_setfd(descriptor.as_fd(), rustix::io::FdFlags::CLOEXEC)?;
    Ok(descriptor)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use super::*;

    #[test]
    fn orders_and_news_come_over_as_they_were_sent_and_the_end_is_told() {
        let (master, worker) = UnixStream::pair().unwrap();
        for (_, sent) in ORDERS {
            order(&master, sent);
            assert_eq!(next_order(&worker), Some(sent));
        }
        let files = vec![PathBuf::from("/a b/c.py"), OsString::from_vec(b"/\xff.py".to_vec()).into()];
        for sent in [News::Ready, News::Spent, News::Leaving, News::Files(files), News::Files(Vec::new())] {
            tell(&worker, &sent);
            let mut received = Vec::new();
            while received.is_empty() || take_news(&mut received.clone()) == Ok(None) {
                let mut byte = [0];
                (&master).read_exact(&mut byte).unwrap();
                received.push(byte[0]);
            }
            assert_eq!((take_news(&mut received), received), (Ok(Some(sent)), Vec::new()));
        }
        (&master).write_all(b"?s").unwrap();
        assert_eq!(next_order(&worker), Some(Order::Stop));
        drop(master);
        assert_eq!(next_order(&worker), None);
        tell(&worker, &News::Ready);
    }

    #[test]
    fn a_worker_that_reads_nothing_does_not_hold_its_master_up() {
        let (master, _worker) = UnixStream::pair().unwrap();
        (0..100_000).for_each(|_| order(&master, Order::TellFiles));
    }

    #[test]
    fn a_worker_that_talks_nonsense_is_not_listened_to_and_half_a_word_is_none() {
        assert_eq!(take_news(&mut b"x".to_vec()), Err(Nonsense));
        assert_eq!(take_news(&mut b"f\xff\xff\xff\xff".to_vec()), Err(Nonsense));
        let mut received = b"f\0\0\0\x02a".to_vec();
        assert_eq!(take_news(&mut received), Ok(None));
        received.extend(b"bp");
        assert_eq!(take_news(&mut received), Ok(Some(News::Files(vec!["ab".into()]))));
        assert_eq!(take_news(&mut received), Ok(Some(News::Spent)));
        assert_eq!(take_news(&mut received), Ok(None));
    }

    #[test]
    fn a_descriptor_comes_over_and_closes_on_exec() {
        let (master, worker) = UnixStream::pair().unwrap();
        let (mut written, read) = UnixStream::pair().unwrap();
        send_descriptor(&master, read.as_fd()).unwrap();
        let received = receive_descriptor(&worker).unwrap();
        assert_eq!(rustix::io::fcntl_getfd(&received).unwrap(), rustix::io::FdFlags::CLOEXEC);
        written.write_all(b"x").unwrap();
        let mut byte = [0];
        UnixStream::from(received).read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
        drop(master);
        assert_eq!(receive_descriptor(&worker).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
