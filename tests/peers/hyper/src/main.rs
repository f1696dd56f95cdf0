//! hyper with the WSGI tutorial's answer, for `tests/peers`: `hyper-peer PORT THREADS`.
//!
//! One thread runs all connections, as handwound's reactor does. With THREADS of 0 it makes the answers too; otherwise
//! that many blocking threads of tokio make them, as for code that may sleep.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

fn main() -> std::io::Result<()> {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    let [port, threads] = numbers[..] else {
        eprintln!("usage: hyper-peer PORT THREADS");
        std::process::exit(2);
    };
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_io();
    if threads > 0 {
        builder.max_blocking_threads(threads);
    }
    let port = u16::try_from(port).map_err(std::io::Error::other)?;
    builder.build()?.block_on(serve(port, threads > 0))
}

async fn serve(port: u16, is_pooled: bool) -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        // Out of descriptors, for instance: the next may do better.
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(converse(stream, is_pooled));
    }
}

async fn converse(stream: TcpStream, is_pooled: bool) {
    let _ = stream.set_nodelay(true);
    let mut connection = http1::Builder::new();
    // Answers to pipelined requests leave together, as handwound's do.
    connection.pipeline_flush(true);
    // A client that breaks off is no business of a benchmark.
    let _ = match is_pooled {
        true => connection.serve_connection(TokioIo::new(stream), service_fn(pooled)).await,
        false => connection.serve_connection(TokioIo::new(stream), service_fn(inline)).await,
    };
}

async fn inline(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(answer())
}

async fn pooled(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, tokio::task::JoinError> {
    tokio::task::spawn_blocking(answer).await
}

fn answer() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"Hello, world!")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
