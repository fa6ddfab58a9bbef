//! The seed of a world: a number, or the hash of a commit.

use std::fmt;
use std::str::FromStr;

use anabranch_core::Seed;

/// What decides a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorldSeed(pub u64);

impl WorldSeed {
    /// For the world's generators.
    #[must_use]
    pub fn seed(self) -> Seed {
        Seed::from_u64(self.0)
    }

    /// The one that comes so many later.
    #[must_use]
    pub const fn after(self, count: u64) -> Self {
        Self(self.0.wrapping_add(count))
    }
}

impl fmt::Display for WorldSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for WorldSeed {
    type Err = String;

    /// A decimal number; or hexadecimal digits, such as a commit's hash, of which the first
    /// sixteen count.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(number) = text.parse() {
            return Ok(Self(number));
        }
        let first = text.get(..text.len().min(16)).unwrap_or_default();
        let all_hex = !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u64::from_str_radix(first, 16).ok().filter(|_| all_hex);
        number.map(Self).ok_or_else(|| format!("{text:?} is neither a number nor a hash"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_hashes_are_seeds() {
        assert_eq!("17".parse(), Ok(WorldSeed(17)));
        let hash = "64c092b0c4d5e6f708192a3b4c5d6e7f80910a1b".parse();
        assert_eq!(hash, Ok(WorldSeed(0x64c0_92b0_c4d5_e6f7)));
        assert_eq!("64c092b".parse(), Ok(WorldSeed(0x064c_092b)));
        for bad in ["", "x1", "12 3", "-1"] {
            assert!(bad.parse::<WorldSeed>().is_err(), "{bad:?}");
        }
    }
}
