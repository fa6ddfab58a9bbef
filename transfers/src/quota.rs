//! So many bytes, and no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many bytes a folder may hold. Clones count together.
#[derive(Clone, Debug)]
pub struct Quota(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: u64,
    used: AtomicU64,
}

impl Quota {
    /// At most `limit` bytes, of which `used` are used.
    #[must_use]
    pub fn new(limit: u64, used: u64) -> Self {
        Self(Arc::new(Inner { limit, used: AtomicU64::new(used) }))
    }

    /// Takes so many bytes; they are used as long as the share is there, or for good if it is
    /// [kept](Share::keep). `None`: there are not so many left.
    #[must_use]
    pub fn take(&self, bytes: u64) -> Option<Share> {
        let add = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.0.limit);
        let taken = self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        taken.ok().map(|_| Share { quota: self.clone(), bytes })
    }

    /// These bytes are not used any more.
    pub fn give_back(&self, bytes: u64) {
        let less = |used: u64| Some(used.saturating_sub(bytes));
        // The closure always answers.
        let _ = self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Bytes that are used.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Bytes that may be used.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.0.limit
    }
}

/// Bytes that were taken from a quota.
#[derive(Debug)]
pub struct Share {
    quota: Quota,
    bytes: u64,
}

impl Share {
    /// The bytes of two shares of one quota as one.
    pub(crate) fn join(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// So many of the bytes stay used.
    pub(crate) fn keep_some(mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// The bytes stay used.
    pub fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.quota.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back_unless_it_is_kept() {
        let quota = Quota::new(10, 3);
        let share = quota.take(7).unwrap();
        assert!(quota.take(1).is_none() && quota.take(u64::MAX).is_none());
        drop(share);
        quota.take(5).unwrap().keep();
        assert_eq!((quota.used(), quota.limit()), (8, 10));
        quota.give_back(20);
        assert_eq!(quota.used(), 0);
    }
}
