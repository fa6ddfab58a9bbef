//! What has come of a stream and was not read: in blocks, so that a peer cannot make small pieces
//! cost more than large ones.

use std::collections::VecDeque;
use std::ops::Range;

use crate::limits::DQUIC_MAX_GAPS;
use crate::transport::dquic::recovery::ranges::RangeSet;

/// Bytes in a block.
const BLOCK: u64 = 4_096;

/// Too many gaps between the pieces that have come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyGaps;

/// The bytes of a stream from the first one that was not read.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    /// The blocks from the one that holds `read` on.
    blocks: VecDeque<Option<Box<[u8]>>>,
    read: u64,
    /// What is there and was not read.
    there: RangeSet,
}

impl Reassembly {
    /// How many bytes were read.
    pub(super) const fn read_so_far(&self) -> u64 {
        self.read
    }

    /// How many bytes can be read.
    pub(super) fn readable(&self) -> u64 {
        let first = self.there.first().filter(|first| first.start == self.read);
        first.map_or(0, |first| first.end - first.start)
    }

    /// Takes bytes that belong at `offset`. Those that were there already stay as they are. The
    /// caller has checked the end against the window.
    ///
    /// # Errors
    /// There are more gaps than [`DQUIC_MAX_GAPS`].
    pub(super) fn insert(&mut self, offset: u64, data: &[u8]) -> Result<(), TooManyGaps> {
        let end = offset + data.len() as u64;
        let range = offset.max(self.read)..end;
        if range.is_empty() {
            return Ok(());
        }
        for gap in self.there.missing(range.clone()) {
            let from = to_index(gap.start - offset);
            self.fill(gap.start, &data[from..from + to_index(gap.end - gap.start)]);
        }
        self.there.insert(range);
        if self.there.count() > DQUIC_MAX_GAPS { Err(TooManyGaps) } else { Ok(()) }
    }

    fn fill(&mut self, at: u64, data: &[u8]) {
        for (block, part, place) in parts(self.read, at, data.len()) {
            if self.blocks.len() <= block {
                self.blocks.resize(block + 1, None);
            }
            let bytes = self.blocks[block].get_or_insert_with(|| vec![0; BLOCK as usize].into());
            bytes[place].copy_from_slice(&data[part]);
        }
    }

    /// Reads what is there, and answers how much.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> usize {
        let len = to_index(self.readable()).min(buf.len());
        for (block, part, place) in parts(self.read, self.read, len) {
            // What is in `there` has been filled in.
            if let Some(Some(bytes)) = self.blocks.get(block) {
                buf[part].copy_from_slice(&bytes[place]);
            }
        }
        let end = self.read + len as u64;
        self.there.remove(self.read..end);
        let done = to_index(end / BLOCK - self.read / BLOCK).min(self.blocks.len());
        self.blocks.drain(..done);
        self.read = end;
        if self.there.is_empty() {
            self.blocks = VecDeque::new();
        }
        len
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        self.blocks = VecDeque::new();
        self.there.clear();
    }
}

/// Lengths inside of a window are lengths in memory.
fn to_index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// How `len` bytes at offset `at` lie in blocks, of which the first one holds offset `read`:
/// block, part of the bytes, place in the block.
fn parts(
    read: u64,
    at: u64,
    len: usize,
) -> impl Iterator<Item = (usize, Range<usize>, Range<usize>)> {
    let end = at + len as u64;
    (at / BLOCK..end.div_ceil(BLOCK)).map(move |block| {
        let start = at.max(block * BLOCK);
        let until = end.min((block + 1) * BLOCK);
        let part = to_index(start - at)..to_index(until - at);
        let place = to_index(start - block * BLOCK)..to_index(until - block * BLOCK);
        (to_index(block - read / BLOCK), part, place)
    })
}
