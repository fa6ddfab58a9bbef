//! A file: what is seen of it, and what of that would survive a crash.

use std::collections::BTreeMap;

use anabranch_core::rng::Rng;
use anabranch_storage::{Attributes, Modified};

/// Disks write so many bytes or none of them.
const SECTOR: usize = 512;

/// Something that happened to a file after its last sync.
#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Len(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write(offset, bytes) => {
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
            Self::Len(len) => content.resize(*len, 0),
        }
    }

    /// The length of a file of this length after it.
    fn len_after(&self, len: usize) -> usize {
        match self {
            Self::Write(offset, bytes) => len.max(offset + bytes.len()),
            Self::Len(len) => *len,
        }
    }
}

/// A file.
#[derive(Clone, Debug, Default)]
pub(super) struct FileNode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    attributes: Attributes,
    changes: i64,
}

/// How much of what was not synced survives a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Survives {
    Nothing,
    Everything,
    Some,
}

impl Survives {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        match rng.below(4) {
            0 => Self::Nothing,
            1 => Self::Everything,
            _ => Self::Some,
        }
    }

    /// How many of `n` changes, from the first on.
    pub(super) fn first_of(self, n: usize, rng: &mut Rng) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Everything => n,
            Self::Some => usize::try_from(rng.below(n as u64 + 1)).expect("at most n"),
        }
    }
}

impl FileNode {
    /// What is seen of it.
    pub(super) fn content(&self) -> &[u8] {
        &self.seen
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.change(Change::Write(offset, bytes.to_vec()));
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.change(Change::Len(len));
    }

    /// Mode and time. Every change takes place at a time of its own.
    pub(super) const fn attributes(&self) -> Attributes {
        self.attributes
    }

    pub(super) fn set_attributes(&mut self, attributes: Attributes) {
        super::files::merge(&mut self.attributes, attributes);
    }

    fn change(&mut self, change: Change) {
        self.changes += 1;
        self.attributes.modified = Some(Modified { seconds: self.changes, nanos: 0 });
        change.apply(&mut self.seen);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// A sync that fails: the system gives up some of what was to be written, and takes it for
    /// written. It is still seen, until a crash.
    pub(super) fn fail_sync(&mut self, rng: &mut Rng) {
        self.pending.retain(|_| rng.chance(1, 2));
    }

    /// Only what is on the disk is left. Each sector is there as it was at some point since the
    /// last sync, and so is the length.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        let survives = Survives::draw(rng);
        let changes = std::mem::take(&mut self.pending);
        let mut len = self.durable.len();
        for change in &changes[..survives.first_of(changes.len(), rng)] {
            len = change.len_after(len);
        }
        let mut sectors = Sectors { survives, of: changes.len(), rng, seen: BTreeMap::new() };
        for (n, change) in changes.iter().enumerate() {
            sectors.apply(n, change, &mut self.durable);
        }
        self.durable.resize(len, 0);
        self.seen.clone_from(&self.durable);
    }
}

/// How many of the changes each sector has seen.
struct Sectors<'a> {
    survives: Survives,
    of: usize,
    rng: &'a mut Rng,
    seen: BTreeMap<usize, usize>,
}

impl Sectors<'_> {
    fn apply(&mut self, nth: usize, change: &Change, content: &mut Vec<u8>) {
        let (from, bytes) = match change {
            Change::Write(offset, bytes) => (*offset, bytes.as_slice()),
            // What is cut off is zero if the file grows again.
            Change::Len(len) => (*len, [].as_slice()),
        };
        let end = if bytes.is_empty() { content.len() } else { from + bytes.len() };
        if content.len() < end {
            content.resize(end, 0);
        }
        let mut at = from;
        while at < end {
            let stop = end.min((at / SECTOR + 1) * SECTOR);
            if self.has_seen(at / SECTOR, nth) {
                match bytes.get(at - from..stop - from) {
                    Some(bytes) => content[at..stop].copy_from_slice(bytes),
                    None => content[at..stop].fill(0),
                }
            }
            at = stop;
        }
    }

    fn has_seen(&mut self, sector: usize, nth: usize) -> bool {
        let Self { survives, of, rng, seen } = self;
        *seen.entry(sector).or_insert_with(|| survives.first_of(*of, rng)) > nth
    }
}
