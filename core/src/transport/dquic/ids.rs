//! Connection ids of both ends (RFC 9000 section 5.1, rule AB-D18).

use std::collections::{BTreeMap, BTreeSet};

use super::error::TransportError;
use super::frame::Frame;
use super::recovery::ranges::RangeSet;
use crate::id::ConnId;
use crate::limits;
use crate::transport::CidBytes;
use crate::transport::cid::Cids;
use crate::transport::token::Tokens;

/// The ids by which the peer names this end.
pub(super) struct OwnIds {
    id: ConnId,
    cids: Cids,
    tokens: Tokens,
    /// The sequence number of the next id.
    next: u32,
    /// Ids that the peer has, or will have, and has not retired.
    active: BTreeSet<u32>,
    /// Of those, what the peer has to be told.
    untold: BTreeSet<u32>,
    /// How many ids the peer keeps.
    limit: usize,
}

impl OwnIds {
    /// With the id of the handshake.
    pub(super) fn new(id: ConnId, cids: Cids, tokens: Tokens) -> Self {
        Self {
            id,
            cids,
            tokens,
            next: 1,
            active: BTreeSet::from([0]),
            untold: BTreeSet::new(),
            limit: 1,
        }
    }

    /// The id of the handshake.
    pub(super) fn first(&self) -> CidBytes {
        self.cid(0)
    }

    /// What resets the id of the handshake.
    pub(super) fn first_token(&self) -> [u8; 16] {
        self.tokens.reset(self.first().as_slice())
    }

    fn cid(&self, sequence: u32) -> CidBytes {
        // Our ids have 17 bytes.
        CidBytes::new(&self.cids.encode(self.id, sequence)).unwrap_or_else(CidBytes::empty)
    }

    /// The peer keeps so many ids.
    pub(super) fn supply(&mut self, limit: u64) {
        let most = usize::try_from(limits::ACTIVE_CONNECTION_IDS).unwrap_or(1);
        self.limit = usize::try_from(limit).unwrap_or(most).min(most);
        while self.active.len() < self.limit {
            let Some(next) = self.next.checked_add(1) else { return };
            self.active.insert(self.next);
            self.untold.insert(self.next);
            self.next = next;
        }
    }

    /// The sequence number of an id of ours. `None`: a foreign one (a client's first).
    pub(super) fn sequence(&self, dcid: &[u8]) -> Option<u32> {
        let (id, sequence) = self.cids.decode(dcid)?;
        (id == self.id && sequence < self.next).then_some(sequence)
    }

    /// The peer will not use an id any more. `used`: the id of the packet that says so.
    pub(super) fn retired(
        &mut self,
        sequence: u64,
        used: Option<u32>,
    ) -> Result<(), TransportError> {
        let sequence = u32::try_from(sequence).map_err(|_| TransportError::ProtocolViolation)?;
        if sequence >= self.next || used == Some(sequence) {
            return Err(TransportError::ProtocolViolation);
        }
        self.untold.remove(&sequence);
        if self.active.remove(&sequence) {
            self.supply(self.limit as u64);
        }
        Ok(())
    }

    /// The next id to tell the peer, as a frame, and its sequence number.
    pub(super) fn untold(&self) -> Option<(u32, Frame<'static>)> {
        let sequence = *self.untold.first()?;
        let cid = self.cid(sequence);
        let token = self.tokens.reset(cid.as_slice());
        let frame =
            Frame::NewConnectionId { sequence: sequence.into(), retire_prior_to: 0, cid, token };
        Some((sequence, frame))
    }

    /// The peer has been told.
    pub(super) fn told(&mut self, sequence: u32) {
        self.untold.remove(&sequence);
    }

    /// What told the peer is lost.
    pub(super) fn lost(&mut self, sequence: u32) {
        if self.active.contains(&sequence) {
            self.untold.insert(sequence);
        }
    }
}

/// An id of the peer's, and what resets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PeerId {
    pub(super) cid: CidBytes,
    pub(super) token: Option<[u8; 16]>,
}

/// The ids by which this end names the peer.
#[derive(Debug)]
pub(super) struct PeerIds {
    /// The one in use.
    current: (u64, PeerId),
    /// Ids below this number were asked back.
    prior_to: u64,
    /// Others that may be used.
    spare: BTreeMap<u64, PeerId>,
    /// Sequence numbers that will not be used any more.
    retired: RangeSet,
    /// Of those, what the peer has to be told.
    untold: BTreeSet<u64>,
    /// What was told and is not acknowledged.
    telling: BTreeSet<u64>,
}

impl PeerIds {
    /// With the id of the handshake, or of a client's first packet.
    pub(super) fn new(cid: CidBytes) -> Self {
        Self {
            current: (0, PeerId { cid, token: None }),
            prior_to: 0,
            spare: BTreeMap::new(),
            retired: RangeSet::default(),
            untold: BTreeSet::new(),
            telling: BTreeSet::new(),
        }
    }

    /// The id in use.
    pub(super) fn current(&self) -> PeerId {
        self.current.1
    }

    /// The handshake gives another first id.
    pub(super) fn set_first(&mut self, cid: CidBytes, token: Option<[u8; 16]>) {
        self.current = (0, PeerId { cid, token });
    }

    /// A `NEW_CONNECTION_ID` frame.
    pub(super) fn add(
        &mut self,
        sequence: u64,
        retire_prior_to: u64,
        new: PeerId,
    ) -> Result<(), TransportError> {
        let known = match self.spare.get(&sequence) {
            Some(known) => Some(*known),
            None if self.current.0 == sequence => Some(self.current.1),
            None => None,
        };
        // The first id of a client comes without a token, so that is not compared.
        if known.is_some_and(|known| known.cid != new.cid) {
            return Err(TransportError::ProtocolViolation);
        }
        if known.is_none() && !self.retired.contains(sequence) {
            self.spare.insert(sequence, new);
        }
        self.prior_to = self.prior_to.max(retire_prior_to);
        self.retire_below(self.prior_to);
        if self.spare.len() as u64 >= limits::ACTIVE_CONNECTION_IDS {
            return Err(TransportError::ConnectionIdLimit);
        }
        let open = self.untold.len() + self.telling.len();
        if open > limits::MAX_RETIRING_IDS || self.retired.count() > limits::MAX_RETIRING_IDS {
            return Err(TransportError::ConnectionIdLimit);
        }
        Ok(())
    }

    fn retire_below(&mut self, bound: u64) {
        while let Some(entry) = self.spare.first_entry()
            && *entry.key() < bound
        {
            let (sequence, _) = entry.remove_entry();
            self.retire(sequence);
        }
        if self.current.0 < bound {
            self.advance();
        }
    }

    fn retire(&mut self, sequence: u64) {
        self.retired.insert(sequence..sequence.saturating_add(1));
        self.untold.insert(sequence);
    }

    /// Uses another id from now on. False: there is none, and the old one stays.
    pub(super) fn advance(&mut self) -> bool {
        let Some(next) = self.spare.pop_first() else { return false };
        let (last, _) = std::mem::replace(&mut self.current, next);
        self.retire(last);
        true
    }

    /// The next id to retire.
    pub(super) fn untold(&self) -> Option<u64> {
        self.untold.first().copied()
    }

    /// The peer has been told.
    pub(super) fn told(&mut self, sequence: u64) {
        self.untold.remove(&sequence);
        self.telling.insert(sequence);
    }

    /// The peer has heard it.
    pub(super) fn acked(&mut self, sequence: u64) {
        self.telling.remove(&sequence);
    }

    /// What told the peer is lost.
    pub(super) fn lost(&mut self, sequence: u64) {
        if self.telling.remove(&sequence) {
            self.untold.insert(sequence);
        }
    }
}

#[cfg(test)]
mod tests;
