//! From text to endpoint, and what is wrong with a text that is none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::PathBuf;
use std::str::FromStr;

use super::{Domain, Endpoint, EndpointError, Systemd, TlsFiles, Which, escaped, wrong};
use crate::ListenOptions;

const KNOWN_TYPES: [&str; 5] = ["tcp", "tcp6", "unix", "ssl", "systemd"];

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Endpoint, EndpointError> {
        if text.is_empty() {
            return wrong("an endpoint is missing; write for example 'tcp:8080'".into());
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return wrong(format!("'{text}' has no endpoint type; did you mean 'tcp:{text}'?"));
        }
        let mut parts = parts(text)?;
        let Part { name: None, value: kind } = parts.remove(0) else {
            return wrong(format!("'{text}' does not begin with an endpoint type; write for example 'tcp:8080'"));
        };
        match kind.as_str() {
            "tcp" => tcp(parts, IpAddr::V4(Ipv4Addr::UNSPECIFIED), "tcp:8080"),
            "tcp6" => tcp(parts, IpAddr::V6(Ipv6Addr::UNSPECIFIED), "tcp6:8080"),
            "unix" => unix(parts),
            "ssl" => ssl(parts),
            "systemd" => systemd(parts),
            _ => wrong(format!("unknown endpoint type '{kind}'; {}", instead(&kind, &KNOWN_TYPES, "known types are"))),
        }
    }
}

/// One part between colons.
struct Part {
    name: Option<String>,
    value: String,
}

/// Splits at colons, and each part at its first equals sign.
fn parts(text: &str) -> Result<Vec<Part>, EndpointError> {
    let mut parts = vec![Part { name: None, value: String::new() }];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let part = parts.last_mut().expect("one from the start");
        match character {
            ':' => parts.push(Part { name: None, value: String::new() }),
            '=' if part.name.is_none() => part.name = Some(std::mem::take(&mut part.value)),
            '\\' => match characters.next() {
                Some(literal) => part.value.push(literal),
                None => return wrong(format!("'{text}' ends in a backslash; write '\\\\' for a backslash itself")),
            },
            character => part.value.push(character),
        }
    }
    Ok(parts)
}

/// The parts after the type by name: the first may go without one. `allowed` begins with that one.
struct Named<'a> {
    allowed: &'a [&'a str],
    values: Vec<Option<String>>,
}

impl Named<'_> {
    fn read<'a>(parts: Vec<Part>, allowed: &'a [&'a str], example: &str) -> Result<Named<'a>, EndpointError> {
        let mut values = vec![None; allowed.len()];
        for (place, part) in parts.into_iter().enumerate() {
            let Part { name, value } = part;
            let index = match name {
                None if place == 0 => 0,
                None => {
                    let hint = match value.parse::<IpAddr>() {
                        Ok(_) => format!("did you mean 'interface={}'?", escaped(&value)),
                        Err(_) => format!("options are written as name=value, '\\:' is a colon: '{example}'"),
                    };
                    return wrong(format!("'{value}' has no option name; {hint}"));
                }
                Some(name) => match allowed.iter().position(|known| *known == name) {
                    Some(index) => index,
                    None => {
                        return wrong(format!(
                            "unknown option '{name}'; {}",
                            instead(&name, allowed, "known options are")
                        ));
                    }
                },
            };
            if values[index].is_some() {
                return wrong(format!("option '{}' is given twice", allowed[index]));
            }
            values[index] = Some(value);
        }
        Ok(Named { allowed, values })
    }

    /// The first one has to be there.
    fn complete(self, example: &str) -> Result<Self, EndpointError> {
        match &self.values[0] {
            Some(_) => Ok(self),
            None => wrong(format!("the {} is missing; write for example '{example}'", self.allowed[0])),
        }
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let index = self.allowed.iter().position(|known| *known == name)?;
        self.values[index].take()
    }

    fn file(&mut self, name: &str, example: &str) -> Result<Option<String>, EndpointError> {
        match self.take(name) {
            Some(path) if path.is_empty() => wrong(format!("'{name}' names no file; write for example '{example}'")),
            path => Ok(path),
        }
    }

    fn backlog(&mut self) -> Result<u32, EndpointError> {
        let Some(value) = self.take("backlog") else { return Ok(ListenOptions::default().backlog) };
        match digits(&value).and_then(|backlog| u32::try_from(backlog).ok()) {
            Some(backlog) if backlog > 0 => Ok(backlog),
            _ => wrong(format!(
                "backlog '{value}' is not a number of connections, 1 or more; write for example 'backlog=50'"
            )),
        }
    }
}

fn tcp(parts: Vec<Part>, everywhere: IpAddr, example: &str) -> Result<Endpoint, EndpointError> {
    if let Some(Part { name: None, value }) = parts.first()
        && value.parse::<IpAddr>().is_ok()
    {
        return wrong(format!("'{value}' is where the port belongs; write '{example}:interface={}'", escaped(value)));
    }
    let full = format!("{example}:backlog=50");
    let named = Named::read(parts, &["port", "interface", "backlog"], &full)?.complete(&full)?;
    tcp_of(named, everywhere)
}

fn tcp_of(mut named: Named<'_>, everywhere: IpAddr) -> Result<Endpoint, EndpointError> {
    let (port, interface) = (named.take("port").unwrap_or_default(), named.take("interface").unwrap_or_default());
    let port = match digits(&port).and_then(|port| u16::try_from(port).ok()) {
        Some(port) => port,
        None => return wrong(format!("port '{port}' is not a number between 0 and 65535")),
    };
    let address = interface_address(&interface, everywhere, port)?;
    Ok(Endpoint { backlog: named.backlog()?, ..Endpoint::tcp(address) })
}

/// As in Twisted, an empty interface is all of them, and `tcp` takes an IPv6 one too.
fn interface_address(text: &str, everywhere: IpAddr, port: u16) -> Result<SocketAddr, EndpointError> {
    if text.is_empty() {
        return Ok(SocketAddr::new(everywhere, port));
    }
    let (ip, scope) = text.split_once('%').map_or((text, None), |(ip, scope)| (ip, Some(scope)));
    let v6_only = everywhere.is_ipv6();
    match (ip.parse::<IpAddr>(), scope) {
        (Ok(IpAddr::V4(ip)), None) if v6_only => {
            wrong(format!("interface '{ip}' is not an IPv6 address; write 'tcp:{port}:interface={ip}'"))
        }
        (Ok(ip), None) => Ok(SocketAddr::new(ip, port)),
        (Ok(IpAddr::V6(ip)), Some(scope)) => match digits(scope).and_then(|scope| u32::try_from(scope).ok()) {
            Some(scope) => Ok(SocketAddrV6::new(ip, port, 0, scope).into()),
            None => wrong(format!(
                "'{scope}' in interface '{text}' is not a number; write the index of the link, as 'ip link' shows it"
            )),
        },
        _ if text == "localhost" => {
            let ip = if v6_only { "\\:\\:1" } else { "127.0.0.1" };
            wrong(format!("interface 'localhost' is a name, not an address; write 'interface={ip}'"))
        }
        _ => wrong(format!(
            "interface '{text}' is not an {} address; write for example 'interface={}'",
            if v6_only { "IPv6" } else { "IP" },
            if v6_only { "\\:\\:1" } else { "127.0.0.1" }
        )),
    }
}

fn unix(parts: Vec<Part>) -> Result<Endpoint, EndpointError> {
    let example = "unix:/run/web.sock:mode=660";
    let mut named = Named::read(parts, &["address", "mode", "backlog"], example)?.complete(example)?;
    let path = named.take("address").unwrap_or_default();
    if path.is_empty() {
        return wrong(format!("the path of the UNIX socket is missing; write for example '{example}'"));
    }
    let unix_mode = named.take("mode").map(|mode| file_mode(&mode)).transpose()?;
    Ok(Endpoint { backlog: named.backlog()?, unix_mode, ..Endpoint::unix(path) })
}

fn ssl(mut parts: Vec<Part>) -> Result<Endpoint, EndpointError> {
    let example = "ssl:443:privateKey=key.pem:certKey=cert.pem";
    // Twisted has these too.
    let no_need = |part: &Part| match part.name.as_deref() {
        Some("dhParameters") => Some("keys are agreed upon by elliptic curves"),
        Some("sslmethod") => Some("TLS 1.3 and 1.2 are spoken, whichever the client prefers"),
        _ => None,
    };
    if let Some((part, why)) = parts.iter().find_map(|part| Some((part, no_need(part)?))) {
        return wrong(format!("leave out '{}': {why}", part.name.as_deref().unwrap_or_default()));
    }
    // Names of options are in one spelling, but nobody remembers which.
    let known = ["port", "interface", "backlog", "privateKey", "certKey", "extraCertChain"];
    for name in parts.iter_mut().filter_map(|part| part.name.as_mut()) {
        if let Some(right) = known.iter().find(|right| right.eq_ignore_ascii_case(name)) {
            (*right).clone_into(name);
        }
    }
    let mut named = Named::read(parts, &known, example)?.complete(example)?;
    let private_key = PathBuf::from(named.file("privateKey", example)?.unwrap_or_else(|| "server.pem".to_owned()));
    let files = TlsFiles {
        certificate: named.file("certKey", example)?.map_or_else(|| private_key.clone(), PathBuf::from),
        chain: named.file("extraCertChain", example)?.map(PathBuf::from),
        private_key,
    };
    Ok(tcp_of(named, IpAddr::V4(Ipv4Addr::UNSPECIFIED))?.with_tls(files))
}

fn systemd(parts: Vec<Part>) -> Result<Endpoint, EndpointError> {
    let example = "systemd:domain=INET:index=0";
    let mut named = Named::read(parts, &["domain", "index", "name"], example)?;
    let domains = [Domain::Inet, Domain::Inet6, Domain::Unix];
    let domain = match named.take("domain") {
        None => None,
        Some(text) => match domains.into_iter().find(|domain| domain.name() == text) {
            Some(domain) => Some(domain),
            None => {
                return wrong(format!(
                    "domain '{text}' is not one of 'INET', 'INET6', 'UNIX'; write for example '{example}'"
                ));
            }
        },
    };
    let which = match (named.take("index"), named.take("name")) {
        (Some(_), Some(_)) => return wrong("give 'index' or 'name', not both: each says which socket it is".into()),
        (None, Some(name)) if name.is_empty() => return wrong("the name of the socket is missing".into()),
        (None, Some(name)) => Which::Name(name),
        (None, None) => Which::Index(0),
        (Some(text), None) => match digits(&text).and_then(|index| usize::try_from(index).ok()) {
            Some(index) => Which::Index(index),
            None => return wrong(format!("index '{text}' is not a number; the first socket is 'index=0'")),
        },
    };
    Ok(Endpoint::systemd(Systemd { domain, which }))
}

fn file_mode(text: &str) -> Result<u32, EndpointError> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 && digits(text).is_some() => Ok(mode),
        _ => wrong(format!("mode '{text}' is not an octal file mode between 0 and 777; write for example 'mode=660'")),
    }
}

/// A plain decimal number: no sign, no spaces, which Rust's own parser would take in part.
fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// What to offer instead of `given`: the nearest of `known` if there is one near, otherwise all.
fn instead(given: &str, known: &[&str], all_are: &str) -> String {
    let nearest = known.iter().min_by_key(|known| distance(given, known)).expect("known is never empty");
    if !given.is_empty() && distance(given, nearest) <= 2 && distance(given, nearest) < nearest.len() {
        format!("did you mean '{nearest}'?")
    } else {
        format!("{all_are} '{}'", known.join("', '"))
    }
}

/// How many letters to insert, remove, replace, or swap with their neighbour, to get from one word to the other.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.to_lowercase().chars().collect(), other.chars().collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<_>>()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}
