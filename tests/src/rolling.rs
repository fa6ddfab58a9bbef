//! A hash over everything that happens in a run, so that two runs can be compared.

use anabranch_core::{Ecn, Instant, Path};

/// A hash that grows with a run. Equal values mean equal histories.
#[derive(Clone, Debug, Default)]
pub struct Rolling(blake3::Hasher);

impl Rolling {
    /// Something happened: `what` tells kinds of things apart, and `bytes` is all there is to it.
    /// Lengths are part of the hash, so that no two histories run into one.
    pub fn add(&mut self, what: &str, at: Instant, bytes: &[u8]) {
        for part in [what.as_bytes(), bytes] {
            self.0.update(&(part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self.0.update(&at.as_nanos().to_le_bytes());
    }

    /// A datagram was sent or received.
    pub fn datagram(
        &mut self,
        what: &str,
        at: Instant,
        path: Path,
        ecn: Option<Ecn>,
        bytes: &[u8],
    ) {
        self.add(what, at, format!("{path:?} {ecn:?}").as_bytes());
        self.add("bytes", at, bytes);
    }

    /// The value so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        let hash = self.0.finalize();
        let first = hash.as_bytes().first_chunk().expect("32 bytes are more than eight");
        u64::from_be_bytes(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_histories_and_only_those_have_equal_hashes() {
        let hash = |things: &[(&str, u64, &[u8])]| {
            let mut rolling = Rolling::default();
            for (what, at, bytes) in things {
                rolling.add(what, Instant::from_nanos(*at), bytes);
            }
            rolling.value()
        };
        let history: &[(&str, u64, &[u8])] = &[("in", 1, b"ab"), ("out", 2, b"c")];
        assert_eq!(hash(history), hash(history));
        let others: [&[(&str, u64, &[u8])]; 5] = [
            &[("out", 2, b"c"), ("in", 1, b"ab")],
            &[("in", 1, b"a"), ("out", 2, b"bc")],
            &[("in", 1, b"ab"), ("out", 3, b"c")],
            &[("ina", 1, b"b"), ("out", 2, b"c")],
            &[("in", 1, b"ab")],
        ];
        for other in others {
            assert_ne!(hash(history), hash(other), "{other:?}");
        }
    }
}
