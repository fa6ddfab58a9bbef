//! What a sender knows about one file.

use std::collections::VecDeque;

use super::{FileInput, FileState};
use crate::limits;
use crate::session::files::hash::{Digest, Hash, Root};
use crate::session::files::party::advance;
use crate::session::files::ranges::Ranges;
use crate::session::files::types::{Entry, Kind};

/// Pieces that the receiver says it has.
#[derive(Debug)]
pub(super) struct HaveOut {
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) expected: Hash,
    digest: Digest,
    /// How many hashes of ours are in the digest.
    checked: u64,
}

/// What hashes of our own pieces have shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// They are not the ones to check next.
    NotWanted,
    /// There are more to check.
    More,
    /// What the receiver has is the same, and so many bytes.
    Same(u64),
    /// It is not.
    Other,
}

/// One file that was announced.
#[derive(Debug)]
pub(super) struct FileOut {
    pub(super) state: FileState,
    pub(super) entry: Entry,
    /// Pieces that are to be asked for.
    pub(super) todo: Ranges,
    /// What the receiver says it has, in order, from the one that is being checked on.
    pub(super) haves: VecDeque<HaveOut>,
    /// The number of the have in front.
    pub(super) have: u64,
    pub(super) root: Root,
    /// Pieces that the application was asked for the first time.
    pub(super) asked: usize,
    /// It was given up here.
    pub(super) given_up: bool,
}

impl FileOut {
    pub(super) fn new(entry: Entry) -> Self {
        Self {
            state: FileState::Announced,
            todo: Ranges::default(),
            haves: VecDeque::new(),
            have: 0,
            root: Root::new(entry.piece),
            asked: 0,
            given_up: false,
            entry,
        }
    }

    /// Takes an input of the file's own state machine. False: not legal.
    pub(super) fn step(&mut self, input: FileInput) -> bool {
        advance(&mut self.state, input)
    }

    /// The receiver wants it, but for what it has. False: it cannot have that.
    pub(super) fn take(&mut self, haves: Vec<(u64, u64, Hash)>) -> bool {
        let all = match self.entry.pieces() {
            Some(pieces) => pieces,
            None if haves.is_empty() => limits::MAX_PIECES,
            None => return false,
        };
        self.todo = Ranges::of(0..all);
        let mut from = 0;
        for (first, count, expected) in haves {
            let end = first.checked_add(count).filter(|end| *end <= all);
            let Some(end) = end.filter(|_| first >= from && count > 0) else { return false };
            self.todo.remove(first..end);
            from = end;
            let digest = Digest::new(first, count);
            self.haves.push_back(HaveOut { first, count, expected, digest, checked: 0 });
        }
        self.step(if self.entry.kind == Kind::Folder {
            FileInput::TakeFolder
        } else {
            FileInput::Take
        })
    }

    /// What the application is to check next.
    pub(super) fn check(&self) -> Option<(u64, u64)> {
        let have = self.haves.front()?;
        Some((have.first + have.checked, have.count - have.checked))
    }

    /// Hashes of our own pieces from `first` on.
    pub(super) fn checked(&mut self, first: u64, hashes: &[Hash]) -> Checked {
        let Some(have) = self.haves.front_mut() else { return Checked::NotWanted };
        let (next, left) = (have.first + have.checked, have.count - have.checked);
        if first != next || hashes.is_empty() || hashes.len() as u64 > left {
            return Checked::NotWanted;
        }
        for (piece, hash) in (first..).zip(hashes) {
            have.digest.put(hash);
            self.root.put(piece, *hash);
        }
        have.checked += hashes.len() as u64;
        if have.checked < have.count {
            return Checked::More;
        }
        let same = have.digest.finish() == have.expected;
        let (first, count) = (have.first, have.count);
        self.haves.pop_front();
        self.have += 1;
        if same {
            return Checked::Same(self.bytes_of(first, count));
        }
        self.todo.insert(first..first + count);
        Checked::Other
    }

    /// Bytes of some pieces.
    fn bytes_of(&self, first: u64, count: u64) -> u64 {
        let end = self.entry.size.unwrap_or(u64::MAX);
        let at = |piece: u64| piece.saturating_mul(u64::from(self.entry.piece)).min(end);
        at(first.saturating_add(count)) - at(first)
    }

    /// The next piece to ask for. One of unknown size is asked for piece by piece, since its end
    /// is not known.
    pub(super) fn next_piece(&mut self) -> Option<(u64, u32)> {
        if self.state != FileState::Open || (self.entry.size.is_none() && self.asked > 0) {
            return None;
        }
        let piece = self.todo.pop_first()?;
        let (_, len) = self.entry.span(piece)?;
        self.asked += 1;
        Some((piece, len))
    }

    /// Size and root, when all of it was supplied or found to be there.
    pub(super) fn is_supplied(&self) -> Option<(u64, Hash)> {
        let size = self.entry.size?;
        let all = self.root.pieces() == self.entry.pieces()?;
        let open = self.state == FileState::Open;
        let done = open && all && self.todo.is_empty() && self.asked == 0 && self.haves.is_empty();
        done.then(|| (size, self.root.finish(size)))
    }
}
