//! Which Python interpreter to run with. Looks at paths only; starts nothing.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::trouble::Trouble;

/// What of this process bears on the choice.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The folder of the active virtual environment.
    pub virtual_env: Option<PathBuf>,
    /// The interpreter that the command was built with.
    pub built_with: Option<PathBuf>,
    /// Where commands are looked for.
    pub path: OsString,
}

impl Surroundings {
    /// From the environment variables of this process.
    pub fn of_this_process(built_with: &str) -> Surroundings {
        let named = |text: OsString| Some(PathBuf::from(text)).filter(|path| !path.as_os_str().is_empty());
        Surroundings {
            virtual_env: env::var_os("VIRTUAL_ENV").and_then(named),
            built_with: named(built_with.into()),
            path: env::var_os("PATH").unwrap_or_default(),
        }
    }
}

/// Chooses: `--python`, else the active virtual environment, else the one built with, else `python3` on the PATH.
///
/// Whoever names an interpreter means it: a wrong path is an error, not a reason to take another.
pub fn choose(asked: Option<&Path>, around: &Surroundings) -> Result<PathBuf, Trouble> {
    if let Some(asked) = asked {
        let bare_name = asked.components().count() == 1 && !asked.exists();
        let found = if bare_name { on_path(asked, around) } else { interpreter_at(asked) };
        return found.ok_or_else(|| not_there("--python", asked));
    }
    if let Some(folder) = &around.virtual_env {
        return interpreter_at(folder).ok_or_else(|| not_there("VIRTUAL_ENV", folder));
    }
    let built_with = around.built_with.as_deref().filter(|path| path.is_file());
    built_with.map(Path::to_path_buf).or_else(|| on_path(Path::new("python3"), around)).ok_or_else(|| {
        let built_with =
            around.built_with.as_ref().map(|path| format!("'{}', which it was built with", path.display()));
        let tried = ["VIRTUAL_ENV".to_owned()].into_iter().chain(built_with).chain(["python3 on the PATH".to_owned()]);
        Trouble::NoInterpreter { tried: tried.collect() }
    })
}

fn not_there(asked_by: &str, path: &Path) -> Trouble {
    Trouble::NotThere { asked_by: asked_by.to_owned(), path: path.to_path_buf() }
}

/// `path` itself if it is a file, or the interpreter of the environment in that folder.
fn interpreter_at(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let inside = ["bin/python3", "bin/python"].map(|name| path.join(name));
    [path].into_iter().chain(inside).find(|path| path.is_file())
}

fn on_path(name: &Path, around: &Surroundings) -> Option<PathBuf> {
    env::split_paths(&around.path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    /// A folder with empty files where interpreters would be.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn the_order_is_asked_environment_built_with_path() {
        let root = folder(&["asked/python", "venv/bin/python3", "built/python3.11", "path/python3"]);
        let at = |name: &str| root.path().join(name);
        let mut around = Surroundings {
            virtual_env: Some(at("venv")),
            built_with: Some(at("built/python3.11")),
            path: at("path").into(),
        };
        assert_eq!(choose(Some(&at("asked/python")), &around), Ok(at("asked/python")));
        assert_eq!(choose(None, &around), Ok(at("venv/bin/python3")));
        around.virtual_env = None;
        assert_eq!(choose(None, &around), Ok(at("built/python3.11")));
        around.built_with = Some(at("built/gone"));
        assert_eq!(choose(None, &around), Ok(at("path/python3")));
        around.built_with = None;
        assert_eq!(choose(None, &around), Ok(at("path/python3")));
    }

    #[test]
    fn a_folder_stands_for_the_interpreter_in_it() {
        let root = folder(&["new/bin/python3", "old/bin/python"]);
        let around = Surroundings::default();
        let check = |asked: &str, found: &str| {
            assert_eq!(choose(Some(&root.path().join(asked)), &around), Ok(root.path().join(found)));
        };
        check("new", "new/bin/python3");
        check("old", "old/bin/python");
    }

    #[test]
    fn a_bare_name_is_looked_up_on_the_path() {
        let root = folder(&["b/python3.11"]);
        let path = env::join_paths([root.path().join("a"), root.path().join("b")]).unwrap();
        let around = Surroundings { path, ..Surroundings::default() };
        assert_eq!(choose(Some(Path::new("python3.11")), &around), Ok(root.path().join("b/python3.11")));
    }

    #[test]
    fn what_was_named_and_is_not_there_is_an_error() {
        let root = folder(&["path/python3", "empty/readme"]);
        let around = Surroundings {
            virtual_env: Some(root.path().join("empty")),
            path: root.path().join("path").into(),
            ..Surroundings::default()
        };
        assert_eq!(choose(None, &around), Err(not_there("VIRTUAL_ENV", &root.path().join("empty"))));
        let asked = root.path().join("nowhere");
        assert_eq!(choose(Some(&asked), &around), Err(not_there("--python", &asked)));
    }

    #[test]
    fn no_python_at_all_names_what_was_tried() {
        let around = Surroundings { built_with: Some("/gone/python3".into()), ..Surroundings::default() };
        let said = choose(None, &around).unwrap_err().to_string();
        assert!(said.contains("'/gone/python3', which it was built with"), "{said}");
        assert!(said.contains("python3 on the PATH") && said.contains("--python PATH"), "{said}");
    }
}
