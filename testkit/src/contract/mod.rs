//! What every [`Reactor`] promises, as tests that run on any of them.
//!
//! The promises are the clauses 1 to 8 in the documentation of [`Reactor`]; each is one or more [`checks`]. They
//! know nothing of what is below: both ends of each connection are sockets of one reactor, and all waiting is
//! done by its own `poll`. So the same text runs on sockets of the operating system and on simulated ones, and on
//! yours:
//!
//! ```
//! use handwound_reactor::{MioReactor, OsThreads};
//! use handwound_testkit::contract::{self, Ground};
//!
//! struct Mio;
//!
//! impl Ground for Mio {
//!     type Reactor = MioReactor;
//!     type Threads = OsThreads;
//!
//!     fn reactor(&mut self) -> MioReactor {
//!         MioReactor::new().expect("the system has descriptors left")
//!     }
//!
//!     fn threads(&mut self, beside: &MioReactor) -> OsThreads {
//!         OsThreads::beside(beside)
//!     }
//! }
//!
//! contract::run_all(|| Mio);
//! ```
//!
//! A reactor of your own is checked in the same way. Here one that counts what is read; what it gets wrong would be
//! named by the check that fails:
//!
//! ```
//! use handwound_reactor::{
//!     Address, Close, Event, ListenOptions, MioReactor, OsThreads, Reactor, Received, Sock, Time, Waker,
//! };
//! use handwound_testkit::contract::{self, Ground};
//! use std::io::{self, IoSlice};
//! use std::time::SystemTime;
//!
//! struct Counting {
//!     below: MioReactor,
//!     read_bytes: u64,
//! }
//!
//! impl Reactor for Counting {
//!     fn read(&mut self, sock: Sock, into: &mut [u8]) -> io::Result<Received> {
//!         let received = self.below.read(sock, into)?;
//!         self.read_bytes += received.bytes as u64;
//!         Ok(received)
//!     }
//! #   fn now(&self) -> Time { self.below.now() }
//! #   fn wall_clock(&self) -> SystemTime { self.below.wall_clock() }
//! #   fn listen(&mut self, at: &Address, options: &ListenOptions) -> io::Result<Sock> { self.below.listen(at, options) }
//! #   fn accept(&mut self, listener: Sock) -> io::Result<(Sock, Address)> { self.below.accept(listener) }
//! #   fn connect(&mut self, to: &Address) -> io::Result<Sock> { self.below.connect(to) }
//! #   fn connect_result(&mut self, sock: Sock) -> io::Result<bool> { self.below.connect_result(sock) }
//! #   fn local_address(&self, sock: Sock) -> io::Result<Address> { self.below.local_address(sock) }
//! #   fn write(&mut self, sock: Sock, from: &[IoSlice<'_>]) -> io::Result<usize> { self.below.write(sock, from) }
//! #   fn shutdown_write(&mut self, sock: Sock) -> io::Result<()> { self.below.shutdown_write(sock) }
//! #   fn close(&mut self, sock: Sock, how: Close) { self.below.close(sock, how) }
//! #   fn poll(&mut self, events: &mut Vec<Event>, until: Option<Time>) -> io::Result<()> {
//! #       self.below.poll(events, until)
//! #   }
//! #   fn waker(&self) -> Waker { self.below.waker() }
//!     // … and all other calls as they are below.
//! }
//!
//! struct Workshop;
//!
//! impl Ground for Workshop {
//!     type Reactor = Counting;
//!     type Threads = OsThreads;
//!
//!     fn reactor(&mut self) -> Counting {
//!         Counting { below: MioReactor::new().expect("the system has descriptors left"), read_bytes: 0 }
//!     }
//!
//!     fn threads(&mut self, beside: &Counting) -> OsThreads {
//!         OsThreads::beside(&beside.below)
//!     }
//! }
//!
//! contract::run_all(|| Workshop);
//! ```
//!
//! The checks are strict: a ground that is not [in trouble](Ground::is_in_trouble) has no excuse for an error.
//!
//! In a test file, [`contract_tests!`](crate::contract_tests) makes one `#[test]` of each check, so that a
//! failure is reported by its name.

mod bench;
pub mod checks;
mod closing;
mod edges;
mod naming;
mod waking;

use std::any::Any;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};

use handwound_reactor::{Address, Reactor, Threads};

/// A kind of reactor to check, and how to get one.
pub trait Ground {
    /// What is checked.
    type Reactor: Reactor;
    /// Threads that can wake it.
    type Threads: Threads;

    /// A new reactor, with nothing open.
    fn reactor(&mut self) -> Self::Reactor;

    /// Threads on the clock of `beside`, which [`reactor`](Ground::reactor) has made.
    fn threads(&mut self, beside: &Self::Reactor) -> Self::Threads;

    /// Where to listen: any free port or path that the same reactor can connect to. Port 0 of 127.0.0.1, unless
    /// told otherwise. The checks call it again for each listener.
    fn anywhere(&mut self) -> Address {
        Address::Tcp(([127, 0, 0, 1], 0).into())
    }

    /// How much is sent where a check sends much; 1 MiB, unless told otherwise. It should be more than one
    /// connection can hold when nobody reads.
    fn bulk_bytes(&self) -> usize {
        1 << 20
    }

    /// Makes the next accept that would succeed fail, and tells the kind of error that it will give. `None`, as
    /// by default, where that cannot be done; the check then has nothing to look at.
    fn fail_an_accept(&mut self) -> Option<ErrorKind> {
        None
    }

    /// Whether calls fail here now and then for want of something (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`, `ENOSPC`, …), or
    /// for somebody else's sake (`ECONNABORTED`, …): a simulation that makes trouble, a machine at its limits. The checks
    /// then try again. No, unless told otherwise: an error that no check has asked for breaks the contract.
    fn is_in_trouble(&self) -> bool {
        false
    }

    /// What to know about this ground when a check has failed on it: a seed, for example.
    fn describe(&self) -> String {
        String::new()
    }
}

/// One check: its name is the promise.
pub struct Check<G> {
    /// The name of the function in [`checks`].
    pub name: &'static str,
    /// Runs it.
    ///
    /// # Panics
    /// When the promise is broken.
    pub run: fn(&mut G),
}

/// All checks, in the order of the clauses.
pub fn all<G: Ground>() -> Vec<Check<G>> {
    crate::contract_tests!(@each list [G])
}

/// Runs every check, each on a ground of its own.
///
/// # Panics
/// After the last, if any has failed: with the names of those that have, why, and [`Ground::describe`].
pub fn run_all<G: Ground>(mut make: impl FnMut() -> G) {
    let mut broken = Vec::new();
    let checks = all::<G>();
    for check in &checks {
        let mut ground = make();
        let run = AssertUnwindSafe(|| (check.run)(&mut ground));
        if let Err(why) = catch_unwind(run) {
            broken.push(format!("{} {}: {}", check.name, ground.describe(), message(why.as_ref())));
        }
    }
    assert!(broken.is_empty(), "{} of {} checks failed:\n{}", broken.len(), checks.len(), broken.join("\n"));
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text")
}

/// Makes a module with one `#[test]` for each of the [`checks`](crate::contract::checks), each on a ground of its
/// own.
///
/// ```
/// # use handwound_reactor::{MioReactor, OsThreads};
/// # use handwound_testkit::contract::Ground;
/// # struct Mio;
/// # impl Ground for Mio {
/// #     type Reactor = MioReactor;
/// #     type Threads = OsThreads;
/// #     fn reactor(&mut self) -> MioReactor { MioReactor::new().unwrap() }
/// #     fn threads(&mut self, beside: &MioReactor) -> OsThreads { OsThreads::beside(beside) }
/// # }
/// handwound_testkit::contract_tests!(mio, Mio);
/// ```
#[macro_export]
macro_rules! contract_tests {
    ($module:ident, $ground:expr) => {
        $crate::contract_tests!(@each tests [$module, $ground]);
    };
    // The one list, for both uses.
    (@each $use:ident $for:tt) => {
        $crate::contract_tests! { @$use $for
            // 1
            each_arrival_makes_an_edge
            an_edge_is_not_reported_for_ever
            what_is_left_can_be_read_without_another_edge
            a_call_that_comes_too_early_would_block
            drained_means_that_the_next_read_would_block
            bytes_that_came_before_the_accept_make_an_edge
            each_batch_of_connections_makes_an_edge
            a_full_connection_would_block_and_becomes_writable_once_it_is_read
            // 2
            a_wake_before_a_poll_ends_it
            a_wake_during_a_poll_ends_it
            wakes_coalesce
            no_wake_of_two_threads_is_lost
            a_waker_outlives_its_reactor
            // 3
            poll_returns_at_its_time_and_not_before
            a_poll_until_long_ago_returns_at_once
            a_poll_until_the_end_of_time_can_be_woken
            // 4
            a_closed_sock_names_nothing
            a_closed_sock_never_names_its_successor
            closing_twice_is_harmless
            // 5
            accept_would_block_when_nobody_waits
            accept_tells_who_has_come
            connections_wait_to_be_accepted
            a_failed_accept_leaves_the_listener_usable
            an_address_in_use_is_refused_until_it_is_free
            each_listener_gets_a_port_of_its_own
            // 6
            a_graceful_close_delivers_everything_then_the_end
            a_graceful_close_delivers_much_then_the_end
            a_reset_is_seen_as_one
            a_reset_drops_what_was_not_delivered_and_changes_nothing_else
            a_reset_frees_a_writer_that_waits
            a_close_with_unread_bytes_is_noticed
            closing_a_listener_turns_away_who_waits
            // 7
            a_connect_comes_to_an_end
            a_refused_connect_says_so
            half_close_ends_one_direction_only
            both_directions_can_be_half_closed
            the_end_is_told_again
            a_write_after_our_own_end_is_a_broken_pipe
            a_write_after_the_peer_has_closed_fails_in_the_end
            several_slices_arrive_in_order
            connections_do_not_mix
            // 8
            now_never_goes_back
        }
    };
    (@tests [$module:ident, $ground:expr] $($check:ident)*) => {
        mod $module {
            use super::*;
            $(
                #[test]
                fn $check() {
                    $crate::contract::checks::$check(&mut $ground);
                }
            )*
        }
    };
    (@list [$ground:ident] $($check:ident)*) => {
        vec![$($crate::contract::Check { name: stringify!($check), run: $crate::contract::checks::$check::<$ground> }),*]
    };
}
