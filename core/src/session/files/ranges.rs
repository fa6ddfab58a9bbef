//! Sets of piece numbers, as ranges.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of numbers as ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// Start to end (exclusive).
    parts: BTreeMap<u64, u64>,
}

impl Ranges {
    /// The numbers of one range.
    #[must_use]
    pub fn of(range: Range<u64>) -> Self {
        let mut ranges = Self::default();
        ranges.insert(range);
        ranges
    }

    /// The ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.parts.iter().map(|(start, end)| *start..*end)
    }

    /// No number is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// How many numbers are in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.iter().map(|range| range.end - range.start).sum()
    }

    /// How many ranges it takes to say so.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// The lowest number.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.parts.first_key_value().map(|(start, _)| *start)
    }

    /// Takes the lowest number out.
    pub fn pop_first(&mut self) -> Option<u64> {
        let (start, end) = self.parts.pop_first()?;
        if start + 1 < end {
            self.parts.insert(start + 1, end);
        }
        Some(start)
    }

    /// Takes the first range out, or its first `most` numbers.
    pub fn pop_range(&mut self, most: u64) -> Option<Range<u64>> {
        let (start, end) = self.parts.pop_first()?;
        let cut = end.min(start.saturating_add(most.max(1)));
        if cut < end {
            self.parts.insert(cut, end);
        }
        Some(start..cut)
    }

    /// Whether a number is in it.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        self.parts.range(..=number).next_back().is_some_and(|(_, end)| number < *end)
    }

    /// Whether every number of a range is in it.
    #[must_use]
    pub fn covers(&self, range: Range<u64>) -> bool {
        range.is_empty()
            || self.parts.range(..=range.start).next_back().is_some_and(|(_, e)| range.end <= *e)
    }

    /// Whether a number of a range is in it.
    #[must_use]
    pub fn overlaps(&self, range: Range<u64>) -> bool {
        !range.is_empty()
            && self.parts.range(..range.end).next_back().is_some_and(|(_, end)| range.start < *end)
    }

    /// Adds the numbers of a range.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        while let Some((s, e)) =
            self.parts.range(..=end).next_back().map(|(s, e)| (*s, *e)).filter(|(_, e)| *e >= start)
        {
            self.parts.remove(&s);
            start = start.min(s);
            end = end.max(e);
        }
        self.parts.insert(start, end);
    }

    /// Takes the numbers of a range out.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        while let Some((s, e)) = self
            .parts
            .range(..range.end)
            .next_back()
            .map(|(s, e)| (*s, *e))
            .filter(|(_, e)| *e > range.start)
        {
            self.parts.remove(&s);
            if s < range.start {
                self.parts.insert(s, range.start);
            }
            if range.end < e {
                self.parts.insert(range.end, e);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;

    /// The same as bits.
    fn bits(ranges: &Ranges) -> u32 {
        ranges.iter().flatten().fold(0, |bits, n| bits | 1 << n)
    }

    fn of_bits(bits: u32) -> Ranges {
        let mut ranges = Ranges::default();
        (0..8).filter(|n| bits >> n & 1 == 1).for_each(|n| ranges.insert(n..n + 1));
        ranges
    }

    fn is_canonical(ranges: &Ranges) -> bool {
        let parts: Vec<_> = ranges.iter().collect();
        parts.iter().all(|part| part.start < part.end)
            && parts.windows(2).all(|two| two[0].end < two[1].start)
    }

    #[test]
    fn every_set_of_eight_with_every_range() {
        for set in 0..256u32 {
            let ranges = of_bits(set);
            assert_eq!((bits(&ranges), ranges.len()), (set, u64::from(set.count_ones())));
            assert_eq!(ranges.first().unwrap_or(32), u64::from(set.trailing_zeros()));
            for start in 0..=8u64 {
                for end in start..=8 {
                    let mask = (start..end).fold(0, |mask, n| mask | 1 << n);
                    let (mut with, mut without) = (ranges.clone(), ranges.clone());
                    with.insert(start..end);
                    without.remove(start..end);
                    assert_eq!((bits(&with), bits(&without)), (set | mask, set & !mask));
                    assert!(is_canonical(&with) && is_canonical(&without));
                    assert_eq!(ranges.covers(start..end), set & mask == mask);
                    assert_eq!(ranges.overlaps(start..end), set & mask != 0);
                }
            }
            for n in 0..9 {
                assert_eq!(ranges.contains(n), set >> n & 1 == 1);
            }
            let (mut one, mut some) = (ranges.clone(), ranges.clone());
            assert_eq!(one.pop_first(), ranges.first());
            assert_eq!(bits(&one), set & set.wrapping_sub(1));
            let taken = some.pop_range(2).map_or(0, |range| range.fold(0, |m, n| m | 1 << n));
            assert_eq!((taken | bits(&some), taken & bits(&some)), (set, 0));
            assert!(taken.count_ones() <= 2 && is_canonical(&some));
        }
    }

    #[test]
    fn long_random_runs_agree_with_bits() {
        let mut rng = Seed::from_u64(5).stream("ranges");
        let mut ranges = Ranges::default();
        let mut expected = 0u32;
        for _ in 0..20_000 {
            let (a, b) = (rng.below(32), rng.below(33));
            let range = a.min(b)..a.max(b);
            let mask = range.clone().fold(0, |mask, n| mask | 1 << n);
            if rng.chance(1, 2) {
                ranges.insert(range);
                expected |= mask;
            } else {
                ranges.remove(range);
                expected &= !mask;
            }
            assert_eq!(bits(&ranges), expected);
            assert!(is_canonical(&ranges));
        }
    }
}
