//! The buffers of one media stream: a few, large, and used again and again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of one piece of media, at most.
pub const PIECE: usize = 256 << 10;
/// Pieces of one stream that are on their way or in the consumer's hands, at most.
pub const PIECES: usize = 8;

/// What is called when a buffer comes back that was waited for.
type Wake = Box<dyn Fn() + Send + Sync>;

struct State {
    free: Vec<Box<[u8]>>,
    /// Buffers made so far.
    made: usize,
    /// The loop found no buffer, and wants to know when there is one.
    wanted: bool,
}

struct Shared {
    state: Mutex<State>,
    wake: Wake,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pool of one stream. Buffers are made when they are first needed.
#[derive(Clone)]
pub(super) struct Pool(Arc<Shared>);

/// A buffer on loan. Goes back when it is dropped.
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    len: usize,
    pool: Pool,
}

impl Pool {
    pub(super) fn new(wake: Wake) -> Self {
        let state = State { free: Vec::with_capacity(PIECES), made: 0, wanted: false };
        Self(Arc::new(Shared { state: Mutex::new(state), wake }))
    }

    /// An empty buffer. `None` if all are out; then `wake` is called once when one is back.
    pub(super) fn take(&self) -> Option<Buffer> {
        let mut state = self.0.lock();
        let bytes = match state.free.pop() {
            Some(bytes) => bytes,
            None if state.made < PIECES => {
                state.made += 1;
                vec![0; PIECE].into_boxed_slice()
            }
            None => {
                state.wanted = true;
                return None;
            }
        };
        drop(state);
        Some(Buffer { bytes, len: 0, pool: self.clone() })
    }
}

impl Buffer {
    /// What is not filled yet.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.len..]
    }

    /// So many bytes of [`Buffer::room`] have been filled.
    pub(super) fn fill(&mut self, len: usize) {
        self.len = PIECE.min(self.len + len);
    }

    pub(super) const fn is_full(&self) -> bool {
        self.len == PIECE
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut state = self.pool.0.lock();
        state.free.push(std::mem::take(&mut self.bytes));
        let wanted = std::mem::take(&mut state.wanted);
        drop(state);
        if wanted {
            (self.pool.0.wake)();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;

    use super::*;

    #[test]
    fn buffers_are_bounded_and_used_again() {
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let pool = Pool::new(Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        let mut out: Vec<_> = (0..PIECES).map(|_| pool.take().unwrap()).collect();
        drop(out.pop());
        assert_eq!(woken.load(Ordering::Relaxed), 0, "nobody waited");
        out.push(pool.take().unwrap());
        assert!(pool.take().is_none() && pool.take().is_none());
        let mut last = out.pop().unwrap();
        last.room()[..2].copy_from_slice(b"hi");
        last.fill(2);
        let bytes = Bytes::from_owner(last);
        let slice = bytes.slice(1..);
        drop(bytes);
        assert_eq!(woken.load(Ordering::Relaxed), 0, "a slice is still out");
        assert_eq!(slice, "i");
        drop(slice);
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        drop(out);
        assert_eq!(woken.load(Ordering::Relaxed), 1, "told once");
        assert_eq!(pool.0.lock().made, PIECES);
    }
}
