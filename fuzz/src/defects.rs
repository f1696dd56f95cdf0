//! Seeded defects: a table of small changes to the code under test, each of which some fuzz target must notice.
//! `defects/parser.txt` says how the table is written.

/// One defect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// Short, without spaces.
    pub name: String,
    /// What is wrong.
    pub what: String,
    /// From the top of the repository.
    pub file: String,
    /// Texts that stand in the file once, and what stands there instead.
    pub changes: Vec<(String, String)>,
}

/// The table as it is in the repository.
pub const PARSER: &str = include_str!("../defects/parser.txt");

/// Reads a table.
///
/// # Errors
/// The line that is not understood.
pub fn read(table: &str) -> Result<Vec<Defect>, String> {
    let mut defects: Vec<Defect> = Vec::new();
    // Where a line that goes on belongs.
    let mut is_new = false;
    for line in table.lines() {
        let error = || format!("not understood: {line}");
        if let Some((name, what)) = line.strip_prefix("== ").and_then(|rest| rest.split_once(": ")) {
            let (file, changes) = (String::new(), Vec::new());
            defects.push(Defect { name: name.to_owned(), what: what.to_owned(), file, changes });
            continue;
        }
        let Some(defect) = defects.last_mut() else { continue };
        if let Some(file) = line.strip_prefix("@ ") {
            defect.file = file.to_owned();
        } else if let Some(old) = line.strip_prefix("- ") {
            defect.changes.push((old.to_owned(), String::new()));
            is_new = false;
        } else if let Some(new) = line.strip_prefix("+ ") {
            defect.changes.last_mut().ok_or_else(error)?.1 = new.to_owned();
            is_new = true;
        } else if let Some(more) = line.strip_prefix("    ") {
            let (old, new) = defect.changes.last_mut().ok_or_else(error)?;
            let text = if is_new { new } else { old };
            text.push('\n');
            text.push_str(more);
        } else if !line.is_empty() {
            return Err(error());
        }
    }
    Ok(defects)
}

/// `text` with this change, switched by `switch`. White space is not compared.
///
/// # Errors
/// When the change does not fit: its text is not there, or more than once.
pub fn apply(text: &str, change: &(String, String), switch: &str) -> Result<String, String> {
    let words: Vec<&str> = change.0.split_whitespace().collect();
    let first = *words.first().ok_or("an empty change")?;
    let mut found = text.match_indices(first).filter_map(|(at, _)| Some((at, end_of(&text[at..], &words)? + at)));
    let (start, end) = found.next().ok_or_else(|| format!("not found: {}", change.0))?;
    if found.next().is_some() {
        return Err(format!("more than once: {}", change.0));
    }
    Ok([&text[..start], &change.1.replace("DEFECT", switch), &text[end..]].concat())
}

/// Where `words` end, if `text` begins with them and white space between them.
fn end_of(text: &str, words: &[&str]) -> Option<usize> {
    let mut rest = text;
    for word in words {
        rest = rest.trim_start().strip_prefix(word)?;
    }
    Some(text.len() - rest.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_change_fits_once_or_not_at_all() {
        let change = ("if a {\nb".to_owned(), "if a && DEFECT { b".to_owned());
        assert_eq!(apply("x if a {\n  b }", &change, "on()").unwrap(), "x if a && on() { b }");
        assert!(apply("x if b", &change, "on()").unwrap_err().starts_with("not found"));
        assert!(apply("if a { b } if a { b }", &change, "on()").unwrap_err().starts_with("more than once"));
    }

    #[test]
    fn a_table_is_read_with_its_continued_lines() {
        let defects = read("# no\n== one: two words\n@ f.rs\n- a\n    b\n+ c\n    d\n- e\n+ f\n").unwrap();
        let changes = vec![("a\nb".into(), "c\nd".into()), ("e".into(), "f".into())];
        assert_eq!(defects, [Defect { name: "one".into(), what: "two words".into(), file: "f.rs".into(), changes }]);
        assert!(read("== a: b\n? c").is_err());
    }
}
