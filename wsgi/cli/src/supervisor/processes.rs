//! The worker processes of a master: starting them, hearing of them, ending them. Decides nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use handwound_reactor::Bound;
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process};

use super::events::{Fate, WorkerId};
use super::link::{self, News, Order};
use super::worker::{MARK, mark};

/// What to run as a worker: a program that comes to [`serve`](crate::serve) with the same options as its master.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// Its arguments, without its name.
    pub arguments: Vec<OsString>,
}

impl Program {
    /// This process's own program, with the arguments that it was given.
    ///
    /// # Errors
    /// The system's, where it does not know.
    pub fn own() -> io::Result<Program> {
        Ok(Program { path: std::env::current_exe()?, arguments: std::env::args_os().skip(1).collect() })
    }
}

/// The processes that live.
#[derive(Debug, Default)]
pub(super) struct Processes(BTreeMap<WorkerId, Process>);

#[derive(Debug)]
struct Process {
    pid: Pid,
    /// `None` once it has closed its end, or talked nonsense.
    socket: Option<UnixStream>,
    received: Vec<u8>,
    owes_files: bool,
    /// Its number may be another's by now.
    has_ended: bool,
}

impl Processes {
    /// Starts one more.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn spawn(&mut self, id: WorkerId, program: &Program, listeners: &[Bound]) -> io::Result<()> {
        let (ours, theirs) = UnixStream::pair()?;
        let count = u8::try_from(listeners.len()).map_err(|_| io::Error::other("more than 255 endpoints"))?;
        io::Write::write_all(&mut &ours, &[count])?;
        link::send_descriptor(&ours, io::stdin().as_fd())?;
        listeners.iter().try_for_each(|listener| link::send_descriptor(&ours, listener.as_fd()))?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(&program.path);
        command.args(&program.arguments).env(MARK, mark(theirs.as_fd())?);
        // They were for this process.
        for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
            command.env_remove(name);
        }
        // The child is waited for by its number, together with what it may leave behind.
        let child = command.stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
        let pid = Pid::from_raw(child.id() as i32).expect("the system numbers processes from 1");
        self.0
            .insert(id, Process { pid, socket: Some(ours), received: Vec::new(), owes_files: false, has_ended: false });
        Ok(())
    }

    pub(super) fn order(&self, id: WorkerId, order: Order) {
        if let Some(socket) = self.0.get(&id).and_then(|process| process.socket.as_ref()) {
            link::order(socket, order);
        }
    }

    /// Asks everyone for files who has answered the last time.
    pub(super) fn ask_for_files(&mut self) {
        for process in self.0.values_mut() {
            if let Some(socket) = &process.socket
                && !std::mem::replace(&mut process.owes_files, true)
            {
                link::order(socket, Order::TellFiles);
            }
        }
    }

    pub(super) fn kill(&self, id: WorkerId) {
        if let Some(process) = self.0.get(&id).filter(|process| !process.has_ended) {
            // It is there, or we had heard of its end: nobody else waits for it.
            let _ = kill_process(process.pid, Signal::KILL);
        }
    }

    /// The number of its process, until it is forgotten.
    pub(super) fn pid(&self, id: WorkerId) -> Option<i32> {
        self.0.get(&id).map(|process| process.pid.as_raw_nonzero().get())
    }

    /// What to wait for, in the order of the workers.
    pub(super) fn poll_fds(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.0.values().filter_map(|it| it.socket.as_ref()).map(|socket| PollFd::new(socket, PollFlags::IN))
    }

    /// What workers have said since the last call.
    pub(super) fn news(&mut self) -> Vec<(WorkerId, News)> {
        let mut all = Vec::new();
        for (id, process) in &mut self.0 {
            process.read();
            process.take_news(|news| all.push((*id, news)));
        }
        all
    }

    /// Those that have ended are of no interest any more.
    pub(super) fn forget_ended(&mut self) {
        self.0.retain(|_, process| !process.has_ended);
    }

    /// Who has ended, and what they had still said. What others have left to this process goes too.
    pub(super) fn ended(&mut self) -> Vec<(WorkerId, Vec<News>, Fate)> {
        let mut all = Vec::new();
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let Some(fate) = fate(status) else { continue };
            let Some((id, process)) = self.0.iter_mut().find(|(_, it)| it.pid == pid && !it.has_ended) else {
                continue;
            };
            let mut last = Vec::new();
            process.read();
            process.take_news(|news| last.push(news));
            (process.socket, process.has_ended) = (None, true);
            all.push((*id, last, fate));
        }
        all
    }
}

impl Process {
    fn read(&mut self) {
        let Some(mut socket) = self.socket.as_ref() else { return };
        let mut chunk = [0; 4096];
        loop {
            match socket.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => self.received.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.socket = None;
    }

    fn take_news(&mut self, mut take: impl FnMut(News)) {
        loop {
            match link::take_news(&mut self.received) {
                Ok(Some(news)) => {
                    if matches!(news, News::Files(_)) {
                        self.owes_files = false;
                    }
                    take(news);
                }
                Ok(None) => return,
                Err(link::Nonsense) => {
                    (self.socket, self.received) = (None, Vec::new());
                    return;
                }
            }
        }
    }
}

fn fate(status: WaitStatus) -> Option<Fate> {
    let code = status.exit_status().map(Fate::Code);
    code.or_else(|| status.terminating_signal().map(Fate::Signal))
}
