//! The worker's side: what it takes over from its master, and what it tells it.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::link::{self, News, Order};

/// Names the socket that a worker gets as its standard input, in its environment. What a worker starts gets another input,
/// and is none.
pub(super) const MARK: &str = "HANDWOUND_WORKER";

/// Whether a master has started this process to serve for it. One whose master has gone since is a worker too, which ends:
/// it must not take itself for a master.
pub fn is_worker() -> bool {
    // Standard input is another one later.
    static IS_WORKER: OnceLock<bool> = OnceLock::new();
    *IS_WORKER.get_or_init(|| {
        let marked = std::env::var(MARK);
        marked.is_ok_and(|marked| mark(io::stdin().as_fd()).is_ok_and(|input| input == marked))
    })
}

/// What [`MARK`] says of this socket.
pub(super) fn mark(socket: BorrowedFd<'_>) -> io::Result<String> {
    let socket = rustix::fs::fstat(socket)?;
    Ok(format!("{}:{}", socket.st_dev, socket.st_ino))
}

/// The files that what is served is made of, for whoever watches them.
pub trait Sources: Send + Sync {
    /// All that are known so far. Runs on a thread of its own, once a second at the most.
    fn files(&self) -> Vec<PathBuf>;
}

/// This process's tie to its master. Clones are the same.
#[derive(Clone)]
pub struct Worker(Arc<Tie>);

struct Tie {
    socket: UnixStream,
    /// Held while something is told, which may be long: words of two threads must not mix.
    telling: Mutex<()>,
    listeners: Mutex<VecDeque<OwnedFd>>,
    /// Others go on serving when this one ends.
    is_replaced: AtomicBool,
    sources: Mutex<Option<Arc<dyn Sources>>>,
    told: Mutex<BTreeSet<PathBuf>>,
}

impl Worker {
    /// Takes over what the master has given: the tie itself, which is standard input here, what standard input is to be,
    /// and the sockets that listen. To be called once, early.
    ///
    /// # Errors
    /// The system's, when the master has gone or is none of ours.
    pub(crate) fn take_over() -> io::Result<Worker> {
        let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let mut count = [0];
        (&socket).read_exact(&mut count)?;
        rustix::stdio::dup2_stdin(link::receive_descriptor(&socket)?)?;
        let listeners = (0..count[0]).map(|_| link::receive_descriptor(&socket)).collect::<io::Result<_>>()?;
        Ok(Worker(Arc::new(Tie {
            socket,
            telling: Mutex::default(),
            listeners: Mutex::new(listeners),
            is_replaced: AtomicBool::new(false),
            sources: Mutex::default(),
            told: Mutex::default(),
        })))
    }

    /// The next socket that listens; they come in the order of the endpoints.
    pub(crate) fn next_listener(&self) -> Option<OwnedFd> {
        lock(&self.0.listeners).pop_front()
    }

    /// The next order; `None` when the master has gone.
    pub(crate) fn next_order(&self) -> Option<Order> {
        let order = link::next_order(&self.0.socket);
        if order == Some(Order::BeReplaced) {
            self.0.is_replaced.store(true, Ordering::Relaxed);
        }
        order
    }

    /// Whether others go on serving when this one ends.
    pub(crate) fn is_replaced(&self) -> bool {
        self.0.is_replaced.load(Ordering::Relaxed)
    }

    /// Tells the master. Waits while others do, and while it reads nothing.
    pub(crate) fn tell(&self, news: &News) {
        if *news == News::Leaving {
            // The master will see to it.
            self.0.is_replaced.store(true, Ordering::Relaxed);
        }
        let _telling = lock(&self.0.telling);
        link::tell(&self.0.socket, news);
    }

    /// The same, from a thread that must not wait.
    pub(crate) fn tell_later(&self, news: News) {
        let worker = self.clone();
        // Without a thread the master is not told, and this worker goes on as it is.
        let _ = std::thread::Builder::new().name("news".to_owned()).spawn(move || worker.tell(&news));
    }

    /// Tells the master of these files, as far as it does not know them.
    pub(crate) fn tell_files(&self, files: Vec<PathBuf>) {
        let mut told = lock(&self.0.told);
        let new = files.into_iter().filter(|file| told.insert(file.clone())).collect();
        self.tell(&News::Files(new));
    }

    /// Answers the master's questions for files from here on.
    pub(crate) fn answer_from(&self, sources: Arc<dyn Sources>) {
        *lock(&self.0.sources) = Some(sources);
    }

    pub(crate) fn answer(&self) {
        let sources = lock(&self.0.sources).clone();
        self.tell_files(sources.map(|sources| sources.files()).unwrap_or_default());
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("is_replaced", &self.is_replaced()).finish_non_exhaustive()
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
