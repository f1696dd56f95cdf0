//! What we make of the corpora, for parsers that are not to be linked into a fuzz target: one JSON object a line, all
//! bytes as hexadecimal digits. `fuzz/replay.py` compares it with what they make of the same streams.
//!
//! Without arguments the streams are those of `seeds/differential`; with them, the files in these folders.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use handwound_fuzz::drive::record;
use handwound_fuzz::grammar::Asked;
use handwound_fuzz::packed::unpack;
use handwound_wsgi::http1::Config;

fn main() -> Result<(), Box<dyn Error>> {
    let mut folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let mut streams = Vec::new();
    if folders.is_empty() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/differential");
        for line in fs::read_to_string(seeds.with_extension("txt"))?.lines() {
            streams.push(unpack(line)?);
        }
        folders.push(seeds);
    }
    for folder in folders {
        for entry in fs::read_dir(folder)? {
            streams.push(fs::read(entry?.path())?);
        }
    }
    streams.sort();
    // The peers do not drop fields.
    let config = Config { keep_underscore_headers: true, ..Config::default() }.into();
    for stream in streams {
        let log = record(&stream, false, &config);
        let requests: Vec<String> = log.requests.iter().map(json).collect();
        println!(
            r#"{{"stream": "{}", "requests": [{}], "closed": {}}}"#,
            hex(&stream),
            requests.join(", "),
            log.closing.is_some() && log.refused.is_none()
        );
    }
    Ok(())
}

fn json(asked: &Asked) -> String {
    let field = |(name, value): &(Vec<u8>, Vec<u8>)| format!(r#"["{}", "{}"]"#, hex(name), hex(value));
    let fields: Vec<String> = asked.fields.iter().map(field).collect();
    format!(
        r#"{{"method": "{}", "target": "{}", "is_11": {}, "fields": [{}], "body": "{}"}}"#,
        hex(&asked.method),
        hex(&asked.target),
        asked.is_11,
        fields.join(", "),
        hex(&asked.body)
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
