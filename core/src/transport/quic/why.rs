//! Why a connection ended, from what quiche knows about it.

use super::buffers::Chunks;
use crate::code::Code;
use crate::error::{Lost, Why};
use crate::transport::reason;

/// TLS alerts are QUIC error codes from here on (RFC 9001 section 4.8).
const CRYPTO: u64 = 0x100;
/// TLS alert `no_application_protocol` (RFC 7301 section 3.2).
const NO_APPLICATION_PROTOCOL: u8 = 120;
/// QUIC's `NO_VIABLE_PATH`-like end: quiche just closes.
const INTERNAL: u64 = 1;

/// What is known about an end besides what quiche tells.
#[derive(Debug, Default)]
pub(super) struct Ending {
    local: Option<Code>,
    no_version: bool,
    no_protocol: bool,
    reset: bool,
    broken: bool,
}

impl Ending {
    /// The application closes.
    pub(super) fn local(&mut self, code: Code) {
        self.local.get_or_insert(code);
    }

    /// Whether the application closed.
    pub(super) fn is_local(&self) -> bool {
        self.local.is_some()
    }

    /// The handshake ended without a protocol of ours.
    pub(super) fn no_protocol(&mut self) {
        self.no_protocol = true;
    }

    /// The connection cannot go on, and cannot say so.
    pub(super) fn broken(&mut self) {
        self.broken = true;
    }

    /// See [`Ending::broken`].
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// A datagram was taken; `closed` if the connection ended by it at once. Only a stateless
    /// reset does that without an error.
    pub(super) fn received(&mut self, result: quiche::Result<usize>, closed: bool) {
        match result {
            Ok(_) => self.reset |= closed,
            Err(quiche::Error::UnknownVersion) => self.no_version = true,
            Err(_) => {}
        }
    }
}

/// Why it ended. `up`: the handshake had been complete. `finding`: what the check of the peer's
/// certificate found wrong.
pub(super) fn of(
    conn: &quiche::Connection<Chunks>,
    ending: &Ending,
    up: bool,
    finding: Option<Lost>,
) -> Why {
    if let Some(code) = ending.local {
        return Why::Local(code);
    }
    if let Some(error) = conn.peer_error() {
        return if error.is_app {
            Why::Peer(Code::from_wire(error.error_code), reason::text(&error.reason))
        } else {
            Why::Lost(transport(error.error_code, true))
        };
    }
    let lost = if let Some(found) = finding {
        found
    } else if ending.no_protocol {
        Lost::NoProtocol
    } else if ending.no_version {
        Lost::NoVersion
    } else if let Some(error) = conn.local_error() {
        transport(error.error_code, false)
    } else if ending.reset {
        Lost::StatelessReset
    } else if ending.broken {
        Lost::Transport { code: INTERNAL, by_peer: false }
    } else if up {
        // Timed out, or no path answers any more.
        Lost::IdleTimeout
    } else {
        Lost::HandshakeTimeout
    };
    Why::Lost(lost)
}

fn transport(code: u64, by_peer: bool) -> Lost {
    let alert = code.checked_sub(CRYPTO).and_then(|alert| u8::try_from(alert).ok());
    match alert {
        Some(NO_APPLICATION_PROTOCOL) => Lost::NoProtocol,
        Some(alert) => Lost::Tls { alert, by_peer },
        None => Lost::Transport { code, by_peer },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_tls_and_of_quic() {
        assert_eq!(transport(0x178, true), Lost::NoProtocol);
        assert_eq!(transport(0x130, false), Lost::Tls { alert: 48, by_peer: false });
        assert_eq!(transport(0xff, true), Lost::Transport { code: 0xff, by_peer: true });
        assert_eq!(transport(0x200, true), Lost::Transport { code: 0x200, by_peer: true });
    }
}
