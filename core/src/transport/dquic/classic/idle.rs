//! A bounded map that knows who has been idle for the longest.

use std::collections::BTreeMap;

/// A map of at most so many entries, in order of their last use.
#[derive(Clone, Debug)]
pub struct IdleMap<K, V> {
    limit: usize,
    entries: BTreeMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
    uses: u64,
}

impl<K: Copy + Ord, V> IdleMap<K, V> {
    /// An empty one.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit, entries: BTreeMap::new(), order: BTreeMap::new(), uses: 0 }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a new key would push another one out.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.limit
    }

    /// The value of a key, made with `make` where there is none, as the last one used. If there
    /// are too many then, the entry that was idle for the longest is taken out and returned.
    pub fn touch(&mut self, key: K, make: impl FnOnce() -> V) -> (&mut V, Option<(K, V)>) {
        let evicted =
            if !self.entries.contains_key(&key) && self.is_full() { self.pop() } else { None };
        let now = self.uses;
        self.uses += 1;
        let entry = self.entries.entry(key).or_insert_with(|| (now, make()));
        self.order.remove(&entry.0);
        self.order.insert(now, key);
        entry.0 = now;
        (&mut entry.1, evicted)
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// The value of a key, which does not count as a use of it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    /// The entries, in order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, (_, value))| (key, value))
    }

    /// Takes out the entry that has been idle for the longest.
    pub fn pop(&mut self) -> Option<(K, V)> {
        self.pop_if(|_, _| true)
    }

    /// Takes out the entry that has been idle for the longest among those that `may` go. The
    /// others are looked at one after the other, so there should be few of them.
    pub fn pop_if(&mut self, may: impl Fn(&K, &V) -> bool) -> Option<(K, V)> {
        let suits = |key: &&K| self.get(key).is_some_and(|value| may(key, value));
        let key = *self.order.values().find(suits)?;
        let (used, value) = self.entries.remove(&key)?;
        self.order.remove(&used);
        Some((key, value))
    }
}
