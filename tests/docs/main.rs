//! The README and the pages of `wsgi/docs`, followed to the letter: files are saved, commands run, programs executed,
//! and what a table says one types is read by the command line.
//!
//! What cannot be run has a comment above it that says why; `page.rs` lists the markers.
#![allow(clippy::unwrap_used)]

mod folder;
mod line;
mod page;

use std::fs;
use std::io::Write;
use std::path::Path;

use folder::{Folder, repository};
use line::Line;
use page::{Block, Marker, Page, Typed};

/// What there is in `wsgi/docs`; each has its test below.
const PAGES: [&str; 4] = ["coming-from-gunicorn.md", "coming-from-twisted.md", "performance.md", "testing-python.md"];

/// Follows a page.
fn follow(page: &str) {
    let text = fs::read_to_string(repository().join(page)).unwrap();
    if let Err(why) = followed(page, &text) {
        panic!("{page}:{why}");
    }
}

fn followed(name: &str, text: &str) -> Result<(), String> {
    let page = Page::read(text)?;
    let mut folder = Folder::new();
    for block in &page.blocks {
        let skipped = block_holds(&mut folder, block).map_err(|why| format!("{}: {why}", block.line))?;
        if let Some(why) = skipped {
            // Past the test harness, which would swallow it.
            let _ = writeln!(std::io::stderr(), "SKIPPED {name}:{}: {why}", block.line);
        }
    }
    folder.stop()?;
    page.typed.iter().try_for_each(|typed| typed_holds(&mut folder, typed))
}

/// Does what a reader would do with a block; why it was left out, if it was.
fn block_holds(folder: &mut Folder, block: &Block) -> Result<Option<String>, String> {
    match (&block.marker, block.language.as_str()) {
        (Marker::NotRun(why), _) => return Ok(Some(why.clone())),
        (Marker::File(name), _) => folder.save(name, &block.text),
        (Marker::Prints, _) => folder.prints(&block.text)?,
        (Marker::ParsedOnly(why), "sh") => {
            for command in line::commands(&block.text) {
                let line = Line::read(&command);
                let arguments = line.handwound().ok_or_else(|| format!("'{command}' is nothing that we can parse"))?;
                line::meant(arguments).map_err(|why| format!("{command}: {why}"))?;
            }
            return Ok(Some(why.clone()));
        }
        (marker @ (Marker::None | Marker::Fails), "sh") => {
            for command in line::commands(&block.text) {
                if let Some(tool) = folder::tool(&command) {
                    let Some(tool) = tool else {
                        return Ok(Some(format!("{command}: no Python with pytest; HANDWOUND_TEST_PYTHON names one")));
                    };
                    folder.with_package(&tool, *marker == Marker::Fails).map_err(|why| format!("{command}: {why}"))?;
                    continue;
                }
                if *marker == Marker::Fails {
                    return Err(format!("{command}: only tests in Python are expected to fail"));
                }
                folder.run(&command).map_err(|why| format!("{command}: {why}"))?;
            }
        }
        (Marker::None, "python") => folder.python(&block.text)?,
        (Marker::None, "nginx") => return folder.nginx(&block.text).map(|skipped| skipped.map(str::to_owned)),
        (Marker::None, "ini") => return folder.unit(&block.text).map(|skipped| skipped.map(str::to_owned)),
        // Doc tests of handwound-wsgi.
        (Marker::None, "rust") => {}
        (marker, language) => return Err(format!("a block of '{language}' with {marker:?} cannot be tested")),
    }
    Ok(None)
}

/// The command says what to do instead of this option.
fn absent(option: &str) -> Result<(), String> {
    match line::meant(Line::read(&format!("handwound web shop:application {option}")).handwound().unwrap_or_default()) {
        Err(why) if why.contains("is not here") => Ok(()),
        Err(why) => Err(why),
        Ok(_) => Err("it is here".to_owned()),
    }
}

/// What a table says one types: options are read by the command line, imports are made.
fn typed_holds(folder: &mut Folder, typed: &Typed) -> Result<(), String> {
    let code = typed.code.as_str();
    let outcome = if typed.is_absent {
        match code.starts_with("--") {
            true => absent(code),
            false => Ok(()),
        }
    } else if code.starts_with("handwound ") {
        line::meant(Line::read(code).handwound().unwrap_or_default()).map(drop)
    } else if code.starts_with('-') {
        line::meant(Line::read(&format!("handwound web shop:application {code}")).handwound().unwrap_or_default())
            .or_else(|why| match why.starts_with("the argument '[MODULE:APP]'") || why.starts_with("more than one") {
                true => line::meant(Line::read(&format!("handwound web {code}")).handwound().unwrap_or_default()),
                false => Err(why),
            })
            .map(drop)
    } else if code.starts_with("from ") || code.starts_with("import ") {
        folder.python(code)
    } else {
        Ok(())
    };
    outcome.map_err(|why| format!("{}: {code}: {why}", typed.line))
}

#[test]
fn readme() {
    follow("README.md");
}

/// Examples that the README names are there; `cargo test --workspace` runs their tests.
#[test]
fn examples_are_there() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let named: Vec<Vec<&str>> = readme
        .split('`')
        .filter(|code| code.starts_with("cargo test -p"))
        .map(|code| code.split(' ').collect())
        .collect();
    assert!(named.len() >= 3, "{named:?}");
    for words in named {
        let [.., package, "--example", example] = words[..] else { panic!("{words:?} names no example") };
        let folder = match package {
            "handwound-python" => "wsgi/python",
            package => package.trim_start_matches("handwound-"),
        };
        assert!(repository().join(folder).join(format!("examples/{example}.rs")).exists(), "{words:?}");
    }
}

#[test]
fn every_page_is_followed() {
    let pages = fs::read_dir(repository().join("wsgi/docs")).unwrap();
    let mut names: Vec<String> = pages.map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    // Pictures lie in folders.
    names.retain(|name| name.ends_with(".md"));
    names.sort();
    assert_eq!(names, PAGES, "a page without its test");
}

#[test]
fn links_lead_somewhere() {
    let pages = PAGES.map(|page| format!("wsgi/docs/{page}"));
    for page in ["README.md".to_owned()].into_iter().chain(pages) {
        let text = fs::read_to_string(repository().join(&page)).unwrap();
        let folder = repository().join(Path::new(&page).parent().unwrap());
        for after in text.split("](").skip(1) {
            let target = after.split([')', '#']).next().unwrap();
            let local = !target.is_empty() && !target.contains("://");
            assert!(!local || folder.join(target).exists(), "{page}: nothing at {target}");
        }
    }
}

#[test]
fn coming_from_gunicorn() {
    follow("wsgi/docs/coming-from-gunicorn.md");
}

#[test]
fn coming_from_twisted() {
    follow("wsgi/docs/coming-from-twisted.md");
}

#[test]
fn performance() {
    follow("wsgi/docs/performance.md");
}

#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn testing_python() {
    follow("wsgi/docs/testing-python.md");
}

#[test]
fn pydoc_reads_well() {
    Folder::new().python(include_str!("pydoc_check.py")).unwrap_or_else(|why| panic!("{why}"));
}

/// A page that is wrong is found out.
#[test]
fn mistakes_are_found() {
    let wrong = |text: &str, part: &str| {
        let why = followed("a page", text).unwrap_err();
        assert!(why.contains(part), "{why}");
    };
    wrong("```sh\nhandwound web --wgsi foo.application\n```\n", "a similar argument exists: '--wsgi'");
    wrong("```sh\nhandwound web nothing_here:application --port 8080\n```\n", "ended before it listened");
    wrong("<!-- test: parsed only: no reason -->\n```sh\nhandwound web --port 80000 a:b\n```\n", "80000");
    wrong("```sh\necho one\n```\n<!-- test: prints -->\n```text\ntwo\n```\n", "'two' was not printed");
    wrong("```sh\nfalse\n```\n", "false");
    wrong("```python\nimport handwound.no_such_module\n```\n", "no_such_module");
    wrong("```cobol\n```\n", "cannot be tested");
    wrong("```ini\n[Service]\nExecStart=handwound web a:b -b 8000\n```\n", "did you mean ':8000'?");
    if folder::on_path("nginx") {
        wrong("```nginx\nserver { lisen 80; }\n```\n", "lisen");
    }
    if folder::on_path("systemd-analyze") {
        wrong("```ini\n[Service]\nExecStart=handwound web a:b\nRestart=sometimes\n```\n", "sometimes");
    }
    wrong("<!-- test: fails -->\n```sh\npython -m handwound.testing --help\n```\n", "it does not fail");
    wrong("| Then | Instead |\n| --- | --- |\n| `--threads` | nothing |\n", "--threads");
    wrong("| Now |\n| --- |\n| `--no-such-option` |\n", "--no-such-option");
}
