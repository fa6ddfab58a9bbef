//! A token bucket: bytes for each second, on the time that is given.

use std::time::Duration;

use crate::limits;
use crate::time::Instant;

/// What may be sent when.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// Bytes for each second; `None`: no limit.
    rate: Option<u64>,
    /// What may be sent now.
    tokens: u64,
    filled: Instant,
}

impl Bucket {
    /// Without a limit.
    pub(super) const fn new(now: Instant) -> Self {
        Self { rate: None, tokens: 0, filled: now }
    }

    /// Sets the limit. A bucket that gets another limit keeps what it has, up to its new size.
    pub(super) fn set(&mut self, now: Instant, rate: Option<u64>) {
        self.fill(now);
        self.rate = rate.map(|rate| rate.max(1));
        self.tokens = self.tokens.min(self.size());
        self.filled = now;
    }

    /// A tenth of a second's worth, so that a wake-up is worth it, and at least a datagram.
    fn size(&self) -> u64 {
        self.rate.map_or(0, |rate| (rate / 10).max(limits::MIN_INITIAL_DATAGRAM as u64))
    }

    fn fill(&mut self, now: Instant) {
        let Some(rate) = self.rate else { return };
        let nanos = now.since(self.filled).as_nanos();
        let earned = u128::from(rate) * nanos / 1_000_000_000;
        if earned == 0 {
            return;
        }
        let size = self.size();
        let earned = u64::try_from(earned).unwrap_or(u64::MAX);
        self.tokens = self.tokens.saturating_add(earned);
        if self.tokens >= size {
            self.tokens = size;
            self.filled = now;
        } else {
            // Only whole bytes count: the rest of the time stays.
            let used = u128::from(earned) * 1_000_000_000 / u128::from(rate);
            self.filled = self.filled + Duration::from_nanos(u64::try_from(used).unwrap_or(0));
        }
    }

    /// How much of `want` may be sent now.
    pub(super) fn room(&mut self, now: Instant, want: usize) -> usize {
        if self.rate.is_none() {
            return want;
        }
        self.fill(now);
        usize::try_from(self.tokens).unwrap_or(usize::MAX).min(want)
    }

    /// So much has been sent.
    pub(super) fn take(&mut self, bytes: usize) {
        self.tokens = self.tokens.saturating_sub(bytes as u64);
    }

    /// When it is worth to try again, if nothing may be sent now.
    pub(super) fn next(&self) -> Option<Instant> {
        let rate = self.rate?;
        let want = (self.size() / 2).max(1).saturating_sub(self.tokens);
        let nanos = u128::from(want) * 1_000_000_000 / u128::from(rate) + 1;
        Some(self.filled + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_whatever_the_steps() {
        for (rate, step) in [(1, 7_000_003), (100_000, 1_000), (5_000_000_000, 999), (333, 1)] {
            let mut now = Instant::from_nanos(5);
            let mut bucket = Bucket::new(now);
            bucket.set(now, Some(rate));
            let (mut sent, steps) = (0u64, 50_000u64);
            for n in 0..steps {
                now = now + Duration::from_nanos(step + n % 3);
                let room = bucket.room(now, usize::MAX);
                bucket.take(room);
                sent += room as u64;
            }
            let nanos = now.as_nanos() - 5;
            let most = u128::from(rate) * u128::from(nanos) / 1_000_000_000;
            assert!(u128::from(sent) <= most, "{rate}: {sent} of {most}");
            assert!(u128::from(sent) + 1 >= most, "{rate}: {sent} of {most}");
        }
    }

    #[test]
    fn the_next_time_is_when_something_may_be_sent() {
        for rate in [1, 1_000, 1 << 20, 1 << 40] {
            let mut now = Instant::ZERO;
            let mut bucket = Bucket::new(now);
            bucket.set(now, Some(rate));
            for _ in 0..100 {
                let room = bucket.room(now, usize::MAX);
                bucket.take(room);
                now = bucket.next().unwrap();
                assert!(bucket.room(now, usize::MAX) > 0, "{rate}");
            }
        }
        assert_eq!(Bucket::new(Instant::ZERO).next(), None);
        assert_eq!(Bucket::new(Instant::ZERO).room(Instant::ZERO, 9), 9);
    }
}
