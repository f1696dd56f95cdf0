//! SIGINT and SIGTERM, on a thread of their own. The first stops in an orderly way, the second at once. SIGUSR1 opens
//! the log files anew. A worker hears of all of them from its master, on another thread.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use handwound_reactor::Remote;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

use crate::logging::{self, say};
use crate::supervisor::{News, Order, Worker, is_worker};

/// The watch over SIGINT, SIGTERM and SIGUSR1. It lasts as long as the process.
#[derive(Clone, Debug)]
pub struct Signals {
    stage: Arc<Mutex<Stage>>,
    worker: Option<Worker>,
}

/// What a signal means.
#[derive(Debug)]
enum Stage {
    /// Nothing is served yet, or any more: the process ends.
    Idle,
    /// The server stops, and has this long for it.
    Serving { remote: Remote, patience: Duration },
    /// It is stopping already: the process ends.
    Stopping,
    /// Somebody else in this process looks after them.
    Aside,
}

impl Signals {
    /// Starts to watch. Until something is served, a signal ends the process with 128 plus its number.
    ///
    /// In a worker this takes over what its master has given, standard input among it, and starts to obey.
    ///
    /// # Errors
    /// The operating system's, if it has no thread or pipe to give.
    pub fn watch() -> io::Result<Signals> {
        let worker = is_worker().then(Worker::take_over).transpose()?;
        let signals = Signals { stage: Arc::new(Mutex::new(Stage::Idle)), worker };
        let watch = signals.clone();
        let mut arriving = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGUSR1])?;
        if signals.worker.is_some() {
            // A terminal sends it to the master as well, who will say what to do.
            arriving.add_signal(SIGHUP)?;
        }
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in arriving.forever() {
                match signal {
                    SIGUSR1 => logging::reopen(),
                    signal => watch.handle(signal),
                }
            }
        })?;
        if let Some(worker) = signals.worker.clone() {
            let obeying = signals.clone();
            std::thread::Builder::new().name("master".to_owned()).spawn(move || obeying.obey(&worker))?;
        }
        Ok(signals)
    }

    /// Tells a master that watches files which ones these are; nothing where there is none.
    pub fn tell_files(&self, files: impl FnOnce() -> Vec<PathBuf>) {
        if let Some(worker) = &self.worker {
            worker.tell_files(files());
        }
    }

    /// What ties this process to its master, if it is a worker.
    pub(crate) fn worker(&self) -> Option<&Worker> {
        self.worker.as_ref()
    }

    /// From here on a signal does nothing here.
    pub(crate) fn step_aside(&self) {
        *self.stage() = Stage::Aside;
    }

    /// From here on the first signal stops the loop behind `remote` within `patience`.
    pub(crate) fn serving(&self, remote: Remote, patience: Duration) {
        *self.stage() = Stage::Serving { remote, patience };
    }

    /// From here on a signal ends the process.
    pub(crate) fn ended(&self) {
        *self.stage() = Stage::Stopping;
    }

    fn handle(&self, signal: i32) {
        if self.worker.is_some() && signal != SIGTERM || matches!(*self.stage(), Stage::Aside) {
            return;
        }
        let name = if signal == SIGINT { "SIGINT" } else { "SIGTERM" };
        let stage = std::mem::replace(&mut *self.stage(), Stage::Stopping);
        let Stage::Serving { remote, patience } = stage else {
            if self.worker.is_some() && matches!(stage, Stage::Stopping) {
                // Whoever signals all processes has told the master too, and its order came first. It kills who is late.
                return;
            }
            logging::flush();
            signal_hook::low_level::exit(128 + signal);
        };
        if let Some(worker) = &self.worker {
            // So that another comes at once, and not only when this one has ended.
            worker.tell(&News::Leaving);
        }
        stop(&remote, patience);
        say(format_args!(
            "handwound: {name}: finishing what is under way, for at most {} s; another signal ends it at once",
            patience.as_secs_f64()
        ));
    }

    /// Does what the master says, until it has gone.
    fn obey(&self, worker: &Worker) {
        loop {
            match worker.next_order() {
                Some(Order::ReopenLogs) => logging::reopen(),
                Some(Order::TellFiles) => worker.answer(),
                Some(Order::BeReplaced | Order::Stop) => self.end_in_order(),
                None => {
                    if matches!(*self.stage(), Stage::Idle | Stage::Serving { .. }) {
                        say(format_args!("handwound: the master has gone; process {} ends too", std::process::id()));
                    }
                    return self.end_in_order();
                }
            }
        }
    }

    /// Unless it is ending already.
    fn end_in_order(&self) {
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Stopping) {
            // Nobody has been promised anything.
            Stage::Idle => {
                logging::flush();
                signal_hook::low_level::exit(0)
            }
            Stage::Serving { remote, patience } => stop(&remote, patience),
            Stage::Stopping => {}
            Stage::Aside => *stage = Stage::Aside,
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stop(remote: &Remote, patience: Duration) {
    // A loop that has ended by itself needs no stop.
    let _ = remote.call_from_thread(move |event_loop| {
        let _ = event_loop.stop_within(patience);
    });
}
