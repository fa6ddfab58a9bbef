//! The clock and the seed: where a driver meets real time and real randomness.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anabranch_core::{Instant, Seed, UnixMillis};

/// Turns the machine's monotonic clock into the core's [`Instant`].
///
/// Its origin is the moment it was made. Copies share the origin, and an endpoint's
/// [`Config::epoch`](anabranch_core::Config::epoch) must come from the clock that its driver
/// runs on.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: std::time::Instant,
    epoch: UnixMillis,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: std::time::Instant::now(), epoch: wall() }
    }

    /// The time since the origin. Never goes back.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::ZERO + self.origin.elapsed()
    }

    /// The wall-clock time at the origin, for [`anabranch_core::Config::epoch`].
    #[must_use]
    pub const fn epoch(&self) -> UnixMillis {
        self.epoch
    }

    /// The wall-clock time now. It may have been set since the origin, and may go back.
    #[must_use]
    pub fn wall(&self) -> UnixMillis {
        wall()
    }

    /// The same point on the machine's clock; `None` if that cannot represent it.
    #[must_use]
    pub fn to_std(&self, at: Instant) -> Option<std::time::Instant> {
        self.origin.checked_add(Duration::from_nanos(at.as_nanos()))
    }
}

fn wall() -> UnixMillis {
    // A clock set to before 1970 reads as 1970: it is only told to peers in heartbeats.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A seed for an endpoint, from the operating system's generator.
///
/// # Errors
/// The operating system has no randomness to give.
pub fn seed() -> io::Result<Seed> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Seed(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_starts_at_the_origin_and_goes_forward() {
        let clock = Clock::start();
        let copy = clock;
        let first = clock.now();
        let second = copy.now();
        assert!(first <= second);
        assert_eq!(clock.to_std(Instant::ZERO), Some(clock.origin));
        assert!(clock.to_std(second) <= Some(std::time::Instant::now()));
        assert!(clock.epoch() <= clock.wall() && clock.epoch().0 > 0);
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(seed().unwrap(), seed().unwrap());
    }
}
