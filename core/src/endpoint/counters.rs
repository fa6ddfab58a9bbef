//! What came in and went out of an endpoint, and what was dropped and why.

use std::collections::BTreeMap;

use crate::io::Ecn;
use crate::transport::Dropped;

/// Counters since the endpoint was made. They only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams that came in.
    pub datagrams_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Those marked as congestion experienced.
    pub congestion_marks: u64,
    /// Runs of datagrams that went out.
    pub transmits: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Connections taken from clients.
    pub accepted: u64,
    drops: BTreeMap<Dropped, u64>,
}

impl Counters {
    /// Datagrams dropped for this reason.
    #[must_use]
    pub fn drops(&self, why: Dropped) -> u64 {
        self.drops.get(&why).copied().unwrap_or(0)
    }

    /// Datagrams dropped, for each reason that occurred.
    pub fn all_drops(&self) -> impl Iterator<Item = (Dropped, u64)> + '_ {
        self.drops.iter().map(|(why, count)| (*why, *count))
    }

    pub(super) fn received(&mut self, len: usize, ecn: Option<Ecn>) {
        self.datagrams_received += 1;
        self.bytes_received += len as u64;
        self.congestion_marks += u64::from(ecn == Some(Ecn::Ce));
    }

    pub(super) fn sent(&mut self, len: usize) {
        self.transmits += 1;
        self.bytes_sent += len as u64;
    }

    pub(super) fn dropped(&mut self, why: Dropped) {
        log::trace!("dropped a datagram: {why:?}");
        *self.drops.entry(why).or_default() += 1;
    }
}
