//! Where to listen, in one line of text: `tcp:8080:interface=127.0.0.1`.
//!
//! The language is that of Twisted's server endpoint strings: a type, then parts between colons, each a value or
//! `name=value`. A backslash takes the meaning from the character after it: `\:`, `\=`, `\\`.

mod parse;
#[cfg(unix)]
mod systemd;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

#[cfg(unix)]
pub use self::systemd::SystemdSockets;

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
/// | `ssl:443:privateKey=key.pem:certKey=cert.pem` | port 443 with TLS; `extraCertChain=chain.pem`, if the certificate's file does not hold its chain, and `interface` and `backlog` as for TCP |
/// | `systemd:domain=INET:index=0` | the first socket that systemd has opened for this process; by name: `systemd:domain=INET:name=web.socket` |
///
/// The first value has a name too: `tcp:port=8080`, `unix:address=/run/web.sock`. Where no `backlog` is given,
/// it is that of [`ListenOptions::default`]. Interfaces are numeric addresses: names would have to be looked up. As in
/// Twisted, `privateKey` is `server.pem` where it is not given, and `certKey` the same file as `privateKey`.
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
    tls: Option<TlsFiles>,
    systemd: Option<Systemd>,
}

/// Where the certificate and the key of an endpoint with TLS are. All files are PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and behind it those that lead to its root.
    pub certificate: PathBuf,
    /// The certificate's private key. May be in the same file.
    pub private_key: PathBuf,
    /// Where those that lead to the root are, if not behind the certificate.
    pub chain: Option<PathBuf>,
}

/// Which of the sockets that systemd has opened.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Systemd {
    /// What it is said to be; whatever it is, if nothing is said.
    domain: Option<Domain>,
    which: Which,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Domain {
    Inet,
    Inet6,
    Unix,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Which {
    /// In the order of the unit's `Listen` lines.
    Index(usize),
    /// Its `FileDescriptorName`, or else the unit's name.
    Name(String),
}

impl Domain {
    fn name(self) -> &'static str {
        match self {
            Domain::Inet => "INET",
            Domain::Inet6 => "INET6",
            Domain::Unix => "UNIX",
        }
    }
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
        Endpoint { address, backlog: ListenOptions::default().backlog, unix_mode: None, tls: None, systemd: None }
    }

    fn systemd(systemd: Systemd) -> Endpoint {
        let endpoint = Endpoint { systemd: Some(systemd), ..Endpoint::at(Address::Unix(None)) };
        // Only a name, which nobody would give a socket: see `is_inherited`.
        Endpoint { address: Address::Unix(Some(endpoint.to_string().into())), ..endpoint }
    }

    /// The same, with TLS.
    ///
    /// # Panics
    /// If it is no TCP endpoint.
    pub fn with_tls(self, files: TlsFiles) -> Endpoint {
        assert!(self.address.tcp().is_some(), "TLS is for TCP endpoints");
        Endpoint { tls: Some(files), ..self }
    }

    /// The certificate and key of an endpoint with TLS.
    pub fn tls(&self) -> Option<&TlsFiles> {
        self.tls.as_ref()
    }

    /// Whether a service manager has opened the socket already: [`SystemdSockets::take`] has it, and
    /// [`MioReactor::inherit`](crate::MioReactor::inherit) takes it under the name of [`address`](Endpoint::address).
    pub fn is_inherited(&self) -> bool {
        self.systemd.is_some()
    }

    /// Where to listen. Of one that is [inherited](Endpoint::is_inherited) only a name.
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
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        match local.ip() {
            IpAddr::V4(ip) => {
                let ip = if ip.is_unspecified() { Ipv4Addr::LOCALHOST } else { ip };
                format!("{scheme}://{ip}:{}/", local.port())
            }
            IpAddr::V6(ip) => {
                let ip = if ip.is_unspecified() { Ipv6Addr::LOCALHOST } else { ip };
                format!("{scheme}://[{ip}]:{}/", local.port())
            }
        }
    }
}

/// Text from which the same endpoint can be read again (a path that is not UTF-8 excepted).
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.systemd, &self.address) {
            (Some(systemd), _) => return systemd.fmt(f),
            (None, Address::Tcp(at)) => self.fmt_tcp(at, f)?,
            (None, Address::Unix(path)) => {
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

impl Endpoint {
    fn fmt_tcp(&self, at: &SocketAddr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (port, path) = (at.port(), |path: &Path| escaped(&path.to_string_lossy()));
        let is_ssl = self.tls.is_some();
        match &self.tls {
            Some(TlsFiles { certificate, private_key, chain }) => {
                write!(f, "ssl:{port}:privateKey={}:certKey={}", path(private_key), path(certificate))?;
                if let Some(chain) = chain {
                    write!(f, ":extraCertChain={}", path(chain))?;
                }
            }
            None => write!(f, "{}:{port}", if at.is_ipv4() { "tcp" } else { "tcp6" })?,
        }
        match at {
            SocketAddr::V4(at) if at.ip().is_unspecified() => Ok(()),
            SocketAddr::V4(at) => write!(f, ":interface={}", at.ip()),
            SocketAddr::V6(at) if at.ip().is_unspecified() && at.scope_id() == 0 && !is_ssl => Ok(()),
            SocketAddr::V6(at) => {
                write!(f, ":interface={}", escaped(&at.ip().to_string()))?;
                if at.scope_id() != 0 { write!(f, "%{}", at.scope_id()) } else { Ok(()) }
            }
        }
    }
}

impl fmt::Display for Systemd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("systemd")?;
        if let Some(domain) = self.domain {
            write!(f, ":domain={}", domain.name())?;
        }
        match &self.which {
            Which::Index(index) => write!(f, ":index={index}"),
            Which::Name(name) => write!(f, ":name={}", escaped(name)),
        }
    }
}

/// The opposite of what `parts` does.
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

#[cfg(test)]
mod tests;
