//! x
#[unsafe(no_mangle)]
pub extern "C" fn handwound_main() -> i32 {
    pyo3::Python::initialize();
    pyo3::Python::attach(|py| {
        py.run(c"import sys; print(sys.version, sys.prefix)", None, None).unwrap();
    });
    7
}
