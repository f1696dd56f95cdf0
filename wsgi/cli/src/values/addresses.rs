//! Addresses, in the three ways that people write them: endpoints, ports, and gunicorn's.

use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};

use handwound_reactor::{Endpoint, EndpointError};

/// Reads an endpoint: `tcp:8080`, `unix:/run/x.sock`.
///
/// # Errors
/// What is wrong with the text, and what may have been meant.
pub fn endpoint(text: &str) -> Result<Endpoint, String> {
    text.parse().map_err(|error: EndpointError| match bind(text) {
        Ok(meant) if text.contains(':') && !text.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            format!("that is how --bind has it; did you mean '{meant}'?")
        }
        _ => error.to_string(),
    })
}

/// Reads a port, or an endpoint, as `twistd web --port` does.
///
/// # Errors
/// What is wrong with the text, and what may have been meant.
pub fn port(text: &str) -> Result<Endpoint, String> {
    match text.parse::<u16>() {
        Ok(port) => Ok(Endpoint::tcp((Ipv4Addr::UNSPECIFIED, port).into())),
        Err(_) if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() => {
            Err("ports go up to 65535".to_owned())
        }
        Err(_) if text.contains(':') => endpoint(text),
        Err(_) => Err("not a port; write 8080 (a file for the number of the process is --pid FILE)".to_owned()),
    }
}

/// The port where `--bind` names none, as in gunicorn.
const BIND_PORT: u16 = 8000;

/// Reads an address as gunicorn has it: `HOST:PORT`, `:PORT`, `HOST`, `[::1]:PORT`, `unix:PATH`. A host that is a name
/// is looked up, which may take a while; IPv4 comes first.
///
/// # Errors
/// What is wrong with the text, and what may have been meant.
pub fn bind(text: &str) -> Result<Endpoint, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        // Three slashes as in a URL: `unix:///run/x.sock`.
        let path = path.strip_prefix("//").unwrap_or(path);
        return match path {
            "" => Err("the path of the socket is missing; write unix:/run/x.sock".to_owned()),
            path => Ok(Endpoint::unix(path)),
        };
    }
    if text.starts_with("fd:") {
        return Err("sockets are not taken over by number; use --listen systemd:domain=INET:index=0".to_owned());
    }
    let text = text.strip_prefix("tcp://").unwrap_or(text);
    if text.parse::<Endpoint>().is_ok() {
        return Err(format!("that is how --listen has it; write --listen {text}"));
    }
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number(text) {
        return Err(format!("a port alone needs a colon; did you mean ':{text}'?"));
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Endpoint::tcp((ip, BIND_PORT).into()));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| wrong_port(host, port))?),
        None => (text, BIND_PORT),
    };
    let name = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let ip = match name {
        "" if text.starts_with(':') => Ipv4Addr::UNSPECIFIED.into(),
        "" => return Err("an address is missing; write 127.0.0.1:8000 or :8000".to_owned()),
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        name => name.parse().or_else(|_| looked_up(name))?,
    };
    Ok(Endpoint::tcp((ip, port).into()))
}

fn wrong_port(host: &str, port: &str) -> String {
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    format!("'{port}' is not a port; write for example {host}:{BIND_PORT}")
}

fn looked_up(name: &str) -> Result<IpAddr, String> {
    let all: Vec<_> =
        (name, 0).to_socket_addrs().map_or_else(|_| Vec::new(), |found| found.map(|at| at.ip()).collect());
    let found = all.iter().find(|ip| ip.is_ipv4()).or(all.first());
    found.copied().ok_or_else(|| format!("no address for the host '{name}'; write for example 127.0.0.1:{BIND_PORT}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_as_gunicorn_has_them() {
        let check = |text: &str, endpoint: &str| assert_eq!(bind(text).unwrap().to_string(), endpoint, "{text}");
        check("127.0.0.1:8000", "tcp:8000:interface=127.0.0.1");
        check("0.0.0.0:80", "tcp:80");
        check(":8000", "tcp:8000");
        check("localhost:1", "tcp:1:interface=127.0.0.1");
        check("127.0.0.1", "tcp:8000:interface=127.0.0.1");
        check("[::1]:9", r"tcp6:9:interface=\:\:1");
        check("[::]:9", "tcp6:9");
        check("::1", r"tcp6:8000:interface=\:\:1");
        check("tcp://127.0.0.1:5", "tcp:5:interface=127.0.0.1");
        check("unix:/run/x.sock", "unix:/run/x.sock");
        check("unix:///run/x.sock", "unix:/run/x.sock");
        check("unix:x.sock", "unix:x.sock");
        let refuse = |text: &str, why: &str| assert_eq!(bind(text).unwrap_err(), why, "{text}");
        refuse("8000", "a port alone needs a colon; did you mean ':8000'?");
        refuse("tcp:8000", "that is how --listen has it; write --listen tcp:8000");
        refuse("127.0.0.1:http", "'http' is not a port; write for example 127.0.0.1:8000");
        refuse("127.0.0.1:65536", "'65536' is not a port; write for example 127.0.0.1:8000");
        refuse("", "an address is missing; write 127.0.0.1:8000 or :8000");
        refuse("unix:", "the path of the socket is missing; write unix:/run/x.sock");
        refuse("fd://3", "sockets are not taken over by number; use --listen systemd:domain=INET:index=0");
        refuse("nosuch.invalid:1", "no address for the host 'nosuch.invalid'; write for example 127.0.0.1:8000");
    }

    #[test]
    fn ports_and_endpoints_know_each_other() {
        assert_eq!(port("80").unwrap().to_string(), "tcp:80");
        assert_eq!(port("tcp:80:interface=127.0.0.1").unwrap().to_string(), "tcp:80:interface=127.0.0.1");
        assert_eq!(port("65536").unwrap_err(), "ports go up to 65535");
        assert!(port("x.pid").unwrap_err().contains("--pid FILE"));
        let said = endpoint("127.0.0.1:80").unwrap_err();
        assert_eq!(said, "that is how --bind has it; did you mean 'tcp:80:interface=127.0.0.1'?");
        assert_eq!(endpoint("80").unwrap_err(), "'80' has no endpoint type; did you mean 'tcp:80'?");
    }
}
