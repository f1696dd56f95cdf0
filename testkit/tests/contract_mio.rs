//! The contract of a reactor, on the operating system's sockets: TCP, and UNIX sockets.
#![allow(clippy::unwrap_used)]

use handwound_reactor::{Address, MioReactor, OsThreads};
use handwound_testkit::contract::{self, Ground};

struct Tcp;

impl Ground for Tcp {
    type Reactor = MioReactor;
    type Threads = OsThreads;

    fn reactor(&mut self) -> MioReactor {
        MioReactor::new().unwrap()
    }

    fn threads(&mut self, beside: &MioReactor) -> OsThreads {
        OsThreads::beside(beside)
    }

    fn bulk_bytes(&self) -> usize {
        16 << 20
    }
}

handwound_testkit::contract_tests!(tcp, Tcp);

/// UNIX sockets of the same reactor, in a folder that goes away.
#[cfg(unix)]
struct Unix {
    folder: tempfile::TempDir,
    listeners: u32,
}

#[cfg(unix)]
impl Ground for Unix {
    type Reactor = MioReactor;
    type Threads = OsThreads;

    fn reactor(&mut self) -> MioReactor {
        MioReactor::new().unwrap()
    }

    fn threads(&mut self, beside: &MioReactor) -> OsThreads {
        OsThreads::beside(beside)
    }

    fn anywhere(&mut self) -> Address {
        self.listeners += 1;
        Address::Unix(Some(self.folder.path().join(self.listeners.to_string())))
    }
}

/// All of it, but that a reset is no more than a close there.
#[cfg(unix)]
#[test]
fn unix_sockets_keep_the_contract_save_for_resets() {
    let unknown = ["a_reset_is_seen_as_one", "a_reset_drops_what_was_not_delivered_and_changes_nothing_else"];
    let mut checks = contract::all::<Unix>();
    checks.retain(|check| !unknown.contains(&check.name));
    assert_eq!(checks.len() + unknown.len(), contract::all::<Unix>().len());
    for check in checks {
        println!("{}", check.name);
        (check.run)(&mut Unix { folder: tempfile::tempdir().unwrap(), listeners: 0 });
    }
}
