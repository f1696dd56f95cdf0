//! Applications whose behaviour the request's path spells out, and what such a request has to lead to.
//!
//! `/o1b9`: the first letter says how the response is made, the others what its body is made of and what is done on
//! the way. The judge reads the same path.

use std::io::Read;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use handwound_reactor::{Address, Threads};
use handwound_testkit::SimThreads;
use handwound_wsgi::http1::ResponseHead;
use handwound_wsgi::{Application, Body, Call, Chunks, Failure, StartError};

use crate::grammar::Asked;

/// Ways to answer: whole; undeclared; declared; not at all; failing at once; started twice; with a hop-by-hop field; one
/// byte less, three bytes more declared than sent; 204; failing at the end; writing too early; panicking at once, at the
/// end; failing short of what was declared; as a generator.
pub const MODES: &[u8; 16] = b"wuonf2hmleFWPQxi";
/// Pieces of a body: 7 bytes, the request's body, 63 bytes, 3000 bytes, none. In between: a pause; the head replaced; the
/// call kept for later; the request's body not read, or read in part; a generator that fails when it is dropped.
pub const PIECES: &[u8; 11] = b"1b9kp0rLyzC";

const FAILED: &[u8] = b"The application failed; its log says why.\n";

/// What a request leads to.
pub struct Due {
    /// Of the final response.
    pub status: u16,
    /// As much of it as may be sent at most.
    pub body: Vec<u8>,
    /// It may look complete.
    pub whole: bool,
    /// The connection ends with this response.
    pub ends: bool,
    /// It ends in a way that may destroy what is under way.
    pub rudely: bool,
}

/// The body that a plan asks for, in pieces.
fn pieces(path: &[u8], request_body: &[u8]) -> Vec<Vec<u8>> {
    let piece = |&letter: &u8| match letter {
        b'b' => Some(request_body.to_vec()),
        b'k' => Some(vec![b'k'; 3000]),
        b'0'..=b'9' => Some(vec![letter; usize::from(letter - b'0') * 7]),
        _ => None,
    };
    path.get(2..).unwrap_or_default().iter().filter_map(piece).collect()
}

/// What of the request's body the plan reads.
fn part_read<'a>(path: &[u8], body: &'a [u8]) -> &'a [u8] {
    match path {
        _ if path.contains(&b'y') => &[],
        _ if path.contains(&b'z') => &body[..body.len().min(2)],
        _ => body,
    }
}

fn mode(path: &[u8]) -> u8 {
    path.get(1).copied().unwrap_or(b'w')
}

/// What has to come of a request.
pub fn due(asked: &Asked) -> Due {
    let body = pieces(&asked.path, part_read(&asked.path, &asked.body)).concat();
    let length = body.len();
    let is_until_close = !asked.is_11 && !asked.is_head();
    let good = Due { status: 200, body, whole: true, ends: false, rudely: false };
    let failed = Due { status: 500, body: FAILED.to_vec(), whole: true, ends: false, rudely: false };
    let breaks = |whole| Due { whole, ends: true, rudely: true, ..Due { body: good.body.clone(), ..good } };
    let mut due = match mode(&asked.path) {
        b'n' | b'f' | b'2' | b'W' | b'P' => failed,
        b'h' => Due { ends: true, ..failed },
        b'F' | b'Q' | b'x' if length == 0 => failed,
        b'i' if asked.path.contains(&b'C') && length == 0 => failed,
        b'i' if asked.path.contains(&b'C') => breaks(is_until_close || asked.is_head()),
        b'u' | b'i' => Due { ends: is_until_close, ..good },
        b'm' => Due { body: good.body[..length.saturating_sub(1)].to_vec(), ..good },
        b'l' => Due { whole: asked.is_head(), ends: !asked.is_head(), ..good },
        b'e' => Due { status: 204, body: Vec::new(), ..good },
        b'F' | b'Q' => breaks(is_until_close || asked.is_head()),
        b'x' => breaks(asked.is_head()),
        _ => good,
    };
    if asked.is_head() {
        due.body.clear();
    }
    due
}

/// What the application has been asked, and what it has kept.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    seen: Vec<Seen>,
    calls: Vec<Call>,
}

/// One call of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    peer: Address,
    /// Of the request, still encoded.
    pub path: Vec<u8>,
    /// Of its body.
    pub bytes: u64,
}

impl Notes {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().expect("nothing panics under this lock")
    }

    /// How often the application was called.
    pub fn calls(&self) -> usize {
        self.kept().seen.len()
    }

    /// What it was asked by this peer, in order.
    pub fn seen_from(&self, peer: &Address) -> Vec<Seen> {
        self.kept().seen.iter().filter(|seen| seen.peer == *peer).cloned().collect()
    }

    /// The calls that were kept beyond their end.
    pub fn take_late(&self) -> Vec<Call> {
        std::mem::take(&mut self.kept().calls)
    }

    fn note(&self, call: &Call) {
        let (peer, path) = (call.request().peer().clone(), call.request().head().path().to_vec());
        let late = path.contains(&b'L').then(|| call.clone());
        let mut kept = self.kept();
        kept.calls.extend(late);
        kept.seen.push(Seen { peer, path, bytes: call.body_len() });
    }
}

/// Does what the request's path says.
pub fn application(threads: SimThreads, notes: Notes) -> impl Application {
    handwound_wsgi::application(move |call: &Call| {
        notes.note(call);
        let path = call.request().head().path();
        let pieces = pieces(path, &read(call)?);
        if path.contains(&b'p') {
            threads.sleep(Duration::from_millis(10));
        }
        if !begin(call, pieces.iter().map(Vec::len).sum())? {
            call.send_whole(&pieces.concat())?;
        } else if mode(path) == b'i' {
            let brittle = path.contains(&b'C');
            Chunks(Generator { pieces: pieces.iter(), brittle }).send(call)?;
        } else {
            for piece in &pieces {
                call.write(piece)?;
            }
        }
        end(call, !pieces.concat().is_empty())
    })
}

fn read(call: &Call) -> Result<Vec<u8>, Failure> {
    let path = call.request().head().path();
    let mut body = Vec::new();
    if path.contains(&b'y') {
        return Ok(body);
    }
    if path.contains(&b'z') {
        let mut first = [0; 2];
        let bytes = call.body().read(&mut first)?;
        body.extend_from_slice(&first[..bytes]);
    } else {
        call.body().read_to_end(&mut body)?;
    }
    Ok(body)
}

/// Starts the response, or fails. False where the body is to be sent as a whole.
fn begin(call: &Call, total: usize) -> Result<bool, Failure> {
    let start = |length: Option<usize>| {
        let text = length.map(|length| length.to_string());
        let headers: Vec<_> = text.iter().map(|text| ("Content-Length", text.as_str())).collect();
        call.start_response("200 OK", &headers)?;
        if call.request().head().path().contains(&b'r') {
            let mut head = ResponseHead::new("200 OK")?;
            head.push("X-Second", "yes")?;
            if let Some(text) = text {
                head.push("Content-Length", text)?;
            }
            call.restart(head)?;
        }
        Ok::<(), Failure>(())
    };
    match mode(call.request().head().path()) {
        b'n' => return Ok(true),
        b'f' => return Err(Failure::new("the plan says so")),
        b'P' => panics(),
        b'W' => call.write(b"too early")?,
        b'h' => call.start_response("200 OK", &[("Connection", "close")])?,
        b'2' => {
            start(None)?;
            start(None)?;
        }
        b'e' => call.start_response("204 No Content", &[])?,
        b'u' | b'F' | b'Q' | b'i' => start(None)?,
        b'o' => start(Some(total))?,
        b'm' => start(Some(total.saturating_sub(1)))?,
        b'l' | b'x' => start(Some(total + 3))?,
        _ => {
            start(None)?;
            return Ok(false);
        }
    }
    Ok(true)
}

fn end(call: &Call, has_written: bool) -> Result<(), Failure> {
    if has_written && call.is_started() {
        let again = call.restart(ResponseHead::default());
        assert_eq!(again, Err(StartError::HeadSent), "a head is replaced that is on its way");
    }
    match mode(call.request().head().path()) {
        b'F' | b'x' => Err(Failure::new("the plan says so")),
        b'Q' => panics(),
        _ => Ok(()),
    }
}

/// Unwinds without a word: the fuzzer takes every panic that is announced for a finding.
fn panics() -> ! {
    resume_unwind(Box::new("the plan says so"))
}

struct Generator<'a> {
    pieces: std::slice::Iter<'a, Vec<u8>>,
    brittle: bool,
}

impl<'a> Iterator for Generator<'a> {
    type Item = &'a Vec<u8>;

    fn next(&mut self) -> Option<&'a Vec<u8>> {
        self.pieces.next()
    }
}

impl Drop for Generator<'_> {
    fn drop(&mut self) {
        // Like an iterable whose close() raises.
        if self.brittle && !std::thread::panicking() {
            panics();
        }
    }
}
