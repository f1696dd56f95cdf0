//! Holds `REQUIREMENTS.md` to its word: what it links to exists, and names the section it is linked from.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::table::{self, Case};

/// One row: a section of a document, and what shows that it is kept.
struct Row {
    document: String,
    section: String,
    links: Vec<String>,
}

impl Row {
    /// As the tables of cases put it: `9112 2.2`.
    fn key(&self) -> String {
        format!("{} {}", self.document.rsplit(' ').next().unwrap_or_default(), self.section)
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

fn rows() -> Vec<Row> {
    let text = read("REQUIREMENTS.md").expect("the page is part of the sources");
    let mut document = String::new();
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            document = heading.to_owned();
        }
        let columns: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if let (true, [section, _, shown_by]) = (line.starts_with("| "), &columns[..])
            && !["section", "---"].contains(section)
        {
            let links = shown_by.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            rows.push(Row { document: document.clone(), section: (*section).to_owned(), links });
        }
    }
    rows
}

/// The cases that a link means: all whose ids fit, where `*` is anything.
fn cases<'a>(link: &str, all: &'a [Case]) -> Vec<&'a Case> {
    let fits = |id: &str| match link.split_once('*') {
        Some((start, end)) => id.len() >= link.len() - 1 && id.starts_with(start) && id.ends_with(end),
        None => id == link,
    };
    all.iter().filter(|case| fits(&case.id)).collect()
}

/// A test's comment and body; `None` if there is no such test.
fn test_text(link: &str) -> Option<String> {
    let (path, name) = link.split_once("::")?;
    let text = read(path)?;
    let head = text.find(&format!("fn {name}("))?;
    let is_its = |line: &&str| line.trim_start().starts_with("//") || line.trim_start().starts_with("#[");
    let above: Vec<&str> = text[..head].trim_end().lines().rev().take_while(is_its).collect();
    let indent: String = text[..head].chars().rev().take_while(|letter| *letter == ' ').collect();
    let body = text[head..].split(&format!("\n{indent}}}\n")).next().unwrap_or_default();
    above.iter().any(|line| line.trim() == "#[test]").then(|| format!("{}\n{body}", above.join("\n")))
}

/// Whether `text` names `section` of `document`, as in `RFC 9110 sections 5.3 and 6.6.1` or `PEP 3333, Error Handling`.
fn names(text: &str, document: &str, section: &str) -> bool {
    let numbers = |text: &str| -> Vec<String> {
        let is_number = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
        let words = text.split(|letter: char| !letter.is_ascii_digit() && letter != '.');
        words.map(|word| word.trim_end_matches('.')).filter(is_number).map(str::to_owned).collect()
    };
    let is_numbered = section.starts_with(|first: char| first.is_ascii_digit());
    text.match_indices(document).any(|(at, _)| {
        let after = &text[at + document.len()..];
        // Up to the next document that is named.
        let end = ["RFC ", "PEP "].iter().filter_map(|other| after.find(other)).min().unwrap_or(after.len());
        if is_numbered {
            numbers(&after[..end]).iter().any(|found| found == section)
        } else {
            after[..end].contains(section)
        }
    })
}

#[test]
fn every_link_leads_to_a_test() {
    let all = table::all();
    let mut missing = Vec::new();
    for row in rows() {
        assert!(!row.links.is_empty(), "{} {}: nothing shows it", row.document, row.section);
        let exists = |link: &String| match link.contains("::") {
            true => test_text(link).is_some(),
            false => !cases(link, &all).is_empty(),
        };
        missing.extend(row.links.iter().filter(|link| !exists(link)).cloned());
    }
    assert_eq!(missing, [""; 0], "no such tests");
}

#[test]
fn every_requirement_has_a_test_that_names_its_section() {
    let all = table::all();
    let rows = rows();
    assert!(rows.len() > 130, "{} rows", rows.len());
    let is_named = |row: &Row| {
        row.links.iter().any(|link| match test_text(link) {
            Some(text) => names(&text, &row.document, &row.section),
            None => cases(link, &all).iter().any(|case| case.section == row.key()),
        })
    };
    let unnamed = rows.iter().filter(|row| row.document != "Ours" && !is_named(row));
    let unnamed: Vec<_> = unnamed.map(|row| format!("{} {}: {:?}", row.document, row.section, row.links)).collect();
    assert!(unnamed.is_empty(), "none of the tests names the section:\n{}", unnamed.join("\n"));
}

#[test]
fn every_section_that_cases_are_about_has_a_row() {
    let rows: BTreeSet<String> = rows().iter().map(Row::key).collect();
    for case in table::all() {
        assert!(rows.contains(&case.section), "{}: no row for {}", case.place, case.section);
    }
}

#[test]
fn the_checks_above_can_fail() {
    assert!(test_text("tests/site.rs::no_such_test").is_none());
    assert!(test_text("tests/no_such_file.rs::x").is_none());
    assert!(test_text("tests/cases/requirements.rs::rows").is_none(), "a function, but no test");
    assert!(test_text("tests/cases/requirements.rs::the_checks_above_can_fail").is_some());
    assert!(cases("le-no-such-*", &table::all()).is_empty());
    assert!(names("RFC 9110 sections 5.3 and 6.6.1; RFC 9112 section 8.", "RFC 9110", "6.6.1"));
    for (document, section) in [("RFC 9110", "8"), ("RFC 9112", "5.3"), ("RFC 9110", "6.6"), ("RFC 9110", "3")] {
        assert!(
            !names("RFC 9110 sections 5.3 and 6.6.1; RFC 9112 section 8.", document, section),
            "{document} {section}"
        );
    }
    assert!(!names("PEP 3333, Error Handling", "PEP 3333", "Unicode Issues"));
}
