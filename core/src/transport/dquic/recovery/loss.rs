//! Loss detection (RFC 9002 section 6).

use std::time::Duration;

use super::rtt::Rtt;
use super::sent::{Sent, SentPackets};
use crate::time::Instant;

/// Later packets that have to arrive before one is lost (`kPacketThreshold`).
const PACKET_THRESHOLD: u64 = 3;
/// Probe timeouts that persistent congestion lasts for (`kPersistentCongestionThreshold`).
const PERSISTENT: u32 = 3;
/// Doublings of the probe timeout, at most.
const MAX_BACKOFF: u32 = 20;

/// Finds lost packets and times probes.
#[derive(Debug, Default)]
pub(super) struct Loss {
    largest_acked: Option<u64>,
    /// When the next packet is lost by time.
    at: Option<Instant>,
    /// Probe timeouts since anything was acknowledged.
    backoff: u32,
}

impl Loss {
    /// An ACK frame has come with this largest number; `is_new` if it acknowledges a packet that
    /// was on its way. Answers whether it says anything new.
    pub(super) fn on_ack(&mut self, largest: u64, is_new: bool) -> bool {
        let advances = self.largest_acked < Some(largest);
        self.largest_acked = self.largest_acked.max(Some(largest));
        if advances || is_new {
            self.backoff = 0;
        }
        advances || is_new
    }

    /// A probe timeout has passed.
    pub(super) const fn on_timeout(&mut self) {
        self.backoff += 1;
    }

    /// The path is another one.
    pub(super) const fn on_migrated(&mut self) {
        self.backoff = 0;
    }

    /// When the next packet is lost by time.
    pub(super) const fn at(&self) -> Option<Instant> {
        self.at
    }

    /// How long to wait for an answer to the last packet.
    pub(super) fn timeout(&self, rtt: &Rtt, max_ack_delay: Duration) -> Duration {
        rtt.pto(max_ack_delay).saturating_mul(1 << self.backoff.min(MAX_BACKOFF))
    }

    /// Takes out what is lost now, lowest number first, and remembers when the next one is
    /// (RFC 9002 appendix A.10).
    pub(super) fn detect(
        &mut self,
        now: Instant,
        rtt: &Rtt,
        packets: &mut SentPackets,
    ) -> Vec<(u64, Sent)> {
        self.at = None;
        let Some(largest) = self.largest_acked else { return Vec::new() };
        let delay = rtt.loss_delay();
        packets.take_lost(largest, |number, sent| {
            let due = sent.time + delay;
            let is_lost = largest - number >= PACKET_THRESHOLD || due <= now;
            if !is_lost {
                self.at = Some(self.at.map_or(due, |at| at.min(due)));
            }
            is_lost
        })
    }
}

/// Whether so much was lost, without anything arriving in between, that the path has to be
/// learnt anew (RFC 9002 section 7.6). `lost` is in order of numbers.
pub(super) fn is_persistent(lost: &[&Sent], rtt: &Rtt, max_ack_delay: Duration) -> bool {
    let Some(first_sample) = rtt.first_at() else { return false };
    let duration = rtt.pto(max_ack_delay) * PERSISTENT;
    let mut run: Option<(Instant, u64)> = None;
    lost.iter().filter(|sent| sent.time > first_sample).any(|sent| {
        let start = match run {
            Some((start, last)) if last + 1 == sent.ordinal => start,
            // A datagram that was too long says nothing about congestion.
            _ if sent.is_probe => return false,
            _ => sent.time,
        };
        run = Some((start, sent.ordinal));
        !sent.is_probe && sent.time.since(start) > duration
    })
}
