//! Makes a copy of the code with every defect of the table in it, each behind a switch: `seed_defects FOLDER`. Prints the
//! number, name and description of each. The environment variable `DEFECT` of a program built from the copy says
//! which one is on; without it none is.

use std::error::Error;
use std::fs;
use std::path::Path;

use handwound_fuzz::defects::{PARSER, apply, read};

const SWITCH: &str = r#"
/// Whether this seeded defect is on.
pub fn defect(number: u32) -> bool {
    static ON: std::sync::LazyLock<u32> =
        std::sync::LazyLock::new(|| std::env::var("DEFECT").ok().and_then(|text| text.parse().ok()).unwrap_or(0));
    *ON == number
}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let copy = std::env::args_os().nth(1).ok_or("where to?")?;
    let copy = Path::new(&copy);
    fs::create_dir_all(copy)?;
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no repository around this")?;
    for part in ["Cargo.toml", "Cargo.lock", "reactor", "testkit", "wsgi", "fuzz"] {
        copy_over(&top.join(part), &copy.join(part))?;
    }
    let library = copy.join("wsgi/src/lib.rs");
    fs::write(&library, fs::read_to_string(&library)? + SWITCH)?;
    for (index, defect) in read(PARSER)?.iter().enumerate() {
        let (number, file) = (index + 1, copy.join(&defect.file));
        let mut text = fs::read_to_string(&file)?;
        for change in &defect.changes {
            text = apply(&text, change, &format!("crate::defect({number})"))?;
        }
        fs::write(&file, text)?;
        println!("{number}\t{}\t{}", defect.name, defect.what);
    }
    Ok(())
}

/// Copies what differs, so that a second build has less to do.
fn copy_over(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    let skipped = ["fuzz/target", "fuzz/corpus", "fuzz/artifacts", "fuzz/coverage"];
    if skipped.iter().any(|skip| from.ends_with(skip)) {
        return Ok(());
    }
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy_over(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    let text = fs::read(from).map_err(|error| format!("{}: {error}", from.display()))?;
    // The sources of the code under test are always written anew: the defects are in the old ones.
    if fs::read(to).ok().as_ref() != Some(&text) {
        fs::write(to, text).map_err(|error| format!("{}: {error}", to.display()))?;
    }
    Ok(())
}
