//! Which server a client trusts: a known key, a certificate authority, or (on demand) anybody.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anabranch_core::transport;

use crate::exit::{Exit, Failure};
use crate::known_hosts::{Fingerprint, KnownHosts};

/// What to do about a server whose key is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Learn the key of a new server; refuse a changed one.
    #[default]
    AcceptNew,
    /// Refuse servers that are not known.
    Strict,
    /// Check nothing (the same as --insecure).
    Off,
}

/// How a server is checked.
#[derive(Clone, Debug)]
pub enum Policy {
    /// By its key, in the file of known servers.
    Known(KnownHosts, Mode),
    /// By a chain to one of these roots (DER).
    Roots(Arc<[Vec<u8>]>),
    /// Not at all.
    Insecure,
}

/// What has been decided about one server, before dialling it.
#[derive(Clone, Debug)]
pub struct Decision {
    host: String,
    port: u16,
    check: Check,
}

#[derive(Clone, Debug)]
enum Check {
    Pins { hosts: KnownHosts, mode: Mode, known: crate::known_hosts::Known },
    Roots(Arc<[Vec<u8>]>),
    Nothing,
}

/// What became of the check of a server's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the known one, or a certificate authority vouches for it.
    Good,
    /// It is new, and has been written to the file of known servers.
    Learned(Fingerprint),
    /// It was not checked.
    Unchecked,
}

impl Policy {
    /// Reads the roots of `--ca`.
    ///
    /// # Errors
    /// If the file cannot be read, or holds no certificate.
    pub fn from_ca(path: &Path) -> Result<Self, Failure> {
        let pem = std::fs::read(path).map_err(|error| Failure::reading(path, &error))?;
        let wrong = || {
            Failure::new(Exit::Config, format!("{} holds no certificate (PEM)", path.display()))
                .hint("give a file that starts with -----BEGIN CERTIFICATE-----")
        };
        let roots = boring::x509::X509::stack_from_pem(&pem).map_err(|_| wrong())?;
        let roots: Vec<Vec<u8>> = roots
            .iter()
            .map(|root| root.to_der())
            .collect::<Result<_, _>>()
            .map_err(|_| wrong())?;
        if roots.is_empty() { Err(wrong()) } else { Ok(Self::Roots(roots.into())) }
    }

    /// Decides about one server.
    ///
    /// # Errors
    /// If it is not known and has to be, or the file of known servers cannot be read.
    pub fn decide(&self, host: &str, port: u16) -> Result<Decision, Failure> {
        let check = match self {
            Self::Insecure | Self::Known(_, Mode::Off) => Check::Nothing,
            Self::Roots(roots) => Check::Roots(Arc::clone(roots)),
            Self::Known(hosts, mode) => {
                let known = hosts.find(host, port)?;
                if *mode == Mode::Strict && known.pins.is_empty() {
                    return Err(unknown(hosts, host, port));
                }
                Check::Pins { hosts: hosts.clone(), mode: *mode, known }
            }
        };
        Ok(Decision { host: host.to_owned(), port, check })
    }
}

/// One server is dialled at a time, so that one switch for the program is enough.
static KEY_USAGE_MATTERS: AtomicBool = AtomicBool::new(true);

/// Whether the certificate of the server that is being dialled is trusted for what it says, and not
/// for its key.
#[must_use]
pub fn key_usage_matters() -> bool {
    KEY_USAGE_MATTERS.load(Ordering::Relaxed)
}

fn unknown(hosts: &KnownHosts, host: &str, port: u16) -> Failure {
    let file = hosts.path().display();
    Failure::new(Exit::Refused, format!("the key of {host}:{port} is not in {file}")).hint(
        "connect once with --trust accept-new, after comparing the fingerprint with the one \
         that anabranchd prints at its start",
    )
}

impl Decision {
    /// What the transport checks during the handshake.
    #[must_use]
    pub fn for_handshake(&self) -> transport::Trust {
        let by_certificate = matches!(self.check, Check::Roots(_));
        KEY_USAGE_MATTERS.store(by_certificate, Ordering::Relaxed);
        match &self.check {
            Check::Roots(roots) => transport::Trust::Roots(Arc::clone(roots)),
            Check::Nothing => transport::Trust::Any,
            Check::Pins { known, .. } => match known.pins.as_slice() {
                [pin] => transport::Trust::Pin(pin.key.0),
                _ => transport::Trust::Any,
            },
        }
    }

    /// What a ticket of this server is bound to: a change makes it worthless. `None`: tickets
    /// are not to be used.
    #[must_use]
    pub fn ticket_binding(&self) -> Option<[u8; 32]> {
        match &self.check {
            Check::Nothing => None,
            Check::Roots(roots) => {
                let mut hasher = blake3::Hasher::new();
                roots.iter().for_each(|root| {
                    hasher.update(root);
                });
                Some(*hasher.finalize().as_bytes())
            }
            Check::Pins { known, .. } => match known.pins.as_slice() {
                [pin] => Some(pin.key.0),
                _ => None,
            },
        }
    }

    /// Checks the key that the server has shown. A new one is written to the file.
    ///
    /// # Errors
    /// If it is not the known one, is revoked, or cannot be written down.
    pub fn check(&self, shown: Option<[u8; 32]>) -> Result<Verdict, Failure> {
        let Check::Pins { hosts, mode, known } = &self.check else {
            return Ok(match self.check {
                Check::Nothing => Verdict::Unchecked,
                _ => Verdict::Good,
            });
        };
        let Some(shown) = shown.map(Fingerprint) else {
            return Err(Failure::new(
                Exit::Refused,
                format!("{} has shown no certificate", self.name()),
            ));
        };
        if let Some(pin) = known.revoked.iter().find(|pin| pin.key == shown) {
            return Err(self.revoked(hosts, shown, pin.line));
        }
        if known.pins.iter().any(|pin| pin.key == shown) {
            return Ok(Verdict::Good);
        }
        if !known.pins.is_empty() {
            return Err(self.changed(shown));
        }
        if *mode == Mode::Strict {
            return Err(unknown(hosts, &self.host, self.port));
        }
        let today = jiff::Timestamp::now().strftime("first seen %Y-%m-%d").to_string();
        hosts.add(&self.host, self.port, shown, &today)?;
        Ok(Verdict::Learned(shown))
    }

    /// The failure for a key that is not the known one.
    #[must_use]
    pub fn changed(&self, shown: Fingerprint) -> Failure {
        let name = self.name();
        let Check::Pins { hosts, known, .. } = &self.check else {
            return Failure::new(Exit::HostKeyChanged, format!("{name} has another key: {shown}"));
        };
        let file = hosts.path().display();
        let old: String = known
            .pins
            .iter()
            .map(|pin| format!("\n  known:  {} ({file}, line {})", pin.key, pin.line))
            .collect();
        let line = known.pins.first().map_or(1, |pin| pin.line);
        let what = format!("THE KEY OF {name} HAS CHANGED{old}\n  it has: {shown}");
        Failure::new(Exit::HostKeyChanged, what).hint(format!(
            "Somebody may be listening in, or the server was set up anew. Ask whoever runs it\n\
             which key it has (anabranchd prints it at its start). If the new key is right,\n\
             remove the old line and connect again:  sed -i '{line}d' '{file}'"
        ))
    }

    fn revoked(&self, hosts: &KnownHosts, shown: Fingerprint, line: usize) -> Failure {
        let file = hosts.path().display();
        let name = self.name();
        let what = format!("the key of {name} is revoked: {shown} ({file}, line {line})");
        Failure::new(Exit::HostKeyChanged, what)
            .hint("do not use this server; ask whoever runs it for its new key")
    }

    fn name(&self) -> String {
        crate::known_hosts::host_key(&self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(dir: &tempfile::TempDir) -> KnownHosts {
        KnownHosts::new(dir.path().join("known_hosts"))
    }

    #[test]
    fn a_new_key_is_learned_then_pinned_and_a_changed_one_refused() {
        let dir = tempfile::tempdir().unwrap();
        let policy = Policy::Known(hosts(&dir), Mode::AcceptNew);
        let first = policy.decide("h", 1).unwrap();
        assert_eq!(first.for_handshake(), transport::Trust::Any);
        assert_eq!(first.ticket_binding(), None);
        assert_eq!(first.check(Some([1; 32])), Ok(Verdict::Learned(Fingerprint([1; 32]))));

        let second = policy.decide("h", 1).unwrap();
        assert_eq!(second.for_handshake(), transport::Trust::Pin([1; 32]));
        assert_eq!(second.ticket_binding(), Some([1; 32]));
        assert_eq!(second.check(Some([1; 32])), Ok(Verdict::Good));
        let failure = second.check(Some([2; 32])).unwrap_err();
        assert_eq!(failure.exit, Exit::HostKeyChanged);
        let text = failure.to_string();
        for part in [&Fingerprint([1; 32]).to_string(), &Fingerprint([2; 32]).to_string(), "line 1"]
        {
            assert!(text.contains(part), "{text}");
        }
        assert!(second.check(None).is_err());
    }

    #[test]
    fn strict_refuses_what_is_not_known_and_revoked_keys_are_never_taken() {
        let dir = tempfile::tempdir().unwrap();
        let strict = Policy::Known(hosts(&dir), Mode::Strict);
        assert_eq!(strict.decide("h", 1).unwrap_err().exit, Exit::Refused);
        let line = format!("@revoked h:1 spki {}\n", Fingerprint([3; 32]));
        std::fs::write(dir.path().join("known_hosts"), line).unwrap();
        let open = Policy::Known(hosts(&dir), Mode::AcceptNew).decide("h", 1).unwrap();
        assert_eq!(open.check(Some([3; 32])).unwrap_err().exit, Exit::HostKeyChanged);
    }

    #[test]
    fn off_checks_nothing_and_keeps_no_tickets() {
        let decision = Policy::Insecure.decide("h", 1).unwrap();
        assert_eq!(decision.check(None), Ok(Verdict::Unchecked));
        assert_eq!(decision.ticket_binding(), None);
    }
}
