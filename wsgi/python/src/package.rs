//! The Python package `handwound`: its compiled part, and its modules as the command carries them.
//!
//! A wheel has the modules as files. The command has them in a table that the build makes from the same folder, and a
//! finder in front of all others that imports from there: no matter where the command lies, its package is its own.

use std::ffi::CString;

use pyo3::prelude::*;
use pyo3::types::PyModule;

use crate::native;

/// The files of the package: path below the folder of the package, and text.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/package.rs"));

/// Lets this Python import `handwound`. Does nothing where it has been imported from elsewhere, as from a wheel.
///
/// # Errors
/// What Python raises on the way, which it has no reason to.
pub fn install(py: Python<'_>) -> PyResult<()> {
    if py.import("sys")?.getattr("modules")?.contains("handwound._native")? {
        return Ok(());
    }
    let compiled = pyo3::wrap_pymodule!(native::_native)(py);
    let code = CString::new(include_str!("embedded.py")).expect("our own text has no zero byte");
    let finder = PyModule::from_code(py, &code, c"<embedded>/finder.py", c"handwound_embedded")?;
    // Importing leaves it among the modules, where nobody looks for it.
    finder.getattr("install")?.call1((FILES.to_vec(), compiled)).map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn run(code: &str) {
        crate::socket_server::python();
        Python::attach(|py| {
            if let Err(error) = py.run(&CString::new(code).unwrap(), None, None) {
                panic!("{}", crate::application::traceback(py, &error));
            }
        });
    }

    fn walk(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if !path.to_str().unwrap().ends_with(".pyc") {
                let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
                found.insert(name.to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn every_file_of_the_package_is_carried() {
        let mut there = BTreeSet::new();
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("handwound"), &mut there);
        let carried: BTreeSet<_> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(carried, there);
        assert!(carried.contains("handwound/__init__.py") && carried.contains("handwound/py.typed"));
    }

    #[test]
    fn every_module_of_the_package_can_be_imported() {
        run(r"
import handwound, importlib, pkgutil
found = [module.name for module in pkgutil.walk_packages(handwound.__path__, 'handwound.')]
assert 'handwound.internet' in found and 'handwound.python' in found, found
for name in found:
    if not name.endswith('__main__'):
        importlib.import_module(name)
");
    }

    #[test]
    fn the_compiled_part_and_the_rest_are_one() {
        run(r"
import handwound, handwound._native
from handwound import ClientDisconnected, _native
assert handwound._native is _native and _native.ClientDisconnected is ClientDisconnected
assert issubclass(ClientDisconnected, ConnectionError) and ClientDisconnected.__module__ == 'handwound'
assert _native.__name__ == 'handwound._native' and handwound.__version__ == _native.__version__
");
    }

    #[test]
    fn sources_are_there_for_whoever_reads_them() {
        run(r"
import handwound, inspect, pkgutil, pydoc
assert inspect.getsource(handwound).startswith('\x22\x22\x22A WSGI container')
assert b'ClientDisconnected' in pkgutil.get_data('handwound', '_native.pyi')
text = pydoc.render_doc('handwound', renderer=pydoc.plaintext)
assert 'PACKAGE CONTENTS' in text and 'internet (package)' in text, text
");
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        run(r"
import pkgutil
for name in ['handwound.nosuch', 'handwound.internet.nosuch', 'handwoundx']:
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        assert error.name == name
    else:
        raise AssertionError(name)
try:
    pkgutil.get_data('handwound', 'nosuch.txt')
except FileNotFoundError:
    pass
else:
    raise AssertionError('found')
");
    }
}
