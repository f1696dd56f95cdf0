//! Lets the library find libpython where the build found it, and says which Python that is.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    pyo3_build_config::add_libpython_rpath_link_args();
    let python = pyo3_build_config::get();
    let threads = if python.is_free_threaded() { "t" } else { "" };
    let abi = format!("{}.{}{threads}", python.version().major, python.version().minor);
    println!("cargo::rustc-env=HANDWOUND_ABI={abi}");
    // For the build script of the command, which depends on this package.
    println!("cargo::metadata=abi={abi}");
    println!("cargo::metadata=executable={}", python.executable().unwrap_or_default());
}
