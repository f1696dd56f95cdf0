//! The Python package's own tests (`tests/package`), in the Python that the command embeds. `tests/wheel.sh` runs them
//! against a wheel.
#![allow(clippy::unwrap_used)]

use handwound_python::testing;
use pyo3::prelude::*;

const RUN: &std::ffi::CStr = c"
import sys, unittest
suite = unittest.defaultTestLoader.discover(folder + '/package', top_level_dir=folder)
result = unittest.TextTestRunner(sys.stderr).run(suite)
assert result.testsRun > 20, result
failed = [str(test) + '\\n' + text for test, text in result.failures + result.errors]
";

#[test]
fn the_tests_of_the_package_hold_in_the_embedded_python() {
    testing::import_from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"));
    let failed: Vec<String> = Python::attach(|py| {
        let names = pyo3::types::PyDict::new(py);
        names.set_item("folder", concat!(env!("CARGO_MANIFEST_DIR"), "/tests")).unwrap();
        if let Err(error) = py.run(RUN, Some(&names), None) {
            error.print(py);
            panic!("the tests do not run");
        }
        names.get_item("failed").unwrap().unwrap().extract().unwrap()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
