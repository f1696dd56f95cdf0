//! Loom's threads, behind the seam.

use std::io;
use std::sync::Arc;

use loom::sync::{Condvar, Mutex};

use crate::{Gate, Parking, SharedId, Threads, Time, Unparked, Wake};

/// Threads whose every order is tried. Time stands still: who waits until then waits for a token.
#[derive(Clone)]
pub(super) struct LoomThreads;

impl Threads for LoomThreads {
    fn spawn(&self, _name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        loom::thread::spawn(body);
        Ok(())
    }

    fn gate(&self, _name: &str) -> Gate {
        Gate::new(Arc::new(LoomGate::default()))
    }

    fn now(&self) -> Time {
        Time::ZERO
    }

    fn shared(&self, _name: &str) -> SharedId {
        SharedId::UNWATCHED
    }

    fn visit(&self, _shared: SharedId) {}
}

/// A gate, and what a poll waits at.
#[derive(Default)]
pub(super) struct LoomGate {
    token: Mutex<bool>,
    left: Condvar,
}

impl Parking for LoomGate {
    fn park(&self, _until: Option<Time>) -> Unparked {
        let mut token = self.token.lock().unwrap();
        while !std::mem::take(&mut *token) {
            token = self.left.wait(token).unwrap();
        }
        Unparked::ByToken
    }

    fn unpark(&self) {
        *self.token.lock().unwrap() = true;
        self.left.notify_one();
    }
}

impl Wake for LoomGate {
    fn wake(&self) {
        self.unpark();
    }
}
