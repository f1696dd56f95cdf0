//! One file as the response to a request.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use super::answers::{send_error, send_not_allowed, send_not_found, send_text};
use super::conditions::{Validators, Verdict};
use super::pump::{Piece, Pump, is_small, send_at_once};
use super::range::{Part, Wanted};
use super::{FilesConfig, Symlinks, range, types};
use crate::http1::{BadResponse, ResponseHead};
use crate::{Application, Call, Failure};

/// Answers with the file at `path`: its bytes, the parts of it that a `Range` asks for, or 304 if the client has it
/// already. It is a 404 if it is not there, or no plain file; a 403 if it must not be read; a 405 for other methods than
/// GET and HEAD. Runs on a worker, and blocks on the disk. Of a file that does not fit into the response's bounds it sends
/// what does, and has the rest sent as the client reads on ([`Call::go_on_with_room`]): the response is complete some time
/// after the application has returned, and the worker is free meanwhile. Nothing is to be written behind it.
///
/// Of `config` it takes types, headers and bounds, and whether `path` itself may be a symbolic link.
///
/// ```
/// use handwound_wsgi::files::{FilesConfig, send_file};
/// use handwound_wsgi::{Call, Failure};
///
/// /// Files as an application decides who may have them.
/// fn download(call: &Call) -> Result<(), Failure> {
///     match call.request().header("Authorization") {
///         Some(_) => send_file(call, "/srv/report.pdf".as_ref(), &FilesConfig::default()),
///         None => Ok(call.start_response("401 Unauthorized", &[("WWW-Authenticate", "Basic")])?),
///     }
/// }
/// # fn is_one(_: impl handwound_wsgi::Application) {}
/// # is_one(download);
/// ```
///
/// # Errors
/// The disk's, and a file that has become shorter than it was: the response is cut then. The client's, if it has left.
pub fn send_file(call: &Call, path: &Path, config: &FilesConfig) -> Result<(), Failure> {
    let is_head = match call.request().method() {
        b"GET" => false,
        b"HEAD" => true,
        _ => return send_not_allowed(call),
    };
    let (file, metadata) = match open(path, config) {
        Ok(Some(opened)) => opened,
        Ok(None) => return send_not_found(call),
        Err(error) => return send_error(call, path, &error),
    };
    let validators = Validators::of(&metadata);
    match validators.judge(call.request()) {
        Verdict::Send => {}
        Verdict::NotModified => return Ok(call.start(new_head(call, "304 Not Modified", &validators, config)?)?),
        Verdict::Failed => return send_text(call, "412 Precondition Failed", "The file is in another state.\n"),
    }
    let (content_type, encoding) = types::of(path, config);
    let sending = Sending { call, path, file, bytes: metadata.len() };
    let wanted = if is_head { Wanted::Whole } else { sending.wanted(&validators, config) };
    let status = if wanted == Wanted::Whole { "200 OK" } else { "206 Partial Content" };
    let mut head = new_head(call, status, &validators, config)?;
    head.push("Accept-Ranges", "bytes")?;
    if let Some(encoding) = encoding {
        head.push("Content-Encoding", encoding)?;
    }
    match wanted {
        Wanted::Nothing => send_unsatisfiable(call, metadata.len()),
        Wanted::Whole => {
            head.push("Content-Type", content_type)?;
            sending.whole(head, is_head)
        }
        Wanted::Parts(parts) => match *parts {
            [part] => {
                head.push("Content-Type", content_type)?;
                sending.one(head, part)
            }
            _ => sending.several(head, &parts, &content_type, &validators),
        },
    }
}

/// With what every response about the file has.
fn new_head(
    call: &Call,
    status: &str,
    validators: &Validators,
    config: &FilesConfig,
) -> Result<ResponseHead, BadResponse> {
    let mut head = call.new_head(status)?;
    head.push("ETag", &validators.etag)?;
    if let Some(modified) = validators.last_modified() {
        head.push("Last-Modified", modified)?;
    }
    for (name, value) in &config.extra_headers {
        head.push(name, value)?;
    }
    Ok(head)
}

fn send_unsatisfiable(call: &Call, bytes: u64) -> Result<(), Failure> {
    let headers = [("Content-Range", &*format!("bytes */{bytes}")), ("Content-Type", "text/plain; charset=utf-8")];
    call.start_response("416 Range Not Satisfiable", &headers)?;
    Ok(call.send_whole(format!("The file has {bytes} bytes.\n").as_bytes())?)
}

/// One file on its way.
struct Sending<'a> {
    call: &'a Call,
    path: &'a Path,
    file: File,
    /// As long as it was when it was opened: what is added later is not sent.
    bytes: u64,
}

impl Sending<'_> {
    fn wanted(&self, validators: &Validators, config: &FilesConfig) -> Wanted {
        let request = self.call.request();
        let mut fields = request.headers().filter(|(name, _)| name.eq_ignore_ascii_case(b"range"));
        match (fields.next(), fields.next()) {
            (Some((_, field)), None) if validators.allow_range(request) => {
                range::wanted(field, self.bytes, config.ranges_max)
            }
            // None, or two, which is no field that means anything.
            _ => Wanted::Whole,
        }
    }

    fn whole(self, mut head: ResponseHead, is_head: bool) -> Result<(), Failure> {
        let all = Part { offset: 0, bytes: self.bytes };
        head.set_content_length_if_absent(all.bytes);
        self.call.start(head)?;
        if is_head { Ok(()) } else { self.send(all) }
    }

    fn one(self, mut head: ResponseHead, part: Part) -> Result<(), Failure> {
        head.push("Content-Range", self.content_range(part))?;
        head.set_content_length_if_absent(part.bytes);
        self.call.start(head)?;
        self.send(part)
    }

    /// RFC 9110 section 14.6.
    fn several(
        self,
        mut head: ResponseHead,
        parts: &[Part],
        content_type: &str,
        validators: &Validators,
    ) -> Result<(), Failure> {
        // No randomness, for the sake of simulations; and nobody who writes a file knows when, to the nanosecond.
        let boundary = format!("part-{}-of-{}", parts.len(), validators.etag.trim_matches('"'));
        let opening = |part: &Part| {
            let range = self.content_range(*part);
            format!("\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {range}\r\n\r\n")
        };
        let closing = format!("\r\n--{boundary}--\r\n");
        let bytes: u64 = parts.iter().map(|part| opening(part).len() as u64 + part.bytes).sum();
        head.push("Content-Type", format!("multipart/byteranges; boundary={boundary}"))?;
        head.set_content_length_if_absent(bytes + closing.len() as u64);
        self.call.start(head)?;
        let mut pieces: Vec<Piece> =
            parts.iter().flat_map(|part| [Piece::Text(opening(part).into()), Piece::Part(*part)]).collect();
        pieces.push(Piece::Text(closing.into()));
        Pump::new(self.path, self.file, pieces).call(self.call)
    }

    fn content_range(&self, part: Part) -> String {
        format!("bytes {}-{}/{}", part.offset, part.offset + part.bytes - 1, self.bytes)
    }

    fn send(self, part: Part) -> Result<(), Failure> {
        match part {
            Part { bytes: 0, .. } => Ok(()),
            Part { offset: 0, bytes } if is_small(bytes) => send_at_once(self.call, self.path, self.file, bytes),
            part => Pump::new(self.path, self.file, [Piece::Part(part)]).call(self.call),
        }
    }
}

/// The file, if there is a plain one. Never waits for who might write into a pipe, and never opens a device.
pub(super) fn open(path: &Path, config: &FilesConfig) -> io::Result<Option<(File, Metadata)>> {
    let looked_at = match config.symlinks {
        Symlinks::Never => path.symlink_metadata()?,
        _ => path.metadata()?,
    };
    if !looked_at.is_file() {
        return Ok(None);
    }
    let file = options(config).open(path)?;
    // It may be another one by now.
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then_some((file, metadata)))
}

#[cfg(unix)]
fn options(config: &FilesConfig) -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;
    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    if config.symlinks == Symlinks::Never {
        flags |= OFlags::NOFOLLOW;
    }
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    options
}

#[cfg(not(unix))]
fn options(_config: &FilesConfig) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    options
}
