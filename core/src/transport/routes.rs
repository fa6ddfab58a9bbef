//! Whose a connection id is: arithmetic for ids of ours, and a table that forgets for the ids
//! that clients drew for their first datagrams.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::CidBytes;
use super::cid::{self, Cids};
use crate::id::{ConnId, Side};
use crate::limits;
use crate::time::Instant;

/// How long packets to a client's first id are expected: the handshake and late repeats.
const FIRST_ID_LIFETIME: Duration = Duration::from_secs(3 * limits::HANDSHAKE_TIMEOUT.as_secs());

/// A connection that is there, and what is kept for it.
#[derive(Clone, Copy)]
enum Live {
    /// We dialled.
    Client,
    /// We were dialled, first at this id.
    Server(CidBytes),
}

/// The connections that are there.
pub(super) struct Routes {
    cids: Cids,
    live: BTreeMap<ConnId, Live>,
    /// The id that was read last, and whose it is. Datagrams of one connection come in runs, and
    /// its owner is found without decrypting the id again.
    last: Option<([u8; cid::LEN], ConnId)>,
    first_ids: BTreeMap<CidBytes, ConnId>,
    first_id_ends: VecDeque<(Instant, CidBytes)>,
}

impl Routes {
    /// No connection yet.
    pub(super) fn new(cids: Cids) -> Self {
        Self {
            cids,
            live: BTreeMap::new(),
            last: None,
            first_ids: BTreeMap::new(),
            first_id_ends: VecDeque::new(),
        }
    }

    /// What makes our ids.
    pub(super) fn cids(&self) -> &Cids {
        &self.cids
    }

    /// The connection that an id of ours belongs to.
    pub(super) fn find(&mut self, dcid: &[u8]) -> Option<ConnId> {
        if let Some((last, id)) = &self.last
            && last == dcid
        {
            return Some(*id);
        }
        let (id, _) = self.cids.decode(dcid)?;
        if !self.live.contains_key(&id) {
            return None;
        }
        self.last = dcid.try_into().ok().map(|cid| (cid, id));
        Some(id)
    }

    /// The connection that an id belongs to, which may be a client's first one.
    pub(super) fn find_any(&mut self, now: Instant, dcid: &[u8]) -> Option<ConnId> {
        if let Some((id, _)) = self.cids.decode(dcid) {
            return self.live.contains_key(&id).then_some(id);
        }
        self.end_first_ids(now);
        self.first_ids.get(&CidBytes::new(dcid)?).copied()
    }

    /// Which end of a connection is here, if it is there.
    pub(super) fn side(&self, id: ConnId) -> Option<Side> {
        self.live.get(&id).map(|live| match live {
            Live::Client => Side::Client,
            Live::Server(_) => Side::Server,
        })
    }

    /// We have dialled.
    pub(super) fn dialled(&mut self, id: ConnId) {
        self.live.insert(id, Live::Client);
    }

    /// We were dialled, at the client's first id.
    pub(super) fn admitted(&mut self, now: Instant, id: ConnId, first: CidBytes) {
        self.live.insert(id, Live::Server(first));
        self.end_first_ids(now);
        self.first_ids.insert(first, id);
        self.first_id_ends.push_back((now + FIRST_ID_LIFETIME, first));
    }

    /// The connection is gone. Says which end of it was here.
    pub(super) fn forget(&mut self, id: ConnId) -> Option<Side> {
        self.last = self.last.filter(|(_, last)| *last != id);
        let side = self.side(id);
        if let Some(Live::Server(first)) = self.live.remove(&id)
            // Another client may have drawn the same id since.
            && self.first_ids.get(&first) == Some(&id)
        {
            self.first_ids.remove(&first);
        }
        side
    }

    fn end_first_ids(&mut self, now: Instant) {
        while let Some((end, cid)) = self.first_id_ends.front() {
            if *end > now {
                break;
            }
            self.first_ids.remove(cid);
            self.first_id_ends.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    fn conn(slot: u32) -> ConnId {
        ConnId { slot, generation: 1 }
    }

    #[test]
    fn ids_lead_to_connections_that_are_there() {
        let mut routes = Routes::new(Cids::new(0, &Seed::from_u64(1)));
        let first = CidBytes::new(&[7; 8]).unwrap();
        routes.admitted(Instant::ZERO, conn(1), first);
        routes.dialled(conn(2));
        let own = [conn(1), conn(2), conn(3)].map(|id| routes.cids().encode(id, 4));
        for (cid, found) in own.iter().zip([Some(conn(1)), Some(conn(2)), None]) {
            // The second time from memory.
            for _ in 0..2 {
                assert_eq!(routes.find(cid), found);
                assert_eq!(routes.find_any(Instant::ZERO, cid), found);
            }
        }
        assert_eq!(routes.find(first.as_slice()), None);
        assert_eq!(routes.find_any(Instant::ZERO, first.as_slice()), Some(conn(1)));
        assert_eq!(routes.forget(conn(2)), Some(Side::Client));
        assert_eq!(routes.find(&own[1]), None);
        assert_eq!(routes.forget(conn(1)), Some(Side::Server));
        assert_eq!(routes.find_any(Instant::ZERO, first.as_slice()), None);
        assert_eq!(routes.forget(conn(1)), None);
    }

    #[test]
    fn first_ids_are_forgotten_and_never_those_of_a_later_client() {
        let mut routes = Routes::new(Cids::new(0, &Seed::from_u64(1)));
        let first = CidBytes::new(&[7; 8]).unwrap();
        routes.admitted(Instant::ZERO, conn(1), first);
        routes.admitted(Instant::ZERO, conn(2), first);
        routes.forget(conn(1));
        assert_eq!(routes.find_any(Instant::ZERO, first.as_slice()), Some(conn(2)));
        let end = Instant::ZERO + FIRST_ID_LIFETIME;
        assert_eq!(routes.find_any(end, first.as_slice()), None);
    }
}
