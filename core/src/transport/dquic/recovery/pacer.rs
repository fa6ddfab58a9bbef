//! Spreads packets over a round trip (RFC 9002 section 7.7): a bucket of bytes that fills a
//! little faster than the congestion window is used up.

use std::time::Duration;

use crate::time::Instant;

/// What may leave at once, in packets.
const BURST: (u64, u64) = (10, 256);
/// What may leave at once, in time at the current rate: timers are not finer than that.
const BURST_TIME: Duration = Duration::from_millis(2);

/// How fast packets may leave: `window` bytes in `rtt`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// Bytes; the congestion window and a quarter, or twice in slow start.
    pub(super) window: u64,
    /// Never zero.
    pub(super) rtt: Duration,
    /// The size of a datagram.
    pub(super) mtu: u64,
}

impl Rate {
    fn bytes_in(self, time: Duration) -> u64 {
        let bytes = u128::from(self.window) * time.as_nanos() / self.rtt.as_nanos().max(1);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    fn time_for(self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * self.rtt.as_nanos();
        let nanos = nanos.div_ceil(u128::from(self.window.max(1)));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn burst(self) -> u64 {
        self.bytes_in(BURST_TIME).clamp(BURST.0 * self.mtu, BURST.1 * self.mtu)
    }
}

/// The bucket.
#[derive(Debug)]
pub(super) struct Pacer {
    bytes: u64,
    /// When it was filled up.
    at: Instant,
}

impl Pacer {
    /// A full bucket.
    pub(super) const fn new(now: Instant) -> Self {
        Self { bytes: u64::MAX, at: now }
    }

    /// How many bytes may leave now.
    pub(super) fn budget(&mut self, now: Instant, rate: Rate) -> u64 {
        let more = rate.bytes_in(now.since(self.at));
        // Time that is not worth a byte yet is kept for the next call.
        if more > 0 {
            self.at = now;
        }
        self.bytes = self.bytes.saturating_add(more).min(rate.burst());
        self.bytes
    }

    /// So many bytes leave.
    pub(super) const fn spend(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// When there is enough to be worth waking up for.
    pub(super) fn release(&self, rate: Rate) -> Instant {
        let wanted = rate.mtu.max(rate.burst() / 4);
        self.at + rate.time_for(wanted.saturating_sub(self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { window: 100_000, rtt: Duration::from_millis(100), mtu: 1_000 };

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut now = Instant::ZERO;
        let mut pacer = Pacer::new(now);
        assert_eq!(pacer.budget(now, RATE), 10_000);
        let mut left = 0;
        let end = now + Duration::from_secs(1);
        while now < end {
            while pacer.budget(now, RATE) >= RATE.mtu {
                pacer.spend(RATE.mtu);
                left += RATE.mtu;
            }
            let release = pacer.release(RATE);
            assert!(release > now, "it would spin");
            now = release;
        }
        // Ten windows in ten round trips, and the burst in front.
        assert!((1_000_000..=1_013_000).contains(&left), "{left}");
    }

    #[test]
    fn what_was_not_used_is_not_saved_up() {
        let mut pacer = Pacer::new(Instant::ZERO);
        let late = Instant::ZERO + Duration::from_secs(3_600);
        assert_eq!(pacer.budget(late, RATE), 10_000);
    }

    #[test]
    fn fast_paths_may_send_more_at_once_but_not_everything() {
        let fast = Rate { window: 10_000_000, rtt: Duration::from_millis(10), mtu: 1_000 };
        assert_eq!(Pacer::new(Instant::ZERO).budget(Instant::ZERO, fast), 256_000);
    }

    #[test]
    fn time_that_is_worth_less_than_a_byte_is_not_lost() {
        let slow = Rate { window: 2_000, rtt: Duration::from_secs(1), mtu: 1_000 };
        let mut now = Instant::ZERO;
        let mut pacer = Pacer::new(now);
        pacer.budget(now, slow);
        pacer.spend(10_000);
        for _ in 0..50_000 {
            now = now + Duration::from_micros(10);
            pacer.budget(now, slow);
        }
        assert_eq!(pacer.budget(now, slow), 1_000);
    }
}
