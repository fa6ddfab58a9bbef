//! The only place in the core that reads a clock.
//!
//! quiche asks the system for the time by itself and gives its deadlines in that clock. A pair
//! of readings, one of each clock, translates between the two.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "quiche's deadlines are in the system's clock"
)]

use std::time::Instant as System;

use crate::time::Instant;

/// One moment in both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    system: System,
    ours: Instant,
    /// The newest `now` that was compared.
    tuned: Instant,
}

impl Clock {
    /// The moment is now.
    pub(super) fn new(now: Instant) -> Self {
        Self { system: System::now(), ours: now, tuned: now }
    }

    /// Takes a better pair where there is one: the caller's `now` is always a little old, so
    /// the pair with the least delay between the two readings is the truest. A pair with too
    /// much delay would make each deadline come early by so much, and the driver spin.
    pub(super) fn tune(&mut self, now: Instant) {
        // A second reading for the same `now` can only have more delay.
        if now == self.tuned {
            return;
        }
        self.tuned = now;
        let newer = Self::new(now);
        if newer.ours_at(newer.system) > self.ours_at(newer.system) {
            *self = newer;
        }
    }

    /// A time of the system's clock in ours.
    pub(super) fn ours_at(&self, time: System) -> Instant {
        match time.checked_duration_since(self.system) {
            Some(later) => self.ours + later,
            None => {
                let earlier = self.system.duration_since(time).as_nanos();
                let earlier = u64::try_from(earlier).unwrap_or(u64::MAX);
                Instant::from_nanos(self.ours.as_nanos().saturating_sub(earlier))
            }
        }
    }

    /// The system's clock, in ours.
    pub(super) fn now(&self) -> Instant {
        self.ours_at(System::now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn both_directions_of_time_translate() {
        let clock = Clock::new(Instant::from_nanos(5_000));
        let later = clock.system + Duration::from_nanos(700);
        assert_eq!(clock.ours_at(later), Instant::from_nanos(5_700));
        let earlier = clock.system.checked_sub(Duration::from_nanos(700));
        if let Some(earlier) = earlier {
            assert_eq!(clock.ours_at(earlier), Instant::from_nanos(4_300));
        }
    }

    #[test]
    fn a_pair_with_less_delay_replaces_the_first() {
        let mut clock = Clock::new(Instant::from_nanos(1_000));
        clock.tune(Instant::from_nanos(1_000));
        assert_eq!(clock.ours, Instant::from_nanos(1_000), "an older reading is no better");
        let fresh = Instant::from_nanos(60_000_000_000);
        clock.tune(fresh);
        assert_eq!(clock.ours, fresh);
    }
}
