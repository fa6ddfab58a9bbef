//! The server's certificate and key: made when missing, renewed before they expire.
//!
//! Only what this program made is ever renewed (it is known by its subject), and a renewal keeps
//! the key, so that clients which have pinned it notice nothing.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use boring::asn1::{Asn1Integer, Asn1Time};
use boring::bn::{BigNum, MsbOption};
use boring::ec::{EcGroup, EcKey};
use boring::error::ErrorStack;
use boring::hash::MessageDigest;
use boring::nid::Nid;
use boring::pkey::{PKey, Private};
use boring::x509::extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName};
use boring::x509::{X509, X509Name, X509NameBuilder, X509Ref};

use crate::exit::{Exit, Failure};
use crate::known_hosts::Fingerprint;

/// How long a certificate of ours is good for.
const LIFETIME_DAYS: i64 = 90;
/// It is renewed when less than this is left.
const RENEW_DAYS: i64 = 30;
const DAY: i64 = 86_400;
/// The subject by which a certificate of ours is known.
const SUBJECT: &str = "anabranchd self-made";

/// Where certificate and key are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate chain (PEM).
    pub cert: PathBuf,
    /// The private key (PEM).
    pub key: PathBuf,
}

/// A certificate chain with its key, checked to belong together.
#[derive(Clone)]
pub struct Identity {
    /// The chain (PEM).
    pub chain: Vec<u8>,
    /// The private key (PEM).
    pub key: Vec<u8>,
    /// What clients pin.
    pub fingerprint: Fingerprint,
    /// Days until the certificate expires, less than 0 if it has.
    pub days_left: i64,
    /// This program made it.
    pub own: bool,
    secret: [u8; 32],
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({}, {} days left)", self.fingerprint, self.days_left)
    }
}

/// What had to be done to have an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// Nothing: it was there.
    Nothing,
    /// A key and a certificate were made.
    New,
    /// The certificate was renewed with the same key.
    Renewed,
}

impl Identity {
    /// A secret for one purpose, derived from the private key: the same after a restart.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(purpose, &self.secret)
    }
}

/// The names of a certificate that is made here: this machine, as seen from itself and by its
/// host name.
#[must_use]
pub fn default_names() -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).into();
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy().to_ascii_lowercase();
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    if !host.is_empty() && host.bytes().all(sound) && !names.contains(&host) {
        names.push(host);
    }
    names
}

/// Loads certificate and key; makes what is missing, and renews a certificate of ours that
/// expires soon.
///
/// # Errors
/// If a file cannot be read or made, or the two do not belong together.
pub fn load_or_make(files: &Files) -> Result<(Identity, Made), Failure> {
    let made = match (files.cert.exists(), files.key.exists()) {
        (true, true) => Made::Nothing,
        (true, false) => {
            let what = format!(
                "{} is there, but its key {} is not",
                files.cert.display(),
                files.key.display()
            );
            return Err(Failure::new(Exit::Config, what)
                .hint("give the key with --key, or remove the certificate to have both made"));
        }
        (false, has_key) => {
            if !has_key {
                make_key(&files.key)?;
            }
            make_certificate(files)?;
            if has_key { Made::Renewed } else { Made::New }
        }
    };
    let identity = load(files)?;
    if identity.own && identity.days_left < RENEW_DAYS {
        make_certificate(files)?;
        return Ok((load(files)?, Made::Renewed));
    }
    Ok((identity, made))
}

/// Loads certificate and key.
///
/// # Errors
/// If they cannot be read, or do not belong together.
pub fn load(files: &Files) -> Result<Identity, Failure> {
    let chain =
        fs::read(&files.cert).map_err(|error| config(Failure::reading(&files.cert, &error)))?;
    let key = fs::read(&files.key).map_err(|error| config(Failure::reading(&files.key, &error)))?;
    let leaf = X509::from_pem(&chain).map_err(|_| not_pem(&files.cert, "certificate"))?;
    let private = private_key(&files.key, &key)?;
    let public = leaf.public_key().map_err(|_| not_pem(&files.cert, "certificate"))?;
    if !public.public_eq(&private) {
        let what =
            format!("{} does not belong to the key {}", files.cert.display(), files.key.display());
        return Err(Failure::new(Exit::Config, what).hint("give the pair with --cert and --key"));
    }
    let inner = |_: ErrorStack| Failure::new(Exit::Internal, "cannot encode the key");
    let der = private.private_key_to_der().map_err(inner)?;
    let spki = public.public_key_to_der().map_err(inner)?;
    Ok(Identity {
        chain,
        key,
        fingerprint: Fingerprint(boring::sha::sha256(&spki)),
        days_left: days_left(&leaf).map_err(|_| not_pem(&files.cert, "certificate"))?,
        own: is_own(&leaf),
        secret: blake3::derive_key("anabranch 2026 server secret", &der),
    })
}

fn private_key(path: &Path, pem: &[u8]) -> Result<PKey<Private>, Failure> {
    // An empty passphrase: OpenSSL would ask for one on the terminal.
    PKey::private_key_from_pem_passphrase(pem, b"").map_err(|_| {
        not_pem(path, "private key").hint("it has to be a private key in PEM, without a passphrase")
    })
}

fn config(failure: Failure) -> Failure {
    Failure { exit: Exit::Config, ..failure }
}

fn not_pem(path: &Path, what: &str) -> Failure {
    Failure::new(Exit::Config, format!("{} holds no {what} (PEM)", path.display()))
}

fn days_left(cert: &X509Ref) -> Result<i64, ErrorStack> {
    let left = Asn1Time::from_unix(now())?.as_ref().diff(cert.not_after())?;
    let days = i64::from(left.days);
    Ok(if left.secs < 0 { days - 1 } else { days })
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn is_own(cert: &X509Ref) -> bool {
    let mut names = cert.subject_name().entries_by_nid(Nid::COMMONNAME);
    names.next().is_some_and(|name| name.data().as_slice() == SUBJECT.as_bytes())
        && cert.public_key().is_ok_and(|key| cert.verify(&key).unwrap_or(false))
}

fn make_key(path: &Path) -> Result<(), Failure> {
    let make = || -> Result<Vec<u8>, ErrorStack> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        PKey::from_ec_key(EcKey::generate(&group)?)?.private_key_to_pem_pkcs8()
    };
    let pem = make().map_err(|_| Failure::new(Exit::Internal, "cannot make a key"))?;
    write(path, &pem, 0o600, false)
}

fn make_certificate(files: &Files) -> Result<(), Failure> {
    let pem = fs::read(&files.key).map_err(|error| config(Failure::reading(&files.key, &error)))?;
    let key = private_key(&files.key, &pem)?;
    let cert = self_signed(&key, &default_names(), now() - DAY, now() + LIFETIME_DAYS * DAY)
        .and_then(|cert| cert.to_pem())
        .map_err(|error| {
            Failure::new(Exit::Config, format!("cannot make a certificate: {error}"))
        })?;
    write(&files.cert, &cert, 0o644, true)
}

/// Writes a file in one step. With `replace` an older certificate of ours may be there.
fn write(path: &Path, bytes: &[u8], mode: u32, replace: bool) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let attempt = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        let done = if replace { file.persist(path) } else { file.persist_noclobber(path) };
        done.map(drop).map_err(|error| error.error)
    };
    attempt().map_err(|error| {
        Failure::creating(path, &error)
            .hint("give other places for certificate and key with --cert and --key")
    })
}

fn self_signed(
    key: &PKey<Private>,
    names: &[String],
    from: i64,
    until: i64,
) -> Result<X509, ErrorStack> {
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    builder.set_serial_number(&*Asn1Integer::from_bn(&serial)?)?;
    let subject = name(SUBJECT)?;
    builder.set_subject_name(&subject)?;
    builder.set_issuer_name(&subject)?;
    builder.set_not_before(&*Asn1Time::from_unix(from)?)?;
    builder.set_not_after(&*Asn1Time::from_unix(until)?)?;
    builder.set_pubkey(key)?;
    let mut alternatives = SubjectAlternativeName::new();
    for name in names {
        if name.parse::<std::net::IpAddr>().is_ok() {
            alternatives.ip(name);
        } else {
            alternatives.dns(name);
        }
    }
    let alternatives = alternatives.build(&builder.x509v3_context(None, None))?;
    builder.append_extension(&alternatives)?;
    builder.append_extension(&*BasicConstraints::new().critical().build()?)?;
    // No keyUsage: without keyCertSign in it BoringSSL takes no certificate for self-signed, so
    // that --ca could not name it, and with it this would have to be an authority.
    builder.append_extension(&*ExtendedKeyUsage::new().server_auth().build()?)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

fn name(common: &str) -> Result<X509Name, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, common)?;
    Ok(name.build())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn files(dir: &tempfile::TempDir) -> Files {
        Files { cert: dir.path().join("c.pem"), key: dir.path().join("k.pem") }
    }

    #[test]
    fn a_pair_is_made_once_and_then_kept() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(&dir);
        let (first, made) = load_or_make(&files).unwrap();
        assert_eq!(made, Made::New);
        assert!(first.own);
        assert!((85..=LIFETIME_DAYS).contains(&first.days_left), "{}", first.days_left);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&files.key), 0o600);
        assert_eq!(mode(&files.cert), 0o644);
        let (second, made) = load_or_make(&files).unwrap();
        assert_eq!(made, Made::Nothing);
        assert_eq!((second.chain, second.key), (first.chain, first.key));
    }

    #[test]
    fn the_certificate_names_this_machine() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(&dir);
        load_or_make(&files).unwrap();
        let cert = X509::from_pem(&fs::read(&files.cert).unwrap()).unwrap();
        let names = cert.subject_alt_names().unwrap();
        assert!(names.iter().any(|name| name.dnsname() == Some("localhost")));
        assert!(names.iter().any(|name| name.ipaddress() == Some(&[127, 0, 0, 1])));
        assert!(names.iter().any(|name| name.ipaddress().is_some_and(|ip| ip.len() == 16)));
    }

    #[test]
    fn it_verifies_for_whoever_takes_it_as_root() {
        let dir = tempfile::tempdir().unwrap();
        let (identity, _) = load_or_make(&files(&dir)).unwrap();
        let cert = X509::from_pem(&identity.chain).unwrap();
        let mut store = boring::x509::store::X509StoreBuilder::new().unwrap();
        store.add_cert(&cert).unwrap();
        let store = store.build();
        let mut context = boring::x509::X509StoreContext::new().unwrap();
        let chain = boring::stack::Stack::new().unwrap();
        let verified = context.init(&store, &cert, &chain, |context| {
            let good = context.verify_cert()?;
            Ok((good, context.verify_result()))
        });
        assert!(verified.as_ref().is_ok_and(|(good, _)| *good), "{verified:?}");
    }

    #[test]
    fn ours_is_renewed_with_the_same_key() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(&dir);
        let (first, _) = load_or_make(&files).unwrap();
        let key = private_key(&files.key, &first.key).unwrap();
        let old = self_signed(&key, &default_names(), now() - 80 * DAY, now() + 2 * DAY).unwrap();
        fs::write(&files.cert, old.to_pem().unwrap()).unwrap();
        let (second, made) = load_or_make(&files).unwrap();
        assert_eq!(made, Made::Renewed);
        assert_eq!(second.fingerprint, first.fingerprint);
        assert_eq!(second.derive("x"), first.derive("x"));
        assert_ne!(second.derive("x"), second.derive("y"));
        assert!(second.days_left > RENEW_DAYS);
    }

    #[test]
    fn a_foreign_certificate_is_never_touched_and_expiry_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(&dir);
        let (first, _) = load_or_make(&files).unwrap();
        let key = private_key(&files.key, &first.key).unwrap();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_subject_name(&name("example").unwrap()).unwrap();
        builder.set_issuer_name(&name("example").unwrap()).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(now() - 9 * DAY).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::from_unix(now() - 2 * DAY).unwrap()).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        let foreign = builder.build().to_pem().unwrap();
        fs::write(&files.cert, &foreign).unwrap();
        let (identity, made) = load_or_make(&files).unwrap();
        assert_eq!(made, Made::Nothing);
        assert!(!identity.own);
        assert!(identity.days_left < 0);
        assert_eq!(fs::read(&files.cert).unwrap(), foreign);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_file_named() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) =
            (files(&dir), Files { cert: dir.path().join("x"), key: dir.path().join("y") });
        load_or_make(&one).unwrap();
        load_or_make(&other).unwrap();
        let mixed = Files { cert: one.cert.clone(), key: other.key };
        assert_eq!(load_or_make(&mixed).unwrap_err().exit, Exit::Config);
        let lonely = Files { cert: one.cert.clone(), key: dir.path().join("none") };
        assert!(load_or_make(&lonely).unwrap_err().what.contains("none"));
        fs::write(&one.key, "rubbish").unwrap();
        assert_eq!(load_or_make(&one).unwrap_err().exit, Exit::Config);
    }
}
