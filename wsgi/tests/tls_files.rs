//! Certificates and keys as they come out of files: what is right, and one line for each thing that is wrong.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use handwound_reactor::TlsFiles;
use handwound_wsgi::tls::Config;

fn given(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls/files").join(name)
}

fn files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> TlsFiles {
    TlsFiles { certificate: given_or(certificate.as_ref()), private_key: given_or(key.as_ref()), chain: None }
}

fn given_or(path: &Path) -> PathBuf {
    if path.is_absolute() { path.to_path_buf() } else { given(path.to_str().unwrap()) }
}

/// New Year of this year.
fn in_year(year: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs((year - 1970) * 31_556_952 + 86_400)
}

#[test]
fn what_is_right_is_taken_without_a_word() {
    let chain = |certificate, chain| TlsFiles { chain: Some(given(chain)), ..files(certificate, "key.pem") };
    for files in [
        files("cert.pem", "key.pem"),
        files("full.pem", "key.pem"),
        files("server.pem", "server.pem"),
        chain("cert.pem", "chain.pem"),
        files("rsa-cert.pem", "rsa-key.pem"),
        files("ec-cert.pem", "ec-key.pem"),
    ] {
        let config = Config::from_files(&files).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(config.warnings(in_year(2030)), [""; 0], "{files:?}");
    }
}

#[track_caller]
fn refuse(certificate: impl AsRef<Path>, key: impl AsRef<Path>, expected: &str) {
    let files = files(certificate, key);
    let why = Config::from_files(&files).expect_err(expected);
    assert_eq!(why.replace(given("").to_str().unwrap(), ""), expected);
    assert!(!why.contains('\n'), "{why}");
}

#[test]
fn files_that_cannot_be_read() {
    refuse("none.pem", "key.pem", "cannot read the certificate 'none.pem': no such file; give the path of a PEM file");
    refuse("cert.pem", "none.pem", "cannot read the private key 'none.pem': no such file; give the path of a PEM file");
    refuse("cert.pem", given(""), "cannot read the private key '': it is a folder; give the path of a PEM file");
    let chain = TlsFiles { chain: Some(given("none.pem")), ..files("cert.pem", "key.pem") };
    assert!(Config::from_files(&chain).unwrap_err().contains("cannot read the certificate chain '"));
}

#[test]
fn a_file_that_this_user_may_not_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    fs::copy(given("key.pem"), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // Nothing keeps the superuser out.
    if fs::read(&path).is_ok() {
        return eprintln!("skipped: this user may read everything");
    }
    let why = Config::from_files(&files("cert.pem", &path)).unwrap_err();
    assert!(why.ends_with("permission denied; let the user that this process runs as read it"), "{why}");
}

#[test]
fn files_that_hold_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, text: &[u8], expected: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let why = Config::from_files(&files(&path, "key.pem")).unwrap_err();
        assert_eq!(why.replace(path.to_str().unwrap(), name), expected);
        assert!(!why.contains('\n'), "{why}");
    };
    check("empty.pem", b" \n", "the certificate 'empty.pem' is empty; a PEM file begins with a line '-----BEGIN'");
    let no_pem = "the certificate 'page.pem' is not PEM; such a file has a line '-----BEGIN CERTIFICATE-----' or \
                  '-----BEGIN PRIVATE KEY-----'";
    check("page.pem", b"<html>not found</html>", no_pem);
    check("page.pem", &[0xff; 100], no_pem);
    let text = fs::read(given("cert.pem")).unwrap();
    check(
        "half.pem",
        &text[..200],
        "the certificate 'half.pem' is broken: it ends in the middle of a '-----BEGIN' and '-----END'; copy it anew",
    );
    let mut odd = text.clone();
    odd[100] = b'!';
    check(
        "odd.pem",
        &odd,
        "the certificate 'odd.pem' is broken: what is between '-----BEGIN' and '-----END' is not base64; copy it anew",
    );
    check(
        "hollow.pem",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "the certificate 'hollow.pem' is broken: what it holds is no X.509 certificate; get or make a new one",
    );
    check(
        "request.pem",
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        "the certificate 'request.pem' holds neither a certificate nor a private key; look at its '-----BEGIN' lines",
    );
}

#[test]
fn files_that_hold_the_wrong_thing() {
    refuse(
        "key.pem",
        "cert.pem",
        "the certificate 'key.pem' holds a private key and no certificate; are the two files given the wrong way round?",
    );
    refuse(
        "cert.pem",
        "full.pem",
        "the private key 'full.pem' holds a certificate and no private key; give the file that holds the key",
    );
    let der = |role, name, command| {
        let path = given(name).display().to_string();
        let why =
            Config::from_files(&if role == "certificate" { files(name, "key.pem") } else { files("cert.pem", name) });
        let expected = format!(
            "the {role} '{path}' is DER, not PEM; write it anew with 'openssl {command} -inform der -in {path} -out {path}.pem'"
        );
        assert_eq!(why.unwrap_err(), expected);
    };
    der("certificate", "cert.der", "x509");
    der("private key", "key.der", "pkey");
    for name in ["encrypted-key.pem", "encrypted-rsa-key.pem"] {
        let why = Config::from_files(&files("cert.pem", name)).unwrap_err();
        assert!(
            why.contains("is encrypted, and nobody is asked for passwords; decrypt it with 'openssl pkey -in "),
            "{why}"
        );
    }
    let two = tempfile::NamedTempFile::new().unwrap();
    let keys = ["key.pem", "ec-key.pem"].map(|name| fs::read(given(name)).unwrap());
    fs::write(two.path(), keys.concat()).unwrap();
    let why = Config::from_files(&files("cert.pem", two.path())).unwrap_err();
    assert!(why.ends_with("holds 2 private keys; leave the one that belongs to the certificate"), "{why}");
}

#[test]
fn keys_that_do_not_fit() {
    refuse(
        "cert.pem",
        "ec-key.pem",
        "the private key 'ec-key.pem' does not belong to the certificate 'cert.pem'; give the key that the certificate \
         was requested with",
    );
    refuse(
        "leaf-last.pem",
        "key.pem",
        "the private key 'key.pem' belongs to certificate 2 in the certificate 'leaf-last.pem'; put that one first, and \
         behind it the one that issued it",
    );
    refuse(
        "version-1.pem",
        "key.pem",
        "the certificate 'version-1.pem' is of X.509 version 1, which clients refuse; make one of version 3, as 'openssl \
         req -x509' does",
    );
    refuse(
        "weak-cert.pem",
        "weak-key.pem",
        "the private key 'weak-key.pem' is of a kind that is not supported; use RSA of 2048 to 8192 bits, ECDSA with \
         P-256 or P-384, or Ed25519",
    );
}

#[test]
fn what_clients_will_not_like_is_told_and_served() {
    let warnings = |name, year| {
        let config = Config::from_files(&files(name, "key.pem")).unwrap_or_else(|why| panic!("{why}"));
        let folder = given("");
        let short = |line: &String| line.replace(folder.to_str().unwrap(), "");
        config.warnings(in_year(year)).iter().map(short).collect::<Vec<_>>()
    };
    assert_eq!(
        warnings("expired.pem", 2026),
        [
            "the certificate 'expired.pem' has expired on Fri, 01 Jan 2021 00:00:00 GMT: clients will refuse it; renew it"
        ]
    );
    assert_eq!(warnings("expired.pem", 2020), [""; 0]);
    assert_eq!(
        warnings("early.pem", 2026),
        [
            "the certificate 'early.pem' is valid only from Mon, 01 Jan 2120 00:00:00 GMT on: clients will refuse it until \
          then"
        ]
    );
    assert_eq!(
        warnings("unordered.pem", 2030),
        [
            "certificate 1 of 'unordered.pem' was not issued by certificate 2: some clients will refuse the chain; put each \
          before the one that issued it"
        ]
    );
}
