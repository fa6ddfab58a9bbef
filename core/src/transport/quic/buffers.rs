//! Stream bytes that quiche holds without a copy, and how many there are.
//!
//! quiche's own limit on what it takes is not one (it is the whole flow-control window while
//! loss probes are pending), so every chunk counts itself for as long as it lives: until its
//! last byte is acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use quiche::{BufFactory, BufSplit};

/// Bytes handed over and not yet acknowledged.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(Arc<AtomicUsize>);

impl Held {
    /// How many.
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Wraps bytes that are about to be handed over.
    pub(super) fn chunk(&self, bytes: Bytes) -> Chunk {
        let len = bytes.len();
        self.0.fetch_add(len, Ordering::Relaxed);
        Chunk { bytes, _count: Some(Arc::new(Count { len, held: self.clone() })) }
    }
}

#[derive(Debug)]
struct Count {
    len: usize,
    held: Held,
}

impl Drop for Count {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.len, Ordering::Relaxed);
    }
}

/// A piece of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunk {
    bytes: Bytes,
    _count: Option<Arc<Count>>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl BufSplit for Chunk {
    fn split_at(&mut self, at: usize) -> Self {
        Self { bytes: self.bytes.split_off(at), _count: self._count.clone() }
    }
}

/// Tells quiche to hold [`Chunk`]s.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunks;

impl BufFactory for Chunks {
    type Buf = Chunk;
    type DgramBuf = Vec<u8>;

    fn buf_from_slice(buf: &[u8]) -> Chunk {
        Chunk { bytes: Bytes::copy_from_slice(buf), _count: None }
    }

    fn dgram_buf_from_slice(buf: &[u8]) -> Vec<u8> {
        buf.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_until_the_last_part_is_gone() {
        let held = Held::default();
        let mut front = held.chunk(Bytes::from_static(b"abcdef"));
        let back = front.split_at(2);
        assert_eq!((front.as_ref(), back.as_ref()), (&b"ab"[..], &b"cdef"[..]));
        let copy = back.clone();
        drop((front, back));
        assert_eq!(held.bytes(), 6);
        drop(copy);
        assert_eq!(held.bytes(), 0);
    }
}
