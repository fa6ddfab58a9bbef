//! One direction of a network link, as a machine without input or output.
//!
//! Datagrams go in with [`Link::send`] and come out of [`Link::poll`] when their time has come,
//! with whatever the link does to them. Two links make a connection between two hosts; any
//! number of them make a network. Everything is decided by the generator given at construction.
//! Each datagram draws the same number of dice, whatever is switched on: a link that also
//! duplicates loses the same datagrams as one that does not.

mod config;

use std::collections::BTreeMap;
use std::time::Duration;

use anabranch_core::rng::Rng;
use anabranch_core::{Ecn, Instant};

pub use config::{Burst, LinkConfig, Ratio};

/// A datagram that comes out of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery<H> {
    /// What its sender put on it: the addresses, at least.
    pub header: H,
    /// Its ECN bits.
    pub ecn: Option<Ecn>,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// When it was sent.
    pub sent: Instant,
}

/// What a link has done so far. Every datagram that was sent is either lost in exactly one way or
/// delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams given to the link.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Datagrams that came out, copies included.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Lost in a burst.
    pub lost_in_burst: u64,
    /// Lost because the drop list names them.
    pub listed: u64,
    /// Lost because they were larger than the link takes.
    pub too_big: u64,
    /// Lost because the queue was full.
    pub overflowed: u64,
    /// Lost while the link was a black hole.
    pub swallowed: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Held back so that later ones pass.
    pub reordered: u64,
    /// Delivered with flipped bits.
    pub corrupted: u64,
    /// Delivered without their end.
    pub truncated: u64,
}

impl Counts {
    /// Datagrams that were lost, each in exactly one way.
    #[must_use]
    pub const fn gone(&self) -> u64 {
        self.lost
            + self.lost_in_burst
            + self.listed
            + self.too_big
            + self.overflowed
            + self.swallowed
    }
}

/// One direction of a link, for datagrams with a header `H` that no fault changes.
#[derive(Debug)]
pub struct Link<H> {
    config: LinkConfig,
    rng: Rng,
    counts: Counts,
    /// In flight, by arrival; the number keeps the order of equal times.
    flying: BTreeMap<(Instant, u64), Delivery<H>>,
    next_number: u64,
    /// When the sending end will have put everything on the wire that waits there.
    free_at: Instant,
    /// The latest arrival of a datagram that was not held back: jitter alone keeps the order.
    in_order: Instant,
    in_burst: bool,
    blackhole: bool,
}

/// All dice of one datagram, so that the number of draws does not depend on the configuration.
struct Dice {
    lose: bool,
    burst: bool,
    duplicate: bool,
    reorder: bool,
    corrupt: bool,
    truncate: bool,
    jitter: u64,
    copy_jitter: u64,
    shape: u64,
}

impl<H: Clone> Link<H> {
    /// A link on which nothing is in flight. Give each link a generator of its own, from
    /// a named stream of the seed.
    #[must_use]
    pub fn new(config: LinkConfig, rng: Rng) -> Self {
        Self {
            config,
            rng,
            counts: Counts::default(),
            flying: BTreeMap::new(),
            next_number: 0,
            free_at: Instant::ZERO,
            in_order: Instant::ZERO,
            in_burst: false,
            blackhole: false,
        }
    }

    /// What it does to datagrams.
    #[must_use]
    pub const fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// What it has done so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Changes its behaviour for datagrams sent from now on.
    pub fn configure(&mut self, config: LinkConfig) {
        self.config = config;
    }

    /// While on, everything sent is lost. What is in flight still arrives.
    pub fn set_blackhole(&mut self, on: bool) {
        self.blackhole = on;
    }

    /// Loses everything in flight, and everything that waits in the queue.
    pub fn clear(&mut self) {
        self.counts.swallowed += self.flying.len() as u64;
        self.flying.clear();
        (self.free_at, self.in_order) = (Instant::ZERO, Instant::ZERO);
    }

    /// Datagrams in flight, and in the queue.
    #[must_use]
    pub fn flying(&self) -> usize {
        self.flying.len()
    }

    /// A datagram goes in.
    pub fn send(&mut self, now: Instant, header: H, ecn: Option<Ecn>, bytes: Vec<u8>) {
        let index = self.counts.sent;
        self.counts.sent += 1;
        self.counts.sent_bytes += bytes.len() as u64;
        let dice = self.roll();
        if self.is_lost(index, bytes.len(), &dice) {
            return;
        }
        let Some(departs) = self.serialise(now, bytes.len()) else {
            self.counts.overflowed += 1;
            return;
        };
        let mut delivery = Delivery { header, ecn, bytes, sent: now };
        self.damage(&mut delivery.bytes, &dice);
        let arrives = departs + self.config.latency;
        if dice.duplicate {
            self.counts.duplicated += 1;
            let at = arrives + self.jitter(dice.copy_jitter) + self.config.reorder_by;
            self.fly(at, delivery.clone());
        }
        let at = arrives + self.jitter(dice.jitter);
        if dice.reorder {
            self.counts.reordered += 1;
            self.fly(at + self.config.reorder_by, delivery);
        } else {
            self.in_order = self.in_order.max(at);
            self.fly(self.in_order, delivery);
        }
    }

    /// The next datagram that has arrived by now.
    pub fn poll(&mut self, now: Instant) -> Option<Delivery<H>> {
        let entry = self.flying.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        let delivery = entry.remove();
        self.counts.delivered += 1;
        self.counts.delivered_bytes += delivery.bytes.len() as u64;
        Some(delivery)
    }

    /// When the next datagram arrives.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.flying.first_key_value().map(|((at, _), _)| *at)
    }

    fn roll(&mut self) -> Dice {
        let config = &self.config;
        let rng = &mut self.rng;
        let lose = config.loss.roll(rng);
        let turn = rng.next_u64();
        let burst = rng.next_u64();
        let (duplicate, reorder) = (config.duplicate.roll(rng), config.reorder.roll(rng));
        let (corrupt, truncate) = (config.corrupt.roll(rng), config.truncate.roll(rng));
        let (jitter, copy_jitter) = (rng.next_u64(), rng.next_u64());
        let shape = rng.next_u64();
        let burst = match &config.burst {
            None => false,
            Some(model) => {
                let flip = if self.in_burst { model.leave } else { model.enter };
                self.in_burst ^= flip.holds(turn);
                self.in_burst && model.loss.holds(burst)
            }
        };
        Dice { lose, burst, duplicate, reorder, corrupt, truncate, jitter, copy_jitter, shape }
    }

    /// Whether the datagram never arrives, and which count says so.
    fn is_lost(&mut self, index: u64, len: usize, dice: &Dice) -> bool {
        let counter = if self.blackhole {
            &mut self.counts.swallowed
        } else if self.config.drop_list.contains(&index) {
            &mut self.counts.listed
        } else if self.config.mtu.is_some_and(|mtu| len > mtu) {
            &mut self.counts.too_big
        } else if dice.burst {
            &mut self.counts.lost_in_burst
        } else if dice.lose {
            &mut self.counts.lost
        } else {
            return false;
        };
        *counter += 1;
        true
    }

    /// When the datagram's last byte leaves the sending end. `None`: its queue is full.
    fn serialise(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let Some(rate) = self.config.bytes_per_second else { return Some(now) };
        let start = self.free_at.max(now);
        let waiting = time_to_bytes(start.since(now), rate);
        if waiting > 0 && waiting + len as u64 > self.config.queue_bytes {
            return None;
        }
        self.free_at = start + bytes_to_time(len as u64, rate);
        Some(self.free_at)
    }

    fn damage(&mut self, bytes: &mut Vec<u8>, dice: &Dice) {
        if bytes.is_empty() {
            return;
        }
        let len = bytes.len() as u64;
        if dice.corrupt {
            self.counts.corrupted += 1;
            // One to three bits, at places that cannot be the same.
            for n in 0..=dice.shape % 3 {
                let bit = (dice.shape >> 8).wrapping_add(n * (len * 8 / 3)) % (len * 8);
                bytes[usize::try_from(bit / 8).expect("an index")] ^= 1 << (bit % 8);
            }
        }
        if dice.truncate {
            self.counts.truncated += 1;
            bytes.truncate(usize::try_from((dice.shape >> 32) % len).expect("an index"));
        }
    }

    fn jitter(&self, draw: u64) -> Duration {
        let nanos = u64::try_from(self.config.jitter.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(draw.checked_rem(nanos.saturating_add(1)).unwrap_or(draw))
    }

    fn fly(&mut self, at: Instant, delivery: Delivery<H>) {
        self.flying.insert((at, self.next_number), delivery);
        self.next_number += 1;
    }
}

const NANOS: u128 = 1_000_000_000;

fn bytes_to_time(bytes: u64, rate: u64) -> Duration {
    let nanos = u128::from(bytes) * NANOS / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn time_to_bytes(time: Duration, rate: u64) -> u64 {
    u64::try_from(time.as_nanos() * u128::from(rate) / NANOS).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
