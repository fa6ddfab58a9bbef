//! Certificates, made on the spot.

use boring::asn1::{Asn1Integer, Asn1Time};
use boring::bn::BigNum;
use boring::ec::{EcGroup, EcKey};
use boring::hash::MessageDigest;
use boring::nid::Nid;
use boring::pkey::{PKey, Private};
use boring::x509::extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName};
use boring::x509::{X509, X509NameBuilder};

use crate::transport::quic::{Identity, trust};

pub(super) struct Made {
    pub(super) key: PKey<Private>,
    pub(super) certificate: X509,
}

impl Made {
    pub(super) fn der(&self) -> Vec<u8> {
        self.certificate.to_der().unwrap()
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        trust::key_hash(&self.der()).unwrap()
    }

    pub(super) fn identity(&self) -> Identity {
        Identity {
            chain_pem: self.certificate.to_pem().unwrap(),
            key_pem: self.key.private_key_to_pem_pkcs8().unwrap(),
        }
    }
}

pub(super) fn root() -> Made {
    make(None, &[])
}

pub(super) fn leaf(root: &Made, names: &[&str]) -> Made {
    make(Some(root), names)
}

fn make(issuer: Option<&Made>, names: &[&str]) -> Made {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    let title = if issuer.is_some() { "leaf" } else { "root" };
    name.append_entry_by_nid(Nid::COMMONNAME, title).unwrap();
    let name = name.build();
    let mut x = X509::builder().unwrap();
    x.set_version(2).unwrap();
    x.set_serial_number(&Asn1Integer::from_bn(&BigNum::from_u32(7).unwrap()).unwrap()).unwrap();
    x.set_subject_name(&name).unwrap();
    x.set_issuer_name(issuer.map_or(&name, |issuer| issuer.certificate.subject_name())).unwrap();
    x.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    x.set_not_after(&Asn1Time::days_from_now(30).unwrap()).unwrap();
    x.set_pubkey(&key).unwrap();
    if issuer.is_some() {
        let mut san = SubjectAlternativeName::new();
        for name in names {
            if name.parse::<std::net::IpAddr>().is_ok() {
                san.ip(name)
            } else {
                san.dns(name)
            };
        }
        let san = san.build(&x.x509v3_context(None, None)).unwrap();
        x.append_extension(&san).unwrap();
        x.append_extension(&ExtendedKeyUsage::new().server_auth().build().unwrap()).unwrap();
    } else {
        x.append_extension(&BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    }
    x.sign(issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256()).unwrap();
    Made { key, certificate: x.build() }
}
