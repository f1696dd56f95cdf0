//! Whose a replay is: several explorations run in one test process, and `HANDWOUND_REPLAY` is for one of them.
//!
//! An exploration is known by the path of the closure or function it runs, and by how many of that path its OS thread
//! has run before; a line that is printed names both, and the test. What has another name runs as usual, if it is in
//! the same test. In another test it fails, and a test that ends without having come to the one that is named ends the
//! process: a replay never passes because nobody took it up.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// One exploration of a test process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Whose {
    /// The test, where its thread has its name: not where libtest runs tests on the first thread.
    test: Option<String>,
    /// The path of what is run.
    path: String,
    /// The how manieth of this path, from 1.
    nth: u32,
}

thread_local! {
    static COUNTS: RefCell<BTreeMap<String, u32>> = const { RefCell::new(BTreeMap::new()) };
    static PENDING: RefCell<Pending> = const { RefCell::new(Pending(None)) };
}

/// A replay that this OS thread has passed over so far.
struct Pending(Option<String>);

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(name) = &self.0 {
            eprintln!(
                "HANDWOUND_REPLAY is for `{name}`, and no exploration of this test has that name: the code has \
                 changed. Take the name off (HANDWOUND_REPLAY=v1:…) to replay the run in all explorations of the test"
            );
            // The test has been reported as passed already, or is about to be.
            std::process::exit(101);
        }
    }
}

/// What to do about a replay from the environment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is for this exploration.
    Mine(String),
    /// It is for another of this test.
    Anothers,
}

impl Whose {
    /// The next exploration that runs an `F` on this OS thread.
    pub(crate) fn next<F>() -> Whose {
        let path = path_of(std::any::type_name::<F>());
        let nth = COUNTS.with_borrow_mut(|counts| {
            let count = counts.entry(path.clone()).or_insert(0);
            *count += 1;
            *count
        });
        let thread = std::thread::current();
        let test = thread.name().filter(|&name| name != "main").map(path_of);
        Whose { test, path, nth }
    }

    /// A replay's line with this name before it.
    pub(crate) fn signed(&self, line: &str) -> String {
        format!("{self}={line}")
    }

    /// Whether `text`, a line with or without a name, is for this.
    ///
    /// # Errors
    /// When it is for another test.
    pub(crate) fn judge(&self, text: &str) -> Result<Verdict, String> {
        let Some((name, line)) = text.trim().split_once("=v1:") else { return Ok(Verdict::Mine(text.to_owned())) };
        let (test, path) = name.split_once('/').unwrap_or(("", name));
        if path == self.path_and_number() {
            PENDING.with_borrow_mut(|pending| pending.0 = None);
            return Ok(Verdict::Mine(format!("v1:{line}")));
        }
        match &self.test {
            Some(mine) if mine != test && !test.is_empty() => Err(format!(
                "it is for `{path}` in the test `{test}`, and this is `{}` in `{mine}`; run that test alone (cargo \
                 test {test} -- --exact), or take the name off to replay the run here (HANDWOUND_REPLAY=v1:…)",
                self.path_and_number()
            )),
            _ => {
                // An earlier one may have been it; then the number of this path is higher.
                let earlier = path.rsplit_once('#').is_some_and(|(of, nth)| {
                    COUNTS.with_borrow(|counts| nth.parse().is_ok_and(|nth: u32| counts.get(of) >= Some(&nth)))
                });
                if !earlier {
                    PENDING.with_borrow_mut(|pending| pending.0 = Some(name.to_owned()));
                }
                Ok(Verdict::Anothers)
            }
        }
    }

    fn path_and_number(&self) -> String {
        format!("{}#{}", self.path, self.nth)
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.test.as_deref().unwrap_or(""), self.path_and_number())
    }
}

/// A type's name without what a shell would take for its own.
fn path_of(name: &str) -> String {
    let mut path = String::new();
    for part in name.replace("{{closure}}", "").split(|c: char| !c.is_alphanumeric() && c != '_') {
        if !part.is_empty() {
            if !path.is_empty() {
                path.push_str("::");
            }
            path.push_str(part);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn other() {}

    fn next_of<F>(_: &F) -> Whose {
        Whose::next::<F>()
    }

    #[test]
    fn an_exploration_is_known_by_its_closure_and_its_turn() {
        let closure = || ();
        let (one, two, third) = (next_of(&closure), next_of(&closure), next_of(&other));
        assert_eq!(one.path_and_number(), format!("{}#1", two.path));
        assert!(two.path.ends_with("whose::tests::an_exploration_is_known_by_its_closure_and_its_turn"), "{two}");
        assert!(third.path.ends_with("whose::tests::other"), "{third}");
        let line = two.signed("v1:abc");
        assert!(line.chars().all(|c| c.is_alphanumeric() || "_:#/=".contains(c)), "fit for any shell: {line}");
        assert_eq!(one.judge(&line).unwrap(), Verdict::Anothers);
        assert_eq!(two.judge(&line).unwrap(), Verdict::Mine("v1:abc".into()));
        assert_eq!(third.judge(&line).unwrap(), Verdict::Anothers);
        assert_eq!(third.judge("v1:abc").unwrap(), Verdict::Mine("v1:abc".into()));
        let elsewhere = format!("some::other_test/{}=v1:abc", third.path_and_number().replace('1', "7"));
        assert!(third.judge(&elsewhere).unwrap_err().contains("cargo test some::other_test -- --exact"));
    }
}
