//! Lets the library find libpython where the build found it, says which Python that is, and lists the files of the
//! Python package, all of which the library carries in itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    pyo3_build_config::add_libpython_rpath_link_args();
    // `Py_GIL_DISABLED` and the versions, for what is found on some Pythons only.
    pyo3_build_config::use_pyo3_cfgs();
    let python = pyo3_build_config::get();
    let threads = if python.is_free_threaded() { "t" } else { "" };
    let abi = format!("{}.{}{threads}", python.version().major, python.version().minor);
    println!("cargo::rustc-env=HANDWOUND_ABI={abi}");
    // For the tests that start it.
    println!("cargo::rustc-env=HANDWOUND_PYTHON={}", python.executable().unwrap_or("python3"));
    // For the build script of the command, which depends on this package.
    println!("cargo::metadata=abi={abi}");
    println!("cargo::metadata=executable={}", python.executable().unwrap_or_default());
    embed_package();
    if env::var_os("CARGO_FEATURE_SIMULATION").is_some() {
        build_shadow();
    }
}

/// Compiles the library that is preloaded into processes that simulate: one file, and a library of its own, which
/// depends on nothing and on which nothing depends.
fn build_shadow() {
    println!("cargo::rerun-if-changed=shadow");
    let var = |name: &str| env::var(name).unwrap_or_default();
    if var("CARGO_CFG_TARGET_OS") != "linux" || var("CARGO_CFG_TARGET_ENV") != "gnu" {
        return;
    }
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("libhandwound_shadow.so");
    let mut rustc = Command::new(env::var_os("RUSTC").expect("cargo sets it"));
    rustc.args(["--edition=2024", "--crate-type=cdylib", "--crate-name=handwound_shadow"]);
    rustc.args(["-Copt-level=3", "-Cpanic=abort", "-Cstrip=symbols", "-Dwarnings"]);
    rustc.arg("--target").arg(var("TARGET")).arg("-o").arg(out).arg(here.join("shadow/shadow.rs"));
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={}", linker.to_string_lossy()));
    }
    let status = rustc.status().expect("cargo says which compiler to use");
    assert!(status.success(), "shadow/shadow.rs does not compile");
}

/// Writes the table of all files of the package: the path that a module's name stands for, and the text.
fn embed_package() {
    // Cargo looks at all that is in it.
    println!("cargo::rerun-if-changed=handwound");
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut files = Vec::new();
    collect(&here.join("handwound"), &mut files);
    files.sort();
    let mut table = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&here).expect("it is below").to_str().expect("our names are ASCII");
        let file = file.to_str().expect("include_str! takes UTF-8 paths only");
        table.push_str(&format!("    ({name:?}, include_str!({file:?})),\n"));
    }
    table.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("package.rs"), table).expect("cargo's folder is ours to write");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("the package is part of the sources");
    for entry in entries {
        let path = entry.expect("a folder can be read to its end").path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() {
            collect(&path, files);
        } else if matches!(extension, Some("py" | "pyi")) || path.ends_with("py.typed") {
            files.push(path);
        }
    }
}
