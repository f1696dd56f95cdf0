//! The environ of a request (PEP 3333, "environ Variables"), from what was remembered of earlier ones.

use std::sync::atomic::{AtomicBool, Ordering};

use handwound_wsgi::{Call, Request};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::body::Body;
use crate::errors::Errors;
use crate::file_wrapper::FileWrapper;
use crate::input::Input;
use crate::names::Names;
use crate::numbers::Numbers;
use crate::raw;
use crate::shape::{Asked, Made, Memory, Shape};

/// What every environ has, set from the request. CONTENT_TYPE and CONTENT_LENGTH are there also without a body.
const KEYS: [&str; 14] = [
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "RAW_URI",
    "REQUEST_URI",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "wsgi.url_scheme",
];

/// How many shapes are remembered at once. A browser's requests have some five, by what they are for.
const SHAPES: usize = 32;
/// Requests with more fields share no shape: what is remembered stays small.
const FIELDS_MAX: usize = 32;

/// Environs are lent once so many in a row have come back as they were given, and with no one else's reference to them:
/// see [`Environs::take_back`]. To copy one and free the copy takes some 1,200 instructions, to make a shape whose dict
/// was not to be had again three times that: applications that change their environs, as frameworks do, get copies.
const UNTOUCHED_MIN: u8 = 8;

/// SCRIPT_NAME and PATH_INFO, decoded, where they are not those of the request.
pub type Path<'a> = Option<(&'a [u8], &'a [u8])>;

/// What all environs have in common.
pub struct Common {
    /// With what is the same for every request, the input of those that have no body among it, and "" for all else.
    pub template: Py<PyDict>,
    pub input: Py<PyString>,
    /// What requests without a body share: there is nothing to read, so nothing to keep apart.
    pub no_input: Py<Input>,
    pub content_length: Py<PyString>,
    pub server_port: Py<PyString>,
    pub remote_addr: Py<PyString>,
    pub remote_port: Py<PyString>,
}

/// Other processes serve the same application. A fact of this process, not of one of its applications.
static BESIDE_OTHERS: AtomicBool = AtomicBool::new(false);

/// Other processes serve the same applications from here on (`wsgi.multiprocess` of PEP 3333).
pub(crate) fn serve_beside_others() {
    BESIDE_OTHERS.store(true, Ordering::Relaxed);
}

impl Common {
    /// As of now.
    pub fn new(py: Python<'_>) -> PyResult<Common> {
        let template = PyDict::new(py);
        let others = BESIDE_OTHERS.load(Ordering::Relaxed);
        for (key, value) in [("wsgi.multithread", true), ("wsgi.multiprocess", others), ("wsgi.run_once", false)] {
            template.set_item(PyString::intern(py, key), value)?;
        }
        template.set_item("wsgi.version", PyTuple::new(py, [1, 0])?)?;
        template.set_item("wsgi.errors", Bound::new(py, Errors)?)?;
        template.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
        template.set_item("wsgi.input_terminated", true)?;
        let no_input = Bound::new(py, Input::new(Body::Empty))?;
        template.set_item(PyString::intern(py, "wsgi.input"), &no_input)?;
        for key in KEYS {
            template.set_item(PyString::intern(py, key), PyString::intern(py, ""))?;
        }
        let key = |key| PyString::intern(py, key).unbind();
        Ok(Common {
            template: template.unbind(),
            input: key("wsgi.input"),
            no_input: no_input.unbind(),
            content_length: key("CONTENT_LENGTH"),
            server_port: key("SERVER_PORT"),
            remote_addr: key("REMOTE_ADDR"),
            remote_port: key("REMOTE_PORT"),
        })
    }

    /// `wsgi.input` of a request with a body.
    pub fn input_of<'py>(&self, py: Python<'py>, call: &Call) -> PyResult<Bound<'py, Input>> {
        Bound::new(py, Input::new(Body::OfCall(call.clone())))
    }
}

/// Makes environs, one at a time.
pub struct Environs {
    memory: Memory,
    /// For requests that have no shape here, without and with TLS.
    plain: [Option<Box<Shape>>; 2],
    slots: Box<[Slot; SHAPES]>,
    /// Where the shape of the last request has its place.
    last: usize,
    /// How many environs in a row came back untouched.
    untouched: u8,
    /// What was given is the dict of the last shape itself.
    is_lent: bool,
    /// What the last environ was like when it was given.
    version: Option<u64>,
}

/// A place for a shape.
#[derive(Default)]
struct Slot {
    shape: Option<Box<Shape>>,
    /// What was missed here last, if nothing was found since.
    candidate: Option<u32>,
}

impl Environs {
    /// Remembers nothing yet.
    pub fn new() -> Environs {
        Environs {
            memory: Memory { names: Names::new(), numbers: Numbers::new() },
            plain: [None, None],
            slots: Box::default(),
            untouched: 0,
            last: 0,
            is_lent: false,
            version: None,
        }
    }

    /// The environ of this call. It has to be [taken back](Self::take_back) before another one is made.
    pub fn make<'py>(
        &mut self,
        py: Python<'py>,
        common: &Common,
        call: &Call,
        path: Path<'_>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let asked = Asked { common, call, path, may_lend: self.untouched >= UNTOUCHED_MIN };
        // Most requests are of the shape of the one before.
        let made = match self.slots[self.last].make(py, &asked, &mut self.memory)? {
            Some(made) => made,
            None => self.make_elsewhere(py, &asked)?,
        };
        self.is_lent = made.is_lent;
        self.version = raw::version(&made.environ);
        Ok(made.environ)
    }

    fn make_elsewhere<'py>(&mut self, py: Python<'py>, asked: &Asked<'_>) -> PyResult<Made<'py>> {
        let (request, memory) = (asked.call.request(), &mut self.memory);
        let sketch = sketch(request);
        self.last = (sketch >> 16) as usize / (0x1_0000 / SHAPES);
        let slot = &mut self.slots[self.last];
        if let Some(made) = slot.make(py, asked, memory)? {
            return Ok(made);
        }
        // Making a shape costs more than an environ.
        if slot.is_asked_again(sketch) && request.head().header_count() <= FIELDS_MAX {
            let shape = slot.shape.insert(Box::new(Shape::new(py, asked, &mut memory.names, false)?));
            return Ok(shape.make(py, asked, memory)?.expect("a request is of its own shape"));
        }
        let plain = &mut self.plain[usize::from(request.secured().is_some())];
        let shape = match plain {
            Some(shape) => shape,
            None => plain.insert(Box::new(Shape::new(py, asked, &mut memory.names, true)?)),
        };
        let asked = Asked { may_lend: false, ..*asked };
        let made = shape.make(py, &asked, memory)?.expect("all requests are of the plain shape");
        for (name, value) in request.headers() {
            memory.names.add(&made.environ, name, value)?;
        }
        Ok(made)
    }

    /// The call for which `environ` was made is over. Whoever still has it keeps it, and what has become of this one
    /// changes nothing of the next: that is made anew.
    pub fn take_back(&mut self, common: &Common, environ: Bound<'_, PyDict>) {
        let is_lent = std::mem::take(&mut self.is_lent);
        let is_untouched = self.version.is_some()
            && raw::version(&environ) == self.version
            && raw::is_alone(&environ, 1 + isize::from(is_lent));
        self.untouched = if is_untouched { self.untouched.saturating_add(1) } else { 0 };
        if is_lent {
            let shape = &mut self.slots[self.last].shape;
            let is_clean = |shape: &mut Box<Shape>| shape.clean(environ.py(), common).is_ok();
            if !is_untouched || !shape.as_mut().is_some_and(is_clean) {
                *shape = None;
            }
        }
    }
}

impl Slot {
    /// The environ, if its shape is here.
    fn make<'py>(&mut self, py: Python<'py>, asked: &Asked<'_>, memory: &mut Memory) -> PyResult<Option<Made<'py>>> {
        let made = match &mut self.shape {
            Some(shape) => shape.make(py, asked, memory)?,
            None => None,
        };
        if made.is_some() {
            self.candidate = None;
        }
        Ok(made)
    }

    /// Whether the shape of this sketch was missed here before, and the one that is here not used since.
    fn is_asked_again(&mut self, sketch: u32) -> bool {
        self.candidate.replace(sketch) == Some(sketch)
    }
}

/// A number that requests of one shape have in common, and others hardly. Its upper bits differ most.
fn sketch(request: &Request) -> u32 {
    let first = u32::from(request.secured().is_some());
    request.headers().fold(first, |sketch, (name, _)| {
        let ends = u32::from(name[0]) << 8 | u32::from(name[name.len() - 1]) << 16;
        (sketch ^ ends ^ name.len() as u32).wrapping_mul(0x9e37_79b1)
    })
}
