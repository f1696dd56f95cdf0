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

/// What CPython counts up with every change of any dict: while it stays the same, so does this one. `None` where there
/// is no such count, or where another thread could change the dict at any moment.
pub fn version(dict: &Bound<'_, PyDict>) -> Option<u64> {
    #[cfg(not(any(Py_3_14, Py_GIL_DISABLED)))]
    {
        // SAFETY: it is a dict, and this thread is attached: nobody else writes to it.
        #[allow(deprecated, reason = "there up to CPython 3.13, which still keeps it")]
        Some(unsafe { (*dict.as_ptr().cast::<ffi::PyDictObject>()).ma_version_tag })
    }
    #[cfg(any(Py_3_14, Py_GIL_DISABLED))]
    {
        let _ = dict;
        None
    }
}

/// Whether nobody has a reference to `object` but those `ours`: nobody else can then get at it. Always false where
/// references are counted by several threads at once.
pub fn is_alone<T>(object: &Bound<'_, T>, ours: isize) -> bool {
    // SAFETY: the object is alive, and this thread is attached, so that nobody else counts.
    !cfg!(Py_GIL_DISABLED) && unsafe { ffi::Py_REFCNT(object.as_ptr()) } == ours
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::ffi::CString;

    use super::*;

    /// Environs are lent on the strength of this; see `Environs::take_back`.
    #[test]
    fn a_dict_that_changes_has_another_version() {
        crate::socket_server::python();
        let changes = [
            "d['a'] = object()",
            "d['new'] = 1",
            "del d['a']",
            "d.pop('a')",
            "d.popitem()",
            "d.clear()",
            "d.update(a=3)",
            "d.update({'new': 3})",
            "d.__init__(new=3)",
            "d.setdefault('new')",
            "d |= {'new': 3}",
            "d['a'], d['b'] = d['b'], d['a']",
            "d['a'] = d.pop('a')",
            "o = type('C', (), {})(); o.__dict__ = d; o.new = 3; del o",
            "o = type('C', (), {})(); o.__dict__ = d; o.a = 3; del o",
            "exec('new = 3', {}, d)",
            "[0 for d['a'] in [object()]]",
        ];
        let reads =
            ["d['a']", "d.get('new')", "list(d.items())", "'new' in d", "dict(d)", "repr(d)", "{**d}", "d == {}"];
        Python::attach(|py| {
            let run = |code: &str| {
                let dict = PyDict::new(py);
                dict.set_item("a", 1).unwrap();
                dict.set_item("b", 2).unwrap();
                let before = version(&dict);
                let names = PyDict::new(py);
                names.set_item("d", &dict).unwrap();
                py.run(&CString::new(code).unwrap(), Some(&names), None).unwrap();
                (before, version(&dict))
            };
            for code in changes {
                let (before, after) = run(code);
                assert!(before.is_none() || before != after, "{code}");
            }
            for code in reads {
                let (before, after) = run(code);
                assert_eq!(before, after, "{code}");
            }
        });
    }
}
