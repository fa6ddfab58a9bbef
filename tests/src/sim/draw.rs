//! Decisions drawn from a generator. Without floats, so that they are the same everywhere.

use std::time::Duration;

use anabranch_core::rng::Rng;

/// A generator that makes decisions.
#[derive(Clone, Debug)]
pub struct Draw(Rng);

impl Draw {
    /// Draws from a named stream of the seed.
    #[must_use]
    pub const fn new(rng: Rng) -> Self {
        Self(rng)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number from `low` to `high`, both included.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.below(high - low + 1)
    }

    /// A size from `low` to `high`, both included.
    pub fn size(&mut self, low: usize, high: usize) -> usize {
        low + self.index(high - low + 1)
    }

    /// An index below `len`, which is not 0.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.0.below(len as u64)).expect("below a usize")
    }

    /// One of these; there is at least one.
    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())].clone()
    }

    /// One of these, if there are any.
    pub fn any<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        (!of.is_empty()).then(|| self.pick(of))
    }

    /// True so many times out of a hundred.
    pub fn percent(&mut self, num: u64) -> bool {
        self.0.chance(num, 100)
    }

    /// A time around `mean`: from nothing to twice as long, evenly distributed.
    pub fn around(&mut self, mean: Duration) -> Duration {
        let nanos = u64::try_from(mean.as_nanos()).unwrap_or(u64::MAX / 2);
        Duration::from_nanos(self.range(1, nanos.saturating_mul(2).max(1)))
    }

    /// Random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.0.fill(&mut out);
        out
    }

    /// One of these, as often as its weight says. `None` if all weights are 0.
    pub fn weighted<T: Copy>(&mut self, of: &[(u64, T)]) -> Option<T> {
        let total: u64 = of.iter().map(|(weight, _)| weight).sum();
        let mut at = (total > 0).then(|| self.0.below(total))?;
        of.iter()
            .find(|(weight, _)| at.checked_sub(*weight).map(|left| at = left).is_none())
            .map(|(_, what)| *what)
    }
}
