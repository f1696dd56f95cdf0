//! Trouble that a run draws for itself.

use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSlice};

use handwound_reactor::{Address, ListenOptions, Reactor};
use handwound_testkit::{
    Choices, EACCES, EADDRNOTAVAIL, ECONNABORTED, EMFILE, ENETUNREACH, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EPERM, EPROTO,
    NetworkOptions, Sim, SystemError, Trouble,
};

use super::{at, listen, poll};

#[test]
fn a_family_of_trouble_does_not_shift_the_others() {
    let run = |trouble: Trouble| {
        let sim = Sim::new(Choices::seed(11));
        sim.set_network(NetworkOptions::calm());
        sim.set_trouble(trouble);
        let mut reactor = sim.reactor("server");
        let mut results = Vec::new();
        if let Ok(listener) = reactor.listen(&at(80), &ListenOptions::default()) {
            for _ in 0..40 {
                let _client = sim.connect(&at(80));
                results.push(reactor.accept(listener).map(drop).map_err(|error| error.raw_os_error()));
            }
        }
        results
    };
    let mut accepts = Trouble::none();
    accepts.accepts = true;
    let mut more = accepts;
    (more.breaks, more.peers, more.starts, more.date) = (true, true, true, true);
    let alone = run(accepts);
    assert!(alone.iter().any(Result::is_err) && alone.iter().any(Result::is_ok));
    assert_eq!(alone, run(more));
    assert!(run(Trouble::none()).iter().all(Result::is_ok));
}

#[test]
fn allowed_trouble_is_on_in_some_runs_and_never_in_a_calm_one() {
    let on = |choices| Sim::new(choices).allow_trouble(Trouble::all());
    assert_eq!(on(Choices::calm()), Trouble::none());
    let drawn: Vec<Trouble> = (0..64).map(|seed| on(Choices::seed(seed))).collect();
    assert!(drawn.iter().any(|trouble| trouble.breaks && !trouble.accepts));
    assert!(drawn.iter().any(|trouble| !trouble.breaks && trouble.accepts));
}

/// Each kind of call with what it may say: what the manual pages of Linux name, and `MioReactor` lets through.
const LEGAL: [(&str, &[SystemError]); 5] = [
    ("accept", &[ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTO, EPERM, ENETUNREACH]),
    ("connect", &[EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EACCES, EADDRNOTAVAIL, ENETUNREACH]),
    ("listen", &[EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EACCES, EADDRNOTAVAIL]),
    ("read", &[ENOMEM]),
    ("write", &[ENOBUFS, ENOMEM]),
];

/// And of these, what they may say at a UNIX socket, to which no network, firewall or port belongs.
const LEGAL_UNIX: [(&str, &[SystemError]); 4] = [
    ("accept", &[EMFILE, ENFILE, ENOMEM]),
    ("connect", &[EMFILE, ENFILE, ENOMEM, ENOSPC, EACCES]),
    ("listen", &[EMFILE, ENFILE, ENOMEM, ENOSPC, EACCES]),
    ("write", &[ENOBUFS]),
];

fn unix(number: u16) -> Address {
    Address::Unix(Some(format!("/run/{number}").into()))
}

/// Uses every call a lot; the errors of the system that came, by call.
fn errors_with(seed: u64, trouble: Trouble, at: fn(u16) -> Address) -> BTreeSet<(&'static str, i32)> {
    let sim = Sim::new(Choices::seed(seed));
    sim.set_network(NetworkOptions::calm());
    sim.set_trouble(trouble);
    let mut reactor = sim.reactor("server");
    let mut seen = BTreeSet::new();
    let mut note = |call, error: std::io::Error| {
        assert_ne!(error.kind(), ErrorKind::Interrupted, "retried inside");
        if let Some(number) = error.raw_os_error() {
            seen.insert((call, number));
        }
    };
    for port in 80..110 {
        let listener = match reactor.listen(&at(port), &ListenOptions::default()) {
            Ok(listener) => listener,
            Err(error) => {
                note("listen", error);
                continue;
            }
        };
        let there = reactor.connect(&at(port)).map_err(|error| note("connect", error)).ok();
        let here = reactor.accept(listener).map_err(|error| note("accept", error)).ok();
        let (Some(there), Some((here, _))) = (there, here) else { continue };
        for _ in 0..8 {
            let _ = reactor.write(there, &[IoSlice::new(b"x")]).map_err(|error| note("write", error));
            let _ = reactor.read(here, &mut [0; 8]).map_err(|error| note("read", error));
        }
    }
    let _ = (0..10).map(|_| poll(&mut reactor)).count();
    assert!(trouble.signals || !sim.trace().contains("is interrupted"));
    seen
}

#[test]
fn troubles_errors_are_those_of_the_kernel_and_each_of_them_comes() {
    let mut all = Trouble::all();
    (all.connects, all.starts) = (false, false);
    let number = |error: SystemError| std::io::Error::from(error).raw_os_error().unwrap();
    for (legal, at) in [(LEGAL.as_slice(), at as fn(u16) -> Address), (&LEGAL_UNIX, unix)] {
        let seen: BTreeSet<_> = (0..300).flat_map(|seed| errors_with(seed, all, at)).collect();
        let legal: BTreeSet<_> =
            legal.iter().flat_map(|(call, errors)| errors.iter().map(|&error| (*call, number(error)))).collect();
        assert_eq!(seen, legal);
    }
    for seed in 0..20 {
        assert_eq!(errors_with(seed, Trouble::none(), at), BTreeSet::new());
        let mut transfers = Trouble::none();
        transfers.transfers = true;
        assert!(errors_with(seed, transfers, at).iter().all(|(call, _)| ["read", "write"].contains(call)));
    }
}

#[test]
fn each_family_of_trouble_is_on_in_about_half_of_the_seeds_whatever_the_others_are() {
    let families = |seed| {
        let on = Sim::new(Choices::seed(seed)).allow_trouble(Trouble::all());
        let Trouble { accepts, sockets, breaks, peers, starts, date, signals, transfers, connects, .. } = on;
        [accepts, sockets, breaks, peers, starts, date, signals, transfers, connects]
    };
    let drawn: Vec<_> = (0..400).map(families).collect();
    for one in 0..9 {
        for other in 0..one {
            for wanted in [(false, false), (false, true), (true, false), (true, true)] {
                let count = drawn.iter().filter(|on| (on[one], on[other]) == wanted).count();
                assert!((60..140).contains(&count), "families {one} and {other}, {wanted:?}: {count} of 400");
            }
        }
    }
    let mut some = Trouble::none();
    (some.accepts, some.signals) = (true, true);
    for seed in 0..100 {
        let on = Sim::new(Choices::seed(seed)).allow_trouble(some);
        let mut others = on;
        (others.accepts, others.signals) = (false, false);
        assert_eq!(others, Trouble::none(), "what is not allowed is off");
    }
}

#[test]
fn connects_in_trouble_are_refused_unreachable_or_unanswered_and_some_succeed() {
    let mut seen = BTreeSet::new();
    for seed in 0..40 {
        let sim = Sim::new(Choices::seed(seed));
        let mut trouble = Trouble::none();
        trouble.connects = true;
        sim.set_trouble(trouble);
        let (mut server, mut other) = (sim.reactor("server"), sim.reactor("other"));
        listen(&mut server, 80);
        let socks: Vec<_> = (0..10).map(|_| other.connect(&at(80)).unwrap()).collect();
        sim.settle();
        for sock in socks {
            seen.insert(format!("{:?}", other.connect_result(sock).map_err(|error| error.kind())));
        }
    }
    let expected = ["Err(ConnectionRefused)", "Err(HostUnreachable)", "Err(TimedOut)", "Ok(true)"];
    assert_eq!(seen, BTreeSet::from(expected.map(String::from)));
}
