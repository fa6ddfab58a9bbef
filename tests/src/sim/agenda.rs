//! What is going to happen, in order of time.

use std::collections::BTreeMap;

use anabranch_core::Instant;

/// Things that are due at some time; those of one time in the order they were entered.
#[derive(Debug)]
pub struct Agenda<T> {
    entries: BTreeMap<(Instant, u64), T>,
    entered: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), entered: 0 }
    }
}

impl<T> Agenda<T> {
    /// Enters something.
    pub fn put(&mut self, at: Instant, what: T) {
        self.entries.insert((at, self.entered), what);
        self.entered += 1;
    }

    /// Takes the next thing that is due.
    pub fn take(&mut self, now: Instant) -> Option<T> {
        self.entries.first_entry().filter(|entry| entry.key().0 <= now).map(|entry| entry.remove())
    }

    /// When the next thing is due.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.entries.first_key_value().map(|((at, _), _)| *at)
    }

    /// Forgets whatever does not pass.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.entries.retain(|_, what| keep(what));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}
