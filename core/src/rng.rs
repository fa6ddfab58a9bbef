//! Randomness as data: a seed at construction, split into named substreams.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

/// Where all randomness of an [`crate::Endpoint`] comes from. Drivers draw it from the
/// operating system, tests and simulations count it up. There is no default on purpose.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// A seed for tests and simulations, from a small number.
    #[must_use]
    pub fn from_u64(n: u64) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&n.to_le_bytes());
        Self(seed)
    }

    /// A generator for one named purpose. Different names give independent streams, so that
    /// one more draw for one purpose changes nothing for the others.
    #[must_use]
    pub fn stream(&self, name: &str) -> Rng {
        let key = blake3::keyed_hash(&self.0, name.as_bytes());
        Rng(ChaCha8Rng::from_seed(*key.as_bytes()))
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A deterministic generator (`ChaCha8`), the same on every platform.
#[derive(Clone, Debug)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// Fills `out` with random bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.0.fill_bytes(out);
    }

    /// `N` random bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// A uniformly distributed 64-bit number.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..bound` (`bound` > 0), without a float and without noticeable bias.
    pub fn below(&mut self, bound: u64) -> u64 {
        debug_assert!(bound > 0);
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// True `num` times out of `den`.
    pub fn chance(&mut self, num: u64, den: u64) -> bool {
        self.below(den) < num
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_repeatable_and_independent() {
        let seed = Seed::from_u64(7);
        let (mut a, mut b, mut c) = (seed.stream("cid"), seed.stream("cid"), seed.stream("loss"));
        let first = a.next_u64();
        assert_eq!(first, b.next_u64());
        assert_ne!(first, c.next_u64());
    }

    #[test]
    fn below_stays_below_and_reaches_both_ends() {
        let mut rng = Seed::from_u64(1).stream("below");
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[usize::try_from(rng.below(5)).unwrap()] = true;
        }
        assert_eq!(seen, [true; 5]);
    }
}
