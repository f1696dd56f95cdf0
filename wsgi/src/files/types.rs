//! What a file's name says of its content.

use std::path::Path;

use super::FilesConfig;

/// Content codings by suffix. A browser takes them off again: `a.html.gz` is a page.
const ENCODINGS: [(&str, &str); 4] = [("gz", "gzip"), ("bz2", "bzip2"), ("br", "br"), ("zst", "zstd")];

/// Types that browsers show as text, where the common table would have them saved or knows none.
const TYPES: [(&str, &str); 4] =
    [("conf", "text/plain"), ("diff", "text/plain"), ("patch", "text/plain"), ("java", "text/plain")];

/// `Content-Type` and `Content-Encoding` of a file of this name.
pub(super) fn of(path: &Path, config: &FilesConfig) -> (String, Option<&'static str>) {
    let Some(name) = path.file_name().map(Path::new) else { return (config.default_type.clone(), None) };
    let encoding = extension(name).and_then(|found| ENCODINGS.iter().find(|(suffix, _)| *suffix == found));
    let plain = match encoding {
        Some(_) => name.file_stem().map(Path::new).unwrap_or(name),
        None => name,
    };
    (content_type(plain, config), encoding.map(|(_, encoding)| *encoding))
}

fn content_type(name: &Path, config: &FilesConfig) -> String {
    if let Some(fixed) = &config.content_type {
        return fixed.clone();
    }
    let Some(extension) = extension(name) else { return config.default_type.clone() };
    if let Some(extra) = config.extra_types.get(&format!(".{extension}")) {
        return extra.clone();
    }
    if let Some((_, known)) = TYPES.iter().find(|(suffix, _)| *suffix == extension) {
        return (*known).to_owned();
    }
    mime_guess::from_ext(&extension).first_raw().map_or_else(|| config.default_type.clone(), str::to_owned)
}

/// Without its dot, in lower case.
fn extension(name: &Path) -> Option<String> {
    name.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, content_type: &str, encoding: Option<&str>) {
        let mut config = FilesConfig::default();
        config.extra_types.insert(".md".to_owned(), "text/markdown; charset=utf-8".to_owned());
        assert_eq!(of(Path::new(name), &config), (content_type.to_owned(), encoding), "{name}");
    }

    #[test]
    fn names_tell_types_and_encodings() {
        check("/a/b.html", "text/html", None);
        check("b.HTML", "text/html", None);
        check("b.css", "text/css", None);
        check("b.png", "image/png", None);
        check("b.tar.gz", "application/x-tar", Some("gzip"));
        check("b.svg.GZ", "image/svg+xml", Some("gzip"));
        check("b.txt.bz2", "text/plain", Some("bzip2"));
        check("b.js.br", "text/javascript", Some("br"));
        check("b.json.zst", "application/json", Some("zstd"));
        check("b.md", "text/markdown; charset=utf-8", None);
        check("b.patch", "text/plain", None);
        for unknown in ["README", ".html", "b.nosuch", "b."] {
            check(unknown, "text/html", None);
        }
        let fixed = FilesConfig { content_type: Some("text/x-mine".to_owned()), ..FilesConfig::default() };
        assert_eq!(of(Path::new("b.html.gz"), &fixed), ("text/x-mine".to_owned(), Some("gzip")));
        check(".gz", "text/html", None);
        check("b.gz", "text/html", Some("gzip"));
    }
}
