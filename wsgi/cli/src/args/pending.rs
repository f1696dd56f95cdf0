//! Options that are read, and refused until what they ask for is there: nothing that a person types is ignored.

use super::{Serving, Web};

/// The first option that nobody serves yet, as the line that refuses it.
pub fn refuse(web: &Web) -> Result<(), String> {
    let files = &web.files;
    no("--path", web.path.is_some())?;
    no("--resource-script", web.resource_script.is_some())?;
    no("--index", !files.index.is_empty())?;
    no("--mime-type", files.mime_type.is_some())?;
    no("--ignore-ext", !files.ignore_ext.is_empty())?;
    no("--allow-ignore-ext", files.allow_ignore_ext)?;
    no("--display-tracebacks", files.display_tracebacks)?;
    refuse_serving(&web.serving)
}

/// The same for whoever has no more than these options.
pub fn refuse_serving(serving: &Serving) -> Result<(), String> {
    serving.check_https()
}

fn no(option: &str, is_given: bool) -> Result<(), String> {
    match is_given {
        true => Err(format!("{option} is not supported yet; leave it out")),
        false => Ok(()),
    }
}
