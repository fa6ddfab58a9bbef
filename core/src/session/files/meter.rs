//! What keeps a transfer from being faster, as shares of its time.

use std::time::Duration;

use crate::time::Instant;

/// What a transfer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitedBy {
    /// The network: what was handed over has not gone out, or has not been acknowledged.
    Network,
    /// The sender's application: its disk, or the hashing there.
    Source,
    /// The receiver's application: its disk, or the hashing there.
    Sink,
    /// The other side has to decide something.
    Peer,
    /// The receiver's flow-control window.
    FlowControl,
    /// The rate limit.
    Limit,
    /// Nobody: it is paused.
    Paused,
}

impl LimitedBy {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Network,
        Self::Source,
        Self::Sink,
        Self::Peer,
        Self::FlowControl,
        Self::Limit,
        Self::Paused,
    ];

    /// Its name, for people and for JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Peer => "peer",
            Self::FlowControl => "flow-control",
            Self::Limit => "limit",
            Self::Paused => "paused",
        }
    }
}

/// How long a transfer was limited by what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    times: [Duration; LimitedBy::ALL.len()],
}

impl Shares {
    /// How long it was limited by this.
    #[must_use]
    pub fn of(&self, by: LimitedBy) -> Duration {
        self.times[by as usize]
    }

    /// It was limited by this for so much longer.
    pub(crate) fn add(&mut self, by: LimitedBy, time: Duration) {
        self.times[by as usize] += time;
    }

    /// All the time that was counted.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.times.iter().sum()
    }

    /// What it was limited by for the longest time, pauses left out.
    #[must_use]
    pub fn main(&self) -> Option<LimitedBy> {
        let counted = LimitedBy::ALL.into_iter().filter(|by| *by != LimitedBy::Paused);
        counted.max_by_key(|by| self.of(*by)).filter(|by| !self.of(*by).is_zero())
    }
}

/// Counts the time.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    shares: Shares,
    now: Option<LimitedBy>,
    since: Instant,
}

impl Meter {
    /// Nothing is waited for.
    pub(super) fn new(now: Instant) -> Self {
        Self { shares: Shares::default(), now: None, since: now }
    }

    /// From now on, this is what is waited for; `None`: nothing runs.
    pub(super) fn wait_for(&mut self, now: Instant, by: Option<LimitedBy>) {
        if let Some(by) = self.now {
            self.shares.add(by, now.since(self.since));
        }
        (self.now, self.since) = (by, now);
    }

    /// What has been counted.
    pub(super) fn shares(&self, now: Instant) -> Shares {
        let mut meter = self.clone();
        meter.wait_for(now, None);
        meter.shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_counts_for_one_thing() {
        let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        let mut meter = Meter::new(at(0));
        meter.wait_for(at(5), Some(LimitedBy::Source));
        meter.wait_for(at(15), Some(LimitedBy::Network));
        meter.wait_for(at(18), Some(LimitedBy::Paused));
        meter.wait_for(at(118), Some(LimitedBy::Source));
        let shares = meter.shares(at(120));
        assert_eq!(shares.of(LimitedBy::Source), Duration::from_millis(12));
        assert_eq!(shares.of(LimitedBy::Network), Duration::from_millis(3));
        assert_eq!(shares.total(), Duration::from_millis(115));
        assert_eq!(shares.main(), Some(LimitedBy::Source));
        assert_eq!(Shares::default().main(), None);
        for (n, by) in LimitedBy::ALL.into_iter().enumerate() {
            assert_eq!(by as usize, n, "{}", by.name());
        }
    }
}
