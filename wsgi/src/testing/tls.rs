//! HTTPS in a simulation (features `testing` and `tls`): a certificate for tests, clients that speak TLS, and ciphers
//! without chance.
//!
//! Keys are agreed upon by a fixed secret and random numbers are counted, so a run is the same each time. All else is
//! what a real server has: records, handshakes, alerts, real ciphers over them.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use handwound_reactor::{Address, EventLoop, ListenOptions};
use handwound_testkit::{Client, Sim};
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, Error, NamedGroup, RootCertStore, SupportedProtocolVersion};

use super::Server;
use crate::tls::{Config, Source};
use crate::{Application, Site, SiteConfig, WsgiResource};

const CERTIFICATE: &[u8] = include_bytes!("../../tests/tls/files/full.pem");
const KEY: &[u8] = include_bytes!("../../tests/tls/files/key.pem");
const ROOT: &[u8] = include_bytes!("../../tests/tls/files/root.pem");

/// A server's side, with a certificate for `localhost`.
///
/// # Panics
/// Never: the certificate is part of this crate.
pub fn config() -> Config {
    let certificate = Source::named("certificate", "full.pem", CERTIFICATE);
    let key = Source::named("private key", "key.pem", KEY);
    Config::from_sources(&certificate, None, &key, provider()).expect("they belong together")
}

/// A client's side, which trusts that certificate. Clients that share it resume their sessions.
///
/// # Panics
/// If `versions` are none that this crate has ciphers for.
pub fn client_config(versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(ROOT).expect("a certificate");
    roots.add(root).expect("a root");
    let config = ClientConfig::builder_with_details(Arc::new(provider()), Arc::new(In2030));
    let config = config.with_protocol_versions(versions).expect("versions with ciphers");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// As [`serve`](super::serve), with TLS.
///
/// # Panics
/// As there.
#[track_caller]
pub fn serve(sim: &Sim, workers: usize, application: impl Application, config: SiteConfig) -> Server {
    let event_loop = EventLoop::new(sim.reactor("server"), sim.threads());
    event_loop.suggest_thread_pool(workers..=workers);
    let pool = event_loop.thread_pool();
    pool.start().expect("a simulation refuses a thread only where a test has asked for that");
    let resource = WsgiResource::new(&event_loop, pool.clone(), application);
    let address = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 443)));
    Site::with_config(resource, config)
        .listen_tls(&event_loop, &address, &ListenOptions::default(), &self::config())
        .expect("port 443 of this simulated host is free");
    let server = Server { event_loop, pool, address };
    server.run(sim);
    server.watch(sim);
    server
}

/// A client that speaks TLS. Its [`Client`] is what the network sees of it: to be slowed down, cut and reset.
#[derive(Clone)]
pub struct TlsClient {
    /// What the network sees.
    pub client: Client,
    end: Arc<Mutex<End>>,
}

struct End {
    connection: ClientConnection,
    received: Vec<u8>,
    failure: Option<Error>,
    /// It says that nothing more will come as soon as it can.
    leaves: bool,
}

impl TlsClient {
    /// Connects, and begins the handshake.
    #[track_caller]
    pub fn connect(sim: &Sim, to: &Address, config: &Arc<ClientConfig>) -> TlsClient {
        let client = sim.connect(to);
        TlsClient::over(client, config)
    }

    /// The same over a client that has sent nothing yet.
    ///
    /// # Panics
    /// If rustls refuses the configuration.
    pub fn over(client: Client, config: &Arc<ClientConfig>) -> TlsClient {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut connection = ClientConnection::new(Arc::clone(config), name).expect("a configuration that can be used");
        connection.set_buffer_limit(None);
        let end = Arc::new(Mutex::new(End { connection, received: Vec::new(), failure: None, leaves: false }));
        let of_script = Arc::clone(&end);
        client.script(move |wire, send| {
            let mut end = of_script.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = end.receive(wire);
            end.collect(send);
            taken
        });
        TlsClient { client, end }
    }

    /// Sends `plain`, once the handshake is done.
    pub fn send(&self, plain: impl AsRef<[u8]>) {
        self.act(|end| end.connection.writer().write_all(plain.as_ref()).expect("there is room"));
    }

    /// Says that nothing more will come (close_notify); the connection stays.
    pub fn end(&self) {
        self.act(|end| end.connection.send_close_notify());
    }

    /// Says so together with its last bytes of the handshake, which is not done yet.
    pub fn leave_when_open(&self) {
        self.with(|end| end.leaves = true);
    }

    /// All plain bytes so far.
    pub fn received(&self) -> Vec<u8> {
        self.with(|end| end.received.clone())
    }

    /// All plain bytes so far, as text; what is not UTF-8 becomes U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.received()).into_owned()
    }

    /// Whether the server has said that nothing more will come.
    pub fn has_ended(&self) -> bool {
        let read = |end: &mut End| end.connection.reader().read(&mut [0]);
        matches!(self.with(read), Ok(0))
    }

    /// What this side did not like, or was told that the server did not.
    pub fn failure(&self) -> Option<Error> {
        self.with(|end| end.failure.clone())
    }

    /// Looks at the connection itself.
    pub fn connection<R>(&self, look: impl FnOnce(&mut ClientConnection) -> R) -> R {
        self.with(|end| look(&mut end.connection))
    }

    fn act(&self, act: impl FnOnce(&mut End)) {
        let mut wire = Vec::new();
        self.with(|end| {
            act(end);
            end.collect(&mut wire);
        });
        // Not within: what comes back may be there at once.
        if !wire.is_empty() {
            self.client.send(wire);
        }
    }

    fn with<R>(&self, use_it: impl FnOnce(&mut End) -> R) -> R {
        use_it(&mut self.end.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl End {
    fn receive(&mut self, mut wire: &[u8]) -> usize {
        let all = wire.len();
        while !wire.is_empty() && self.failure.is_none() {
            match self.connection.read_tls(&mut wire) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            if let Err(error) = self.connection.process_new_packets() {
                self.failure = Some(error);
            }
            if self.leaves && !self.connection.is_handshaking() {
                self.leaves = false;
                self.connection.send_close_notify();
            }
            // Until there is no more for now, or the end.
            let _ = self.connection.reader().read_to_end(&mut self.received);
        }
        all
    }

    fn collect(&mut self, wire: &mut Vec<u8>) {
        while self.connection.wants_write() {
            self.connection.write_tls(wire).expect("memory takes all");
        }
    }
}

/// Ciphers as they are, and nothing by chance. One of its own for each side, so that each counts by itself.
fn provider() -> CryptoProvider {
    // They have to live for ever; it is eight bytes for each configuration of a test.
    let counted: &'static Counted = Box::leak(Box::new(Counted(AtomicU64::new(1))));
    CryptoProvider { kx_groups: vec![&FixedGroup], secure_random: counted, ..rustls::crypto::ring::default_provider() }
}

/// Random numbers that are counted.
#[derive(Debug)]
struct Counted(AtomicU64);

impl SecureRandom for Counted {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        for piece in bytes.chunks_mut(8) {
            let number = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            piece.copy_from_slice(&number.to_be_bytes()[..piece.len()]);
        }
        Ok(())
    }
}

/// Agrees upon the same secret always, under the name of X25519.
#[derive(Debug)]
struct FixedGroup;

impl SupportedKxGroup for FixedGroup {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(FixedGroup))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for FixedGroup {
    fn complete(self: Box<Self>, _peer: &[u8]) -> Result<SharedSecret, Error> {
        Ok(SharedSecret::from(&[7; 32][..]))
    }

    fn pub_key(&self) -> &[u8] {
        &[9; 32]
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// A day on which the certificate is valid.
#[derive(Debug)]
struct In2030;

impl TimeProvider for In2030 {
    fn current_time(&self) -> Option<UnixTime> {
        // New Year
        Some(UnixTime::since_unix_epoch(Duration::from_secs(1_893_456_000)))
    }
}
