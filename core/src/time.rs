//! Time as data: the core never reads a clock.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in monotonic time: nanoseconds since an origin the driver picks.
///
/// Every call that can depend on time takes one as an argument. Values must not go back;
/// a caller that lets them go back gets the latest time seen so far instead.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The driver's origin.
    pub const ZERO: Self = Self(0);

    /// A point `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`, zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of representable time (584 years after the origin).
    fn add(self, rhs: Duration) -> Self {
        let nanos = u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub<Self> for Instant {
    type Output = Duration;

    fn sub(self, rhs: Self) -> Duration {
        self.since(rhs)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// Wall-clock time: milliseconds since the Unix epoch. Enters the core only as data
/// ([`crate::Endpoint::set_wall_clock`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

/// Why a wake-up is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The transport's own timers: loss detection, idle, draining, path validation.
    Transport,
    /// The handshake has to be complete by then.
    Handshake,
    /// A ping that keeps the connection, or a classic peer, going.
    KeepAlive,
    /// The drain has to be complete by then.
    Drain,
    /// A media session sends its heartbeat.
    Heartbeat,
    /// A media session has to have heard from its peer by then.
    SessionTimeout,
    /// A media session may send its next chunk.
    Pacing,
    /// The pacing time of an encoded datagram.
    Release,
}

/// When to call [`crate::Endpoint::handle_timeout`] at the latest, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    /// The point in time.
    pub at: Instant,
    /// The first question in every timer bug: why did we wake?
    pub why: Reason,
}

impl Deadline {
    /// The earlier of two optional deadlines.
    #[must_use]
    pub fn earliest(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let end = Instant::from_nanos(u64::MAX);
        assert_eq!(end + Duration::from_secs(1), end);
        assert_eq!(Instant::ZERO.since(end), Duration::ZERO);
        assert_eq!(end - Instant::from_nanos(u64::MAX - 5), Duration::from_nanos(5));
    }

    #[test]
    fn the_earliest_deadline_wins() {
        let d = |at, why| Some(Deadline { at: Instant::from_nanos(at), why });
        let (a, b) = (d(5, Reason::Pacing), d(3, Reason::Transport));
        assert_eq!(Deadline::earliest(a, b), b);
        assert_eq!(Deadline::earliest(None, a), a);
        assert_eq!(Deadline::earliest(None, None), None);
    }
}
