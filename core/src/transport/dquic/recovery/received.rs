//! Which packets have come, and when that is to be acknowledged (RFC 9000 section 13.2).

use std::time::Duration;

use super::ranges::RangeSet;
use crate::limits::DQUIC_ACK_RANGES;
use crate::time::Instant;
use crate::transport::dquic::frame::write_ack;
use crate::transport::dquic::out::Out;

/// How long an acknowledgement may wait (`max_ack_delay`).
pub(crate) const MAX_ACK_DELAY: Duration = Duration::from_millis(25);
/// Ack-eliciting packets after which it waits no longer (RFC 9000 section 13.2.2).
const ACK_EVERY: u32 = 2;

/// The packets that have come, in at most [`DQUIC_ACK_RANGES`] ranges: what lies below the
/// lowest one counts as a duplicate.
#[derive(Debug, Default)]
pub(crate) struct ReceivedPackets {
    ranges: RangeSet,
    /// Packets below this number are taken for duplicates.
    floor: u64,
    /// When the packet with the largest number came.
    largest_at: Option<Instant>,
    /// Ack-eliciting packets since the last ACK frame.
    waiting: u32,
    /// An ACK frame is to be sent by then.
    due: Option<Instant>,
    /// The ack-eliciting packet with the largest number.
    asked: Option<u64>,
    /// The peer is known to have an ACK frame with this largest number.
    confirmed: Option<u64>,
}

impl ReceivedPackets {
    /// Whether a packet has come before, or may have. Asked before anything in it is used.
    pub(crate) fn is_duplicate(&self, number: u64) -> bool {
        number < self.floor || self.ranges.contains(number)
    }

    /// The highest packet number that has come.
    pub(crate) fn largest(&self) -> Option<u64> {
        self.ranges.last().map(|range| range.end - 1)
    }

    /// A packet has come and was used. Duplicates change nothing.
    pub(crate) fn on_packet(&mut self, now: Instant, number: u64, ack_eliciting: bool) {
        if self.is_duplicate(number) || number == u64::MAX {
            return;
        }
        let expected = self.largest().map_or(0, |largest| largest + 1);
        self.ranges.insert(number..number + 1);
        if number >= expected {
            self.largest_at = Some(now);
        }
        while self.ranges.count() > DQUIC_ACK_RANGES {
            self.forget_lowest();
        }
        if !ack_eliciting {
            return;
        }
        self.waiting += 1;
        self.asked = self.asked.max(Some(number));
        // A gap, or the end of one, is news that the peer should have at once.
        let at_once = number != expected || self.waiting >= ACK_EVERY;
        let due = if at_once { now } else { now + MAX_ACK_DELAY };
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    fn forget_lowest(&mut self) {
        if let Some(range) = self.ranges.pop_first() {
            self.floor = range.end;
        }
    }

    /// When an ACK frame has to be sent at the latest.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Whether an ACK frame has to be sent now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Whether an ACK frame would tell something new: worth adding to a packet that is sent
    /// anyway.
    pub(crate) const fn is_wanted(&self) -> bool {
        self.due.is_some()
    }

    /// Whether the last ACK frame may be lost. A packet that carries nothing else is never
    /// acknowledged, and a peer that misses it waits for a timer that backs off.
    pub(crate) fn is_unconfirmed(&self) -> bool {
        self.asked > self.confirmed
    }

    /// Writes an ACK frame, and answers the largest packet number in it (for
    /// [`super::carried::Carried::ack`]). `None`: nothing has come, or there is no room.
    pub(crate) fn write(&mut self, now: Instant, out: &mut Out<'_>) -> Option<u64> {
        let delay = u64::try_from(now.since(self.largest_at?).as_micros()).unwrap_or(u64::MAX);
        if !write_ack(out, &self.ranges, delay) {
            return None;
        }
        self.waiting = 0;
        self.due = None;
        self.largest()
    }

    /// The peer has an ACK frame with this largest packet number: what it acknowledged need not
    /// be said again (RFC 9000 section 13.2.4). The highest range stays.
    pub(crate) fn on_ack_acked(&mut self, largest: u64) {
        self.confirmed = self.confirmed.max(Some(largest));
        while self.ranges.count() > 1
            && self.ranges.first().is_some_and(|range| range.end <= largest)
        {
            self.forget_lowest();
        }
    }
}

#[cfg(test)]
mod tests;
