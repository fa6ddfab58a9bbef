//! How much space there is.

use anabranch_storage::Error;

/// A number of bytes that files share.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) capacity: u64,
    pub(super) used: u64,
}

impl Space {
    pub(super) const fn new(capacity: u64) -> Self {
        Self { capacity, used: 0 }
    }

    pub(super) const fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.used)
    }

    /// The largest length not above `wanted` that a file of length `len` can have.
    pub(super) fn fits(&self, len: usize, wanted: u64) -> u64 {
        wanted.min((len as u64).saturating_add(self.free())).max((len as u64).min(wanted))
    }

    /// A file's length changes.
    pub(super) const fn change(&mut self, from: usize, to: usize) {
        self.used = self.used + to as u64 - from as u64;
    }

    /// A length as an index.
    ///
    /// # Errors
    /// [`Error::Full`]: no file is that long.
    pub(super) fn index(len: u64) -> Result<usize, Error> {
        usize::try_from(len).map_err(|_| Error::Full)
    }
}
