//! Packets on their way.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::{Carried, Packet};
use crate::time::Instant;

/// An ack-eliciting packet on its way. Others are not kept: nobody has to answer them.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) time: Instant,
    pub(super) size: usize,
    pub(super) is_probe: bool,
    pub(super) carried: Carried,
    /// Counts the ack-eliciting packets.
    pub(super) ordinal: u64,
    /// Which path it was sent on: counts the migrations.
    pub(super) path: u32,
    /// What it carried was queued again after a probe timeout.
    pub(super) is_repeated: bool,
}

impl Sent {
    /// The outside view.
    pub(super) fn into_packet(self, number: u64) -> Packet {
        let Self { time, size, is_probe, carried, .. } = self;
        Packet { number, time, size, is_probe, carried }
    }
}

/// Every ack-eliciting packet on its way, by number.
#[derive(Debug, Default)]
pub(super) struct SentPackets {
    packets: BTreeMap<u64, Sent>,
    sent: u64,
}

impl SentPackets {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.packets.len()
    }

    /// Adds one, and numbers it.
    pub(super) fn insert(&mut self, number: u64, mut sent: Sent) {
        sent.ordinal = self.sent;
        self.sent += 1;
        self.packets.insert(number, sent);
    }

    /// Takes those out whose numbers are in `range`, highest first.
    pub(super) fn take(&mut self, range: RangeInclusive<u64>, taken: &mut Vec<(u64, Sent)>) {
        while let Some((&number, _)) = self.packets.range(range.clone()).next_back() {
            taken.extend(self.packets.remove(&number).map(|sent| (number, sent)));
        }
    }

    /// Takes those out that `is_lost` says so of, among those below `number`; lowest first.
    pub(super) fn take_lost(
        &mut self,
        number: u64,
        mut is_lost: impl FnMut(u64, &Sent) -> bool,
    ) -> Vec<(u64, Sent)> {
        let below = self.packets.range(..number);
        let lost: Vec<u64> =
            below.filter(|(number, sent)| is_lost(**number, sent)).map(|(n, _)| *n).collect();
        lost.into_iter().filter_map(|n| Some((n, self.packets.remove(&n)?))).collect()
    }

    /// What the oldest packets carried that was not repeated yet, at most `count` of them.
    pub(super) fn repeat_oldest(&mut self, count: usize) -> Vec<Carried> {
        let waiting = self.packets.values_mut().filter(|sent| !sent.is_repeated);
        let oldest = waiting.take(count).map(|sent| {
            sent.is_repeated = true;
            sent.carried.clone()
        });
        oldest.collect()
    }
}
