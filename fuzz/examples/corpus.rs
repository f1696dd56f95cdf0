//! Packed corpora and folders of files: `corpus unpack FOLDER` writes `FOLDER/TARGET/NUMBER` for each line of
//! `seeds/TARGET.txt`; `corpus pack TARGET FOLDER` makes `seeds/TARGET.txt` of the files in a (minimised) folder.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use handwound_fuzz::packed::{pack, unpack};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["unpack", folder] => unpack_all(&seeds, Path::new(folder)),
        ["pack", target, folder] => pack_all(Path::new(folder), &seeds.join(target).with_extension("txt")),
        _ => Err("corpus unpack FOLDER, or corpus pack TARGET FOLDER".into()),
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files: Vec<_> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    Ok(files)
}

fn unpack_all(seeds: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    for file in files(seeds)?.iter().filter(|file| file.extension().is_some_and(|extension| extension == "txt")) {
        let into = folder.join(file.file_stem().ok_or("a file without a name")?);
        fs::create_dir_all(&into)?;
        for (index, line) in fs::read_to_string(file)?.lines().enumerate() {
            fs::write(into.join(format!("{index:04}")), unpack(line)?)?;
        }
    }
    Ok(())
}

fn pack_all(folder: &Path, into: &Path) -> Result<(), Box<dyn Error>> {
    let inputs: Result<Vec<_>, _> = files(folder)?.iter().map(fs::read).collect();
    let mut lines: Vec<String> = inputs?.iter().map(|input| pack(input) + "\n").collect();
    lines.sort();
    lines.dedup();
    fs::write(into, lines.concat())?;
    Ok(())
}
