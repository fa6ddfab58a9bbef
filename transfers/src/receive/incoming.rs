//! A file that is received.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use anabranch_core::files::{Entry, Hash, Have};
use anabranch_core::limits;
use anabranch_storage::{FileId, RelPath, Status, Writer};

use super::claims::Claim;
use crate::quota::Share;

/// Where the bytes of a piece are that need not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// In the partial file.
    Part,
    /// In the file that has the name now.
    Base,
}

/// A file that is received.
pub(super) struct Incoming {
    pub(super) entry: Entry,
    /// Where it goes.
    pub(super) path: RelPath,
    /// Its partial file and its journal.
    pub(super) part: RelPath,
    pub(super) state: RelPath,
    /// What has the name now.
    pub(super) present: Option<Status>,
    /// Pieces that were found here when it was offered.
    pub(super) found: BTreeMap<u64, (Where, Hash)>,
    /// Its partial file is there, and how much of the journal is good.
    pub(super) has_part: bool,
    pub(super) journal_len: u64,
    /// The partial file was empty in this transfer: what was not written reads as zeros.
    pub(super) is_fresh: bool,
    pub(super) handles: Option<Handles>,
    /// Writes to the partial file from other threads.
    pub(super) writer: Option<Arc<dyn Writer>>,
    /// Which file the partial one is, to know it again.
    pub(super) id: Option<u64>,
    /// A piece was stored, which is why it is not the same as what was there.
    pub(super) has_changed: bool,
    /// Bytes that were written in this transfer.
    pub(super) written: u64,
    pub(super) share: Option<Share>,
    pub(super) _claim: Claim,
}

/// Its open files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handles {
    pub(super) part: FileId,
    pub(super) journal: Option<FileId>,
}

impl Incoming {
    /// It keeps a journal: it is worth being taken up again, and can be.
    pub(super) fn is_journaled(&self) -> bool {
        self.entry.pieces().is_some_and(|pieces| pieces > 1)
    }

    /// A piece is written, which is another than was there, if one was.
    pub(super) fn changes(&mut self, piece: u64, len: usize) {
        self.has_changed = true;
        self.written += len as u64;
        self.found.remove(&piece);
    }

    /// What was never written reads as zeros, and takes no room.
    pub(super) fn is_hole(&self, offset: u64, bytes: &[u8]) -> bool {
        self.is_fresh && offset > 0 && bytes.iter().all(|byte| *byte == 0)
    }

    /// The ranges that are there, at most so many as may be told; ranges of what has the name now
    /// are cut into several, since one wrong piece spoils its range.
    pub(super) fn haves(&self) -> Vec<Have> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for piece in self.found.keys() {
            match runs.last_mut() {
                Some(run) if run.end == *piece => run.end += 1,
                Some(_) | None => runs.push(*piece..piece + 1),
            }
        }
        runs.sort_by_key(|run| std::cmp::Reverse(run.end - run.start));
        runs.truncate(limits::MAX_HAVES);
        let is_whole = |run: &Range<u64>| {
            run.clone().all(|piece| self.found.get(&piece).is_some_and(|at| at.0 == Where::Part))
        };
        let mut parts: Vec<Range<u64>> = runs.iter().filter(|run| is_whole(run)).cloned().collect();
        let loose: Vec<Range<u64>> = runs.into_iter().filter(|run| !is_whole(run)).collect();
        let spare = limits::MAX_HAVES - parts.len();
        let total: u64 = loose.iter().map(|run| run.end - run.start).sum();
        let mut left = spare.saturating_sub(loose.len()) as u64;
        for run in loose {
            // Each is cut in proportion to its length.
            let len = run.end - run.start;
            let cuts = (u128::from(left) * u128::from(len) / u128::from(total.max(1))) as u64;
            let cuts = cuts.min(len - 1).min(left);
            let each = len.div_ceil(cuts + 1);
            let mut at = run.start;
            let mut made = 0;
            while at < run.end {
                let end = run.end.min(at + each);
                parts.push(at..end);
                (at, made) = (end, made + 1);
            }
            left = left.saturating_sub(made - 1);
        }
        parts.sort_by_key(|run| run.start);
        let hash = |piece: u64| self.found.get(&piece).map(|at| at.1).unwrap_or_default();
        let have = |run: Range<u64>| Have { first: run.start, hashes: run.map(hash).collect() };
        parts.into_iter().map(have).collect()
    }

    /// Forgets found pieces that are not among those that were told, for they will be sent.
    pub(super) fn keep_told(&mut self, haves: &[Have]) {
        let told = |piece: &u64| haves.iter().any(|have| have.range().contains(piece));
        if haves.iter().map(|have| have.hashes.len()).sum::<usize>() < self.found.len() {
            self.found.retain(|piece, _| told(piece));
        }
    }

    /// Bytes of pieces that were found.
    pub(super) fn found_bytes(&self) -> u64 {
        self.found.keys().map(|piece| self.len_of(*piece)).sum()
    }

    /// Bytes that will be written, if nothing that was found is another than the sender's.
    pub(super) fn needed(&self) -> u64 {
        let size = self.entry.size.unwrap_or(0);
        let in_base = self.found.values().filter(|at| at.0 == Where::Base).count() as u64;
        if in_base == self.entry.pieces().unwrap_or(0) {
            return 0;
        }
        let in_part = self.found.iter().filter(|(_, at)| at.0 == Where::Part);
        size.saturating_sub(in_part.map(|(piece, _)| self.len_of(*piece)).sum())
    }

    fn len_of(&self, piece: u64) -> u64 {
        self.entry.span(piece).map_or(0, |(_, len)| u64::from(len))
    }
}
