//! From files to certificates, and what is wrong with those that hold none.

use std::io::{Error, ErrorKind};
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::Source;

pub(super) fn cannot_read(role: &str, path: &Path, error: &Error) -> String {
    let (why, next) = match error.kind() {
        ErrorKind::NotFound => ("no such file".to_owned(), "give the path of a PEM file"),
        ErrorKind::PermissionDenied => {
            ("permission denied".to_owned(), "let the user that this process runs as read it")
        }
        ErrorKind::IsADirectory => ("it is a folder".to_owned(), "give the path of a PEM file"),
        _ => (error.to_string(), "give the path of a PEM file"),
    };
    format!("cannot read the {role} '{}': {why}; {next}", path.display())
}

/// What a PEM file holds, in order.
struct Contents {
    certificates: Vec<CertificateDer<'static>>,
    keys: Vec<PrivateKeyDer<'static>>,
}

fn contents(source: &Source) -> Result<Contents, String> {
    let mut contents = Contents { certificates: Vec::new(), keys: Vec::new() };
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(&source.bytes) {
        let (kind, der) = section.map_err(|error| broken(source, &error))?;
        if kind == SectionKind::Certificate {
            contents.certificates.push(der.into());
        } else if let Some(key) = PrivateKeyDer::from_pem(kind, der) {
            contents.keys.push(key);
        }
    }
    if contents.certificates.is_empty() && contents.keys.is_empty() {
        return Err(holds_nothing(source));
    }
    Ok(contents)
}

fn broken(source: &Source, error: &pem::Error) -> String {
    let why = match error {
        pem::Error::MissingSectionEnd { .. } => "it ends in the middle of a '-----BEGIN' and '-----END'".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "it has a '-----BEGIN' line that is none".to_owned(),
        pem::Error::Base64Decode(_) => "what is between '-----BEGIN' and '-----END' is not base64".to_owned(),
        other => other.to_string(),
    };
    format!("{source} is broken: {why}; copy it anew")
}

fn holds_nothing(source: &Source) -> String {
    let (bytes, path) = (&source.bytes, &source.path);
    let has = |text: &str| memchr::memmem::find(bytes, text.as_bytes()).is_some();
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return format!("{source} is empty; a PEM file begins with a line '-----BEGIN'");
    }
    if has("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        return encrypted(source);
    }
    // A SEQUENCE with a long length.
    if bytes.starts_with(&[0x30, 0x82]) || bytes.starts_with(&[0x30, 0x81]) || bytes.starts_with(b"0.") {
        let command = if source.role == "private key" { "pkey" } else { "x509" };
        return format!(
            "{source} is DER, not PEM; write it anew with 'openssl {command} -inform der -in {path} -out {path}.pem'"
        );
    }
    if has("-----BEGIN") {
        return format!("{source} holds neither a certificate nor a private key; look at its '-----BEGIN' lines");
    }
    format!(
        "{source} is not PEM; such a file has a line '-----BEGIN CERTIFICATE-----' or '-----BEGIN PRIVATE KEY-----'"
    )
}

fn encrypted(source: &Source) -> String {
    let path = &source.path;
    format!(
        "{source} is encrypted, and nobody is asked for passwords; decrypt it with 'openssl pkey -in {path} -out {path}.plain'"
    )
}

/// All certificates of a file; at least one.
pub(super) fn certificates(source: &Source) -> Result<Vec<CertificateDer<'static>>, String> {
    let Contents { certificates, .. } = contents(source)?;
    match certificates.is_empty() {
        true => Err(format!(
            "{source} holds a private key and no certificate; are the two files given the wrong way round?"
        )),
        false => Ok(certificates),
    }
}

/// The one private key of a file.
pub(super) fn private_key(source: &Source) -> Result<PrivateKeyDer<'static>, String> {
    let text = &source.bytes;
    // The form of old: the section is one of a key like any other.
    if memchr::memmem::find(text, b"Proc-Type: 4,ENCRYPTED").is_some() {
        return Err(encrypted(source));
    }
    let Contents { mut keys, .. } = contents(source)?;
    match keys.len() {
        1 => Ok(keys.remove(0)),
        0 if memchr::memmem::find(text, b"ENCRYPTED PRIVATE KEY").is_some() => Err(encrypted(source)),
        0 => Err(format!("{source} holds a certificate and no private key; give the file that holds the key")),
        more => Err(format!("{source} holds {more} private keys; leave the one that belongs to the certificate")),
    }
}
