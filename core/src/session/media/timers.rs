//! The clocks of one session: its own heartbeats, the peer's silence, and the prods that keep a
//! classic peer going.

use std::time::Duration;

use crate::limits;
use crate::time::{Deadline, Instant, Reason};

/// The first prod comes after this much silence; the next ones after twice as much each.
const PROD_FIRST: Duration = Duration::from_millis(100);
/// The longest time between two prods.
const PROD_LAST: Duration = Duration::from_secs(1);

/// Both heartbeats of a session.
#[derive(Debug)]
pub(super) struct Liveness {
    keepalive: Duration,
    timeout: Duration,
    beat: Instant,
    heard: Instant,
}

impl Liveness {
    /// Before anything is granted: the defaults.
    pub(super) fn new(now: Instant) -> Self {
        let mut out =
            Self { keepalive: Duration::ZERO, timeout: Duration::ZERO, beat: now, heard: now };
        out.grant(now, limits::DEFAULT_KEEPALIVE, limits::DEFAULT_SESSION_TIMEOUT);
        out
    }

    /// What was granted, in seconds. A timeout that the granted heartbeats could not keep from
    /// firing is raised to twice their interval.
    pub(super) fn grant(&mut self, now: Instant, keepalive: u32, timeout: u32) {
        self.keepalive = Duration::from_secs(u64::from(keepalive.max(1)));
        self.timeout = Duration::from_secs(u64::from(timeout)).max(2 * self.keepalive);
        self.beat = now + self.keepalive;
    }

    /// Something has come from the peer, or we begin to listen again.
    pub(super) fn hear(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Whether a heartbeat is due; the next one is then set.
    pub(super) fn take_beat(&mut self, now: Instant) -> bool {
        let due = now >= self.beat;
        if due {
            self.beat = now + self.keepalive;
        }
        due
    }

    /// The peer has been silent for too long.
    pub(super) fn is_timed_out(&self, now: Instant) -> bool {
        now >= self.heard + self.timeout
    }

    /// When the next heartbeat is due.
    pub(super) fn beat_deadline(&self) -> Deadline {
        Deadline { at: self.beat, why: Reason::Heartbeat }
    }

    /// When the peer will have been silent for too long.
    pub(super) fn timeout_deadline(&self) -> Deadline {
        Deadline { at: self.heard + self.timeout, why: Reason::SessionTimeout }
    }

    /// How long the peer may be silent.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// Classic peers send what they have queued only when a datagram comes: while we wait for
/// something, we send them some.
#[derive(Debug)]
pub(super) struct Prod {
    at: Instant,
    wait: Duration,
}

impl Prod {
    pub(super) fn new(now: Instant) -> Self {
        Self { at: now + PROD_FIRST, wait: PROD_FIRST }
    }

    /// Something came, or there is something new to wait for.
    pub(super) fn restart(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// Whether to prod now; the next time is then set.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let due = now >= self.at;
        if due {
            self.wait = (2 * self.wait).min(PROD_LAST);
            self.at = now + self.wait;
        }
        due
    }

    /// When to prod next.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline { at: self.at, why: Reason::KeepAlive }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prods_double_up_to_a_second_and_start_again() {
        let mut prod = Prod::new(Instant::ZERO);
        let mut at = Vec::new();
        for _ in 0..6 {
            let now = prod.deadline().at;
            assert!(prod.take(now) && !prod.take(now));
            at.push(now.as_nanos() / 1_000_000);
        }
        assert_eq!(at, [100, 300, 700, 1_500, 2_500, 3_500]);
        prod.restart(Instant::ZERO);
        assert_eq!(prod.deadline().at.as_nanos(), 100_000_000);
    }

    #[test]
    fn a_timeout_shorter_than_two_heartbeats_is_raised() {
        let mut liveness = Liveness::new(Instant::ZERO);
        liveness.grant(Instant::ZERO, 5, 1);
        assert_eq!(liveness.timeout(), Duration::from_secs(10));
        liveness.grant(Instant::ZERO, 0, 0);
        assert_eq!(liveness.timeout(), Duration::from_secs(2));
        liveness.grant(Instant::ZERO, u32::MAX, u32::MAX);
        assert!(!liveness.is_timed_out(Instant::from_nanos(1 << 62)));
    }
}
