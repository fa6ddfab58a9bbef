//! What a receiver knows about one file.

use std::collections::BTreeMap;

use super::{FileInput, FileState, Hash, Head, Ranges, Violation, limits};
use crate::session::files::hash::Root;
use crate::session::files::party::advance;
use crate::session::files::types::{Entry, Have};

/// Pieces that the application has, until the sender has said whether they are the same.
#[derive(Debug)]
pub(super) struct HaveIn {
    have: Have,
    /// The sender has said so, or pieces of it have come.
    verdict: Option<bool>,
    told: bool,
}

/// One file that was announced.
#[derive(Debug)]
pub(super) struct FileIn {
    pub(super) state: FileState,
    pub(super) entry: Entry,
    /// Pieces that are stored.
    got: Ranges,
    /// Bytes of these.
    bytes: u64,
    haves: Vec<HaveIn>,
    root: Root,
    /// Its size and root, as the sender says at its end.
    end: Option<(u64, Hash)>,
    /// How often pieces were wrong.
    tries: BTreeMap<u64, u32>,
}

/// What a whole file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// Something is missing.
    NotYet,
    /// Size and root.
    Right(u64, Hash),
    /// Its root is another one.
    Wrong,
}

impl FileIn {
    pub(super) fn new(entry: Entry) -> Self {
        Self {
            state: FileState::Announced,
            got: Ranges::default(),
            bytes: 0,
            haves: Vec::new(),
            root: Root::new(entry.piece),
            end: None,
            tries: BTreeMap::new(),
            entry,
        }
    }

    /// Takes an input of the file's own state machine. False: not legal.
    pub(super) fn step(&mut self, input: FileInput) -> bool {
        advance(&mut self.state, input)
    }

    /// Whether the application can have these: in order, apart, within the file.
    pub(super) fn can_have(&self, haves: &[Have]) -> bool {
        let Some(all) = self.entry.pieces() else { return haves.is_empty() };
        let mut from = 0;
        haves.len() <= limits::MAX_HAVES
            && haves.iter().all(|have| {
                let range = have.range();
                let fits = !range.is_empty() && range.start >= from && range.end <= all;
                from = range.end;
                fits
            })
    }

    /// The application wants it, and has these.
    pub(super) fn take(&mut self, haves: Vec<Have>) {
        let undecided = |have| HaveIn { have, verdict: None, told: false };
        self.haves = haves.into_iter().map(undecided).collect();
    }

    /// Whether a piece can come, now. `Some(first, count)`: pieces that the application has are
    /// others at the sender.
    ///
    /// # Errors
    /// It cannot.
    pub(super) fn expect(&mut self, head: &Head) -> Result<Option<(u64, u64)>, Violation> {
        let wrong = Err(Violation::FileRange);
        if self.state != FileState::Open || head.len == 0 || head.piece >= limits::MAX_PIECES {
            return wrong;
        }
        let Some((_, len)) = self.entry.span(head.piece) else { return wrong };
        let fits = head.len == len || self.entry.size.is_none() && head.len < len;
        if !fits || self.got.contains(head.piece) {
            return wrong;
        }
        // The sender's word about what we have may come behind the piece, on another stream.
        let within = |own: &&mut HaveIn| own.have.range().contains(&head.piece);
        match self.haves.iter_mut().find(within) {
            Some(own) if own.verdict.is_none() => {
                own.verdict = Some(false);
                Ok(Some((own.have.first, own.have.hashes.len() as u64)))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// The sender says whether a have is the same at its side. `Some(first, count)`: it is not,
    /// and the application was not told.
    ///
    /// # Errors
    /// It has said so before, or sends it nevertheless.
    pub(super) fn checked(
        &mut self,
        have: u64,
        same: bool,
    ) -> Result<Option<(u64, u64)>, Violation> {
        let number = usize::try_from(have).map_err(|_| Violation::FileRange)?;
        let own = self.haves.get_mut(number).filter(|own| !own.told);
        let own = own.filter(|own| own.verdict.is_none_or(|verdict| verdict == same));
        let own = own.ok_or(Violation::FileRange)?;
        own.told = true;
        if own.verdict.replace(same).is_some() {
            return Ok(None);
        }
        let (range, hashes) = (own.have.range(), std::mem::take(&mut own.have.hashes));
        if !same {
            // The range is needed for what comes.
            own.have.hashes = hashes;
            return Ok(Some((range.start, range.end - range.start)));
        }
        for (piece, hash) in range.clone().zip(hashes) {
            self.bytes += self.entry.span(piece).map_or(0, |(_, len)| u64::from(len));
            self.root.put(piece, hash);
        }
        self.got.insert(range);
        Ok(None)
    }

    /// The root, as the sender says at the end.
    pub(super) fn root(&self) -> Hash {
        self.end.map_or([0; 32], |(_, root)| root)
    }

    /// Bytes that are stored, or were there.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A piece is stored.
    pub(super) fn stored(&mut self, piece: u64, len: u32, hash: Hash) {
        self.got.insert(piece..piece + 1);
        self.bytes += u64::from(len);
        self.root.put(piece, hash);
        self.tries.remove(&piece);
    }

    /// A piece was wrong. False: that is enough.
    pub(super) fn wrong(&mut self, piece: u64) -> bool {
        let tries = self.tries.entry(piece).or_default();
        *tries += 1;
        *tries < limits::MAX_PIECE_TRIES && self.tries.len() <= limits::MAX_WRONG_PIECES
    }

    /// How often a piece was wrong.
    pub(super) fn was_wrong(&self, piece: u64) -> bool {
        self.tries.contains_key(&piece)
    }

    /// The sender says what the size and the root are.
    ///
    /// # Errors
    /// That cannot be.
    pub(super) fn end(&mut self, size: u64, root: Hash) -> Result<(), Violation> {
        let fits = self.entry.size.is_none_or(|known| known == size);
        let few = size.div_ceil(u64::from(self.entry.piece)) <= limits::MAX_PIECES;
        if self.state != FileState::Open || self.end.is_some() || !fits || !few {
            return Err(Violation::FileRange);
        }
        self.entry.size = Some(size);
        self.end = Some((size, root));
        Ok(())
    }

    /// Whether all of it is there, and right.
    pub(super) fn is_whole(&self) -> Whole {
        let Some((size, root)) = self.end else { return Whole::NotYet };
        let count = size.div_ceil(u64::from(self.entry.piece));
        let decided = self.haves.iter().all(|own| own.told);
        if self.state != FileState::Open || !decided || !self.got.covers(0..count) {
            return Whole::NotYet;
        }
        let known = self.entry.root.is_none_or(|known| known == root);
        let exact = self.got.len() == count && self.bytes == size;
        if known && exact && self.root.finish(size) == root {
            Whole::Right(size, root)
        } else {
            Whole::Wrong
        }
    }
}
