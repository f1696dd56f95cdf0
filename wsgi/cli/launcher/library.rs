//! From an interpreter to the shared library that holds its Python.
//!
//! The cheap way looks at file names and `pyvenv.cfg`. Where that does not tell (shims, wrappers, unusual places),
//! the interpreter is asked, once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::trouble::Trouble;

/// A Python to run with.
#[derive(Debug, PartialEq, Eq)]
pub struct Python {
    /// The interpreter: it decides which environment's packages are seen.
    pub interpreter: PathBuf,
    /// The shared library.
    pub library: PathBuf,
}

/// What an interpreter says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its version, as `3.11`, or `3.13t`.
    pub abi: String,
    /// Its own path; differs from the path asked where that is a shim.
    pub executable: PathBuf,
    /// Where its library may be, best first.
    pub libraries: Vec<PathBuf>,
}

/// Finds the library of `interpreter`, which must be a Python of version `abi`.
///
/// # Errors
/// [`Trouble::OtherVersion`], [`Trouble::NoLibrary`], or what `ask` says.
pub fn find(
    interpreter: &Path,
    abi: &str,
    ask: impl FnOnce(&Path) -> Result<Answer, Trouble>,
) -> Result<Python, Trouble> {
    let check = |found: &str| match found == abi {
        true => Ok(()),
        false => Err(Trouble::OtherVersion {
            interpreter: interpreter.to_path_buf(),
            found: found.to_owned(),
            built_for: abi.to_owned(),
        }),
    };
    if let Some(glance) = glance(interpreter) {
        check(&glance.abi)?;
        if let Some(library) = beside(&glance.folder, abi) {
            return Ok(Python { interpreter: interpreter.to_path_buf(), library });
        }
    }
    let answer = ask(interpreter)?;
    check(&answer.abi)?;
    let interpreter = if answer.executable.is_file() { answer.executable } else { interpreter.to_path_buf() };
    match answer.libraries.into_iter().find(|path| path.is_file()) {
        Some(library) => Ok(Python { interpreter, library }),
        None => Err(Trouble::NoLibrary { interpreter, abi: abi.to_owned() }),
    }
}

/// What file names tell of an interpreter.
struct Glance {
    abi: String,
    /// The folder of the interpreter that an environment was made from, or its own.
    folder: PathBuf,
}

fn glance(interpreter: &Path) -> Option<Glance> {
    let real = fs::canonicalize(interpreter).ok()?;
    let settings = interpreter.ancestors().skip(1).take(2).find_map(|folder| {
        let text = fs::read_to_string(folder.join("pyvenv.cfg")).ok()?;
        Some(Settings::read(&text))
    });
    let named = real.file_name().and_then(|name| abi_in_name(name.to_str()?));
    let (home, version) = settings.map_or((None, None), |settings| (settings.home, settings.abi));
    Some(Glance { abi: named.or(version)?, folder: home.or_else(|| real.parent().map(Path::to_path_buf))? })
}

/// `3.11` from `python3.11`, `3.13t` from `python3.13t`; nothing from `python3`.
fn abi_in_name(name: &str) -> Option<String> {
    let abi = name.strip_prefix("python")?;
    let (major, minor) = abi.split_once('.')?;
    let minor = minor.strip_suffix('t').unwrap_or(minor);
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (number(major) && number(minor)).then(|| abi.to_owned())
}

/// The lines of `pyvenv.cfg` that matter here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Settings {
    home: Option<PathBuf>,
    abi: Option<String>,
}

impl Settings {
    fn read(text: &str) -> Settings {
        let mut settings = Settings::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match key.trim() {
                "home" => settings.home = Some(PathBuf::from(value.trim())),
                // venv writes `version`, virtualenv and uv write `version_info`.
                "version" | "version_info" => {
                    let numbers: Vec<_> = value.trim().splitn(3, '.').take(2).collect();
                    settings.abi = (numbers.len() == 2).then(|| numbers.join("."));
                }
                _ => {}
            }
        }
        settings
    }
}

/// The library that lies where installations put it: beside `bin`, in Debian's folder for the architecture, or, in
/// a macOS framework, as `Python`.
fn beside(bin: &Path, abi: &str) -> Option<PathBuf> {
    let prefix = bin.parent()?;
    let folders = ["lib".to_owned(), "lib64".to_owned(), format!("lib/{}-linux-gnu", std::env::consts::ARCH)];
    let paths = folders.iter().flat_map(|folder| names(abi).map(|name| prefix.join(folder).join(name)));
    let framework = cfg!(target_os = "macos").then(|| prefix.join("Python"));
    paths.chain(framework).find(|path| path.is_file())
}

/// What the library may be called. The plain `.so` comes last: it is often there for linking only.
fn names(abi: &str) -> [String; 3] {
    ["so.1.0", "dylib", "so"].map(|suffix| format!("libpython{abi}.{suffix}"))
}

const QUESTION: &str = "\
import os, sys, sysconfig
get = lambda name: sysconfig.get_config_var(name) or ''
print('%d.%d%s' % (sys.version_info[:2] + ('t' if get('Py_GIL_DISABLED') else '',)))
print(sys.executable or '')
folders = [get('LIBDIR'), os.path.join(sys.base_prefix, 'lib'), get('LIBPL'), get('PYTHONFRAMEWORKPREFIX')]
for folder in filter(None, folders):
    for name in filter(None, (get('INSTSONAME'), get('LDLIBRARY'))):
        if not name.endswith('.a'):
            print(os.path.join(folder, name))
";

/// Asks the interpreter itself.
///
/// # Errors
/// [`Trouble::NoAnswer`] when it does not start, fails, or answers something else.
pub fn ask(interpreter: &Path) -> Result<Answer, Trouble> {
    let silent = |why: String| Trouble::NoAnswer { interpreter: interpreter.to_path_buf(), why };
    let output = Command::new(interpreter)
        .args(["-I", "-S", "-c", QUESTION])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| silent(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        return Err(silent(format!("{}: {}", output.status, last.trim())));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let answer = |abi: &str, executable: &str, libraries| Answer {
        abi: abi.to_owned(),
        executable: executable.into(),
        libraries,
    };
    match (lines.next(), lines.next()) {
        (Some(abi), Some(executable)) => Ok(answer(abi, executable, lines.map(PathBuf::from).collect())),
        _ => Err(silent("it answered nothing".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn nobody_asks(_: &Path) -> Result<Answer, Trouble> {
        panic!("the interpreter was asked");
    }

    /// A folder with these files in it; `->` makes a symbolic link.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match content.strip_prefix("->") {
                Some(target) => symlink(folder.path().join(target), path).unwrap(),
                None => fs::write(path, content.replace("ROOT", folder.path().to_str().unwrap())).unwrap(),
            }
        }
        folder
    }

    #[track_caller]
    fn found(files: &[(&str, &str)], interpreter: &str, library: &str) {
        let root = folder(files);
        // macOS keeps temporary folders behind a link.
        let top = fs::canonicalize(root.path()).unwrap();
        let python = find(&top.join(interpreter), "3.11", nobody_asks).unwrap();
        assert_eq!(fs::canonicalize(python.library).unwrap(), top.join(library));
        assert_eq!(python.interpreter, top.join(interpreter));
    }

    #[test]
    fn the_library_is_found_beside_the_interpreter() {
        let files = [("bin/python3.11", ""), ("bin/python3", "->bin/python3.11"), ("lib/libpython3.11.so.1.0", "")];
        found(&files, "bin/python3", "lib/libpython3.11.so.1.0");
        found(&files, "bin/python3.11", "lib/libpython3.11.so.1.0");
    }

    #[test]
    fn the_library_is_found_in_debians_folder() {
        let name = format!("lib/{}-linux-gnu/libpython3.11.so.1.0", std::env::consts::ARCH);
        found(&[("bin/python3.11", ""), (&name, "")], "bin/python3.11", &name);
    }

    #[test]
    fn an_environment_leads_to_the_python_it_was_made_from() {
        let library = "base/lib/libpython3.11.so.1.0";
        let linked = [
            ("base/bin/python3.11", ""),
            (library, ""),
            ("venv/bin/python3", "->base/bin/python3.11"),
            ("venv/pyvenv.cfg", "home = ROOT/base/bin\nversion = 3.11.7\n"),
        ];
        found(&linked, "venv/bin/python3", library);
        let copied = [
            ("base/bin/python3.11", ""),
            (library, ""),
            ("venv/bin/python3", ""),
            ("venv/pyvenv.cfg", "home = ROOT/base/bin\nversion_info = 3.11.7.final.0\n"),
        ];
        found(&copied, "venv/bin/python3", library);
    }

    #[test]
    fn another_version_is_refused_without_asking() {
        let check = |files: &[(&str, &str)], interpreter: &str, version: &str| {
            let root = folder(files);
            let trouble = find(&root.path().join(interpreter), "3.11", nobody_asks).unwrap_err();
            let Trouble::OtherVersion { found, built_for, .. } = trouble else { panic!("{trouble}") };
            assert_eq!((found.as_str(), built_for.as_str()), (version, "3.11"));
        };
        check(&[("bin/python3.12", "")], "bin/python3.12", "3.12");
        check(&[("bin/python3.11t", "")], "bin/python3.11t", "3.11t");
        let venv = [("bin/python", ""), ("pyvenv.cfg", "home = /x/bin\nversion = 3.9.2\n")];
        check(&venv, "bin/python", "3.9");
    }

    #[test]
    fn a_shim_is_asked_and_its_answer_taken() {
        let root = folder(&[("shims/python3", ""), ("real/python3", ""), ("odd/libpython3.11.so", "")]);
        let at = |name: &str| root.path().join(name);
        let answer = |libraries| Answer { abi: "3.11".into(), executable: at("real/python3"), libraries };
        let full = answer(vec![at("odd/libpython3.11.so.1.0"), at("odd/libpython3.11.so")]);
        let python = find(&at("shims/python3"), "3.11", |_| Ok(full)).unwrap();
        assert_eq!(python, Python { interpreter: at("real/python3"), library: at("odd/libpython3.11.so") });
        let trouble = find(&at("shims/python3"), "3.11", |_| Ok(answer(vec![]))).unwrap_err();
        assert_eq!(trouble, Trouble::NoLibrary { interpreter: at("real/python3"), abi: "3.11".into() });
    }

    #[test]
    fn what_is_no_python_says_why() {
        let root = folder(&[("bin/python3", "#!/bin/sh\necho broken pipes >&2\nexit 3\n")]);
        let path = root.path().join("bin/python3");
        assert!(ask(&path).unwrap_err().to_string().contains("does not run as Python"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let said = ask(&path).unwrap_err().to_string();
        assert!(said.contains("exit status: 3: broken pipes"), "{said}");
    }

    #[test]
    fn versions_in_names() {
        let check = |name, abi: Option<&str>| assert_eq!(abi_in_name(name).as_deref(), abi, "{name}");
        check("python3.11", Some("3.11"));
        check("python3.13t", Some("3.13t"));
        check("python3", None);
        check("python3.11-config", None);
        check("python3.", None);
        check("pypy3.10", None);
    }
}
