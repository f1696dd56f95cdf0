//! HTTPS: certificates from files, and a [filter](handwound_reactor::Filter) that speaks TLS 1.2 and 1.3 (feature `tls`).
//!
//! The one place that knows rustls. No sockets here: the filter turns bytes into bytes, in a simulation as well.
//! Handshakes run on the reactor's thread: with an RSA key of 2048 bits each takes it about a millisecond, with ECDSA or
//! Ed25519 a tenth of that.
//!
//! ```no_run
//! # use handwound_reactor::{Endpoint, EventLoop};
//! # use handwound_wsgi::{Site, tls};
//! # fn serve(site: &Site, event_loop: &EventLoop) -> Result<(), Box<dyn std::error::Error>> {
//! let endpoint: Endpoint = "ssl:8443:privateKey=key.pem:certKey=cert.pem".parse()?;
//! let files = endpoint.tls().ok_or("an endpoint with TLS")?;
//! let tls = tls::Config::from_files(files)?;
//! site.listen_tls(event_loop, endpoint.address(), &endpoint.options(), &tls)?;
//! # Ok(())
//! # }
//! ```

mod certificate;
mod files;
mod filter;
mod key;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use handwound_reactor::{Address, EventLoop, Filters, ListenOptions, Listening, TlsFiles};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::UnixTime;
use rustls::server::{ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::SingleCertAndKey;
use rustls::time_provider::TimeProvider;
use rustls::{Error, ServerConfig};

use self::certificate::Facts;
use self::filter::Tls;
use crate::Site;

/// Sessions that are kept so that a client which comes back need not agree upon all again. The oldest goes first; each
/// takes some 300 bytes.
const SESSIONS_MAX: usize = 4096;

/// A certificate with its key, and how TLS is spoken with it. Cheap to clone.
///
/// TLS 1.3 and 1.2, whichever the client prefers, with rustls' own choice of ciphers; ALPN `http/1.1`; sessions are
/// resumed, in the process that they began in.
#[derive(Clone)]
pub struct Config {
    server: Arc<ServerConfig>,
    clock: Arc<Clock>,
    warnings: Arc<Warnings>,
}

/// What is not wrong enough to refuse it.
struct Warnings {
    /// The name of the certificate's file.
    name: String,
    leaf: Facts,
    /// One that does not lead to the next, by its number.
    unordered: Option<usize>,
}

impl Config {
    /// Reads a certificate, its chain and its key. Reads files: not for the reactor's thread once it serves.
    ///
    /// # Errors
    /// One line that says which file is wrong, why, and what would be right.
    pub fn from_files(files: &TlsFiles) -> Result<Config, String> {
        let certificate = Source::read(&files.certificate, "certificate")?;
        let chain = files.chain.as_deref().map(|chain| Source::read(chain, "certificate chain")).transpose()?;
        let key = match files.private_key == files.certificate {
            true => Source { role: "private key", ..certificate.clone() },
            false => Source::read(&files.private_key, "private key")?,
        };
        Config::from_sources(&certificate, chain.as_ref(), &key, rustls::crypto::ring::default_provider())
    }

    /// The same, of what such files hold; what is wrong with it is told under these names.
    pub(crate) fn from_sources(
        certificate: &Source,
        chain: Option<&Source>,
        key: &Source,
        provider: CryptoProvider,
    ) -> Result<Config, String> {
        let mut certificates = files::certificates(certificate)?;
        if let Some(chain) = chain {
            certificates.extend(files::certificates(chain)?);
        }
        let facts: Vec<Facts> =
            certificates.iter().map(|der| Facts::of(der)).collect::<Option<_>>().ok_or_else(|| {
                format!("{certificate} is broken: what it holds is no X.509 certificate; get or make a new one")
            })?;
        if facts[0].is_first_version {
            return Err(format!(
                "{certificate} is of X.509 version 1, which clients refuse; make one of version 3, as 'openssl req -x509' does"
            ));
        }
        let certified = key::certify(certificates, certificate, key, &provider)?;
        let clock = Arc::new(Clock::default());
        let mut server = server_config(provider, Arc::clone(&clock), Arc::new(SingleCertAndKey::from(certified)))
            .map_err(|error| format!("cannot speak TLS: {error}"))?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        server.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
        let unordered = facts.windows(2).position(|two| two[0].issuer != two[1].subject).map(|place| place + 1);
        let leaf = facts.into_iter().next().ok_or("there is always one")?;
        let warnings = Arc::new(Warnings { name: certificate.path.clone(), leaf, unordered });
        Ok(Config { server: Arc::new(server), clock, warnings })
    }

    /// What clients will not like about the certificate at this time, a line for each. `now` is the date for people:
    /// [`EventLoop::wall_clock`].
    pub fn warnings(&self, now: SystemTime) -> Vec<String> {
        let Warnings { name, leaf, unordered } = &*self.warnings;
        let day = httpdate::fmt_http_date;
        let mut all = Vec::new();
        if now > leaf.not_after {
            let end = day(leaf.not_after);
            all.push(format!("the certificate '{name}' has expired on {end}: clients will refuse it; renew it"));
        }
        if now < leaf.not_before {
            let begin = day(leaf.not_before);
            all.push(format!(
                "the certificate '{name}' is valid only from {begin} on: clients will refuse it until then"
            ));
        }
        if let Some(number) = unordered {
            let next = number + 1;
            all.push(format!(
                "certificate {number} of '{name}' was not issued by certificate {next}: some clients will refuse the \
                 chain; put each before the one that issued it"
            ));
        }
        all
    }

    /// The filters for a listener, each of which has to be done with its handshake within `handshake_max`.
    pub fn filters(&self, handshake_max: Duration) -> Filters {
        let config = self.clone();
        Filters::new(handshake_max, move |event_loop| {
            config.clock.set(event_loop.wall_clock());
            Tls::new(Arc::clone(&config.server))
        })
    }
}

fn server_config(
    provider: CryptoProvider,
    clock: Arc<Clock>,
    certificates: Arc<dyn ResolvesServerCert>,
) -> Result<ServerConfig, Error> {
    let config = ServerConfig::builder_with_details(Arc::new(provider), clock);
    let config = config.with_safe_default_protocol_versions()?.with_no_client_auth();
    Ok(config.with_cert_resolver(certificates))
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("certificate", &self.warnings.name).finish_non_exhaustive()
    }
}

/// The date, as the last connection had it when it came. For the age of sessions that is near enough, and it needs no
/// clock here.
#[derive(Debug, Default)]
struct Clock(AtomicU64);

impl Clock {
    fn set(&self, now: SystemTime) {
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        self.0.store(seconds, Ordering::Relaxed);
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
    }
}

/// What a file holds, and how to speak of it.
#[derive(Clone)]
pub(crate) struct Source {
    role: &'static str,
    path: String,
    bytes: Vec<u8>,
}

impl Source {
    fn read(path: &Path, role: &'static str) -> Result<Source, String> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Source { role, path: path.display().to_string(), bytes }),
            Err(error) => Err(files::cannot_read(role, path, &error)),
        }
    }

    /// Something that is in no file.
    #[cfg(feature = "testing")]
    pub(crate) fn named(role: &'static str, path: &str, bytes: &[u8]) -> Source {
        Source { role, path: path.to_owned(), bytes: bytes.to_vec() }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} '{}'", self.role, self.path)
    }
}

impl Site {
    /// As [`listen`](Site::listen), with TLS: `wsgi.url_scheme` is `https`. A handshake may take as long as a request's
    /// head.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn listen_tls(
        &self,
        event_loop: &EventLoop,
        at: &Address,
        options: &ListenOptions,
        tls: &Config,
    ) -> io::Result<Listening> {
        self.listen_filtered(event_loop, at, options, tls.filters(self.head_timeout()))
    }
}
