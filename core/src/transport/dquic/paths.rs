//! The addresses of a connection (RFC 9000 sections 8 and 9, rules AB-D19 and AB-D20).
//!
//! Only clients move. A server answers where it hears its client, but sends no more than three
//! times what it heard from there until a response to a challenge has proved the address.

use std::collections::VecDeque;
use std::time::Duration;

use crate::id::Side;
use crate::io::Path;
use crate::limits;
use crate::rng::Rng;
use crate::time::Instant;

/// Bytes sent for each byte from an address that is not proved (RFC 9000 section 8.1).
const AMPLIFICATION: u64 = 3;
/// Challenges on one path before it is given up.
const MAX_CHALLENGES: usize = 6;
/// The first interval between two challenges, at least.
const CHALLENGE_AGAIN: Duration = Duration::from_millis(200);

/// What is known about one path.
#[derive(Clone, Debug)]
struct Known {
    path: Path,
    validated: bool,
    received: u64,
    sent: u64,
    /// What was asked there and is not answered.
    challenges: Vec<[u8; 8]>,
    /// When to ask again.
    ask_at: Option<Instant>,
}

impl Known {
    fn new(path: Path, validated: bool) -> Self {
        Self { path, validated, received: 0, sent: 0, challenges: Vec::new(), ask_at: None }
    }

    fn allowance(&self) -> u64 {
        if self.validated {
            return u64::MAX;
        }
        self.received.saturating_mul(AMPLIFICATION).saturating_sub(self.sent)
    }
}

/// A challenge that was answered: what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Nothing: late, or never asked.
    None,
    /// The path in use is proved.
    Validated(Path),
}

/// The path in use, and the one before it.
#[derive(Debug)]
pub(super) struct Paths {
    side: Side,
    current: Known,
    /// The last one that was proved, while the one in use is not.
    fallback: Option<Known>,
    /// Challenges of the peer: where, what, and whether they came in a large datagram.
    answers: VecDeque<(Path, [u8; 8], bool)>,
    rng: Rng,
}

impl Paths {
    /// The path of the handshake. A client takes the server's address for granted.
    pub(super) fn new(side: Side, path: Path, rng: Rng) -> Self {
        let current = Known::new(path, side == Side::Client);
        Self { side, current, fallback: None, answers: VecDeque::new(), rng }
    }

    /// The path in use.
    pub(super) fn current(&self) -> Path {
        self.current.path
    }

    /// Whether it is proved.
    pub(super) fn is_validated(&self) -> bool {
        self.current.validated
    }

    /// The peer has shown in another way that it is where it says.
    pub(super) fn set_validated(&mut self) {
        self.current.validated = true;
        self.current.challenges.clear();
        self.current.ask_at = None;
        self.fallback = None;
    }

    /// Whether datagrams from there belong to the connection at all: a server never moves.
    pub(super) fn accepts(&self, path: Path) -> bool {
        self.side == Side::Server || path.remote == self.current.path.remote
    }

    /// A good datagram has come.
    pub(super) fn received(&mut self, path: Path, len: usize) {
        let known = match &mut self.fallback {
            Some(fallback) if fallback.path == path => fallback,
            Some(_) | None => &mut self.current,
        };
        if known.path == path {
            known.received = known.received.saturating_add(len as u64);
        }
    }

    /// A datagram has been sent on the path in use.
    pub(super) fn sent(&mut self, path: Path, len: usize) {
        if self.current.path == path {
            self.current.sent = self.current.sent.saturating_add(len as u64);
        }
    }

    /// How many bytes may be sent on the path in use.
    pub(super) fn allowance(&self) -> u64 {
        self.current.allowance()
    }

    /// While the handshake is under way: a client's newest HELLO came from there.
    pub(super) fn set_handshake(&mut self, path: Path, len: usize) {
        if self.current.path != path {
            self.current = Known::new(path, false);
            self.received(path, len);
        }
    }

    /// The peer's newest packet came from another address, with more in it than probes. True:
    /// that path is in use from now on.
    pub(super) fn follow(&mut self, now: Instant, path: Path, len: usize) -> bool {
        if self.side == Side::Client || self.current.path == path {
            return false;
        }
        match self.fallback.take() {
            Some(fallback) if fallback.path == path => self.current = fallback,
            fallback => {
                let mut next = Known::new(path, false);
                next.received = len as u64;
                next.ask_at = Some(now);
                let last = std::mem::replace(&mut self.current, next);
                self.fallback = if last.validated { Some(last) } else { fallback };
            }
        }
        true
    }

    /// The client's socket is at another address.
    pub(super) fn rebind(&mut self, path: Path) {
        self.current = Known::new(path, true);
    }

    /// The challenge to send on the path in use, if it is time for one. `interval`: what an
    /// answer may take.
    pub(super) fn challenge(&mut self, now: Instant, interval: Duration) -> Option<[u8; 8]> {
        if self.current.ask_at.is_none_or(|at| at > now) {
            return None;
        }
        let tries = self.current.challenges.len();
        if tries >= MAX_CHALLENGES {
            // Where the client really is, it will be heard again, and asked again.
            self.current.ask_at = None;
            if let Some(fallback) = self.fallback.take() {
                self.current = fallback;
            }
            return None;
        }
        let wait = interval.max(CHALLENGE_AGAIN);
        self.current.ask_at = Some(now + wait * (1 << tries.min(3)));
        let data = self.rng.array();
        self.current.challenges.push(data);
        Some(data)
    }

    /// When [`Paths::challenge`] has something new to say.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.current.ask_at
    }

    /// The peer asks.
    pub(super) fn asked(&mut self, path: Path, data: [u8; 8], large: bool) {
        if self.answers.len() >= limits::MAX_PATH_ANSWERS {
            self.answers.pop_front();
        }
        self.answers.push_back((path, data, large));
    }

    /// The next answer to give: where, what, and whether in a large datagram.
    pub(super) fn answer(&mut self) -> Option<(Path, [u8; 8], bool)> {
        self.answers.pop_front()
    }

    /// The peer answers.
    pub(super) fn answered(&mut self, data: [u8; 8]) -> Proof {
        if !self.current.challenges.contains(&data) {
            return Proof::None;
        }
        self.set_validated();
        Proof::Validated(self.current.path)
    }
}

#[cfg(test)]
mod tests;
