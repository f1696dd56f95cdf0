//! A WSGI container above the reactor: HTTP/1.1, a resource tree, and applications on a thread pool.
#![forbid(unsafe_code)]

mod access_log;
mod application;
mod body;
mod exchange;
pub mod files;
pub mod http1;
mod refusals;
mod request;
mod resource;
mod secured;
mod site;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tls")]
pub mod tls;
mod writers;

pub use access_log::{AccessEntry, AccessLog, CLIENT_LEFT};
pub use application::{Application, Body, Chunks, Failure, StartError, WriteError, application};
pub use exchange::{BodyReader, Call, OpenCall};
pub use request::Request;
pub use resource::{Branch, Methods, Redirect, Rendered, Resource, Response, VirtualHosts, WsgiResource};
pub use secured::Secured;
pub use site::{RequestLimit, Site, SiteConfig};

/// The README's listings compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
