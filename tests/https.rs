//! HTTPS as clients of flesh and blood meet it: Python's ssl and rustls, over real sockets, to the command.
#![allow(clippy::unwrap_used)]

mod command;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use command::{DEADLINE, folder, handwound, kill, lines, refused};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion, version};

const APP: &str = "
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    if environ['REQUEST_METHOD'] == 'POST':
        return [environ['wsgi.input'].read()]
    names = ['wsgi.url_scheme', 'HTTPS', 'SSL_PROTOCOL', 'SSL_CIPHER', 'SERVER_NAME', 'wsgi.multiprocess']
    return [' '.join(str(environ.get(name)) for name in names).encode()]
";

fn given(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("wsgi/tests/tls/files").join(name)
}

/// A command that serves [`APP`].
struct Server {
    child: Child,
    err: Receiver<String>,
    folder: tempfile::TempDir,
    ports: Vec<u16>,
}

impl Server {
    /// Has copies of `files` in its folder. Their names may be given another one: `cert.pem=server.pem`.
    fn start(files: &[&str], arguments: &[&str]) -> Server {
        Server::run(files, handwound().args(["web", "--wsgi", "app.application"]).args(arguments))
    }

    fn run(files: &[&str], command: &mut Command) -> Server {
        let folder = folder(&[("app.py", APP)]);
        for name in files {
            let (from, to) = name.split_once('=').unwrap_or((name, name));
            fs::copy(given(from), folder.path().join(to)).unwrap();
        }
        let mut child = command.current_dir(folder.path()).spawn().unwrap();
        let err = lines(child.stderr.take().unwrap());
        let mut server = Server { child, err, folder, ports: Vec::new() };
        let line = server.line("listening on");
        let after = line.split("127.0.0.1:").skip(1).map(|rest| rest.split('/').next().unwrap());
        server.ports = after.map(|port| port.parse().unwrap()).collect();
        server
    }

    /// Waits for a line on stderr with `part` in it.
    #[track_caller]
    fn line(&self, part: &str) -> String {
        let mut before = Vec::new();
        loop {
            match self.err.recv_timeout(DEADLINE) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => before.push(line),
                Err(_) => panic!("no '{part}' in {before:?}"),
            }
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn connect(&self, port: u16, version: &'static SupportedProtocolVersion) -> Tls {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(given("root.pem")).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_protocol_versions(&[version]).unwrap().with_root_certificates(roots);
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
    }

    /// The body that a GET is answered with, and the certificate that was shown.
    fn get(&self, port: u16) -> (String, CertificateDer<'static>) {
        let mut stream = self.connect(port, &version::TLS13);
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let certificate = stream.conn.peer_certificates().unwrap()[0].clone();
        (text.split("\r\n\r\n").nth(1).unwrap().to_owned(), certificate)
    }

    fn ends_in_order(mut self) {
        kill(self.child.id(), "TERM");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

const ENDPOINT: &str = "ssl:0:privateKey=key.pem:certKey=full.pem:interface=127.0.0.1";

/// One connection, two requests, each version; then one that asks for HTTP/2 too, and one for nothing but that.
const PYTHON: &str = "
import http.client, ssl, sys
root, port = sys.argv[1], int(sys.argv[2])
for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
    context = ssl.create_default_context(cafile=root)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(['h2', 'http/1.1'])
    connection = http.client.HTTPSConnection('localhost', port, context=context, timeout=60)
    for _ in range(2):
        connection.request('GET', '/')
        response = connection.getresponse()
        print(response.status, response.read().decode(), connection.sock.selected_alpn_protocol())
    connection.sock.unwrap()
context.set_alpn_protocols(['h2'])
try:
    http.client.HTTPSConnection('localhost', port, context=context, timeout=60).connect()
except ssl.SSLError as error:
    print('h2 alone:', 'no application protocol' in str(error).lower().replace('_', ' '))
";

#[test]
fn spec_10_and_38_pythons_client_is_served_over_https() {
    let server = Server::start(&["server.pem"], &["--https", "0", "--listen", "tcp:0:interface=127.0.0.1"]);
    let [_, https] = server.ports[..] else { panic!("two ports: {:?}", server.ports) };
    let mut client = Command::new("python3");
    client.args(["-c", PYTHON]).arg(given("root.pem")).arg(https.to_string()).stdin(Stdio::null());
    let client = client.output().unwrap();
    let said = |version, cipher| format!("200 https on {version} {cipher} localhost False http/1.1\n");
    let (old, new) = (said("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"), said("TLSv1.3", "TLS_AES_256_GCM_SHA384"));
    let expected = format!("{old}{old}{new}{new}h2 alone: True\n");
    let found = String::from_utf8(client.stdout).unwrap();
    assert_eq!(found, expected, "{}", String::from_utf8_lossy(&client.stderr));
    server.ends_in_order();
}

#[test]
fn large_bodies_and_several_requests_go_through_one_connection() {
    let server = Server::start(&["full.pem", "key.pem"], &["--listen", ENDPOINT]);
    for version in [&version::TLS12, &version::TLS13] {
        let mut stream = server.connect(server.ports[0], version);
        let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 11) as u8).collect();
        for last in [false, true] {
            let close = if last { "Connection: close\r\n" } else { "" };
            let length = body.len();
            let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{close}\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let mut answer = vec![0; length];
            stream.read_exact(&mut answer).unwrap();
            assert!(answer == body, "{}", String::from_utf8_lossy(&head));
        }
        // The end is said, and not only there.
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn plain_http_to_the_port_of_https_is_told_so() {
    let server = Server::start(&["full.pem", "key.pem"], &["--listen", ENDPOINT]);
    let mut stream = TcpStream::connect(("127.0.0.1", server.ports[0])).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\n") && text.contains("write https:// instead"), "{text}");
}

#[test]
fn gunicorns_certfile_and_keyfile_are_for_its_addresses() {
    let arguments = ["--bind", "127.0.0.1:0", "--certfile", "full.pem", "--keyfile", "key.pem"];
    let server = Server::start(&["full.pem", "key.pem"], &arguments);
    assert!(server.get(server.ports[0]).0.starts_with("https on TLSv1.3"));
}

#[test]
fn a_certificate_that_has_expired_is_told_of_and_served() {
    let arguments = ["--listen", "ssl:0:privateKey=key.pem:certKey=expired.pem:interface=127.0.0.1"];
    let folder = folder(&[("app.py", APP)]);
    for name in ["expired.pem", "key.pem"] {
        fs::copy(given(name), folder.path().join(name)).unwrap();
    }
    let mut command = handwound();
    command.args(["web", "--wsgi", "app.application"]).args(arguments).current_dir(folder.path());
    let mut child = command.spawn().unwrap();
    let err = lines(child.stderr.take().unwrap());
    // The log is written by a thread of its own: either may come first.
    let said = [err.recv_timeout(DEADLINE).unwrap(), err.recv_timeout(DEADLINE).unwrap()];
    let _ = (child.kill(), child.wait());
    let warning = "the certificate 'expired.pem' has expired on Fri, 01 Jan 2021 00:00:00 GMT";
    assert!(said.iter().any(|line| line.contains("WARN") && line.contains(warning)), "{said:?}");
    assert!(said.iter().any(|line| line.contains("listening on https://127.0.0.1:")), "{said:?}");
}

#[test]
fn spec_38_what_is_wrong_with_certificates_is_one_line() {
    let listen = |endpoint| ["web", "--wsgi", "app.application", "--listen", endpoint];
    refused(
        &["web", "--wsgi", "app.application", "--https", "0"],
        "cannot read the certificate 'server.pem': no such file; give the path of a PEM file",
    );
    refused(
        &listen("ssl:0:privateKey=app.py"),
        "the certificate 'app.py' is not PEM; such a file has a line '-----BEGIN CERTIFICATE-----'",
    );
    refused(
        &["web", "--wsgi", "app.application", "--certificate", "c.pem"],
        "--certificate is for HTTPS, and nothing says where: add '--https 8443', or '--bind 127.0.0.1:8443'",
    );
    let (cert, key) = (given("cert.pem"), given("rsa-key.pem"));
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    // Also under a master, and before it listens anywhere.
    for more in [&[][..], &["--workers", "2"]] {
        let all = [&["web", "--wsgi", "app.application", "--https", "0", "-c", cert, "-k", key], more].concat();
        refused(&all, &format!("the private key '{key}' does not belong to the certificate '{cert}'"));
    }
    refused(
        &listen("systemd:domain=INET:index=0"),
        "cannot listen on systemd:domain=INET:index=0: systemd has not handed any socket to this process (LISTEN_FDS is \
         not set); start it by its '.socket' unit",
    );
}

#[test]
fn workers_share_a_port_with_tls_and_a_reload_reads_the_certificate_anew() {
    let server = Server::start(&["full.pem", "key.pem"], &["--listen", ENDPOINT, "--workers", "2"]);
    let port = server.ports[0];
    let (body, first) = server.get(port);
    assert!(body.ends_with(" True"), "{body}");
    let expected = |name: &str| CertificateDer::from_pem_file(given(name)).unwrap();
    assert_eq!(first, expected("full.pem"));
    // One that nobody can read: the old workers go on.
    fs::write(server.file("full.pem"), "-----BEGIN").unwrap();
    kill(server.child.id(), "HUP");
    server.line("the certificate 'full.pem'");
    assert_eq!(server.get(port).1, first);
    // Another one.
    fs::copy(given("renewed.pem"), server.file("full.pem")).unwrap();
    kill(server.child.id(), "HUP");
    // Nothing says when the last of the old workers has gone.
    let start = Instant::now();
    while server.get(port).1 != expected("renewed.pem") {
        assert!(start.elapsed() < DEADLINE, "the old certificate still");
    }
    server.ends_in_order();
}

/// As systemd does: descriptor 3, and variables that name this very process.
const SYSTEMD: &str = "
import os, socket, sys
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
if listener.fileno() != 3: os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='web.socket')
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn spec_38_sockets_of_systemd_are_served() {
    let program = env!("CARGO_BIN_EXE_handwound");
    for (endpoint, more) in [
        ("systemd:domain=INET:index=0", &[][..]),
        ("systemd:domain=INET:name=web.socket", &[]),
        ("systemd", &["--workers", "2"]),
    ] {
        let mut command = Command::new("python3");
        command.args(["-c", SYSTEMD, program, "web", "--wsgi", "app.application", "--listen", endpoint]).args(more);
        command.env_remove("VIRTUAL_ENV").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = Server::run(&[], &mut command);
        let port: u16 = lines(server.child.stdout.take().unwrap()).recv_timeout(DEADLINE).unwrap().parse().unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.contains("http None None None"), "{endpoint}: {text}");
        server.ends_in_order();
    }
}

#[test]
fn sockets_of_systemd_that_are_not_there_are_told_of() {
    let folder = folder(&[("app.py", APP)]);
    for (endpoint, line) in [
        ("systemd:index=1", "systemd has opened no socket 1, but one socket: its index is 0"),
        ("systemd:name=other", "systemd has opened no socket named 'other', but 'web.socket'"),
        (
            "systemd:domain=INET6:index=0",
            "the socket 0 of systemd is of the domain INET, not INET6; write 'domain=INET'",
        ),
    ] {
        let mut command = Command::new("python3");
        let program = env!("CARGO_BIN_EXE_handwound");
        command.args(["-c", SYSTEMD, program, "web", "--wsgi", "app.application", "--listen", endpoint]);
        let output = command.env_remove("VIRTUAL_ENV").current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(said, format!("handwound: cannot listen on {endpoint}: {line}\n"));
    }
}

/// TLS 1.2 knows a new handshake in the middle of a connection. It is refused, and no more than that.
#[test]
fn a_renegotiation_is_refused() {
    let server = Server::start(&["full.pem", "key.pem"], &["--listen", ENDPOINT]);
    let address = format!("127.0.0.1:{}", server.ports[0]);
    let openssl = Command::new("openssl")
        .args(["s_client", "-tls1_2", "-connect", &address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut openssl = match openssl {
        Ok(openssl) => openssl,
        Err(error) if error.kind() == ErrorKind::NotFound => return eprintln!("skipped: there is no openssl"),
        Err(error) => panic!("{error}"),
    };
    openssl.stdin.take().unwrap().write_all(b"R\n").unwrap();
    let output = openssl.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("RENEGOTIATING"), "{said}");
    assert!(said.contains("no renegotiation") || said.contains("no_renegotiation"), "{said}");
    assert!(server.get(server.ports[0]).0.starts_with("https on"), "and it goes on");
}
