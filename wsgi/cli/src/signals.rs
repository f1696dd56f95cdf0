//! SIGINT and SIGTERM, on a thread of their own. The first stops in an orderly way, the second at once. SIGUSR1 opens
//! the log files anew.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use handwound_reactor::Remote;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};

use crate::logging::{self, say};

/// The watch over SIGINT, SIGTERM and SIGUSR1. It lasts as long as the process.
#[derive(Clone, Debug)]
pub struct Signals(Arc<Mutex<Stage>>);

/// What a signal means.
#[derive(Debug)]
enum Stage {
    /// Nothing is served yet, or any more: the process ends.
    Idle,
    /// The server stops, and has this long for it.
    Serving { remote: Remote, patience: Duration },
    /// It is stopping already: the process ends.
    Stopping,
}

impl Signals {
    /// Starts to watch. Until something is served, a signal ends the process with 128 plus its number.
    ///
    /// # Errors
    /// The operating system's, if it has no thread or pipe to give.
    pub fn watch() -> io::Result<Signals> {
        let signals = Signals(Arc::new(Mutex::new(Stage::Idle)));
        let watch = signals.clone();
        let mut arriving = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGUSR1])?;
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in arriving.forever() {
                match signal {
                    SIGUSR1 => logging::reopen(),
                    signal => watch.handle(signal),
                }
            }
        })?;
        Ok(signals)
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
        let name = if signal == SIGINT { "SIGINT" } else { "SIGTERM" };
        let stage = std::mem::replace(&mut *self.stage(), Stage::Stopping);
        let Stage::Serving { remote, patience } = stage else {
            logging::flush();
            signal_hook::low_level::exit(128 + signal);
        };
        // A loop that has ended by itself needs no stop.
        let _ = remote.call_from_thread(move |event_loop| {
            let _ = event_loop.stop_within(patience);
        });
        say(format_args!(
            "handwound: {name}: finishing what is under way, for at most {} s; another signal ends it at once",
            patience.as_secs_f64()
        ));
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
