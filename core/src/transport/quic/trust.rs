//! Whose certificate a client accepts.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use boring::ssl::{
    SslAlert, SslContextBuilder, SslMethod, SslRef, SslSignatureAlgorithm, SslVerifyError,
    SslVerifyMode,
};
use boring::x509::store::{X509Store, X509StoreBuilder};
use boring::x509::{X509, X509Ref};

use crate::error::{Lost, Misuse};
use crate::transport::{Target, Trust};

/// What the check of the server's certificate found wrong, if anything.
#[derive(Clone, Debug, Default)]
pub(super) struct Finding(Arc<OnceLock<Lost>>);

impl Finding {
    /// What was found wrong.
    pub(super) fn get(&self) -> Option<Lost> {
        self.0.get().copied()
    }

    fn refuse(&self, lost: Lost, alert: SslAlert) -> SslVerifyError {
        let _ = self.0.set(lost);
        SslVerifyError::Invalid(alert)
    }
}

/// Signatures a client accepts: what BoringSSL offers by itself, and Ed25519.
const SIGNATURES: [SslSignatureAlgorithm; 9] = [
    SslSignatureAlgorithm::ECDSA_SECP256R1_SHA256,
    SslSignatureAlgorithm::ED25519,
    SslSignatureAlgorithm::RSA_PSS_RSAE_SHA256,
    SslSignatureAlgorithm::RSA_PKCS1_SHA256,
    SslSignatureAlgorithm::ECDSA_SECP384R1_SHA384,
    SslSignatureAlgorithm::RSA_PSS_RSAE_SHA384,
    SslSignatureAlgorithm::RSA_PKCS1_SHA384,
    SslSignatureAlgorithm::RSA_PSS_RSAE_SHA512,
    SslSignatureAlgorithm::RSA_PKCS1_SHA512,
];

/// The TLS context of one dialled connection.
pub(super) fn client_tls(target: &Target, finding: &Finding) -> Result<SslContextBuilder, Misuse> {
    let failed = |_| Misuse::Config("TLS cannot be set up");
    let mut tls = SslContextBuilder::new(SslMethod::tls()).map_err(failed)?;
    tls.set_verify_algorithm_prefs(&SIGNATURES).map_err(failed)?;
    let finding = finding.clone();
    match &target.trust {
        Trust::Any => {
            tls.set_custom_verify_callback(SslVerifyMode::PEER, |_| Ok(()));
        }
        Trust::Pin(pin) => {
            let pin = *pin;
            tls.set_custom_verify_callback(SslVerifyMode::PEER, move |ssl| {
                pinned(ssl, &pin, &finding)
            });
        }
        Trust::Roots(roots) => {
            // The name is set on the connection: see `expect_name`.
            tls.set_verify_cert_store(root_store(roots)?).map_err(failed)?;
            tls.set_verify(SslVerifyMode::PEER);
            tls.set_cert_verify_callback(move |context| {
                let good = context.verify_cert().unwrap_or(false);
                if !good {
                    let _ = finding.0.set(Lost::Untrusted);
                }
                good
            });
        }
    }
    Ok(tls)
}

fn pinned(ssl: &SslRef, pin: &[u8; 32], finding: &Finding) -> Result<(), SslVerifyError> {
    let key = ssl.peer_certificate().and_then(|certificate| spki_hash(&certificate));
    match key {
        Some(key) if key == *pin => Ok(()),
        Some(key) => Err(finding.refuse(Lost::WrongKey(key), SslAlert::CERTIFICATE_UNKNOWN)),
        None => Err(finding.refuse(Lost::Untrusted, SslAlert::BAD_CERTIFICATE)),
    }
}

fn root_store(roots: &[Vec<u8>]) -> Result<X509Store, Misuse> {
    let mut store = X509StoreBuilder::new().map_err(|_| Misuse::Config("TLS cannot be set up"))?;
    for root in roots {
        let root =
            X509::from_der(root).map_err(|_| Misuse::Config("a root certificate is not DER"))?;
        store.add_cert(&root).map_err(|_| Misuse::Config("a root certificate cannot be used"))?;
    }
    Ok(store.build())
}

/// Has the certificate checked for the name that was dialled.
pub(super) fn expect_name(ssl: &mut SslRef, name: &str) -> Result<(), Misuse> {
    let wanted = ssl.param_mut();
    match ip_of(name) {
        Some(ip) => wanted.set_ip(ip),
        None => wanted.set_host(name),
    }
    .map_err(|_| Misuse::Config("the server name cannot be checked"))
}

/// The address that a server name is, if it is one.
pub(super) fn ip_of(name: &str) -> Option<IpAddr> {
    name.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// SHA-256 of the certificate's SPKI.
fn spki_hash(certificate: &X509Ref) -> Option<[u8; 32]> {
    let spki = certificate.public_key().ok()?.public_key_to_der().ok()?;
    Some(boring::sha::sha256(&spki))
}

/// SHA-256 of the SPKI of a certificate in DER.
pub(super) fn key_hash(der: &[u8]) -> Option<[u8; 32]> {
    spki_hash(X509::from_der(der).ok()?.as_ref())
}

/// What a ticket is bound to: it is only good under the trust, and for the name, under which
/// the certificate was checked when it was issued, since a resumed handshake shows none.
pub(super) fn binding(target: &Target) -> [u8; 16] {
    let mut hash = blake3::Hasher::new();
    hash.update(b"anabranch ticket");
    hash.update(&(target.server_name.len() as u64).to_be_bytes());
    hash.update(target.server_name.as_bytes());
    match &target.trust {
        Trust::Any => hash.update(b"any"),
        Trust::Pin(pin) => hash.update(b"pin").update(pin),
        Trust::Roots(roots) => {
            hash.update(b"roots");
            for root in roots.iter() {
                hash.update(blake3::hash(root).as_bytes());
            }
            &mut hash
        }
    };
    let mut out = [0; 16];
    out.copy_from_slice(&hash.finalize().as_bytes()[..16]);
    out
}
