//! When a chunk may leave. A token bucket in integers, exact to the nanosecond however long it
//! runs, and the media clock that a `live` resume rejoins.

use std::time::Duration;

use crate::time::Instant;

const BIT_NANOS: u128 = 8 * 1_000_000_000;

/// How long `bytes` play at `rate` bit/s, and what is left over of a nanosecond, in `1/rate`.
fn playing_time(bytes: u64, carry: u128, rate: u32) -> (Duration, u128) {
    let rate = u128::from(rate.max(1));
    let total = u128::from(bytes) * BIT_NANOS + carry;
    let nanos = u64::try_from(total / rate).unwrap_or(u64::MAX);
    (Duration::from_nanos(nanos), total % rate)
}

/// The pace of one session.
///
/// A chunk's time is when the chunks in front of it will have been played, counted from the
/// first one. It may leave up to `burst` earlier. A sender that was held up may make up for at
/// most `burst`, so that a stalled network is never answered with a flood.
#[derive(Debug)]
pub(super) struct Pace {
    /// bit/s.
    rate: u32,
    burst: Duration,
    paced: bool,
    /// When the first chunk left, and the byte it began at.
    origin: Option<(Instant, u64)>,
    /// The next chunk's time.
    next: Instant,
    /// What `next` lacks of the exact time, in `1/rate` nanoseconds.
    carry: u128,
}

impl Pace {
    /// `burst`: how much playing time may be sent ahead.
    pub(super) fn new(rate: u32, burst: Duration, paced: bool) -> Self {
        Self { rate, burst, paced, origin: None, next: Instant::ZERO, carry: 0 }
    }

    /// When the next chunk may leave; `None` if at once, whenever that is.
    pub(super) fn due(&self) -> Option<Instant> {
        if !self.paced || self.origin.is_none() {
            return None;
        }
        let early = u64::try_from(self.burst.as_nanos()).unwrap_or(u64::MAX);
        Some(Instant::from_nanos(self.next.as_nanos().saturating_sub(early)))
    }

    /// A chunk of `len` bytes, from byte `offset` of the media, leaves now.
    pub(super) fn sent(&mut self, now: Instant, offset: u64, len: u64) {
        if self.origin.is_none() {
            self.origin = Some((now, offset));
            self.next = now;
        }
        if self.next < now {
            (self.next, self.carry) = (now, 0);
        }
        let (time, carry) = playing_time(len, self.carry, self.rate);
        self.next = self.next + time;
        self.carry = carry;
    }

    /// The media waited this long: the clock goes on where it stopped, without catching up.
    pub(super) fn held(&mut self, pause: Duration) {
        self.next = self.next + pause;
    }

    /// The byte that the media has reached now, had it never been paused.
    pub(super) fn live_edge(&self, now: Instant) -> u64 {
        let Some((from, start)) = self.origin else { return 0 };
        let bytes = u128::from(self.rate) * now.since(from).as_nanos() / BIT_NANOS;
        start.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    /// Sending goes on at byte `offset`, whose time is what the media clock says.
    pub(super) fn rejoin(&mut self, offset: u64) {
        if let Some((from, start)) = self.origin {
            let (time, carry) = playing_time(offset.saturating_sub(start), 0, self.rate);
            (self.next, self.carry) = (from + time, carry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * MS)
    }

    #[test]
    fn the_first_chunk_leaves_at_once_and_the_burst_after_it() {
        // 1000 bytes at 80 kbit/s play for 100 ms.
        let mut pace = Pace::new(80_000, Duration::from_millis(200), true);
        assert_eq!(pace.due(), None);
        let mut left = Vec::new();
        let mut now = at(1_000);
        for n in 0..6u64 {
            now = pace.due().map_or(now, |due| due.max(now));
            left.push((now - at(1_000)).as_millis());
            pace.sent(now, n * 1_000, 1_000);
        }
        assert_eq!(left, [0, 0, 0, 100, 200, 300]);
    }

    #[test]
    fn no_rounding_is_lost_over_a_million_chunks() {
        let mut pace = Pace::new(999_983, Duration::ZERO, true);
        for n in 0..1_000_000u64 {
            let now = pace.due().unwrap_or(at(0));
            pace.sent(now, n * 1_001, 1_001);
        }
        let exact = 1_001u128 * 1_000_000 * BIT_NANOS / 999_983;
        assert_eq!(u128::from(pace.next.as_nanos()), exact);
    }

    #[test]
    fn a_stall_is_made_up_for_only_by_the_burst() {
        let mut pace = Pace::new(80_000, Duration::from_millis(200), true);
        pace.sent(at(0), 0, 1_000);
        pace.sent(at(10_000), 1_000, 1_000);
        assert_eq!(pace.due(), Some(at(9_900)));
        pace.sent(at(10_000), 2_000, 1_000);
        pace.sent(at(10_000), 3_000, 1_000);
        assert_eq!(pace.due(), Some(at(10_100)));
    }

    #[test]
    fn a_pause_moves_the_clock_and_a_rejoin_sets_it() {
        let mut pace = Pace::new(80_000, Duration::ZERO, true);
        pace.sent(at(0), 500, 1_000);
        pace.held(Duration::from_secs(2));
        assert_eq!(pace.due(), Some(at(2_100)));
        assert_eq!(pace.live_edge(at(3_000)), 500 + 30_000);
        pace.rejoin(30_500);
        assert_eq!(pace.due(), Some(at(3_000)));
    }
}
