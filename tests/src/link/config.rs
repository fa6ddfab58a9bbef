//! What a link does to datagrams.

use std::collections::BTreeSet;
use std::time::Duration;

use anabranch_core::rng::Rng;

/// How often something happens: `num` times out of `den`. No floats, so that it is the same
/// everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// So many times ...
    pub num: u64,
    /// ... out of so many.
    pub den: u64,
}

impl Ratio {
    /// It never happens.
    pub const NEVER: Self = Self { num: 0, den: 1 };
    /// It always happens.
    pub const ALWAYS: Self = Self { num: 1, den: 1 };

    /// So many per cent.
    #[must_use]
    pub const fn percent(num: u64) -> Self {
        Self { num, den: 100 }
    }

    /// Draws once.
    pub fn roll(self, rng: &mut Rng) -> bool {
        self.holds(rng.next_u64())
    }

    /// Whether it happens, given a uniformly distributed number.
    #[must_use]
    pub fn holds(self, draw: u64) -> bool {
        (u128::from(draw) * u128::from(self.den.max(1))) >> 64 < u128::from(self.num)
    }
}

/// Loss that comes in bursts (the Gilbert-Elliott model): the link is good or bad, and loses
/// datagrams only while it is bad. It may change with each datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// How often a good link turns bad.
    pub enter: Ratio,
    /// How often a bad link turns good.
    pub leave: Ratio,
    /// How often a bad link loses a datagram.
    pub loss: Ratio,
}

/// What one direction of a link does to datagrams. The default is a perfect link of 10 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// From one end to the other, at least.
    pub latency: Duration,
    /// At most so much more, evenly distributed. Jitter alone never changes the order.
    pub jitter: Duration,
    /// Lost by chance, each for itself.
    pub loss: Ratio,
    /// Lost in bursts.
    pub burst: Option<Burst>,
    /// Delivered twice; the copy `reorder_by` later.
    pub duplicate: Ratio,
    /// Held back ...
    pub reorder: Ratio,
    /// ... for so long, so that later ones pass.
    pub reorder_by: Duration,
    /// One to three bits are flipped.
    pub corrupt: Ratio,
    /// The end is cut off, perhaps all of it.
    pub truncate: Ratio,
    /// `None`: as fast as it comes.
    pub bytes_per_second: Option<u64>,
    /// Bytes that wait for their turn when the rate is limited, at most. One datagram is always
    /// taken by an idle link.
    pub queue_bytes: u64,
    /// Larger datagrams are lost without a word.
    pub mtu: Option<usize>,
    /// Datagrams that are lost, by number from 0.
    pub drop_list: BTreeSet<u64>,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(10),
            jitter: Duration::ZERO,
            loss: Ratio::NEVER,
            burst: None,
            duplicate: Ratio::NEVER,
            reorder: Ratio::NEVER,
            reorder_by: Duration::from_millis(3),
            corrupt: Ratio::NEVER,
            truncate: Ratio::NEVER,
            bytes_per_second: None,
            queue_bytes: 256 << 10,
            mtu: None,
            drop_list: BTreeSet::new(),
        }
    }
}

impl LinkConfig {
    /// A bad day: so much loss in per cent, with jitter, duplication and reordering.
    #[must_use]
    pub fn rough(loss_percent: u64) -> Self {
        Self {
            loss: Ratio::percent(loss_percent),
            jitter: Duration::from_millis(5),
            duplicate: Ratio::percent(3),
            reorder: Ratio::percent(5),
            ..Self::default()
        }
    }
}
