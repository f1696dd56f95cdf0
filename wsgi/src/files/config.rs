//! How files are served.

use std::collections::BTreeMap;

/// How files are served. The defaults are those of Twisted's `static.File`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilesConfig {
    /// What answers for a folder, the first that is there: `index`, `index.html`, `index.htm`, `index.rpy`.
    pub index_names: Vec<String>,
    /// Content types by extension, with its dot and in lower case (`.md`); they win over those that are known.
    pub extra_types: BTreeMap<String, String>,
    /// The type of what has no other: `text/html`.
    pub default_type: String,
    /// The type of all files, whatever their names; what their names say of content codings holds. None.
    pub content_type: Option<String>,
    /// Extensions, with their dots, that a path may leave out, in order: with `.html`, `/a` finds `a.html`.
    pub ignored_extensions: Vec<String>,
    /// A path may leave out any extension, after those above.
    pub ignore_any_extension: bool,
    /// Whether a folder without an index shows what is in it; else it is a 403. True.
    pub list_folders: bool,
    /// The names that a listing shows at most: 10,000.
    pub listing_names_max: usize,
    /// The ranges of one request at most; one with more of them gets the whole file: 32.
    pub ranges_max: usize,
    /// Headers of every response with a file, in full, in parts or not modified: `Cache-Control`, for example. None.
    pub extra_headers: Vec<(String, String)>,
    /// Which symbolic links are followed below the folder: all.
    pub symlinks: Symlinks,
}

/// Which symbolic links are followed; what is not followed is not found. The served folder itself may be one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Symlinks {
    /// All, wherever they lead. Whoever may write into the folder can show what the server can read.
    #[default]
    Follow,
    /// Those that lead to a place within the served folder.
    Inside,
    /// None.
    Never,
}

impl Default for FilesConfig {
    fn default() -> FilesConfig {
        FilesConfig {
            index_names: ["index", "index.html", "index.htm", "index.rpy"].map(str::to_owned).into(),
            extra_types: BTreeMap::new(),
            default_type: "text/html".to_owned(),
            content_type: None,
            ignored_extensions: Vec::new(),
            ignore_any_extension: false,
            list_folders: true,
            listing_names_max: 10_000,
            ranges_max: 32,
            extra_headers: Vec::new(),
            symlinks: Symlinks::Follow,
        }
    }
}
