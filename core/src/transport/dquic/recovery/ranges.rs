//! Sets of numbers (packets, or bytes of a stream) as ranges.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of `u64` as disjoint half-open ranges that do not touch, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RangeSet(BTreeMap<u64, u64>);

impl RangeSet {
    /// Adds every number of `range`.
    pub(crate) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let Range { mut start, mut end } = range;
        if let Some((&before, &until)) = self.0.range(..=start).next_back()
            && until >= start
        {
            if until >= end {
                return;
            }
            start = before;
        }
        while let Some((&next, &until)) = self.0.range(start..=end).next() {
            self.0.remove(&next);
            end = end.max(until);
        }
        self.0.insert(start, end);
    }

    /// Takes every number of `range` out.
    pub(crate) fn remove(&mut self, range: Range<u64>) {
        let Range { start, end } = range;
        if range.is_empty() {
            return;
        }
        if let Some((&before, until)) = self.0.range_mut(..start).next_back()
            && *until > start
        {
            let rest = *until;
            *until = start;
            debug_assert!(before < start);
            if rest > end {
                self.0.insert(end, rest);
                return;
            }
        }
        while let Some((&next, &until)) = self.0.range(start..end).next() {
            self.0.remove(&next);
            if until > end {
                self.0.insert(end, until);
            }
        }
    }

    /// Whether `number` is in the set.
    pub(crate) fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, end)| *end > number)
    }

    /// The parts of `range` that are not in the set, in order.
    pub(crate) fn missing(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = range.start;
        let reaching = self.0.range(..=at).next_back().filter(|(_, end)| **end > at);
        let inside = self.0.range(at.saturating_add(1)..range.end.max(at.saturating_add(1)));
        for (&start, &end) in reaching.into_iter().chain(inside) {
            if start > at {
                gaps.push(at..start);
            }
            at = at.max(end);
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
        gaps
    }

    /// The lowest range.
    pub(crate) fn first(&self) -> Option<Range<u64>> {
        self.0.first_key_value().map(|(&start, &end)| start..end)
    }

    /// The highest range.
    pub(crate) fn last(&self) -> Option<Range<u64>> {
        self.0.last_key_value().map(|(&start, &end)| start..end)
    }

    /// Takes the lowest range out, whole.
    pub(crate) fn pop_first(&mut self) -> Option<Range<u64>> {
        self.0.pop_first().map(|(start, end)| start..end)
    }

    /// The ranges, lowest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> {
        self.0.iter().map(|(&start, &end)| start..end)
    }

    /// How many ranges there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Nothing is in the set.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes everything out.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    const SIZE: u64 = 7;

    fn of(bits: u64) -> RangeSet {
        let mut set = RangeSet::default();
        (0..SIZE).filter(|n| bits >> n & 1 == 1).for_each(|n| set.insert(n..n + 1));
        set
    }

    /// The numbers, one bit each; and the ranges have to be in their one normal form.
    fn bits(set: &RangeSet) -> u64 {
        let ranges: Vec<_> = set.iter().collect();
        assert!(ranges.iter().all(|range| !range.is_empty()), "{set:?}");
        assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start), "{set:?}");
        ranges.into_iter().flatten().fold(0, |bits, n| bits | 1 << n)
    }

    const fn mask(range: &Range<u64>) -> u64 {
        ((1 << range.end) - 1) & !((1 << range.start) - 1)
    }

    #[test]
    fn every_set_of_seven_numbers_with_every_range() {
        for before in 0..1 << SIZE {
            for (start, end) in (0..=SIZE).flat_map(|a| (a..=SIZE).map(move |b| (a, b))) {
                let range = start..end;
                let mut set = of(before);
                set.insert(range.clone());
                assert_eq!(bits(&set), before | mask(&range), "{before:b} + {range:?}");
                let mut set = of(before);
                set.remove(range.clone());
                assert_eq!(bits(&set), before & !mask(&range), "{before:b} - {range:?}");
                let missing = of(before).missing(range.clone());
                let mut gaps = RangeSet::default();
                missing.iter().for_each(|gap| gaps.insert(gap.clone()));
                assert_eq!(bits(&gaps), mask(&range) & !before, "{before:b} in {range:?}");
                assert_eq!(gaps.iter().collect::<Vec<_>>(), missing);
            }
            let set = of(before);
            assert!((0..SIZE).all(|n| set.contains(n) == (before >> n & 1 == 1)));
            assert_eq!(set.is_empty(), before == 0);
            assert_eq!(set.first(), set.iter().next());
            assert_eq!(set.last(), set.iter().next_back());
            assert_eq!(set.count(), set.iter().count());
        }
    }

    #[test]
    fn long_histories_agree_with_a_bitmap() {
        for seed in 0..200 {
            let mut rng = Seed::from_u64(seed).stream("ranges");
            let (mut set, mut model) = (RangeSet::default(), 0u64);
            for _ in 0..200 {
                let start = rng.below(60);
                let range = start..start + rng.below(63 - start);
                if rng.chance(3, 5) {
                    set.insert(range.clone());
                    model |= mask(&range);
                } else {
                    set.remove(range.clone());
                    model &= !mask(&range);
                }
                assert_eq!(bits(&set), model, "seed {seed}, {range:?}");
            }
        }
    }

    #[test]
    fn the_ends_of_the_numbers() {
        let mut set = RangeSet::default();
        set.insert(u64::MAX - 1..u64::MAX);
        set.insert(0..1);
        assert_eq!(set.missing(0..u64::MAX).first(), Some(&(1..u64::MAX - 1)));
        assert_eq!(set.missing(u64::MAX..u64::MAX), []);
        set.remove(0..u64::MAX);
        assert!(set.is_empty());
        assert_eq!(set.pop_first(), None);
    }
}
