//! Where to listen, in one line of text: `tcp:8080:interface=127.0.0.1`.
//!
//! The language is that of Twisted's server endpoint strings: a type, then parts between colons, each a value or
//! `name=value`. A backslash takes the meaning from the character after it: `\:`, `\=`, `\\`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::{Address, ListenOptions};

/// A place to listen at, and how.
///
/// | Text | Listens at |
/// |---|---|
/// | `tcp:8080` | port 8080 of every IPv4 interface (as in Twisted) |
/// | `tcp:8080:interface=127.0.0.1:backlog=50` | one interface; 50 connections may wait to be accepted |
/// | `tcp:0:interface=127.0.0.1` | a free port, chosen by the system |
/// | `tcp6:8080` | port 8080 of every interface, IPv6 and IPv4 |
/// | `tcp6:8080:interface=\:\:1` | one IPv6 interface |
/// | `unix:/run/web.sock:mode=660` | a UNIX socket with this file mode (octal) |
///
/// The first value has a name too: `tcp:port=8080`, `unix:address=/run/web.sock`. Where no `backlog` is given,
/// it is that of [`ListenOptions::default`]. Interfaces are numeric addresses: names would have to be looked up.
///
/// ```
/// use handwound_reactor::{Address, Endpoint};
///
/// let endpoint: Endpoint = "tcp:8080:interface=127.0.0.1".parse()?;
/// assert_eq!(endpoint.address(), &Address::Tcp(([127, 0, 0, 1], 8080).into()));
/// assert_eq!(endpoint.url(endpoint.address()), "http://127.0.0.1:8080/");
///
/// let error = "tpc:8080".parse::<Endpoint>().unwrap_err();
/// assert_eq!(error.to_string(), "unknown endpoint type 'tpc'; did you mean 'tcp'?");
/// # Ok::<(), handwound_reactor::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    address: Address,
    backlog: u32,
    unix_mode: Option<u32>,
}

impl Endpoint {
    /// TCP at `address`, otherwise by default.
    pub fn tcp(address: SocketAddr) -> Endpoint {
        Endpoint::at(Address::Tcp(address))
    }

    /// A UNIX socket at `path`, otherwise by default.
    pub fn unix(path: impl Into<PathBuf>) -> Endpoint {
        Endpoint::at(Address::Unix(Some(path.into())))
    }

    fn at(address: Address) -> Endpoint {
        Endpoint { address, backlog: ListenOptions::default().backlog, unix_mode: None }
    }

    /// Where to listen.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How to listen.
    pub fn options(&self) -> ListenOptions {
        ListenOptions { backlog: self.backlog, unix_mode: self.unix_mode, ..ListenOptions::default() }
    }

    /// A URL for people, of what listens at `local` for this endpoint: one that a browser on this machine can
    /// open. "Every interface" becomes the loopback address. A UNIX socket has no URL; it is `unix:PATH`.
    pub fn url(&self, local: &Address) -> String {
        let Address::Tcp(local) = local else { return local.to_string() };
        match local.ip() {
            IpAddr::V4(ip) => {
                let ip = if ip.is_unspecified() { Ipv4Addr::LOCALHOST } else { ip };
                format!("http://{ip}:{}/", local.port())
            }
            IpAddr::V6(ip) => {
                let ip = if ip.is_unspecified() { Ipv6Addr::LOCALHOST } else { ip };
                format!("http://[{ip}]:{}/", local.port())
            }
        }
    }
}

/// Text from which the same endpoint can be read again (a path that is not UTF-8 excepted).
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Tcp(SocketAddr::V4(at)) => {
                write!(f, "tcp:{}", at.port())?;
                if !at.ip().is_unspecified() {
                    write!(f, ":interface={}", at.ip())?;
                }
            }
            Address::Tcp(SocketAddr::V6(at)) => {
                write!(f, "tcp6:{}", at.port())?;
                if !at.ip().is_unspecified() || at.scope_id() != 0 {
                    write!(f, ":interface={}", escaped(&at.ip().to_string()))?;
                }
                if at.scope_id() != 0 {
                    write!(f, "%{}", at.scope_id())?;
                }
            }
            Address::Unix(path) => {
                let path = path.as_deref().unwrap_or(Path::new(""));
                write!(f, "unix:{}", escaped(&path.to_string_lossy()))?;
            }
        }
        if let Some(mode) = self.unix_mode {
            write!(f, ":mode={mode:o}")?;
        }
        if self.backlog != ListenOptions::default().backlog {
            write!(f, ":backlog={}", self.backlog)?;
        }
        Ok(())
    }
}

/// The opposite of what [`parts`] does.
fn escaped(text: &str) -> String {
    let special = |c| matches!(c, '\\' | ':' | '=');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// Why a text is not an endpoint: one line that names the bad part and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointError(String);

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One line, whatever was in the text.
        self.0.chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_default()),
            false => write!(f, "{c}"),
        })
    }
}

impl std::error::Error for EndpointError {}

fn wrong<V>(why: String) -> Result<V, EndpointError> {
    Err(EndpointError(why))
}

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
            "ssl" | "systemd" => {
                wrong(format!("endpoint type '{kind}' is not supported yet; use 'tcp', 'tcp6' or 'unix'"))
            }
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
        match &values[0] {
            Some(_) => Ok(Named { allowed, values }),
            None => wrong(format!("the {} is missing; write for example '{example}'", allowed[0])),
        }
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let index = self.allowed.iter().position(|known| *known == name)?;
        self.values[index].take()
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
    let mut named = Named::read(parts, &["port", "interface", "backlog"], &format!("{example}:backlog=50"))?;
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
    let mut named = Named::read(parts, &["address", "mode", "backlog"], example)?;
    let path = named.take("address").unwrap_or_default();
    if path.is_empty() {
        return wrong(format!("the path of the UNIX socket is missing; write for example '{example}'"));
    }
    let unix_mode = named.take("mode").map(|mode| file_mode(&mode)).transpose()?;
    Ok(Endpoint { backlog: named.backlog()?, unix_mode, ..Endpoint::unix(path) })
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

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
