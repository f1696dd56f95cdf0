//! Calls a factory with the literals that the command line gives: `make('x', debug=True)`.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::ImportFailure;

/// Calls `factory`, which `name` led to, with what stands in `arguments`: the parentheses included.
pub(super) fn call<'py>(
    factory: &Bound<'py, PyAny>,
    name: &str,
    arguments: &str,
) -> Result<Bound<'py, PyAny>, ImportFailure> {
    let py = factory.py();
    let (positional, named) = literals(py, arguments).map_err(|_unlike_a_call| {
        let function = name.rsplit_once(':').map_or(name, |(_, function)| function);
        let call = format!("{function}{arguments}");
        ImportFailure::NotThere(format!("'{call}' is no call with literals; write it as make('x', debug=True)"))
    })?;
    factory.call(positional, Some(&named)).map_err(|error| match error.traceback(py) {
        Some(_) => ImportFailure::Raised(error),
        // It did not begin to run: the arguments are not those that it takes.
        None => ImportFailure::NotThere(error.value(py).to_string()),
    })
}

/// The positional and the named arguments. Python's own parser reads them, and nothing of them is run.
fn literals<'py>(py: Python<'py>, arguments: &str) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
    let ast = py.import("ast")?;
    let unlike = || pyo3::exceptions::PyValueError::new_err("not one call of one name");
    let mode = PyDict::new(py);
    mode.set_item("mode", "eval")?;
    let call = ast.call_method("parse", (format!("factory{arguments}"),), Some(&mode))?.getattr("body")?;
    if !call.is_instance(&ast.getattr("Call")?)? || !call.getattr("func")?.is_instance(&ast.getattr("Name")?)? {
        return Err(unlike());
    }
    let positional = PyList::empty(py);
    for argument in call.getattr("args")?.try_iter()? {
        positional.append(ast.call_method1("literal_eval", (argument?,))?)?;
    }
    let named = PyDict::new(py);
    for keyword in call.getattr("keywords")?.try_iter()? {
        let keyword = keyword?;
        let name = keyword.getattr("arg")?;
        if name.is_none() {
            return Err(unlike());
        }
        named.set_item(name, ast.call_method1("literal_eval", (keyword.getattr("value")?,))?)?;
    }
    Ok((positional.to_tuple(), named))
}
