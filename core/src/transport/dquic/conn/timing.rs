//! When the connection wants to be woken, and what happens then.

use std::time::Duration;

use super::Connection;
use super::send::MIN_PACKET;
use crate::error::{Lost, Why};
use crate::time::Instant;
use crate::transport::dquic::state::{Input, State};

/// Probe timeouts that late packets are waited for (RFC 9000 section 10.2).
const DRAIN_PTOS: u32 = 3;
/// Probe timeouts that silence lasts at least (RFC 9000 section 10.1).
const IDLE_PTOS: u32 = 3;
/// While nothing is known about the path.
const MIN_DRAIN: Duration = Duration::from_millis(100);

/// Silence, and the time after the end.
#[derive(Debug)]
pub(super) struct Timing {
    idle_timeout: Duration,
    /// Since when the peer is silent, as far as we have given it a reason to speak.
    silent_since: Instant,
    /// Something that the peer has to answer was sent since it was heard.
    asked: bool,
    /// When late packets are not expected any more.
    drained: Option<Instant>,
    /// When pacing lets the next packet go, if one is waiting for that.
    pub(super) release: Option<Instant>,
}

impl Timing {
    pub(super) fn new(now: Instant, idle_timeout: Duration) -> Self {
        Self { idle_timeout, silent_since: now, asked: false, drained: None, release: None }
    }

    /// The peer has its own idea of silence: the shorter one holds. Zero is none.
    pub(super) fn agree(&mut self, theirs: Duration) {
        if !theirs.is_zero() {
            self.idle_timeout = self.idle_timeout.min(theirs);
        }
    }

    /// The peer was heard.
    pub(super) fn heard(&mut self, now: Instant) {
        self.silent_since = now;
        self.asked = false;
    }

    /// Something that the peer has to answer is sent.
    pub(super) fn asked(&mut self, now: Instant) {
        if !self.asked {
            self.silent_since = now;
            self.asked = true;
        }
    }

    /// The connection is over; packets on their way are waited for.
    pub(super) fn drain(&mut self, now: Instant, pto: Duration) {
        let end = now + (pto * DRAIN_PTOS).max(MIN_DRAIN);
        self.drained = Some(self.drained.map_or(end, |earlier| earlier.min(end)));
    }
}

impl Connection {
    fn idle_at(&self) -> Instant {
        let least = self.recovery.pto() * IDLE_PTOS;
        self.timing.silent_since + self.timing.idle_timeout.max(least)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Idle => Some(self.idle_at()),
            State::Connecting => earliest([Some(self.idle_at()), self.handshake.deadline()]),
            State::Accepting => Some(self.idle_at()),
            State::Established => {
                let always =
                    [Some(self.idle_at()), self.recovery.deadline(), self.paths.deadline()];
                // Nothing may be sent to an address that has used up what it may get.
                if self.paths.allowance() < MIN_PACKET as u64 {
                    return earliest(always);
                }
                let if_allowed = [self.received.deadline(), self.timing.release];
                earliest(always.into_iter().chain(if_allowed))
            }
            State::Closing | State::Draining => self.timing.drained,
            State::Closed => None,
        }
    }

    pub(super) fn on_deadline(&mut self, now: Instant) {
        match self.state {
            State::Idle | State::Connecting | State::Accepting | State::Established => {
                if self.idle_at() <= now {
                    let up = self.state == State::Established;
                    let lost = if up { Lost::IdleTimeout } else { Lost::HandshakeTimeout };
                    self.end(Input::IdleTimeout, Why::Lost(lost));
                } else if self.recovery.deadline().is_some_and(|at| at <= now) {
                    let outcome = self.recovery.on_deadline(now);
                    self.apply(now, &outcome);
                }
            }
            State::Closing | State::Draining => {
                if self.timing.drained.is_some_and(|at| at <= now) {
                    self.step(Input::Drained);
                }
            }
            State::Closed => {}
        }
    }
}

fn earliest(times: impl IntoIterator<Item = Option<Instant>>) -> Option<Instant> {
    times.into_iter().flatten().min()
}
