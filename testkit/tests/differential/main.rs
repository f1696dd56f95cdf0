//! The simulated network against the real one: the same script of socket calls is run on both, and what comes of
//! the whole script in the simulation must be what has come of it on real sockets.
//!
//! What is compared is what a program can rely on, not timing. After every call both sides are given time to let
//! everything arrive, and a call goes on until nothing more comes of it: short reads and writes, injected
//! `WouldBlock`s and latency, of which the simulation makes much use, add up to the same. Error kinds are compared
//! as they are. Real sockets may take longer to settle than they were given: a script whose outcomes differ is
//! run on them again with more time, and any outcome that they have shown is allowed. How much there is room for is
//! the system's business: of writes up to there it is compared what follows, and no count.
//!
//! The scripts are the same each time. `PROPTEST_RNG_SEED` makes others, `PROPTEST_CASES` more of them.
//!
//! Not provoked here, because a kernel does it to nobody who asks: connects that get no answer, calls that fail for
//! want of memory or descriptors, signals, silent lines. The rules found in this way are those of Linux, and so the
//! test is run there only.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod found;
mod judge;
mod script;
mod stage;

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestError, TestRunner};

use self::judge::compare;
use self::script::{Sockets, scripts};

fn check(sockets: Sockets) {
    let mut config = ProptestConfig { max_shrink_iters: 600, failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 1000;
    }
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(1);
    }
    let failed = Cell::new(false);
    let outcome = TestRunner::new(config).run(&(scripts(sockets), any::<u64>()), |(script, seed)| {
        let result = compare(&script, seed, failed.get());
        failed.set(failed.get() || result.is_err());
        result.map_err(TestCaseError::fail)
    });
    if let Err(TestError::Fail(quickly, (script, seed))) = outcome {
        let what = compare(&script, seed, false).err().unwrap_or_else(|| quickly.to_string());
        panic!("the simulation shows what real sockets do not: {what}");
    }
    outcome.unwrap();
}

#[test]
fn what_the_simulation_shows_of_tcp_real_sockets_show_too() {
    check(Sockets::Tcp);
}

#[test]
fn what_the_simulation_shows_of_unix_sockets_real_ones_show_too() {
    check(Sockets::Unix);
}
