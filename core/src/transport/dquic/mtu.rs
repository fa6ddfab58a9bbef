//! How large datagrams may be: search by probes, and notice of black holes (RFC 8899, rule
//! AB-D21).

use std::time::Duration;

use crate::limits::MIN_INITIAL_DATAGRAM;
use crate::time::Instant;

/// What every path carries.
const BASE: usize = MIN_INITIAL_DATAGRAM;
/// The search ends when it is so close (bytes).
const CLOSE_ENOUGH: usize = 16;
/// Probes of one size that may be lost (RFC 8899 section 5.1.2).
const MAX_PROBES: u32 = 3;
/// Losses of large packets in a row, without one that arrived, that show a black hole.
const MAX_LOST: u32 = 6;
/// When the search begins anew (RFC 8899 section 5.1.1).
const RAISE: Duration = Duration::from_secs(600);
/// After a black hole the next search waits for the path to be quiet again.
const AFTER_BLACK_HOLE: Duration = Duration::from_secs(60);

/// The datagram size of one path.
#[derive(Clone, Debug)]
pub(super) struct Mtu {
    /// The size in use: it has been proved, or nobody asks.
    current: usize,
    /// The largest size that is wanted.
    most: usize,
    /// No datagram of this size passes, as far as is known.
    fails: usize,
    /// The probe that is on its way.
    probing: Option<usize>,
    /// Probes of the size that is tried now which were lost.
    lost_probes: u32,
    /// Large packets lost since one was acknowledged.
    lost: u32,
    /// When to search again. `None`: the search is on.
    again: Option<Instant>,
    searches: bool,
}

impl Mtu {
    /// Up to `most` bytes. Without a search, that size is taken for granted.
    pub(super) fn new(most: usize, searches: bool) -> Self {
        let current = if searches { BASE } else { most };
        Self {
            current,
            most,
            fails: most + 1,
            probing: None,
            lost_probes: 0,
            lost: 0,
            again: None,
            searches,
        }
    }

    /// The peer, or another path, takes less or more.
    pub(super) fn restart(&mut self, most: usize) {
        *self = Self::new(most, self.searches);
    }

    /// The largest size wanted.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// The size in use.
    pub(super) fn current(&self) -> usize {
        self.current
    }

    /// The size of a probe to send now, if one is wanted.
    pub(super) fn probe(&mut self, now: Instant) -> Option<usize> {
        if !self.searches || self.probing.is_some() {
            return None;
        }
        if self.again.is_some_and(|again| now >= again) {
            self.again = None;
            self.fails = self.most + 1;
        }
        if self.again.is_some() || self.current >= self.most {
            return None;
        }
        Some(self.next_size())
    }

    /// First the largest size, since many paths carry it; then halves of what is open.
    fn next_size(&self) -> usize {
        if self.fails > self.most { self.most } else { self.current.midpoint(self.fails) }
    }

    /// A probe of this size has been sent.
    pub(super) fn probed(&mut self, size: usize) {
        self.probing = Some(size);
    }

    /// A packet of this size has arrived. True: the size in use has grown.
    pub(super) fn acked(&mut self, now: Instant, size: usize) -> bool {
        if size > BASE {
            self.lost = 0;
        }
        if self.probing != Some(size) {
            return false;
        }
        self.probing = None;
        self.lost_probes = 0;
        self.current = self.current.max(size);
        self.rest(now);
        true
    }

    /// A probe is lost.
    pub(super) fn probe_lost(&mut self, now: Instant, size: usize) {
        if self.probing != Some(size) {
            return;
        }
        self.probing = None;
        self.lost_probes += 1;
        if self.lost_probes >= MAX_PROBES {
            self.lost_probes = 0;
            self.fails = size;
            self.rest(now);
        }
    }

    /// Ends the search if there is nothing left to find.
    fn rest(&mut self, now: Instant) {
        if self.current + CLOSE_ENOUGH >= self.fails || self.current >= self.most {
            self.again = Some(now + RAISE);
        }
    }

    /// A packet that was no probe is lost. True: the path has become a black hole for large
    /// packets, and the size in use is the smallest again.
    pub(super) fn lost(&mut self, now: Instant, size: usize) -> bool {
        if !self.searches || size <= BASE || self.current <= BASE {
            return false;
        }
        self.lost += 1;
        if self.lost < MAX_LOST {
            return false;
        }
        self.restart(self.most);
        self.again = Some(now + AFTER_BLACK_HOLE);
        true
    }
}

#[cfg(test)]
mod tests;
