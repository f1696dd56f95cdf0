//! A page of Markdown as its test sees it: fenced blocks with their markers, and the tables of what one types now.

/// What a comment above a block says about it: `<!-- test: … -->`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// Nothing: what its language says.
    None,
    /// `file NAME`: readers save it under this name, and so does the test.
    File(String),
    /// `prints`: the command before it prints these lines.
    Prints,
    /// `fails`: each of its commands does.
    Fails,
    /// `parsed only: WHY`: its commands are read by the command line, and not run.
    ParsedOnly(String),
    /// `not run: WHY`.
    NotRun(String),
}

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it begins, for whoever has to mend it.
    pub line: usize,
    /// As after the fence: `sh`, `python`.
    pub language: String,
    pub marker: Marker,
    pub text: String,
}

/// A piece of code in a table's column of what one types now, or of what is not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    pub line: usize,
    pub code: String,
    /// It stands beside what to do instead.
    pub is_absent: bool,
}

/// What of a page is tested, in its order.
#[derive(Debug, Default)]
pub struct Page {
    pub blocks: Vec<Block>,
    pub typed: Vec<Typed>,
}

/// How the column begins that has what one types now.
const NOW: &str = "now";

/// How the column begins that has what to do instead of what is in the first.
const INSTEAD: &str = "instead";

/// Which column of a table is tested, if one is, and whether what is in it is not here.
fn tested(header: &[&str]) -> Option<(usize, bool)> {
    let begins = |with: &str| header.iter().position(|cell| cell.trim().to_lowercase().starts_with(with));
    begins(NOW).map(|column| (column, false)).or(begins(INSTEAD).map(|_| (0, true)))
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// A marker that nobody understands, or a block that never ends, with its line.
    pub fn read(text: &str) -> Result<Page, String> {
        let mut page = Page::default();
        let mut marker = Marker::None;
        let mut column = None;
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        while let Some((number, line)) = lines.next() {
            if let Some(said) = line.trim().strip_prefix("<!-- test:") {
                marker = read_marker(said.trim_end_matches("-->").trim()).map_err(|why| format!("{number}: {why}"))?;
            } else if let Some(fence) = line.trim_start().strip_prefix("```") {
                let indent = line.len() - line.trim_start().len();
                let language = fence.split([',', ' ']).next().unwrap_or_default().to_owned();
                let mut text = String::new();
                loop {
                    let Some((_, line)) = lines.next() else { return Err(format!("{number}: this block never ends")) };
                    if line.trim_start().starts_with("```") {
                        break;
                    }
                    text.push_str(line.get(indent..).unwrap_or_default());
                    text.push('\n');
                }
                let marker = std::mem::replace(&mut marker, Marker::None);
                page.blocks.push(Block { line: number, language, marker, text });
            } else if line.starts_with('|') {
                let cells: Vec<&str> = cells(line);
                match column {
                    None => column = Some(tested(&cells)),
                    Some(Some((column, is_absent))) if !line.starts_with("| ---") => {
                        let codes = cells.get(column).map(|cell| codes(cell)).unwrap_or_default();
                        page.typed.extend(codes.into_iter().map(|code| Typed { line: number, code, is_absent }));
                    }
                    Some(_) => {}
                }
            } else {
                column = None;
            }
        }
        match marker {
            Marker::None => Ok(page),
            marker => Err(format!("a marker without a block: {marker:?}")),
        }
    }
}

fn read_marker(said: &str) -> Result<Marker, String> {
    let why = |why: &str| match why.trim() {
        "" => Err(format!("'{said}' lacks its reason")),
        why => Ok(why.to_owned()),
    };
    match said.split_once(':').unwrap_or((said, "")) {
        ("parsed only", reason) => why(reason).map(Marker::ParsedOnly),
        ("not run", reason) => why(reason).map(Marker::NotRun),
        ("prints", "") => Ok(Marker::Prints),
        ("fails", "") => Ok(Marker::Fails),
        _ => match said.strip_prefix("file ") {
            Some(name) => Ok(Marker::File(name.trim().to_owned())),
            None => Err(format!(
                "'{said}' is no marker; there are: file NAME, prints, fails, parsed only: WHY, not run: WHY"
            )),
        },
    }
}

/// The cells of a table's row. A bar in code is written `\|`.
fn cells(line: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let mut start = 1;
    for (at, _) in line.match_indices('|').skip(1) {
        if !line[..at].ends_with('\\') {
            cells.push(&line[start..at]);
            start = at + 1;
        }
    }
    cells
}

/// The pieces of code in a cell.
fn codes(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(|code| code.replace("\\|", "|")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_the_marker_above_them() {
        let text = "a\n<!-- test: file a.py -->\n```python\nx = 1\n```\n  ```sh\n  ls\n  ```\n<!-- test: not run: it is long -->\n```sh\nmake\n```\n";
        let page = Page::read(text).unwrap();
        let block = |line, language: &str, marker, text: &str| Block {
            line,
            language: language.into(),
            marker,
            text: text.into(),
        };
        let expected = [
            block(3, "python", Marker::File("a.py".into()), "x = 1\n"),
            block(6, "sh", Marker::None, "ls\n"),
            block(10, "sh", Marker::NotRun("it is long".into()), "make\n"),
        ];
        assert_eq!(page.blocks, expected);
    }

    #[test]
    fn the_column_of_now_is_looked_at() {
        let text = "| Then | Now | Why |\n| --- | --- | --- |\n| `a` | `-b` or `c\\|d` | `e` |\n\n| Then | Why |\n| --- | --- |\n| `f` | `g` |\n";
        let codes: Vec<String> = Page::read(text).unwrap().typed.into_iter().map(|typed| typed.code).collect();
        assert_eq!(codes, ["-b", "c|d"]);
        let text = "| Then | Instead |\n| --- | --- |\n| `--a` | `b` |\n";
        let absent = Typed { line: 3, code: "--a".into(), is_absent: true };
        assert_eq!(Page::read(text).unwrap().typed, [absent]);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let refuse = |text: &str, part: &str| {
            let why = Page::read(text).unwrap_err();
            assert!(why.contains(part), "{why}");
        };
        refuse("<!-- test: not run -->\n```sh\n```\n", "lacks its reason");
        refuse("<!-- test: whatever -->\n```sh\n```\n", "no marker");
        refuse("<!-- test: prints -->\n", "without a block");
        refuse("```sh\n", "1: this block never ends");
    }
}
