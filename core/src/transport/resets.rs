//! Stateless reset tokens of peers, and whose connections they end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::id::ConnId;
use crate::rng::Seed;

/// Which connection knows a stateless reset token of its peer. Found by a keyed hash, so that
/// the time of a lookup tells nothing about tokens (RFC 9000 section 10.3.1).
#[derive(Clone)]
pub(super) struct Resets {
    key: [u8; 32],
    known: Arc<Mutex<BTreeMap<[u8; 32], ConnId>>>,
}

impl Resets {
    /// None known.
    pub(super) fn new(seed: &Seed) -> Self {
        Self { key: seed.stream("resets").array(), known: Arc::default() }
    }

    fn place(&self, remote: SocketAddr, token: &[u8; 16]) -> [u8; 32] {
        let mut hash = blake3::Hasher::new_keyed(&self.key);
        hash.update(token).update(remote.to_string().as_bytes());
        *hash.finalize().as_bytes()
    }

    /// `id` will believe this token from this address.
    pub(super) fn add(&self, remote: SocketAddr, token: &[u8; 16], id: ConnId) {
        let place = self.place(remote, token);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(place, id);
    }

    /// The connection that believes a token.
    pub(super) fn find(&self, remote: SocketAddr, token: &[u8; 16]) -> Option<ConnId> {
        let place = self.place(remote, token);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&place).copied()
    }

    /// This token is believed no more.
    pub(super) fn remove(&self, remote: SocketAddr, token: &[u8; 16]) {
        let place = self.place(remote, token);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&place);
    }

    /// The connection is gone.
    pub(super) fn forget(&self, id: ConnId) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, known| *known != id);
    }
}
