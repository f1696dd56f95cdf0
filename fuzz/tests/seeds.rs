//! The seeds, through the targets, without a fuzzer: they stay valid, and findings that were added to them stay fixed.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;

use handwound_fuzz::packed::unpack;

fn check(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    let mut seeds: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!(!seeds.is_empty());
    for seed in seeds {
        println!("{}", seed.display());
        target(&std::fs::read(seed).unwrap());
    }
    // The minimised corpus, one input a line.
    let packed = std::fs::read_to_string(folder.with_extension("txt")).unwrap();
    for (index, line) in packed.lines().enumerate() {
        println!("{name}.txt, line {}", index + 1);
        target(&unpack(line).unwrap());
    }
}

#[test]
fn head() {
    check("head", handwound_fuzz::head);
}

#[test]
fn chunked() {
    check("chunked", handwound_fuzz::chunked);
}

#[test]
fn connection() {
    check("connection", handwound_fuzz::connection);
}

#[test]
fn response() {
    check("response", handwound_fuzz::response);
}

#[test]
fn target() {
    check("target", handwound_fuzz::target);
}

#[test]
fn differential() {
    check("differential", handwound_fuzz::differential);
}

#[test]
fn flood() {
    check("flood", handwound_fuzz::flood);
}
