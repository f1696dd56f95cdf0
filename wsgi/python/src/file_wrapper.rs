//! `wsgi.file_wrapper`: a file as an iterable of its blocks (PEP 3333, "Optional Platform-Specific File Handling").

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Wraps anything with `read(size)`; `close()` closes it if it can be closed.
#[pyclass(frozen, module = "handwound", name = "FileWrapper")]
pub struct FileWrapper {
    /// The file, as the application gave it.
    #[pyo3(get)]
    filelike: Py<PyAny>,
    /// How much is read at once, in bytes.
    #[pyo3(get)]
    blksize: usize,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, blksize = 65536))]
    fn new(filelike: Py<PyAny>, blksize: usize) -> PyResult<FileWrapper> {
        match blksize {
            0 => Err(PyValueError::new_err("blksize is at least 1")),
            blksize => Ok(FileWrapper { filelike, blksize }),
        }
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let block = self.filelike.bind(py).call_method1("read", (self.blksize,))?;
        // What is not bytes goes on to the response, which says what is wrong with it.
        let at_end = block.is_none() || block.cast::<PyBytes>().is_ok_and(|block| block.as_bytes().is_empty());
        Ok((!at_end && block.is_truthy()?).then_some(block))
    }

    /// Closes the file, if it can be closed.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let file = self.filelike.bind(py);
        if let Some(close) = file.getattr_opt("close")? {
            close.call0()?;
        }
        Ok(())
    }
}
