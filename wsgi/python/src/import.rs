//! From `foo.application` on the command line to the object it names.
//!
//! An application that is not there is told apart from one whose module fails: the first gets a line with the
//! nearest name, the second shows its own traceback.

use pyo3::exceptions::PyModuleNotFoundError;
use pyo3::prelude::*;
use pyo3::types::PyModule;

/// Why there is no application.
#[derive(Debug)]
pub enum ImportFailure {
    /// Nothing of that name; the reason says which part is missing, and what may have been meant.
    NotThere(String),
    /// The module was found, and raised this while it ran.
    Raised(PyErr),
    /// The name leads to something that cannot be called; what it is.
    NotCallable(String),
}

/// Imports what `name` names: `module.attribute`, `package.module.attribute`, `module:attribute`,
/// `module:object.attribute`, and, as Twisted does, `module.object.attribute`.
///
/// # Errors
/// See [`ImportFailure`].
pub fn application<'py>(py: Python<'py>, name: &str) -> Result<Bound<'py, PyAny>, ImportFailure> {
    let found = match name.split_once(':') {
        Some((module, attributes)) => attribute_of(py, name, module, attributes),
        None => dotted(py, name),
    }?;
    match found.is_callable() {
        true => Ok(found),
        false => Err(ImportFailure::NotCallable(described(&found))),
    }
}

/// The longest part of `name` that is a module gives the module, the rest the attribute.
fn dotted<'py>(py: Python<'py>, name: &str) -> Result<Bound<'py, PyAny>, ImportFailure> {
    let mut missing_module = None;
    for (dot, _) in name.rmatch_indices('.') {
        let (module, attributes) = (&name[..dot], &name[dot + 1..]);
        match attribute_of(py, name, module, attributes) {
            Err(ImportFailure::NotThere(why)) if why.starts_with("no module") => {
                missing_module.get_or_insert(why);
            }
            Err(ImportFailure::NotThere(why)) => {
                let keep = missing_module.filter(|_| lacks_submodule(py, module, attributes));
                return Err(ImportFailure::NotThere(keep.unwrap_or(why)));
            }
            outcome => return outcome,
        }
    }
    Err(ImportFailure::NotThere(missing_module.unwrap_or_else(|| incomplete(name))))
}

/// Whether what is missing is rather a module of the package `module` than an attribute.
fn lacks_submodule(py: Python<'_>, module: &str, attributes: &str) -> bool {
    let first = attributes.split('.').next().unwrap_or_default();
    let has = |name: &str| py.import(module).and_then(|module| module.hasattr(name)).unwrap_or(false);
    has("__path__") && !has(first)
}

fn attribute_of<'py>(
    py: Python<'py>,
    name: &str,
    module: &str,
    attributes: &str,
) -> Result<Bound<'py, PyAny>, ImportFailure> {
    if module.split('.').chain(attributes.split('.')).any(str::is_empty) {
        return Err(ImportFailure::NotThere(incomplete(name)));
    }
    let module = import(py, module)?;
    let mut object = module.into_any();
    for attribute in attributes.split('.') {
        object = object.getattr(attribute).map_err(|_| no_attribute(&object, attribute))?;
    }
    Ok(object)
}

fn incomplete(name: &str) -> String {
    let example = if name.contains(['.', ':']) || name.is_empty() { "hello" } else { name };
    format!("an application is named by a module and an attribute, as '{example}.application'")
}

fn import<'py>(py: Python<'py>, name: &str) -> Result<Bound<'py, PyModule>, ImportFailure> {
    py.import(name).map_err(|error| match missing_part(py, &error, name) {
        Some(part) => ImportFailure::NotThere(no_module(py, &part)),
        None => {
            trim(py, &error);
            ImportFailure::Raised(error)
        }
    })
}

/// Takes Python's own import machinery off the head of the traceback, as `python3` does for a script's imports.
fn trim(py: Python<'_>, error: &PyErr) {
    let mut traceback = error.traceback(py).map(Bound::into_any);
    let is_machinery = |entry: &Bound<'_, PyAny>| -> PyResult<bool> {
        let file = entry.getattr("tb_frame")?.getattr("f_code")?.getattr("co_filename")?;
        Ok(file.extract::<&str>()?.starts_with("<frozen importlib"))
    };
    while let Some(entry) = traceback.take_if(|entry| is_machinery(entry).unwrap_or(false)) {
        traceback = entry.getattr("tb_next").ok().filter(|next| !next.is_none());
    }
    // Before 3.12 the error carries its traceback beside the exception too; both are shown by someone.
    let _ = error.value(py).setattr("__traceback__", &traceback);
    error.set_traceback(py, traceback.and_then(|entry| entry.cast_into().ok()));
}

/// The part of `name` that `error` could not find, if it is that kind of error: `a.b` of `a.b.c`.
fn missing_part(py: Python<'_>, error: &PyErr, name: &str) -> Option<String> {
    if !error.is_instance_of::<PyModuleNotFoundError>(py) {
        return None;
    }
    let part: String = error.value(py).getattr("name").ok()?.extract().ok()?;
    let is_ours = name == part || name.strip_prefix(&part).is_some_and(|rest| rest.starts_with('.'));
    is_ours.then_some(part)
}

fn no_module(py: Python<'_>, name: &str) -> String {
    let (package, leaf) = name.rsplit_once('.').unwrap_or(("", name));
    let siblings = || -> PyResult<Vec<String>> {
        let folders = match package {
            "" => py.None().into_bound(py),
            package => py.import(package)?.getattr("__path__")?,
        };
        let found = py.import("pkgutil")?.call_method1("iter_modules", (folders,))?;
        found.try_iter()?.map(|module| module?.getattr("name")?.extract()).collect()
    };
    let nearest = nearest(py, leaf, &siblings().unwrap_or_default());
    match nearest {
        Some(near) if package.is_empty() => format!("no module '{name}'; did you mean '{near}'?"),
        Some(near) => format!("no module '{name}'; did you mean '{package}.{near}'?"),
        None => format!("no module '{name}' in the folder of --app-dir or in this Python's environment"),
    }
}

/// What applications are usually called.
const USUAL: [&str; 4] = ["application", "app", "wsgi_app", "wsgi"];

fn no_attribute(object: &Bound<'_, PyAny>, attribute: &str) -> ImportFailure {
    let py = object.py();
    let names: Vec<String> = object.dir().and_then(|names| names.extract()).unwrap_or_default();
    let names: Vec<String> = names.into_iter().filter(|name| !name.starts_with("__")).collect();
    let callable = |name: &&str| object.getattr(*name).is_ok_and(|value| value.is_callable());
    let usual = || USUAL.iter().find(|name| callable(name)).map(|name| (*name).to_owned());
    let hint = match nearest(py, attribute, &names).or_else(usual) {
        Some(near) => format!("; did you mean '{near}'?"),
        None => String::new(),
    };
    let place = match object.cast::<PyModule>().ok().and_then(|module| module.name().ok()) {
        Some(module) => format!("module '{module}'"),
        None => described(object),
    };
    ImportFailure::NotThere(format!("no attribute '{attribute}' in {place}{hint}"))
}

/// `a str: 'text'`, shortened.
fn described(object: &Bound<'_, PyAny>) -> String {
    let kind = object.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
    let shown = object.repr().map_or_else(|_| String::new(), |repr| repr.to_string());
    let short: String = shown.chars().take(60).collect();
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
    format!("{article} {kind}: {short}{}", if short.len() < shown.len() { "…" } else { "" })
}

fn nearest(py: Python<'_>, name: &str, among: &[String]) -> Option<String> {
    let matches = py.import("difflib").ok()?.call_method1("get_close_matches", (name, among, 1)).ok()?;
    matches.get_item(0).ok()?.extract().ok()
}

/// Python's own way to show a text in an error: `'nosuch.app'`.
pub fn quoted(py: Python<'_>, text: &str) -> String {
    let shown = pyo3::types::PyString::new(py, text).repr();
    shown.map_or_else(|_| format!("'{text}'"), |repr| repr.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;
    use std::sync::OnceLock;

    const FILES: [(&str, &str); 8] = [
        ("hw_good.py", "def application(e, s): pass\nclass Site: pass\nsite = Site()\nsite.app = application\n"),
        ("hw_short.py", "def app(e, s): pass\n"),
        ("hw_typo.py", "def aplication(e, s): pass\ntext = 'x'\n"),
        ("hw_broken.py", "import hw_not_installed\n"),
        ("hw_raises.py", "raise KeyError('in the module')\n"),
        ("hw_pkg/__init__.py", ""),
        ("hw_pkg/web.py", "def app(e, s): pass\n"),
        ("hw_syntax.py", "def application(:\n"),
    ];

    /// A folder with these modules, on `sys.path` as long as the tests run.
    fn modules() {
        static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
        FOLDER.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            for (file, text) in FILES {
                let path = folder.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            crate::socket_server::python();
            Python::attach(|py| crate::start::prepare(py, folder.path()).unwrap());
            folder
        });
    }

    #[track_caller]
    fn check(name: &str, expected: Result<&str, &str>) {
        modules();
        Python::attach(|py| {
            let said = match application(py, name) {
                Ok(found) => Ok(found.getattr("__name__").unwrap().to_string()),
                Err(ImportFailure::NotThere(why)) => Err(why),
                Err(ImportFailure::NotCallable(what)) => Err(format!("not callable: {what}")),
                Err(ImportFailure::Raised(error)) => Err(format!("raised {error}")),
            };
            assert_eq!(said.as_deref().map_err(String::as_str), expected, "{name}");
        });
    }

    #[test]
    fn names_that_lead_to_an_application() {
        check("hw_good.application", Ok("application"));
        check("hw_good:application", Ok("application"));
        check("hw_good:site.app", Ok("application"));
        check("hw_good.site.app", Ok("application"));
        check("hw_pkg.web.app", Ok("app"));
        check("hw_pkg.web:app", Ok("app"));
    }

    #[test]
    fn a_missing_name_gets_the_nearest() {
        check("hw_goood.application", Err("no module 'hw_goood'; did you mean 'hw_good'?"));
        check("hw_pkg.wbe.app", Err("no module 'hw_pkg.wbe'; did you mean 'hw_pkg.web'?"));
        check("hw_short.application", Err("no attribute 'application' in module 'hw_short'; did you mean 'app'?"));
        check("hw_typo:application", Err("no attribute 'application' in module 'hw_typo'; did you mean 'aplication'?"));
        check("hw_pkg.wbe:app", Err("no module 'hw_pkg.wbe'; did you mean 'hw_pkg.web'?"));
        check("hw_typo.text.uper", Err("no attribute 'uper' in a str: 'x'; did you mean 'upper'?"));
    }

    #[test]
    fn an_incomplete_name_says_what_a_whole_one_is() {
        let whole =
            |module: &str| format!("an application is named by a module and an attribute, as '{module}.application'");
        check("shop", Err(&whole("shop")));
        for name in ["", ".", ":", "shop.", ".app", "shop:", ":app", "a..b"] {
            check(name, Err(&whole("hello")));
        }
    }

    #[test]
    fn what_the_module_raises_is_its_own() {
        check("hw_broken.application", Err("raised ModuleNotFoundError: No module named 'hw_not_installed'"));
        check("hw_raises.application", Err("raised KeyError: 'in the module'"));
        Python::attach(|py| {
            let Err(ImportFailure::Raised(error)) = application(py, "hw_raises.application") else {
                panic!("imported")
            };
            let traceback = error.traceback(py).unwrap().format().unwrap();
            assert_eq!(traceback.matches("File").count(), 1, "{traceback}");
            assert!(traceback.contains("hw_raises.py"), "{traceback}");
        });
        check("hw_typo.text", Err("not callable: a str: 'x'"));
    }
}
