//! Why the launcher gave up, in one line that says what to do.

use std::fmt;
use std::path::PathBuf;

/// Why the launcher gave up.
#[derive(Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The arguments are wrong; the line says how.
    Arguments(String),
    /// What the arguments ask for cannot be had; the line says why.
    Serving(String),
    /// No interpreter where one was asked for: what asked, and the path.
    NotThere { asked_by: String, path: PathBuf },
    /// No interpreter anywhere; what was tried.
    NoInterpreter { tried: Vec<String> },
    /// An interpreter that this build does not fit.
    OtherVersion { interpreter: PathBuf, found: String, built_for: String },
    /// The right interpreter, but without a library to load.
    NoLibrary { interpreter: PathBuf, abi: String },
    /// The interpreter did not answer what it is.
    NoAnswer { interpreter: PathBuf, why: String },
    /// The Python half of the command is in none of these places.
    NoHalf { looked: Vec<PathBuf> },
    /// The Python half is from another build.
    OtherHalf { path: PathBuf, found: String, wanted: String },
    /// The system would not load a library.
    CannotOpen { path: PathBuf, why: String },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Arguments(line) | Trouble::Serving(line) => f.write_str(line),
            Trouble::NotThere { asked_by, path } => write!(
                f,
                "{asked_by} names '{}', which is neither a Python interpreter nor a folder with bin/python3; \
                 'python3 -m venv DIR' makes an environment",
                path.display()
            ),
            Trouble::NoInterpreter { tried } => write!(
                f,
                "no Python found (tried {}); install Python 3, or name an interpreter with --python PATH",
                tried.join(", ")
            ),
            Trouble::OtherVersion { interpreter, found, built_for } => write!(
                f,
                "'{}' is Python {found}, but this command is built for Python {built_for}; choose another with \
                 --python PATH, or rebuild with PYO3_PYTHON={} cargo build --release",
                interpreter.display(),
                interpreter.display()
            ),
            Trouble::NoLibrary { interpreter, abi } => write!(
                f,
                "'{}' has no shared library libpython{abi}; on Debian install libpython{abi}, with pyenv build it by \
                 PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install {abi}",
                interpreter.display()
            ),
            Trouble::NoAnswer { interpreter, why } => {
                write!(
                    f,
                    "'{}' does not run as Python ({why}); choose another with --python PATH",
                    interpreter.display()
                )
            }
            Trouble::NoHalf { looked } => {
                let looked: Vec<_> = looked.iter().map(|path| format!("'{}'", path.display())).collect();
                write!(
                    f,
                    "the Python half of this command is missing (looked for {}); build it with cargo build --release",
                    looked.join(", ")
                )
            }
            Trouble::OtherHalf { path, found, wanted } => write!(
                f,
                "'{}' is {found}, but this command is {wanted}; build both with cargo build --release",
                path.display()
            ),
            Trouble::CannotOpen { path, why } => write!(f, "cannot load '{}': {why}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_does_not_fit_says_how_to_rebuild() {
        let trouble = Trouble::OtherVersion {
            interpreter: "/opt/bin/python3.9".into(),
            found: "3.9".into(),
            built_for: "3.11".into(),
        };
        let said = trouble.to_string();
        assert!(said.contains("is Python 3.9, but this command is built for Python 3.11"), "{said}");
        assert!(said.contains("PYO3_PYTHON=/opt/bin/python3.9 cargo build --release"), "{said}");
    }

    #[test]
    fn every_trouble_is_one_line() {
        let path = || PathBuf::from("/x");
        let all = [
            Trouble::NotThere { asked_by: "--python".into(), path: path() },
            Trouble::NoInterpreter { tried: vec!["a".into()] },
            Trouble::NoLibrary { interpreter: path(), abi: "3.11".into() },
            Trouble::NoAnswer { interpreter: path(), why: "why".into() },
            Trouble::NoHalf { looked: vec![path()] },
            Trouble::OtherHalf { path: path(), found: "a".into(), wanted: "b".into() },
            Trouble::CannotOpen { path: path(), why: "why".into() },
        ];
        for trouble in all {
            let said = trouble.to_string();
            assert!(!said.contains('\n') && !said.contains("  "), "{said}");
        }
    }
}
