//! What the container runs: applications, and what can go wrong between them and their clients.

use std::any::Any;
use std::fmt;

use crate::Call;
use crate::http1::BadResponse;

/// An application, in the shape of PEP 3333: it is called once a request, on a worker, with everything the client
/// sent already there.
///
/// Functions and closures from `&Call` to `Result<impl Body, Failure>` are applications:
///
/// ```
/// use handwound_wsgi::{Call, Failure};
///
/// fn application(call: &Call) -> Result<&'static str, Failure> {
///     call.start_response("200 OK", &[("Content-Type", "text/plain")])?;
///     Ok("Hello, world!")
/// }
/// # fn is_one(_: impl handwound_wsgi::Application) {}
/// # is_one(application);
/// ```
pub trait Application: Send + Sync + 'static {
    /// Serves one request. Runs on a worker; may block, and parks when the client reads slowly. When it returns, the
    /// response is complete.
    ///
    /// # Errors
    /// A [`Failure`] before anything was sent becomes a 500; after that the response is cut, so that it cannot pass
    /// for a complete one. A panic counts as a failure.
    fn call(&self, call: &Call) -> Result<(), Failure>;
}

impl<F, B> Application for F
where
    F: Fn(&Call) -> Result<B, Failure> + Send + Sync + 'static,
    B: Body,
{
    fn call(&self, call: &Call) -> Result<(), Failure> {
        self(call)?.send(call)
    }
}

/// Pins the types of a closure that is to be an application, so that the compiler need not guess them.
///
/// ```
/// let application = handwound_wsgi::application(|call| {
///     call.start_response("204 No Content", &[])?;
///     Ok(())
/// });
/// ```
pub fn application<F, B>(closure: F) -> F
where
    F: Fn(&Call) -> Result<B, Failure> + Send + Sync + 'static,
    B: Body,
{
    closure
}

/// What an application written in Rust may return as its body.
pub trait Body {
    /// Sends it. Runs on the worker; may park.
    ///
    /// # Errors
    /// As [`Call::write`].
    fn send(self, call: &Call) -> Result<(), Failure>;
}

/// No body, or one that was written already.
impl Body for () {
    fn send(self, _call: &Call) -> Result<(), Failure> {
        Ok(())
    }
}

impl Body for &str {
    fn send(self, call: &Call) -> Result<(), Failure> {
        Ok(call.send_whole(self.as_bytes())?)
    }
}

impl Body for String {
    fn send(self, call: &Call) -> Result<(), Failure> {
        Ok(call.send_whole(self.as_bytes())?)
    }
}

impl Body for &[u8] {
    fn send(self, call: &Call) -> Result<(), Failure> {
        Ok(call.send_whole(self)?)
    }
}

impl Body for Vec<u8> {
    fn send(self, call: &Call) -> Result<(), Failure> {
        Ok(call.send_whole(&self)?)
    }
}

/// A body made piece by piece; each piece is sent before the next is asked for.
pub struct Chunks<I>(pub I);

impl<I> Body for Chunks<I>
where
    I: IntoIterator,
    I::Item: AsRef<[u8]>,
{
    fn send(self, call: &Call) -> Result<(), Failure> {
        for chunk in self.0 {
            if !chunk.as_ref().is_empty() {
                call.write(chunk.as_ref())?;
            }
        }
        Ok(())
    }
}

/// Why an application's call did not end well.
#[derive(Debug)]
pub enum Failure {
    /// The application's fault: it raised, or broke a rule. The text goes to the log, once, whole.
    Application(String),
    /// The client left. Nobody's fault, and no error in the log.
    ClientDisconnected,
}

impl Failure {
    /// The application's fault, told in `text` (with a traceback, if there is one).
    pub fn new(text: impl Into<String>) -> Failure {
        Failure::Application(text.into())
    }

    pub(crate) fn of_panic(payload: &(dyn Any + Send)) -> Failure {
        let text =
            payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Failure::Application(format!("the application panicked: {}", text.unwrap_or("(no text)")))
    }
}

/// As errors go through `?`. That a client has left is recognised; all else is the application's fault.
impl<E: std::error::Error + 'static> From<E> for Failure {
    fn from(error: E) -> Failure {
        let any: &dyn Any = &error;
        match any.downcast_ref::<WriteError>() {
            Some(WriteError::ClientDisconnected) => Failure::ClientDisconnected,
            _ => Failure::Application(error.to_string()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Application(text) => f.write_str(text),
            Failure::ClientDisconnected => f.write_str("the client has left"),
        }
    }
}

/// Why `start_response` was refused. The application's fault, all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// A second `start_response` without `exc_info` (PEP 3333, "The start_response() Callable").
    AlreadyStarted,
    /// With `exc_info`, but the head is on its way: re-raise what `exc_info` holds.
    HeadSent,
    /// The call is over; this `start_response` belonged to it.
    Ended,
    /// The head breaks a rule.
    Bad(BadResponse),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::AlreadyStarted => {
                f.write_str("start_response was called a second time, without exc_info (PEP 3333)")
            }
            StartError::HeadSent => f.write_str("the response's head has been sent; it cannot be replaced"),
            StartError::Ended => f.write_str("start_response was called after the end of its request"),
            StartError::Bad(bad) => bad.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl From<BadResponse> for StartError {
    fn from(bad: BadResponse) -> StartError {
        StartError::Bad(bad)
    }
}

/// Why a write was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// There is nobody to read it any more. Clean up and return.
    ClientDisconnected,
    /// Bytes before `start_response`: the application's fault.
    NotStarted,
    /// The call is over; this `write` belonged to it.
    Ended,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WriteError::ClientDisconnected => "the client has left; nobody reads this response any more",
            WriteError::NotStarted => "a body before start_response was called (PEP 3333)",
            WriteError::Ended => "a write after the end of its request",
        })
    }
}

impl std::error::Error for WriteError {}
