//! HTTP/1.1 and WSGI above the reactor.

pub mod http1;
