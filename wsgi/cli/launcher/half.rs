//! The Python half of the command: where it lies, and how to call it. All `unsafe` of the launcher is here.

use std::env::{self, consts};
use std::ffi::{CStr, CString, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};

use crate::trouble::Trouble;

type Build = unsafe extern "C" fn() -> *const c_char;
type Main = unsafe extern "C" fn(c_int, *const *const c_char, *const c_char) -> c_int;

/// The opened Python half. It and Python's library stay open until the process ends.
pub struct Half {
    main: Main,
}

/// Where the Python half may be: below the command as cargo builds it, beside it, or installed.
pub fn places() -> Result<Vec<PathBuf>, Trouble> {
    let command = env::current_exe()
        .and_then(std::fs::canonicalize)
        .map_err(|error| Trouble::CannotOpen { path: "handwound".into(), why: error.to_string() })?;
    let folder = command.parent().unwrap_or(Path::new("/"));
    let name = format!("{}handwound_python{}", consts::DLL_PREFIX, consts::DLL_SUFFIX);
    // `deps` first: cargo leaves an old copy beside the command when it rebuilds only what the command needs.
    Ok(["deps", "", "../lib/handwound"].map(|place| folder.join(place).join(&name)).to_vec())
}

impl Half {
    /// Opens Python's `library`, then the first of `places` that is there.
    ///
    /// # Errors
    /// [`Trouble::NoHalf`], [`Trouble::OtherHalf`], [`Trouble::CannotOpen`].
    pub fn open(places: &[PathBuf], library: &Path, abi: &str) -> Result<Half, Trouble> {
        let path =
            places.iter().find(|path| path.is_file()).ok_or_else(|| Trouble::NoHalf { looked: places.to_vec() })?;
        // Global, for extension modules do not name the library that their symbols come from.
        std::mem::forget(open(library, RTLD_NOW | RTLD_GLOBAL)?);
        let half = open(path, RTLD_NOW | RTLD_LOCAL)?;
        let cannot = |error: libloading::Error| Trouble::CannotOpen { path: path.clone(), why: error.to_string() };
        // SAFETY: the types are those of the functions that handwound-python exports under these names; whether it
        // is ours is checked below, before anything else of it is called.
        let (build, main) = unsafe {
            let build = *half.get::<Build>(b"handwound_build\0").map_err(cannot)?;
            (build, *half.get::<Main>(b"handwound_main\0").map_err(cannot)?)
        };
        // SAFETY: it returns a static string that ends in a zero.
        let found = unsafe { CStr::from_ptr(build()) }.to_string_lossy().into_owned();
        let wanted = format!("handwound {} for Python {abi}", env!("CARGO_PKG_VERSION"));
        if found != wanted {
            return Err(Trouble::OtherHalf { path: path.clone(), found, wanted });
        }
        // The functions above are called until the process ends.
        std::mem::forget(half);
        Ok(Half { main })
    }

    /// Serves; returns the exit code of the process. May end the process itself.
    pub fn run(&self, arguments: &[OsString], interpreter: &Path) -> u8 {
        let text = |bytes: &[u8]| CString::new(bytes).expect("the system gives no zero bytes in arguments and paths");
        let strings: Vec<_> = arguments.iter().map(|argument| text(argument.as_bytes())).collect();
        let pointers: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
        let count = c_int::try_from(pointers.len()).expect("fewer arguments than 2^31");
        let interpreter = text(interpreter.as_os_str().as_bytes());
        // SAFETY: `count` pointers to strings that end in a zero and outlive the call, and one more such string.
        let code = unsafe { (self.main)(count, pointers.as_ptr(), interpreter.as_ptr()) };
        u8::try_from(code).unwrap_or(1)
    }
}

fn open(path: &Path, flags: c_int) -> Result<Library, Trouble> {
    // SAFETY: what runs on loading is Python's library, which has no initialisers that need anything of us, and our own.
    unsafe { Library::open(Some(path), flags) }
        .map_err(|error| Trouble::CannotOpen { path: path.to_path_buf(), why: reason(&error) })
}

/// What the loader said, in one line.
fn reason(error: &libloading::Error) -> String {
    let said = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    said.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_missing_half_names_every_place() {
        let places = [PathBuf::from("/nowhere/a.so"), PathBuf::from("/nowhere/b.so")];
        let trouble = Half::open(&places, Path::new("/nowhere/libpython.so"), "3.11").err().unwrap();
        let said = trouble.to_string();
        assert!(said.contains("'/nowhere/a.so', '/nowhere/b.so'") && said.contains("cargo build"), "{said}");
    }

    #[test]
    fn what_is_no_library_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("half.so");
        std::fs::write(&path, "text").unwrap();
        let trouble = Half::open(&[path], Path::new("/nowhere/libpython.so"), "3.11").err().unwrap();
        assert!(trouble.to_string().starts_with("cannot load '/nowhere/libpython.so': "), "{trouble}");
    }
}
