//! Media made from a number: byte `i` of a clip is a function of the clip's seed and `i`, so that
//! any piece can be made and checked anywhere, without holding the rest.

use anabranch_core::MediaId;
use anabranch_core::event::Entry;

/// A clip of the test catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    /// Its name in the catalogue.
    pub name: String,
    /// What its bytes are made from.
    pub seed: u64,
    /// Its length in bytes.
    pub len: u64,
    /// The bitrate its catalogue entry tells, in bit/s.
    pub bitrate: Option<u32>,
}

impl Clip {
    /// A clip of `len` bytes.
    #[must_use]
    pub fn new(name: &str, seed: u64, len: u64) -> Self {
        Self { name: name.to_owned(), seed, len, bitrate: None }
    }

    /// Fills `out` with the bytes from `offset` on.
    pub fn fill(&self, offset: u64, out: &mut [u8]) {
        for (i, byte) in (offset..).zip(out) {
            *byte = byte_at(self.seed, i);
        }
    }

    /// The bytes from `offset` on, at most `len`, fewer at the end.
    #[must_use]
    pub fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut out = vec![0; len.min(left)];
        self.fill(offset, &mut out);
        out
    }

    /// The first place in `bytes`, which should be at `offset`, that is wrong.
    #[must_use]
    pub fn first_difference(&self, offset: u64, bytes: &[u8]) -> Option<u64> {
        (offset..)
            .zip(bytes)
            .find(|(i, b)| *i >= self.len || **b != byte_at(self.seed, *i))
            .map(|(i, _)| i)
    }

    /// Its line in the catalogue.
    #[must_use]
    pub fn entry(&self) -> Entry {
        Entry {
            name: self.name.clone(),
            size: Some(self.len),
            bitrate: self.bitrate,
            kind: "application/octet-stream".to_owned(),
        }
    }
}

/// A catalogue of clips, numbered in the order given.
#[must_use]
pub fn catalogue(clips: &[Clip]) -> Vec<(MediaId, Entry)> {
    (0..).zip(clips).map(|(id, clip)| (MediaId(id), clip.entry())).collect()
}

/// Byte `i` of the stream of `seed` (`SplitMix64`, one output for each eight bytes).
const fn byte_at(seed: u64, i: u64) -> u8 {
    let mut z = seed.wrapping_add((i >> 3).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).to_le_bytes()[(i & 7) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_piece_is_the_same_as_in_the_whole() {
        let clip = Clip::new("a", 5, 1_000);
        let whole = clip.read(0, 5_000);
        assert_eq!(whole.len(), 1_000);
        for offset in [0, 1, 7, 8, 993] {
            let piece = clip.read(offset, 100);
            let at = usize::try_from(offset).unwrap();
            assert_eq!(piece, whole[at..(at + 100).min(1_000)]);
            assert_eq!(clip.first_difference(offset, &piece), None);
        }
    }

    #[test]
    fn a_wrong_byte_is_found_where_it_is() {
        let clip = Clip::new("a", 5, 1_000);
        let mut piece = clip.read(40, 100);
        piece[17] ^= 1;
        assert_eq!(clip.first_difference(40, &piece), Some(57));
        assert_eq!(clip.first_difference(41, &clip.read(40, 100)), Some(41), "shifted by one");
        assert_eq!(clip.first_difference(999, &[clip.read(999, 1)[0], 0]), Some(1_000));
        assert_ne!(Clip::new("a", 6, 1_000).read(0, 100), clip.read(0, 100));
    }
}
