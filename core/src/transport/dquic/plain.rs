//! Connections that carry plain streams and nothing else (AB-D25): no sessions, no control stream.
//!
//! [`Plain`] is the machine of one socket, as a client, a server, or both.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;

use slab::Slab;

use super::{Carries, DquicConfig};
use crate::code::Code;
use crate::endpoint::RateLimit;
use crate::error::Misuse;
use crate::id::ConnId;
use crate::io::{Path, Transmit};
use crate::limits::{MAX_PLAIN_CONNECTIONS, MAX_STATELESS_QUEUED, STATELESS_ANSWERS_PER_SECOND};
use crate::rng::Seed;
use crate::time::Instant;
use crate::transport::{Offer, Offered, Route, Signal, Stack, Target, Transport, Trust};

/// What [`Plain::poll_output`] gives.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Send this.
    Transmit(Transmit),
    /// A connection tells this.
    Signal(ConnId, Signal),
    /// Nothing more before a datagram or a command comes, or this time has come.
    Wait(Option<Instant>),
}

/// Whether a datagram with this first byte is for this endpoint (AB-D2), and not for a classic
/// one on the same socket.
#[must_use]
pub const fn is_ours(first: u8) -> bool {
    matches!(first, 0x10..=0x1f)
}

struct Slot {
    id: ConnId,
    transport: Box<dyn Transport>,
    is_ready: bool,
}

/// Connections of plain streams on one socket.
pub struct Plain {
    stack: Box<dyn Stack>,
    serves: bool,
    now: Instant,
    slots: Slab<Slot>,
    /// Counts the connections so far, so that none has the id of an earlier one.
    connections: u32,
    ready: VecDeque<usize>,
    answers: VecDeque<(Path, Vec<u8>)>,
    answer_rate: RateLimit,
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let connections: Vec<ConnId> = self.slots.iter().map(|(_, slot)| slot.id).collect();
        f.debug_struct("Plain").field("connections", &connections).finish_non_exhaustive()
    }
}

impl Plain {
    /// One without connections. It is a server too if `config` says so.
    ///
    /// # Errors
    /// [`Misuse::Config`] with what is wrong with a number.
    pub fn new(config: &DquicConfig, seed: &Seed) -> Result<Self, Misuse> {
        let serves = config.serves;
        let config = DquicConfig { carries: Carries::Streams, ..config.clone() };
        Ok(Self {
            stack: super::stack(config, seed)?,
            serves,
            now: Instant::ZERO,
            slots: Slab::new(),
            connections: 0,
            ready: VecDeque::new(),
            answers: VecDeque::new(),
            answer_rate: RateLimit::new(STATELESS_ANSWERS_PER_SECOND),
        })
    }

    /// Starts a connection. [`Signal::Up`] or [`Signal::Down`] will come.
    ///
    /// # Errors
    /// [`Misuse::Config`] for an address that cannot be dialled, [`Misuse::TooMuch`] at the limit
    /// of connections.
    pub fn connect(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<ConnId, Misuse> {
        self.now = self.now.max(now);
        let target = Target {
            remote,
            local,
            server_name: String::new(),
            trust: Trust::Any,
            offered: Offered::V1,
            ticket: None,
        };
        let Some(id) = self.next_id() else {
            return Err(Misuse::TooMuch { what: "connections", limit: MAX_PLAIN_CONNECTIONS });
        };
        let transport = self.stack.dial(self.now, id, &target)?;
        self.insert(id, transport);
        Ok(id)
    }

    /// A connection, to use its streams.
    pub fn conn(&mut self, id: ConnId) -> Option<&mut dyn Transport> {
        self.wake(id.slot as usize);
        let slot = self.slots.get_mut(id.slot as usize).filter(|slot| slot.id == id)?;
        Some(slot.transport.as_mut())
    }

    /// Ends every connection now.
    pub fn close(&mut self, now: Instant, code: Code, reason: &str) {
        self.now = self.now.max(now);
        let keys: Vec<usize> = self.slots.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.slots[key].transport.close(self.now, code, reason);
            self.wake(key);
        }
    }

    /// A datagram has come. Any bytes are allowed; they may be changed.
    pub fn handle_datagram(&mut self, now: Instant, path: Path, bytes: &mut [u8]) {
        self.now = self.now.max(now);
        let mut answer = Vec::new();
        match self.stack.classify(self.now, path, bytes, &mut answer) {
            Route::To(id) => self.deliver(id, path, bytes),
            Route::New(offer) => self.offered(path, &offer, bytes),
            Route::Answer(_) => self.answer(path, answer),
            Route::Drop(why) => log::trace!("a datagram of {} is dropped: {why:?}", path.remote),
        }
    }

    /// The time of an [`Output::Wait`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        let due = |at: Instant| at <= self.now;
        let slots = self.slots.iter();
        let late = slots.filter(|(_, slot)| slot.transport.deadline().is_some_and(due));
        let keys: Vec<usize> = late.map(|(key, _)| key).collect();
        for key in keys {
            self.slots[key].transport.expire(self.now);
            self.wake(key);
        }
    }

    /// What to do next. `buf` has room for [`crate::limits::MAX_SEGMENTED`] bytes.
    pub fn poll_output(&mut self, buf: &mut [u8]) -> Output {
        if let Some((path, bytes)) = self.answers.pop_front() {
            let len = bytes.len();
            buf[..len].copy_from_slice(&bytes);
            return Output::Transmit(Transmit { path, ecn: None, len, segment: None, at: None });
        }
        while let Some(key) = self.ready.pop_front() {
            let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.is_ready) else { continue };
            slot.is_ready = false;
            let id = slot.id;
            if let Some(signal) = slot.transport.poll() {
                self.wake(key);
                return Output::Signal(id, signal);
            }
            if let Some(transmit) = slot.transport.transmit(self.now, buf) {
                self.wake(key);
                return Output::Transmit(transmit);
            }
            if slot.transport.is_finished() {
                self.slots.remove(key);
                self.stack.forget(id);
            }
        }
        Output::Wait(self.slots.iter().filter_map(|(_, slot)| slot.transport.deadline()).min())
    }

    fn next_id(&self) -> Option<ConnId> {
        let slot = u32::try_from(self.slots.vacant_key()).ok()?;
        let id = ConnId { slot, generation: self.connections };
        (self.slots.len() < MAX_PLAIN_CONNECTIONS).then_some(id)
    }

    fn insert(&mut self, id: ConnId, transport: Box<dyn Transport>) {
        self.connections = self.connections.wrapping_add(1);
        let key = self.slots.insert(Slot { id, transport, is_ready: false });
        debug_assert_eq!(Some(id.slot), u32::try_from(key).ok());
        self.wake(key);
    }

    fn wake(&mut self, key: usize) {
        if let Some(slot) = self.slots.get_mut(key).filter(|slot| !slot.is_ready) {
            slot.is_ready = true;
            self.ready.push_back(key);
        }
    }

    fn deliver(&mut self, id: ConnId, path: Path, bytes: &mut [u8]) {
        let now = self.now;
        if let Some(transport) = self.conn(id) {
            transport.receive(now, path, bytes);
        }
    }

    /// A client asks for a connection. It proves its address first: there is room for few, and
    /// whoever sends under addresses of others gets none of it.
    fn offered(&mut self, path: Path, offer: &Offer, bytes: &mut [u8]) {
        if !self.serves {
            return;
        }
        if !offer.validated {
            let mut answer = Vec::new();
            if let Route::Answer(_) = self.stack.challenge(self.now, path, offer, &mut answer) {
                self.answer(path, answer);
            }
            return;
        }
        let Some(id) = self.next_id() else {
            log::warn!("{} is refused: too many connections", path.remote);
            return;
        };
        match self.stack.admit(self.now, id, path, offer) {
            Ok(transport) => {
                self.insert(id, transport);
                self.deliver(id, path, bytes);
            }
            Err(why) => log::debug!("{} is refused: {why:?}", path.remote),
        }
    }

    fn answer(&mut self, path: Path, bytes: Vec<u8>) {
        if self.answers.len() < MAX_STATELESS_QUEUED && self.answer_rate.take(self.now) {
            self.answers.push_back((path, bytes));
        }
    }
}
