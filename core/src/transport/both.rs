//! Two transports on one port: an encrypted one, and DQUIC beside it.

use super::dquic;
use super::{Dropped, Offer, Route, Stack, Target, Transport};
use crate::error::Misuse;
use crate::id::ConnId;
use crate::io::Path;
use crate::time::Instant;

/// The two bits of the first byte that every QUIC packet has one of (RFC 9000 section 17), and no
/// DQUIC packet (`docs/protocol.md`, rule AB-D2).
const QUIC_BITS: u8 = 0xc0;

/// Tells the packets of two stacks apart by their first byte.
///
/// Connections are dialled over the first stack only: whoever wants plaintext gives its
/// endpoint a DQUIC stack and nothing else.
pub struct Both {
    encrypted: Box<dyn Stack>,
    plaintext: Box<dyn Stack>,
}

impl Both {
    /// `plaintext` is what [`dquic::stack`] makes, `encrypted` any other.
    #[must_use]
    pub fn new(encrypted: Box<dyn Stack>, plaintext: Box<dyn Stack>) -> Self {
        Self { encrypted, plaintext }
    }

    fn of(&mut self, offer: &Offer) -> &mut dyn Stack {
        if offer.version == dquic::VERSION {
            self.plaintext.as_mut()
        } else {
            self.encrypted.as_mut()
        }
    }
}

impl Stack for Both {
    fn classify(&mut self, now: Instant, path: Path, bytes: &[u8], out: &mut Vec<u8>) -> Route {
        let quic = bytes.first().is_some_and(|first| first & QUIC_BITS != 0);
        let stack = if quic { &mut self.encrypted } else { &mut self.plaintext };
        stack.classify(now, path, bytes, out)
    }

    fn challenge(&mut self, now: Instant, path: Path, offer: &Offer, out: &mut Vec<u8>) -> Route {
        self.of(offer).challenge(now, path, offer, out)
    }

    fn admit(
        &mut self,
        now: Instant,
        id: ConnId,
        path: Path,
        offer: &Offer,
    ) -> Result<Box<dyn Transport>, Dropped> {
        self.of(offer).admit(now, id, path, offer)
    }

    fn dial(
        &mut self,
        now: Instant,
        id: ConnId,
        target: &Target,
    ) -> Result<Box<dyn Transport>, Misuse> {
        self.encrypted.dial(now, id, target)
    }

    fn forget(&mut self, id: ConnId) {
        self.encrypted.forget(id);
        self.plaintext.forget(id);
    }

    fn set_identity(&mut self, chain_pem: &[u8], key_pem: &[u8]) -> Result<(), Misuse> {
        self.encrypted.set_identity(chain_pem, key_pem)
    }
}
