//! Round-trip times (RFC 9002 section 5).

use std::time::Duration;

use crate::time::Instant;

/// What is assumed before the first sample: shorter than RFC 9002 section 6.2.2 says, so that
/// what is lost first is soon sent again.
pub(super) const INITIAL: Duration = Duration::from_millis(100);
/// The finest step of a timer (RFC 9002 section 6.1.2).
pub(super) const GRANULARITY: Duration = Duration::from_millis(1);

/// An estimate of the path's round-trip time.
#[derive(Debug)]
pub(super) struct Rtt {
    latest: Duration,
    smoothed: Duration,
    variation: Duration,
    min: Duration,
    first_at: Option<Instant>,
    /// The next sample is the new minimum, whatever the old one was.
    renews_min: bool,
}

impl Default for Rtt {
    fn default() -> Self {
        Self {
            latest: INITIAL,
            smoothed: INITIAL,
            variation: INITIAL / 2,
            min: Duration::ZERO,
            first_at: None,
            renews_min: false,
        }
    }
}

impl Rtt {
    /// A packet was acknowledged `latest` after it was sent; the peer says that it waited for
    /// `delay` of that time.
    pub(super) fn update(&mut self, now: Instant, latest: Duration, delay: Duration) {
        self.latest = latest;
        if self.first_at.is_none() {
            self.first_at = Some(now);
            self.min = latest;
            self.smoothed = latest;
            self.variation = latest / 2;
            return;
        }
        self.min = if self.renews_min { latest } else { self.min.min(latest) };
        self.renews_min = false;
        // The peer's word is taken only as far as it is possible.
        let adjusted = if latest >= self.min + delay { latest - delay } else { latest };
        let difference = self.smoothed.abs_diff(adjusted);
        self.variation = (self.variation * 3 + difference) / 4;
        self.smoothed = (self.smoothed * 7 + adjusted) / 8;
    }

    /// After persistent congestion the minimum may be of another path (RFC 9002 section 5.2).
    pub(super) const fn renew_min(&mut self) {
        self.renews_min = true;
    }

    /// Smoothed.
    pub(super) const fn smoothed(&self) -> Duration {
        self.smoothed
    }

    /// The lowest sample, zero before there is one.
    pub(super) const fn min(&self) -> Duration {
        self.min
    }

    /// When the first sample was taken.
    pub(super) const fn first_at(&self) -> Option<Instant> {
        self.first_at
    }

    /// How long after sending a packet is lost if a later one was acknowledged: 9/8 round-trip
    /// times (RFC 9002 section 6.1.2).
    pub(super) fn loss_delay(&self) -> Duration {
        (self.latest.max(self.smoothed) * 9 / 8).max(GRANULARITY)
    }

    /// The probe timeout without backoff (RFC 9002 section 6.2.1).
    pub(super) fn pto(&self, max_ack_delay: Duration) -> Duration {
        self.smoothed + (self.variation * 4).max(GRANULARITY) + max_ack_delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_first_sample_replaces_the_assumption() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.pto(ms(25)), ms(100 + 200 + 25));
        rtt.update(Instant::ZERO, ms(100), ms(90));
        assert_eq!((rtt.smoothed(), rtt.min()), (ms(100), ms(100)), "no delay is taken off");
        assert_eq!(rtt.pto(ms(25)), ms(100 + 200 + 25));
        assert_eq!(rtt.first_at(), Some(Instant::ZERO));
    }

    #[test]
    fn later_samples_are_smoothed_without_the_peers_delay() {
        let mut rtt = Rtt::default();
        rtt.update(Instant::ZERO, ms(100), ms(0));
        rtt.update(Instant::ZERO, ms(180), ms(40));
        assert_eq!(rtt.smoothed(), ms((700 + 140) / 8));
        assert_eq!(rtt.variation, (ms(150) + ms(40)) / 4);
        assert_eq!(rtt.min(), ms(100));
        assert_eq!(rtt.loss_delay(), ms(180) * 9 / 8);
        rtt.update(Instant::ZERO, ms(120), ms(40));
        assert_eq!(rtt.smoothed(), (ms(105) * 7 + ms(120)) / 8, "a delay that cannot be");
    }

    #[test]
    fn a_renewed_minimum_is_the_next_sample() {
        let mut rtt = Rtt::default();
        rtt.update(Instant::ZERO, ms(10), ms(0));
        rtt.renew_min();
        rtt.update(Instant::ZERO, ms(30), ms(0));
        assert_eq!(rtt.min(), ms(30));
        rtt.update(Instant::ZERO, ms(40), ms(0));
        assert_eq!(rtt.min(), ms(30));
    }

    #[test]
    fn timers_have_a_granularity() {
        let mut rtt = Rtt::default();
        for _ in 0..99 {
            rtt.update(Instant::ZERO, Duration::from_micros(50), ms(0));
        }
        assert_eq!(rtt.loss_delay(), GRANULARITY);
        assert_eq!(rtt.pto(ms(0)), Duration::from_micros(50) + GRANULARITY);
    }
}
