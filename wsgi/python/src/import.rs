//! From `foo.application` on the command line to the object it names, or to what `foo:make()` returns.
//!
//! An application that is not there is told apart from one whose module fails: the first gets a line with the
//! nearest name, the second shows its own traceback.

mod factory;

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
/// `module:object.attribute`, and, as Twisted does, `module.object.attribute`. As gunicorn does, `package.module` is its
/// `application`, and what ends in parentheses is called, with the literals in them: `module:make('x', debug=True)`.
///
/// # Errors
/// See [`ImportFailure`].
pub fn application<'py>(py: Python<'py>, name: &str) -> Result<Bound<'py, PyAny>, ImportFailure> {
    if let Some(why) = is_a_file(name) {
        return Err(ImportFailure::NotThere(why));
    }
    let (name, arguments) = match name.find('(') {
        Some(open) => (&name[..open], Some(&name[open..])),
        None => (name, None),
    };
    let found = match name.split_once(':') {
        Some((module, attributes)) => attribute_of(py, name, module, attributes),
        None => dotted_or_module(py, name),
    }?;
    if !found.is_callable() {
        return Err(ImportFailure::NotCallable(described(&found)));
    }
    let found = match arguments {
        Some(arguments) => factory::call(&found, name, arguments)?,
        None => found,
    };
    if !found.is_callable() {
        return Err(ImportFailure::NotCallable(format!("what it returns, {}", described(&found))));
    }
    match is_asynchronous(&found) {
        true => Err(ImportFailure::NotCallable("an ASGI application: calling it gives a coroutine".to_owned())),
        false => Ok(found),
    }
}

/// A path was typed where a module is meant: what would be right.
fn is_a_file(name: &str) -> Option<String> {
    let path = name.split([':', '(']).next().unwrap_or(name);
    let names_attribute = name.contains([':', '(']);
    if path.ends_with(".rpy") {
        return Some(format!("a script is no module; did you mean --resource-script {path}?"));
    }
    let (module, is_python) = path.strip_suffix(".py").map_or((path, false), |module| (module, true));
    if !is_python && !names_attribute && (path.contains('/') || path == "..") {
        return Some(format!("a folder is no module; did you mean --path {path}?"));
    }
    let attribute = name.split_once(':').map_or("application", |(_, attribute)| attribute);
    match module.rsplit_once('/') {
        Some((folder, module)) => Some(format!(
            "a module is named, not its file; did you mean --app-dir {folder} --wsgi {module}:{attribute}?"
        )),
        None if is_python => Some(format!("a module is named, not its file; did you mean '{module}:{attribute}'?")),
        None => None,
    }
}

/// Whether it is an `async def`, or an object whose call is one: an application for ASGI servers.
fn is_asynchronous(callable: &Bound<'_, PyAny>) -> bool {
    let py = callable.py();
    let asked = |object: &Bound<'_, PyAny>| -> PyResult<bool> {
        py.import("inspect")?.call_method1("iscoroutinefunction", (object,))?.is_truthy()
    };
    let of_class = || callable.get_type().getattr("__call__").and_then(|call| asked(&call));
    asked(callable).unwrap_or(false) || of_class().unwrap_or(false)
}

/// As [`dotted`]; what is a module itself stands for its `application`.
fn dotted_or_module<'py>(py: Python<'py>, name: &str) -> Result<Bound<'py, PyAny>, ImportFailure> {
    let found = dotted(py, name);
    let may_be_module = match &found {
        Ok(found) => found.is_instance_of::<PyModule>(),
        Err(ImportFailure::NotThere(_)) => name.contains('.'),
        Err(_) => false,
    };
    if !may_be_module {
        return found;
    }
    match attribute_of(py, name, name, "application") {
        // Then it is none, and what was found before says it better.
        Err(ImportFailure::NotThere(why)) if why.starts_with("no module") || why == incomplete(name) => found,
        outcome => outcome,
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

    const FILES: [(&str, &str); 11] = [
        ("hw_good.py", "def application(e, s): pass\nclass Site: pass\nsite = Site()\nsite.app = application\n"),
        ("hw_short.py", "def app(e, s): pass\n"),
        ("hw_typo.py", "def aplication(e, s): pass\ntext = 'x'\n"),
        ("hw_broken.py", "import hw_not_installed\n"),
        ("hw_raises.py", "raise KeyError('in the module')\n"),
        ("hw_pkg/__init__.py", ""),
        ("hw_pkg/web.py", "def app(e, s): pass\n"),
        ("hw_pkg/site.py", "def application(e, s): pass\n"),
        (
            "hw_make.py",
            "def make(*args, **named):\n    def application(e, s): pass\n    application.__name__ = f'{args}{named}'\n    \
             return application\ndef one(x): return x\ndef fails(): raise KeyError('inside')\n\
             class Maker:\n    def app(self, e, s): pass\n    def make(self): return self.app\nmaker = Maker()\n",
        ),
        (
            "hw_asgi.py",
            "async def app(a, b, c): pass\nclass Api:\n    async def __call__(s, a, b, c): pass\napi = Api()\n",
        ),
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
    fn spec_33_what_a_factory_returns_is_served() {
        check("hw_make:make()", Ok("(){}"));
        check("hw_make:make('a', 2, key=[None, True])", Ok("('a', 2){'key': [None, True]}"));
        check("hw_make.make()", Ok("(){}"));
        check("hw_make:maker.make()", Ok("app"));
        check("hw_make:mkae()", Err("no attribute 'mkae' in module 'hw_make'; did you mean 'make'?"));
        check("hw_make:one()", Err("one() missing 1 required positional argument: 'x'"));
        check("hw_make:one(None)", Err("not callable: what it returns, a NoneType: None"));
        check("hw_make:fails()", Err("raised KeyError: 'inside'"));
        let literals = |call: &str| format!("'{call}' is no call with literals; write it as make('x', debug=True)");
        for call in ["make(x)", "make(", "make()()", "make(*[1])", "make(**{})", "make() + 1", "make(1, 1 + x)"] {
            check(&format!("hw_make:{call}"), Err(&literals(call)));
        }
    }

    #[test]
    fn what_gunicorns_users_type_finds_its_application() {
        check("hw_pkg.web", Err("no attribute 'application' in module 'hw_pkg.web'; did you mean 'app'?"));
        check("hw_pkg.site", Ok("application"));
    }

    #[test]
    fn what_cannot_be_an_application_says_so() {
        check("hw_good.py", Err("a module is named, not its file; did you mean 'hw_good:application'?"));
        check("hw_good.py:site.app", Err("a module is named, not its file; did you mean 'hw_good:site.app'?"));
        check("src/shop.py:app", Err("a module is named, not its file; did you mean --app-dir src --wsgi shop:app?"));
        check("src/shop:app", Err("a module is named, not its file; did you mean --app-dir src --wsgi shop:app?"));
        check("public/", Err("a folder is no module; did you mean --path public/?"));
        check("..", Err("a folder is no module; did you mean --path ..?"));
        check("hello.rpy", Err("a script is no module; did you mean --resource-script hello.rpy?"));
        check("hw_asgi:app", Err("not callable: an ASGI application: calling it gives a coroutine"));
        check("hw_asgi:api", Err("not callable: an ASGI application: calling it gives a coroutine"));
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
