//! Buffers that are used again: to make new ones, the system has to clear their pages.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Bytes kept for later.
const KEPT: usize = 64 << 20;

/// A stock of buffers. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Buffers(Arc<Mutex<Stock>>);

#[derive(Debug, Default)]
struct Stock {
    free: Vec<Vec<u8>>,
    bytes: usize,
}

impl Buffers {
    /// A buffer of this length. Its content is arbitrary.
    #[must_use]
    pub fn take(&self, len: usize) -> Vec<u8> {
        let mut stock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |buffer: &Vec<u8>| buffer.len() >= len && buffer.len() / 4 <= len;
        let Some(index) = stock.free.iter().position(fits) else {
            drop(stock);
            return vec![0; len];
        };
        let mut buffer = stock.free.swap_remove(index);
        stock.bytes -= buffer.capacity();
        buffer.truncate(len);
        buffer
    }

    /// A buffer is not used any more.
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        let mut stock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stock.bytes + buffer.capacity() <= KEPT {
            // No more than was cut off before: bytes of long ago, not of the system's.
            buffer.resize(buffer.capacity(), 0);
            stock.bytes += buffer.capacity();
            stock.free.push(buffer);
        }
    }

    /// The first bytes of a buffer. It comes back when nobody holds them any more.
    #[must_use]
    pub fn lend(&self, buffer: Vec<u8>, len: usize) -> Bytes {
        let stock = self.clone();
        Bytes::from_owner(Lent { buffer, stock }).slice(..len)
    }
}

struct Lent {
    buffer: Vec<u8>,
    stock: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.stock.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take(100);
        buffer[..3].copy_from_slice(b"abc");
        let bytes = buffers.lend(buffer, 3);
        let part = bytes.slice(1..);
        drop(bytes);
        assert_eq!(part, &b"bc"[..]);
        assert!(buffers.0.lock().unwrap().free.is_empty());
        drop(part);
        assert_eq!(buffers.0.lock().unwrap().free.len(), 1);
        assert_eq!(buffers.take(90)[..3], *b"abc");
        assert_eq!(buffers.take(90)[..3], [0; 3], "that one was taken");
    }

    #[test]
    fn a_large_buffer_is_not_held_for_a_few_bytes_and_the_stock_is_bounded() {
        let buffers = Buffers::default();
        buffers.give_back(vec![1; 1 << 20]);
        assert_eq!(buffers.take(16), [0; 16]);
        for _ in 0..5 {
            buffers.give_back(vec![0; 16 << 20]);
        }
        assert!(buffers.0.lock().unwrap().bytes <= KEPT);
    }
}
