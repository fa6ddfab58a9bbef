//! The file of known servers: which key each host was seen with (trust on first use).
//!
//! One line for each key: `[marker] host:port spki SHA256:<base64> [comment]`. The key is the
//! SHA-256 of the certificate's SubjectPublicKeyInfo, so that a certificate renewed with the same
//! key stays known. The marker `@revoked` forbids a key. Lines that are empty, start with `#` or
//! cannot be read are left as they are.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};

/// The port of a line that names none.
const DEFAULT_PORT: u16 = 9000;

/// SHA-256 of a certificate's SPKI.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Reads `SHA256:<base64>`, with or without padding.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.strip_prefix("SHA256:")?.trim_end_matches('=');
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        if body.len() != 43 || !body.bytes().all(sound) {
            return None;
        }
        let bytes = boring::base64::decode_block(&format!("{body}=")).ok()?;
        // The C function counts the padding as a byte.
        Some(Self(bytes.get(..32)?.try_into().ok()?))
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let base64 = boring::base64::encode_block(&self.0);
        write!(f, "SHA256:{}", base64.trim_end_matches('='))
    }
}

/// A key of a host, and the line that says so (from 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The key.
    pub key: Fingerprint,
    /// The line of the file.
    pub line: usize,
}

/// What the file says about a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Keys that are good.
    pub pins: Vec<Pin>,
    /// Keys that are forbidden.
    pub revoked: Vec<Pin>,
}

/// The file of known servers.
#[derive(Clone, Debug)]
pub struct KnownHosts {
    path: PathBuf,
}

/// `host:port`, as it stands in the file: lower case, IPv6 addresses in brackets.
#[must_use]
pub fn host_key(host: &str, port: u16) -> String {
    let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl KnownHosts {
    /// The file at `path`, which need not exist.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is known about a host.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn find(&self, host: &str, port: u16) -> Result<Known, Failure> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Known::default()),
            Err(error) => {
                return Err(Failure { exit: Exit::Config, ..Failure::reading(&self.path, &error) });
            }
        };
        Ok(find_in(&text, &host_key(host, port)))
    }

    /// Adds a key of a host. Other programs may add at the same time: nothing is lost, and
    /// readers see the old file or the new one. An entry that is already there is not repeated.
    ///
    /// # Errors
    /// If the file or its folder cannot be written.
    pub fn add(
        &self,
        host: &str,
        port: u16,
        key: Fingerprint,
        comment: &str,
    ) -> Result<(), Failure> {
        self.try_add(&host_key(host, port), key, comment)
            .map_err(|error| Failure::creating(&self.path, &error))
    }

    fn try_add(&self, host: &str, key: Fingerprint, comment: &str) -> io::Result<()> {
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder)?;
        let lock = fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.with_extension("lock"))?;
        lock.lock()?;
        let mut text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        if find_in(&text, host).pins.iter().any(|pin| pin.key == key) {
            return Ok(());
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&format!("{host} spki {key} {comment}"));
        text.truncate(text.trim_end().len());
        text.push('\n');
        replace(&path, folder, text.as_bytes())
    }
}

/// Writes a private file in one step: readers see all of it or what was there before.
pub(crate) fn replace(path: &Path, folder: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn find_in(text: &str, host: &str) -> Known {
    let mut known = Known::default();
    for (index, line) in text.lines().enumerate() {
        let Some((revoked, name, key)) = parse_line(line) else { continue };
        if name != host {
            continue;
        }
        let list = if revoked { &mut known.revoked } else { &mut known.pins };
        list.push(Pin { key, line: index + 1 });
    }
    known
}

fn parse_line(line: &str) -> Option<(bool, String, Fingerprint)> {
    let mut words = line.split_whitespace();
    let mut host = words.next()?;
    let revoked = match host {
        "@revoked" => {
            host = words.next()?;
            true
        }
        other if other.starts_with(['@', '#']) => return None,
        _ => false,
    };
    let kind = words.next()?;
    if kind != "spki" && !kind.starts_with("spki-") {
        return None;
    }
    let key = Fingerprint::parse(words.next()?)?;
    let port = |text: &str| text.parse::<u16>().ok();
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, "")) => (name, DEFAULT_PORT),
        Some((name, rest)) => (name, port(rest.strip_prefix(':')?)?),
        None => match host.rsplit_once(':') {
            Some((name, digits)) => (name, port(digits)?),
            None => (host, DEFAULT_PORT),
        },
    };
    Some((revoked, host_key(name, port), key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> Fingerprint {
        Fingerprint([n; 32])
    }

    #[test]
    fn fingerprints_survive_text() {
        for n in [0, 1, 77, 255] {
            assert_eq!(Fingerprint::parse(&key(n).to_string()), Some(key(n)));
            assert_eq!(Fingerprint::parse(&format!("{}=", key(n))), Some(key(n)));
        }
        for wrong in ["", "SHA256:", "SHA256:AAAA", "MD5:00", &format!("{}A", key(1))] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_added_is_found_again_and_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let hosts = KnownHosts::new(dir.path().join("deep/known_hosts"));
        assert_eq!(hosts.find("a.example", 9000).unwrap(), Known::default());
        hosts.add("A.example", 9000, key(1), "first seen 2026-01-01").unwrap();
        hosts.add("::1", 9001, key(2), "").unwrap();
        hosts.add("a.example", 9000, key(1), "again").unwrap();
        let found = hosts.find("a.example", 9000).unwrap();
        assert_eq!(found.pins, [Pin { key: key(1), line: 1 }]);
        assert_eq!(hosts.find("::1", 9001).unwrap().pins, [Pin { key: key(2), line: 2 }]);
        assert_eq!(hosts.find("::1", 9002).unwrap().pins, []);
        let text = fs::read_to_string(hosts.path()).unwrap();
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn other_lines_are_kept_and_markers_are_understood() {
        let dir = tempfile::tempdir().unwrap();
        let hosts = KnownHosts::new(dir.path().join("known_hosts"));
        let old = format!(
            "# mine\n\n@revoked h:9000 spki {}\nh spki-p256 {} note\n@future x y\nrubbish",
            key(9),
            key(3)
        );
        fs::write(hosts.path(), &old).unwrap();
        let known = hosts.find("h", 9000).unwrap();
        assert_eq!(known.pins, [Pin { key: key(3), line: 4 }]);
        assert_eq!(known.revoked, [Pin { key: key(9), line: 3 }]);
        hosts.add("h", 1, key(4), "").unwrap();
        let text = fs::read_to_string(hosts.path()).unwrap();
        assert_eq!(text, format!("{old}\nh:1 spki {}\n", key(4)));
    }

    #[test]
    fn adding_at_the_same_time_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let hosts = KnownHosts::new(dir.path().join("known_hosts"));
        std::thread::scope(|scope| {
            for n in 0..8 {
                let hosts = &hosts;
                scope.spawn(move || hosts.add("h", n, key(1), "").unwrap());
            }
        });
        for n in 0..8 {
            assert_eq!(hosts.find("h", n).unwrap().pins.len(), 1);
        }
    }
}
