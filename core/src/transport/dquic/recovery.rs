//! What was sent and what became of it (RFC 9002): loss detection, congestion control, pacing.

pub(crate) mod carried;
mod congestion;
mod loss;
mod pacer;
pub(crate) mod ranges;
pub(crate) mod received;
mod rtt;
mod sent;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use carried::{Carried, Item};
use congestion::Cubic;
use loss::Loss;
use pacer::{Pacer, Rate};
pub(crate) use received::ReceivedPackets;
use rtt::Rtt;
use sent::{Sent, SentPackets};

use super::error::TransportError;
use super::frame::Ack;
use crate::limits::DQUIC_MAX_IN_FLIGHT;
use crate::time::Instant;

/// Packets that answer a probe timeout (RFC 9002 section 6.2.4).
const PROBES: u32 = 2;

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
    mtu: usize,
    peer_ack_delay: Duration,
    packets: SentPackets,
    rtt: Rtt,
    loss: Loss,
    congestion: Cubic,
    pacer: Pacer,
    /// Counts the migrations.
    path: u32,
    /// Bytes on their way on the current path.
    in_flight: u64,
    /// When the last ack-eliciting packet was sent.
    last_sent: Instant,
    probes_owed: u32,
    /// The window was not needed lately.
    is_app_limited: bool,
    packets_lost: u64,
}

impl Recovery {
    /// Starts, with datagrams of at most `mtu` bytes.
    pub(crate) fn new(now: Instant, mtu: usize) -> Self {
        Self {
            next: 0,
            mtu,
            peer_ack_delay: received::MAX_ACK_DELAY,
            packets: SentPackets::default(),
            rtt: Rtt::default(),
            loss: Loss::default(),
            congestion: Cubic::new(mtu),
            pacer: Pacer::new(now),
            path: 0,
            in_flight: 0,
            last_sent: now,
            probes_owed: 0,
            is_app_limited: true,
            packets_lost: 0,
        }
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
        let number = self.next;
        self.next += 1;
        if ack_eliciting {
            self.probes_owed = self.probes_owed.saturating_sub(1);
            self.track(now, number, size, carried, false);
        }
        number
    }

    /// A packet is sent that only probes whether `size` bytes can pass, with PING and PADDING.
    /// It may be larger than the datagrams in use.
    pub(crate) fn on_probe_sent(&mut self, now: Instant, size: usize) -> u64 {
        let number = self.next;
        self.next += 1;
        self.track(now, number, size, Carried::default(), true);
        number
    }

    fn track(&mut self, now: Instant, number: u64, size: usize, carried: Carried, is_probe: bool) {
        self.pacer.spend(size as u64);
        self.in_flight += size as u64;
        self.last_sent = now;
        let (time, path) = (now, self.path);
        let sent = Sent { time, size, is_probe, carried, ordinal: 0, path, is_repeated: false };
        self.packets.insert(number, sent);
    }

    /// An ACK frame has come. What it says about packets that are not on their way any more is
    /// without effect.
    ///
    /// # Errors
    /// It acknowledges a packet that was never sent.
    pub(crate) fn on_ack(
        &mut self,
        now: Instant,
        ack: &Ack<'_>,
    ) -> Result<Outcome, TransportError> {
        if ack.largest() >= self.next {
            return Err(TransportError::ProtocolViolation);
        }
        let mut acked = Vec::new();
        for range in ack.ranges() {
            self.packets.take(range, &mut acked);
        }
        if !self.loss.on_ack(ack.largest(), !acked.is_empty()) {
            return Ok(Outcome::default());
        }
        if let Some((largest, newest)) = acked.first()
            && *largest == ack.largest()
            && newest.path == self.path
        {
            // An ACK may be a repeat, which is older than any delay that was agreed on.
            let delay = Duration::from_micros(ack.delay_us());
            if delay <= self.peer_ack_delay || self.rtt.first_at().is_some() {
                self.rtt.update(now, now.since(newest.time), delay);
            }
        }
        self.probes_owed = 0;
        let mut outcome = self.detect(now);
        for (number, sent) in acked {
            if sent.path == self.path {
                let size = sent.size as u64;
                self.in_flight -= size;
                let (rtt, used) = (self.rtt.smoothed(), !self.is_app_limited);
                self.congestion.on_ack(now, sent.time, size, rtt, used);
            }
            outcome.acked.push(sent.into_packet(number));
        }
        Ok(outcome)
    }

    /// Declares lost what is lost now.
    fn detect(&mut self, now: Instant) -> Outcome {
        let mut outcome = Outcome::default();
        let lost = self.loss.detect(now, &self.rtt, &mut self.packets);
        let here: Vec<&Sent> =
            lost.iter().map(|(_, sent)| sent).filter(|sent| sent.path == self.path).collect();
        for sent in here.iter().filter(|sent| !sent.is_probe) {
            self.congestion.on_loss(now, sent.time);
        }
        if loss::is_persistent(&here, &self.rtt, self.peer_ack_delay) {
            outcome.is_persistent = true;
            self.congestion.on_persistent_congestion();
            self.rtt.renew_min();
        }
        self.in_flight -= here.iter().map(|sent| sent.size as u64).sum::<u64>();
        self.packets_lost += lost.len() as u64;
        outcome.lost.extend(lost.into_iter().map(|(number, mut sent)| {
            if sent.is_repeated {
                sent.carried = Carried::default();
            }
            sent.into_packet(number)
        }));
        outcome
    }

    /// The handshake has taken one round trip, of so long.
    pub(crate) fn on_handshake(&mut self, now: Instant, took: Duration) {
        self.rtt.update(now, took, Duration::ZERO);
    }

    /// When to call [`Recovery::on_deadline`]: a packet is lost by time, or a probe is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.loss.at().or_else(|| {
            let timeout = self.loss.timeout(&self.rtt, self.peer_ack_delay);
            (self.packets.count() > 0).then(|| self.last_sent + timeout)
        })
    }

    /// The deadline may have come.
    pub(crate) fn on_deadline(&mut self, now: Instant) -> Outcome {
        if self.deadline().is_none_or(|at| at > now) {
            return Outcome::default();
        }
        if self.loss.at().is_some() {
            return self.detect(now);
        }
        self.loss.on_timeout();
        self.probes_owed = PROBES;
        let again = self.packets.repeat_oldest(PROBES as usize);
        // Counted from here, should the probes wait for something.
        self.last_sent = now;
        Outcome { again, ..Outcome::default() }
    }

    /// How many bytes may be sent now: by congestion window and pacing, or because a probe is
    /// owed. Zero, or at least a datagram. Packets that are not ack-eliciting may always be sent.
    pub(crate) fn may_send(&mut self, now: Instant) -> usize {
        if self.probes_owed > 0 {
            return self.mtu * self.probes_owed as usize;
        }
        let room = self.room();
        if room == 0 {
            self.is_app_limited = false;
            return 0;
        }
        let budget = self.pacer.budget(now, self.rate());
        if budget < self.mtu as u64 {
            self.is_app_limited = false;
            return 0;
        }
        usize::try_from(room.min(budget)).unwrap_or(usize::MAX)
    }

    /// What the congestion window has room for, if it is a datagram or more.
    fn room(&self) -> u64 {
        if self.packets.count() >= DQUIC_MAX_IN_FLIGHT {
            return 0;
        }
        let room = self.congestion.window().saturating_sub(self.in_flight);
        if room < self.mtu as u64 { 0 } else { room }
    }

    fn rate(&self) -> Rate {
        let window = self.congestion.window();
        let extra = if self.congestion.is_slow_start() { window } else { window / 4 };
        let rtt = self.rtt.smoothed().max(Duration::from_nanos(1));
        Rate { window: window + extra, rtt, mtu: self.mtu as u64 }
    }

    /// When pacing, and nothing else, lets the next packet go: asked after
    /// [`Recovery::may_send`] has said zero.
    pub(crate) fn release(&self) -> Option<Instant> {
        (self.probes_owed == 0 && self.room() > 0).then(|| self.pacer.release(self.rate()))
    }

    /// Ack-eliciting packets that have to be sent at once, whatever the window says: with what
    /// is waiting, or PING (RFC 9002 section 6.2.4).
    pub(crate) const fn probes_owed(&self) -> u32 {
        self.probes_owed
    }

    /// The connection has nothing more to send, though it may: acknowledgements say nothing
    /// about the window until it is full again (RFC 9002 section 7.8).
    pub(crate) const fn on_app_limited(&mut self) {
        self.is_app_limited = true;
    }

    /// Datagrams are of at most `mtu` bytes from now on.
    pub(crate) fn set_mtu(&mut self, mtu: usize) {
        self.mtu = mtu;
        self.congestion.set_mtu(mtu);
    }

    /// How long the peer may delay acknowledgements.
    pub(crate) const fn set_peer_ack_delay(&mut self, delay: Duration) {
        self.peer_ack_delay = delay;
    }

    /// The connection has moved to another path: what is known about the old one is void
    /// (RFC 9000 section 9.4). What is on its way there can still be acknowledged or lost.
    pub(crate) fn on_migrated(&mut self, now: Instant) {
        self.path = self.path.wrapping_add(1);
        self.rtt = Rtt::default();
        self.loss.on_migrated();
        self.congestion = Cubic::new(self.mtu);
        self.pacer = Pacer::new(now);
        self.in_flight = 0;
        self.is_app_limited = true;
    }

    /// The probe timeout without backoff (RFC 9002 section 6.2.1).
    pub(crate) fn pto(&self) -> Duration {
        self.rtt.pto(self.peer_ack_delay)
    }

    /// Smoothed round-trip time.
    pub(crate) const fn smoothed_rtt(&self) -> Duration {
        self.rtt.smoothed()
    }

    /// The lowest round-trip time seen, zero before there is one.
    pub(crate) const fn min_rtt(&self) -> Duration {
        self.rtt.min()
    }

    /// The congestion window, in bytes.
    pub(crate) const fn cwnd(&self) -> u64 {
        self.congestion.window()
    }

    /// Bytes on their way.
    #[cfg(test)]
    pub(crate) const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Packets declared lost so far.
    pub(crate) const fn packets_lost(&self) -> u64 {
        self.packets_lost
    }
}
