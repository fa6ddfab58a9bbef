//! Certificates for tests: self-signed, P-256, for `localhost`, `127.0.0.1` and `::1`.

use boring::asn1::{Asn1Integer, Asn1Time};
use boring::bn::{BigNum, MsbOption};
use boring::ec::{EcGroup, EcKey};
use boring::error::ErrorStack;
use boring::hash::MessageDigest;
use boring::nid::Nid;
use boring::pkey::{PKey, Private};
use boring::x509::extension::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
};
use boring::x509::{X509, X509NameBuilder};

/// Valid from 2020-01-01, before any virtual or real time a test can run at.
const NOT_BEFORE: libc::time_t = 1_577_836_800;
/// Valid to 2049-01-01.
const NOT_AFTER: libc::time_t = 2_493_072_000;

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate chain, as PEM.
    pub chain_pem: Vec<u8>,
    /// The private key, as PEM (PKCS #8).
    pub key_pem: Vec<u8>,
    /// The certificate, as DER: a root for [`anabranch_core::transport::Trust::Roots`].
    pub der: Vec<u8>,
    /// SHA-256 of the SPKI: a pin for [`anabranch_core::transport::Trust::Pin`].
    pub pin: [u8; 32],
}

/// The same certificate at every call and in every run: made once by [`self_signed`].
///
/// # Panics
/// If it is damaged.
#[must_use]
pub fn fixed() -> Identity {
    let (chain, key) =
        (include_bytes!("../certs/localhost.pem"), include_bytes!("../certs/key.pem"));
    let cert = X509::from_pem(chain).expect("a certificate");
    let public = cert.public_key().and_then(|key| key.public_key_to_der());
    Identity {
        chain_pem: chain.to_vec(),
        key_pem: key.to_vec(),
        der: cert.to_der().expect("a certificate"),
        pin: boring::sha::sha256(&public.expect("a public key")),
    }
}

/// A new self-signed certificate for `localhost`, `127.0.0.1` and `::1`, valid in every test.
///
/// # Panics
/// If BoringSSL fails, which takes a lack of memory.
#[must_use]
pub fn self_signed() -> Identity {
    make(NOT_BEFORE, NOT_AFTER).expect("BoringSSL makes a certificate")
}

/// The same, but no longer valid.
///
/// # Panics
/// If BoringSSL fails, which takes a lack of memory.
#[must_use]
pub fn expired() -> Identity {
    make(NOT_BEFORE, NOT_BEFORE + 86_400).expect("BoringSSL makes a certificate")
}

fn make(not_before: libc::time_t, not_after: libc::time_t) -> Result<Identity, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
    let cert = certificate(&key, not_before, not_after)?;
    Ok(Identity {
        chain_pem: cert.to_pem()?,
        key_pem: key.private_key_to_pem_pkcs8()?,
        der: cert.to_der()?,
        pin: boring::sha::sha256(&key.public_key_to_der()?),
    })
}

fn certificate(
    key: &PKey<Private>,
    not_before: libc::time_t,
    not_after: libc::time_t,
) -> Result<X509, ErrorStack> {
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    builder.set_serial_number(&*Asn1Integer::from_bn(&serial)?)?;
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, "anabranch test")?;
    let name = name.build();
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_not_before(&*Asn1Time::from_unix(not_before)?)?;
    builder.set_not_after(&*Asn1Time::from_unix(not_after)?)?;
    builder.set_pubkey(key)?;
    let names = SubjectAlternativeName::new()
        .dns("localhost")
        .ip("127.0.0.1")
        .ip("::1")
        .build(&builder.x509v3_context(None, None))?;
    builder.append_extension(&names)?;
    builder.append_extension(&*BasicConstraints::new().critical().build()?)?;
    // Without the right to sign certificates it could not be its own root.
    let usage = KeyUsage::new().critical().digital_signature().key_cert_sign().build()?;
    builder.append_extension(&usage)?;
    builder.append_extension(&*ExtendedKeyUsage::new().server_auth().build()?)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificates_name_loopback_and_their_pins_are_their_keys() {
        for identity in [self_signed(), fixed()] {
            let cert = X509::from_pem(&identity.chain_pem).unwrap();
            assert_eq!(cert.to_der().unwrap(), identity.der);
            let names = cert.subject_alt_names().unwrap();
            assert_eq!(
                names.iter().filter_map(|name| name.dnsname()).collect::<Vec<_>>(),
                ["localhost"]
            );
            assert_eq!(names.iter().filter_map(|name| name.ipaddress()).count(), 2);
            let spki = cert.public_key().unwrap().public_key_to_der().unwrap();
            assert_eq!(boring::sha::sha256(&spki), identity.pin);
            let key = PKey::private_key_from_pem(&identity.key_pem).unwrap();
            assert!(key.public_eq(&cert.public_key().unwrap()));
        }
        assert_eq!(fixed().pin, fixed().pin);
        assert_ne!(self_signed().pin, self_signed().pin);
    }
}
