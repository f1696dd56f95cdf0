//! The seeded defects still fit the code that they are seeded into. `fuzz/defects.sh` shows that each is caught.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use handwound_fuzz::defects::{PARSER, apply, read};

#[test]
fn every_defect_fits_the_code() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let defects = read(PARSER).unwrap();
    let names: BTreeSet<_> = defects.iter().map(|defect| &defect.name).collect();
    assert_eq!(names.len(), defects.len(), "two of one name");
    let mut texts = BTreeMap::new();
    for defect in &defects {
        let file = top.join(&defect.file);
        let text = texts.entry(file.clone()).or_insert_with(|| std::fs::read_to_string(&file).unwrap());
        assert!(!defect.changes.is_empty(), "{}", defect.name);
        for change in &defect.changes {
            assert!(change.1.contains("DEFECT") || change.1.starts_with("_ =>"), "{} has no switch", defect.name);
            // One after the other, as they are applied.
            *text = apply(text, change, "defect()").unwrap_or_else(|error| panic!("{}: {error}", defect.name));
        }
    }
}
