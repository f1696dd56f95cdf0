//! The few calls into CPython that each request makes, without the checks and conversions of the safe API. Every
//! `unsafe` on a request's path is here.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::string::PyStringData;
use pyo3::types::{PyDict, PyString};

/// `bytes` as a native string, each byte one character (PEP 3333, "A Note on String Types").
pub fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    let length = ffi::Py_ssize_t::try_from(bytes.len()).expect("no slice is longer than that");
    // SAFETY: pointer and length are those of `bytes`; CPython copies. The result is a new reference to a str, or
    // null with an exception set, which `from_owned_ptr_or_err` takes.
    unsafe {
        let text = ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), length, std::ptr::null());
        Ok(Bound::from_owned_ptr_or_err(py, text)?.cast_into_unchecked())
    }
}

/// The characters of `text` as bytes, if each fits into one.
pub fn latin1_bytes<'a>(text: &'a Bound<'_, PyString>) -> Option<&'a [u8]> {
    // SAFETY: the string is complete, and nothing of ours writes to it while the slice lives.
    match unsafe { text.data() } {
        Ok(PyStringData::Ucs1(bytes)) => Some(bytes),
        _ => None,
    }
}

/// A copy of `template`.
pub fn copy<'py>(py: Python<'py>, template: &Py<PyDict>) -> PyResult<Bound<'py, PyDict>> {
    // SAFETY: `template` is a dict; the result is a new reference to one, or null with an exception set.
    unsafe { Ok(Bound::from_owned_ptr_or_err(py, ffi::PyDict_Copy(template.as_ptr()))?.cast_into_unchecked()) }
}

/// `dict[key] = value`.
pub fn set<T>(dict: &Bound<'_, PyDict>, key: &Py<PyString>, value: &Bound<'_, T>) -> PyResult<()> {
    // SAFETY: all three are alive and of the right types; CPython takes references of its own.
    let outcome = unsafe { ffi::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) };
    if outcome == 0 { Ok(()) } else { Err(PyErr::fetch(dict.py())) }
}

/// `dict[key] = value`, unless the key is there: then the value that it has.
pub fn set_new<'py>(
    dict: &Bound<'py, PyDict>,
    key: &Py<PyString>,
    value: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let before = dict.len();
    // SAFETY: as in `set`; the result is borrowed from the dict, and becomes a reference of our own at once.
    let there = unsafe {
        Bound::from_borrowed_ptr_or_err(dict.py(), ffi::PyDict_SetDefault(dict.as_ptr(), key.as_ptr(), value.as_ptr()))?
    };
    Ok((dict.len() == before).then_some(there))
}
