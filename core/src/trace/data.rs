//! Bytes as a trace holds them: whole, or in part as length and hash.

use bytes::{Bytes, BytesMut};
use xxhash_rust::xxh3::xxh3_64;

use crate::limits;

/// A piece of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The bytes themselves.
    Kept(Bytes),
    /// Left out.
    Left {
        /// How many bytes.
        len: usize,
        /// Their XXH3 (64 bits, seed 0).
        hash: u64,
    },
}

impl Part {
    /// How many bytes it stands for.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Kept(bytes) => bytes.len(),
            Self::Left { len, .. } => *len,
        }
    }

    /// Whether it stands for no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn left(bytes: &[u8]) -> Self {
        Self::Left { len: bytes.len(), hash: xxh3_64(bytes) }
    }
}

/// Some bytes, piece by piece. The default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Data(pub Vec<Part>);

impl Data {
    /// All of these, or only their length and hash.
    #[must_use]
    pub fn new(bytes: &[u8], keep: bool) -> Self {
        Self::cut(bytes, &[(keep, bytes.len())])
    }

    /// These, cut into pieces that are kept or not. The lengths add up to that of `bytes`.
    pub(super) fn cut(bytes: &[u8], pieces: &[(bool, usize)]) -> Self {
        let mut rest = &bytes[..bytes.len().min(limits::MAX_TRACE_DATA)];
        let mut parts = Vec::with_capacity(pieces.len());
        for (keep, len) in pieces {
            let (piece, after) = rest.split_at((*len).min(rest.len()));
            rest = after;
            if !piece.is_empty() {
                let kept = || Part::Kept(Bytes::copy_from_slice(piece));
                parts.push(if *keep { kept() } else { Part::left(piece) });
            }
        }
        Self(parts)
    }

    /// How many bytes it stands for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(Part::len).sum()
    }

    /// Whether it stands for no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that are like these: zeros stand for what was left out.
    #[must_use]
    pub fn restore(&self) -> Bytes {
        match self.0.as_slice() {
            [] => Bytes::new(),
            [Part::Kept(bytes)] => bytes.clone(),
            parts => {
                let mut out = BytesMut::with_capacity(self.len());
                for part in parts {
                    match part {
                        Part::Kept(bytes) => out.extend_from_slice(bytes),
                        Part::Left { len, .. } => out.resize(out.len() + len, 0),
                    }
                }
                out.freeze()
            }
        }
    }

    /// `bytes` in the same pieces as these. What was left out stays as it is.
    #[must_use]
    pub(super) fn recut(&self, bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let mut out = Vec::with_capacity(self.0.len());
        for part in &self.0 {
            let (piece, after) = rest.split_at(part.len().min(rest.len()));
            rest = after;
            out.push(match part {
                Part::Kept(_) => Part::Kept(Bytes::copy_from_slice(piece)),
                Part::Left { hash, .. } => Part::Left { len: piece.len(), hash: *hash },
            });
        }
        Self(out)
    }

    /// Only length and hash.
    pub(super) fn digest(&self) -> Self {
        match self.0.as_slice() {
            [] | [Part::Left { .. }] => self.clone(),
            _ => Self::new(&self.restore(), false),
        }
    }

    /// Forgets hashes.
    pub(super) fn blur(&mut self) {
        for part in &mut self.0 {
            if let Part::Left { hash, .. } = part {
                *hash = 0;
            }
        }
    }
}
