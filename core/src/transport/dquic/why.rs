//! Why a connection of the extension ended.

use super::error::TransportError;
use crate::code::Code;
use crate::error::{Lost, Why};
use crate::limits::MAX_REASON;
use crate::transport::reason;

/// No protocol in common, by the number it has in QUIC (TLS alert 120, RFC 9001 section 4.8).
pub(super) const NO_PROTOCOL: u64 = 0x178;

/// What a close says: to the peer, and to whoever used the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Close {
    /// The code.
    pub(super) code: u64,
    /// It is the application's.
    pub(super) is_app: bool,
    /// For people.
    pub(super) reason: Vec<u8>,
}

impl Close {
    /// The application ends the connection.
    pub(super) fn local(code: Code, reason: &str) -> Self {
        let reason = &reason.as_bytes()[..reason.len().min(MAX_REASON)];
        Self { code: code.to_wire(), is_app: true, reason: reason.to_vec() }
    }

    /// The peer broke a rule.
    pub(super) fn violation(error: TransportError) -> Self {
        Self { code: error.to_wire(), is_app: false, reason: Vec::new() }
    }

    /// Nothing in common.
    pub(super) fn no_protocol() -> Self {
        Self { code: NO_PROTOCOL, is_app: false, reason: Vec::new() }
    }

    /// Why the connection ended, at the end that sends this.
    pub(super) fn why_here(&self) -> Why {
        if self.is_app {
            Why::Local(Code::from_wire(self.code))
        } else {
            Why::Lost(transport(self.code, false))
        }
    }
}

/// Why the connection ended, at the end that receives a close.
pub(super) fn by_peer(code: u64, is_app: bool, text: &[u8]) -> Why {
    if is_app {
        Why::Peer(Code::from_wire(code), reason::text(text))
    } else {
        Why::Lost(transport(code, true))
    }
}

fn transport(code: u64, by_peer: bool) -> Lost {
    if code == NO_PROTOCOL { Lost::NoProtocol } else { Lost::Transport { code, by_peer } }
}
