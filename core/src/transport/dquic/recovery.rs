//! What was sent and what became of it (RFC 9002): loss detection, congestion control, pacing.

pub(crate) mod carried;
pub(crate) mod ranges;
pub(crate) mod received;

use std::time::Duration;

pub(crate) use carried::{Carried, Item};
pub(crate) use received::ReceivedPackets;

use super::error::TransportError;
use super::frame::Ack;
use crate::time::Instant;

/// A packet that was acknowledged or is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Its number.
    pub(crate) number: u64,
    /// When it was sent.
    pub(crate) time: Instant,
    /// Bytes of the whole datagram.
    pub(crate) size: usize,
    /// It was sent to find out whether its size can pass: its loss says nothing else.
    pub(crate) is_probe: bool,
    /// What it carried. Empty for a lost packet whose content was sent again already.
    pub(crate) carried: Carried,
}

/// What an ACK frame or a deadline has brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Newly acknowledged packets.
    pub(crate) acked: Vec<Packet>,
    /// Packets that are declared lost now.
    pub(crate) lost: Vec<Packet>,
    /// What packets carried that nobody has answered for: to be sent again, as if they were
    /// lost, in the packets that [`Recovery::probes_owed`] asks for.
    pub(crate) again: Vec<Carried>,
    /// Everything was lost for so long that the congestion window starts anew.
    pub(crate) is_persistent: bool,
}

/// One end's view of what it has sent.
#[derive(Debug)]
pub(crate) struct Recovery {
    next: u64,
}

impl Recovery {
    /// Starts, with datagrams of at most `mtu` bytes.
    pub(crate) fn new(mtu: usize) -> Self {
        let _ = mtu;
        Self { next: 0 }
    }

    /// The number of the next packet.
    pub(crate) const fn next_number(&self) -> u64 {
        self.next
    }

    /// A packet of `size` bytes is sent under [`Recovery::next_number`], which this answers.
    pub(crate) fn on_sent(
        &mut self,
        now: Instant,
        size: usize,
        ack_eliciting: bool,
        carried: Carried,
    ) -> u64 {
        let _ = (now, size, ack_eliciting, carried);
        self.next += 1;
        self.next - 1
    }

    /// A packet is sent that only probes whether `size` bytes can pass.
    pub(crate) fn on_probe_sent(&mut self, now: Instant, size: usize) -> u64 {
        self.on_sent(now, size, true, Carried::default())
    }

    /// An ACK frame has come.
    ///
    /// # Errors
    /// It acknowledges a packet that was never sent.
    pub(crate) fn on_ack(
        &mut self,
        now: Instant,
        ack: &Ack<'_>,
    ) -> Result<Outcome, TransportError> {
        let _ = (now, ack);
        Ok(Outcome::default())
    }

    /// When to call [`Recovery::on_deadline`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline may have come.
    pub(crate) fn on_deadline(&mut self, now: Instant) -> Outcome {
        let _ = now;
        Outcome::default()
    }

    /// How many bytes may be sent now: by congestion window and pacing, or because a probe is
    /// owed. Packets that are not ack-eliciting may always be sent.
    pub(crate) fn may_send(&mut self, now: Instant) -> usize {
        let _ = now;
        0
    }

    /// When pacing, and nothing else, lets the next packet go.
    pub(crate) fn release(&self, now: Instant) -> Option<Instant> {
        let _ = now;
        None
    }

    /// Ack-eliciting packets that have to be sent at once, whatever the window says: with what
    /// is waiting, or PING (RFC 9002 section 6.2.4).
    pub(crate) const fn probes_owed(&self) -> u32 {
        0
    }

    /// The connection had nothing more to send: what fits into the window is not known
    /// (RFC 9002 section 7.8).
    pub(crate) fn on_app_limited(&mut self) {}

    /// Datagrams are of at most `mtu` bytes from now on.
    pub(crate) fn set_mtu(&mut self, mtu: usize) {
        let _ = mtu;
    }

    /// How long the peer may delay acknowledgements.
    pub(crate) fn set_peer_ack_delay(&mut self, delay: Duration) {
        let _ = delay;
    }

    /// The connection has moved to another path: what is known about the old one is void
    /// (RFC 9000 section 9.4).
    pub(crate) fn on_migrated(&mut self, now: Instant) {
        let _ = now;
    }

    /// The probe timeout without backoff (RFC 9002 section 6.2.1).
    pub(crate) fn pto(&self) -> Duration {
        Duration::ZERO
    }

    /// Smoothed round-trip time.
    pub(crate) fn smoothed_rtt(&self) -> Duration {
        Duration::ZERO
    }

    /// The lowest round-trip time seen, zero before there is one.
    pub(crate) fn min_rtt(&self) -> Duration {
        Duration::ZERO
    }

    /// The congestion window, in bytes.
    pub(crate) fn cwnd(&self) -> u64 {
        0
    }

    /// Bytes on their way.
    pub(crate) fn in_flight(&self) -> u64 {
        0
    }

    /// Packets declared lost so far.
    pub(crate) fn packets_lost(&self) -> u64 {
        0
    }
}
