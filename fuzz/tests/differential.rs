//! What we accept, other parsers frame the same way: over all seeds and cases, without a fuzzer.
#![allow(missing_docs, clippy::unwrap_used)]

use handwound_fuzz::quirks::QUIRKS;
use handwound_fuzz::target_differential::{differences, quirk};

#[test]
fn each_quirk_is_still_there_and_explains_its_example_alone() {
    for row in QUIRKS {
        let found = differences(row.example);
        assert_eq!(found.len(), 1, "{}: {found:?}", row.name);
        assert_eq!(quirk(row.example, &found[0]), Some(row.name));
        assert!(!row.why.is_empty());
    }
}
