//! The ACK frame (RFC 9000 section 19.3).

use std::ops::RangeInclusive;

use crate::limits::DQUIC_ACK_RANGES;
use crate::wire::varint::Cursor;

/// Which packets have arrived. Checked when it is parsed, read when it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    pub(super) largest: u64,
    pub(super) delay_us: u64,
    /// Ranges after the first one.
    pub(super) more: u64,
    /// One less than the packets of the first range.
    pub(super) first: u64,
    /// Gap and length of every further range, as they are on the wire.
    pub(super) rest: &'a [u8],
}

impl<'a> Ack<'a> {
    /// Reads the fields. `None` if they are cut short, name packets below 0, or are more ranges
    /// than [`DQUIC_ACK_RANGES`].
    pub(super) fn parse(cursor: &mut Cursor<'a>) -> Option<Self> {
        let largest = cursor.varint()?;
        let delay_us = cursor.varint()?;
        let more = cursor.varint()?;
        if more >= DQUIC_ACK_RANGES as u64 {
            return None;
        }
        let first = cursor.varint()?;
        let mut smallest = largest.checked_sub(first)?;
        let rest = cursor.rest();
        for _ in 0..more {
            (_, smallest) = below(cursor, smallest)?;
        }
        let rest = &rest[..rest.len() - cursor.rest().len()];
        Some(Self { largest, delay_us, more, first, rest })
    }

    /// The highest packet number of all.
    #[must_use]
    pub const fn largest(&self) -> u64 {
        self.largest
    }

    /// How long the peer had the packet with that number before it sent this, in microseconds.
    #[must_use]
    pub const fn delay_us(&self) -> u64 {
        self.delay_us
    }

    /// The ranges of packet numbers, highest first.
    #[must_use]
    pub const fn ranges(&self) -> AckRanges<'a> {
        let smallest = self.largest - self.first;
        AckRanges { next: Some((self.largest, smallest)), rest: Cursor::new(self.rest) }
    }
}

/// The ranges of an [`Ack`], highest first.
#[derive(Clone, Debug)]
pub struct AckRanges<'a> {
    next: Option<(u64, u64)>,
    rest: Cursor<'a>,
}

impl Iterator for AckRanges<'_> {
    type Item = RangeInclusive<u64>;

    fn next(&mut self) -> Option<RangeInclusive<u64>> {
        let (largest, smallest) = self.next?;
        self.next = below(&mut self.rest, smallest);
        Some(smallest..=largest)
    }
}

/// The next range below one that ends with `smallest`, from the top down.
fn below(cursor: &mut Cursor<'_>, smallest: u64) -> Option<(u64, u64)> {
    let largest = smallest.checked_sub(cursor.varint()?)?.checked_sub(2)?;
    Some((largest, largest.checked_sub(cursor.varint()?)?))
}
