//! What goes to several receivers at once is read once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use anabranch_core::files::Hash;
use bytes::Bytes;

/// Bytes that are kept: as far as one receiver may fall behind another without a second read.
const KEPT: usize = 128 << 20;

/// Pieces that were read not long ago. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Cache(Arc<Mutex<Pieces>>);

#[derive(Debug, Default)]
struct Pieces {
    pieces: BTreeMap<(u32, u64), (Bytes, Hash)>,
    order: VecDeque<(u32, u64)>,
    bytes: usize,
}

impl Cache {
    pub(super) fn get(&self, file: u32, piece: u64) -> Option<(Bytes, Hash)> {
        let pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.pieces.get(&(file, piece)).cloned()
    }

    pub(super) fn put(&self, file: u32, piece: u64, bytes: Bytes, hash: Hash) {
        let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.bytes += bytes.len();
        if let Some((old, _)) = pieces.pieces.insert((file, piece), (bytes, hash)) {
            pieces.bytes -= old.len();
        } else {
            pieces.order.push_back((file, piece));
        }
        while pieces.bytes > KEPT
            && let Some(oldest) = pieces.order.pop_front()
        {
            if let Some((old, _)) = pieces.pieces.remove(&oldest) {
                pieces.bytes -= old.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_pieces_are_kept() {
        let cache = Cache::default();
        let piece = Bytes::from(vec![0; 16 << 20]);
        for n in 0..12 {
            cache.put(0, n, piece.clone(), [0; 32]);
            cache.put(0, n, piece.clone(), [1; 32]);
        }
        for n in 0..12 {
            assert_eq!(cache.get(0, n).is_some(), n >= 4, "{n}");
        }
        assert_eq!(cache.get(0, 11).unwrap().1, [1; 32]);
        assert!(cache.get(1, 11).is_none());
    }
}
