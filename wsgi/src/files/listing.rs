//! What is in a folder, as a page.

use std::path::Path;

use super::FilesConfig;
use super::answers::{send_error, send_not_allowed};
use crate::{Call, Failure};

/// Answers with a page that shows what is in `folder`, and links to it; the request's path is to end in a slash. Runs on
/// a worker; blocks on the disk.
///
/// # Errors
/// The disk's, and the client's if it has left.
pub fn send_listing(call: &Call, folder: &Path, config: &FilesConfig) -> Result<(), Failure> {
    if !matches!(call.request().method(), b"GET" | b"HEAD") {
        return send_not_allowed(call);
    }
    let mut names = Vec::new();
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error) => return send_error(call, folder, &error),
    };
    for entry in entries.take(config.listing_names_max) {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    super::answers::send_text(call, "200 OK", &names.join("\n"))
}
