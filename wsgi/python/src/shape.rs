//! The environ of requests whose header fields have the same names: a dict with the values of the last one, in which
//! only what differs is set.

use std::net::SocketAddr;

use handwound_wsgi::{Call, Request};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::environ::{Common, Path};
use crate::names::{Entry, Names, is_short};
use crate::numbers::Numbers;
use crate::raw;

/// The variables that are bytes of the request, in the order of [`line_of`]. Those that are often the same stand side
/// by side: a value that is that of the one before shares its string.
const LINE: [&str; 8] = [
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "QUERY_STRING",
    "PATH_INFO",
    "RAW_URI",
    "REQUEST_URI",
    "SERVER_PROTOCOL",
    "SERVER_NAME",
];

/// As in Apache: PEP 3333 asks for them by these names.
const SECURED: [&str; 3] = ["HTTPS", "SSL_PROTOCOL", "SSL_CIPHER"];

/// What helps to make strings, whatever the shape.
pub struct Memory {
    pub names: Names,
    pub numbers: Numbers,
}

/// What these requests have in common, and what the last one had.
pub struct Shape {
    fields: Vec<Field>,
    /// An environ with all that is remembered, and nothing else.
    dict: Py<PyDict>,
    line: [Entry; LINE.len()],
    /// Of requests that came by HTTPS.
    secured: Option<[Entry; SECURED.len()]>,
    peer: Option<SocketAddr>,
    server_port: Option<u16>,
    content_length: Option<u64>,
}

/// A header field.
struct Field {
    /// In the client's spelling.
    name: Box<[u8]>,
    place: Place,
}

/// Where a field is found.
enum Place {
    /// In the dict, and so in each environ.
    Kept(Entry),
    /// Only in the environ of its request: it is personal, or has to be joined with another.
    Added,
    /// Nowhere.
    Dropped,
}

/// The environ of one request.
pub struct Made<'py> {
    pub environ: Bound<'py, PyDict>,
    /// It is the shape's own dict.
    pub is_lent: bool,
}

impl Shape {
    /// That of `request`, or, without its fields, the one that is a part of all others.
    pub fn new(
        py: Python<'_>,
        common: &Common,
        names: &mut Names,
        request: &Request,
        has_fields: bool,
    ) -> PyResult<Shape> {
        let dict = raw::copy(py, &common.template)?;
        dict.set_item(PyString::intern(py, "wsgi.url_scheme"), PyString::intern(py, request.url_scheme()))?;
        let fields = if has_fields { places(py, names, request) } else { Vec::new() };
        let secured = request.secured().map(|_| SECURED.map(|key| Entry::new(py, key)));
        let kept = fields.iter().filter_map(|field| match &field.place {
            Place::Kept(entry) => Some(entry),
            Place::Added | Place::Dropped => None,
        });
        for entry in kept.chain(secured.iter().flatten()) {
            raw::set(&dict, entry.key(), entry.text().bind(py))?;
        }
        Ok(Shape {
            fields,
            dict: dict.unbind(),
            line: LINE.map(|key| Entry::new(py, key)),
            secured,
            peer: None,
            server_port: None,
            content_length: None,
        })
    }

    /// Whether `request` has these fields, and came the same way.
    pub fn is_of(&self, request: &Request) -> bool {
        self.fields.len() == request.head().header_count()
            && self.secured.is_some() == request.secured().is_some()
            && self.fields.iter().zip(request.headers()).all(|(field, (name, _))| *field.name == *name)
    }

    /// The environ of this request, of which the shape [is](Self::is_of). It is the dict itself, where that may be lent
    /// and has it all: nothing is copied, and nothing freed. All that the dict holds is then as it was said here.
    pub fn make<'py>(
        &mut self,
        py: Python<'py>,
        common: &Common,
        memory: &mut Memory,
        call: &Call,
        path: Path<'_>,
        may_lend: bool,
    ) -> PyResult<Made<'py>> {
        let request = call.request();
        let server_name = request.server_name();
        let values = line_of(request, path, &server_name);
        let body_len = call.body_len();
        self.update_addresses(py, common, &mut memory.numbers, request)?;
        self.update_length(py, common, &mut memory.numbers, request, body_len)?;
        let has_all = self.update_texts(py, request, &values)?;
        let dict = self.dict.bind(py);
        if may_lend && has_all && body_len == 0 && raw::is_alone(dict, 1) {
            return Ok(Made { environ: dict.clone(), is_lent: true });
        }
        let environ = raw::copy(py, &self.dict)?;
        if body_len > 0 {
            raw::set(&environ, &common.input, &common.input_of(py, call)?)?;
        }
        if !has_all {
            self.complete(&environ, &mut memory.names, request, &values)?;
        }
        Ok(Made { environ, is_lent: false })
    }

    fn update_addresses(
        &mut self,
        py: Python<'_>,
        common: &Common,
        numbers: &mut Numbers,
        request: &Request,
    ) -> PyResult<()> {
        let dict = self.dict.bind(py);
        let server_port = request.server_port();
        if self.server_port != Some(server_port) {
            raw::set(dict, &common.server_port, &numbers.text(py, server_port.into())?)?;
            self.server_port = Some(server_port);
        }
        let peer = request.peer().tcp();
        if self.peer == peer {
            return Ok(());
        }
        if self.peer.map(|peer| peer.ip()) != peer.map(|peer| peer.ip()) {
            raw::set(dict, &common.remote_addr, &raw::latin1(py, request.remote_addr().as_bytes())?)?;
        }
        let port = match peer {
            Some(peer) => numbers.text(py, peer.port().into())?,
            None => PyString::intern(py, ""),
        };
        raw::set(dict, &common.remote_port, &port)?;
        self.peer = peer;
        Ok(())
    }

    fn update_length(
        &mut self,
        py: Python<'_>,
        common: &Common,
        numbers: &mut Numbers,
        request: &Request,
        body_len: u64,
    ) -> PyResult<()> {
        // Also behind a chunked body: the application reads what was decoded.
        let is_told = request.head().is_chunked() || request.head().content_length().is_some();
        let length = is_told.then_some(body_len);
        if self.content_length != length {
            let text = length.map_or_else(|| Ok(PyString::intern(py, "")), |length| numbers.text(py, length))?;
            raw::set(self.dict.bind(py), &common.content_length, &text)?;
            self.content_length = length;
        }
        Ok(())
    }

    /// False if some have to be [added](Self::complete).
    fn update_texts(&mut self, py: Python<'_>, request: &Request, values: &[&[u8]; LINE.len()]) -> PyResult<bool> {
        let dict = self.dict.bind(py);
        let mut has_all = true;
        for (index, value) in values.iter().enumerate() {
            if self.line[index].value() == *value {
                continue;
            }
            has_all &= match self.line.split_at_mut(index) {
                ([.., before], [entry, ..]) if before.value() == *value => {
                    let text = before.text().clone_ref(py);
                    entry.change_to(dict, value, text)?
                }
                (_, rest) => rest[0].change(dict, value)?,
            };
        }
        if let (Some(entries), Some(secured)) = (&mut self.secured, request.secured()) {
            let values = ["on", secured.protocol(), secured.cipher()];
            for (entry, value) in entries.iter_mut().zip(values) {
                has_all &= entry.update(dict, value.as_bytes())?;
            }
        }
        for (field, (_, value)) in self.fields.iter_mut().zip(request.headers()) {
            has_all &= match &mut field.place {
                Place::Kept(entry) => entry.update(dict, value)?,
                Place::Added => false,
                Place::Dropped => true,
            };
        }
        Ok(has_all)
    }

    /// Adds what is not remembered.
    fn complete(
        &self,
        environ: &Bound<'_, PyDict>,
        names: &mut Names,
        request: &Request,
        values: &[&[u8]; LINE.len()],
    ) -> PyResult<()> {
        let set = |entry: &Entry, value| raw::set(environ, entry.key(), &raw::latin1(environ.py(), value)?);
        for (entry, value) in self.line.iter().zip(values).filter(|(_, value)| !is_short(value)) {
            set(entry, value)?;
        }
        for (field, (name, value)) in self.fields.iter().zip(request.headers()) {
            match &field.place {
                Place::Kept(entry) if !is_short(value) => set(entry, value)?,
                Place::Added => names.add(environ, name, value)?,
                Place::Kept(_) | Place::Dropped => {}
            }
        }
        Ok(())
    }
}

/// The values of [`LINE`].
fn line_of<'a>(request: &'a Request, path: Path<'a>, server_name: &'a [u8]) -> [&'a [u8]; LINE.len()] {
    let (script_name, path_info) = path.unwrap_or_else(|| (request.script_name(), request.path_info()));
    let uri = request.raw_uri();
    let protocol = request.protocol().as_bytes();
    [request.method(), script_name, request.query_string(), path_info, uri, uri, protocol, server_name]
}

/// Where each field of `request` is to be found.
fn places(py: Python<'_>, names: &mut Names, request: &Request) -> Vec<Field> {
    let mut place_of = |name: &[u8]| {
        let known = names.known(py, name);
        let is_joined = || request.headers().filter(|(other, _)| other.eq_ignore_ascii_case(name)).count() > 1;
        match known.entry(py) {
            None => Place::Dropped,
            Some(_) if known.is_personal() || is_joined() => Place::Added,
            Some(entry) => Place::Kept(entry),
        }
    };
    request.headers().map(|(name, _)| Field { name: name.into(), place: place_of(name) }).collect()
}
