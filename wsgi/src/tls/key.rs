//! A certificate and its key, joined; and what is wrong with two that do not belong together.

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::{Source, files};

pub(super) fn certify(
    certificates: Vec<CertificateDer<'static>>,
    certificate: &Source,
    key: &Source,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, String> {
    let signing = provider.key_provider.load_private_key(files::private_key(key)?).map_err(|_| {
        format!("{key} is of a kind that is not supported; use RSA of 2048 to 8192 bits, ECDSA with P-256 or P-384, or Ed25519")
    })?;
    let certified = CertifiedKey::new(certificates, signing);
    match certified.keys_match() {
        // A key that cannot tell is no reason to refuse it.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(Error::InconsistentKeys(_)) => Err(mismatch(certified, certificate, key)),
        Err(_) => Err(format!("{certificate} is broken: it is no X.509 certificate; get or make a new one")),
    }
}

fn mismatch(certified: CertifiedKey, certificate: &Source, key: &Source) -> String {
    let CertifiedKey { cert, key: signing, .. } = certified;
    let is_of =
        |der: &CertificateDer<'static>| CertifiedKey::new(vec![der.clone()], signing.clone()).keys_match().is_ok();
    match cert.iter().position(is_of) {
        Some(place) => format!(
            "{key} belongs to certificate {} in {certificate}; put that one first, and behind it the one that issued it",
            place + 1
        ),
        None => format!("{key} does not belong to {certificate}; give the key that the certificate was requested with"),
    }
}
