//! A disk that is a map: complete files, and partial ones with the journal beside them.

use std::collections::BTreeMap;
use std::ops::Range;

use anabranch_core::files::hash::root_of;
use anabranch_core::files::{Entry, Hash, Have};

/// A file that is there, or a part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    /// Its bytes; of a partial file: up to the last one that was written.
    pub bytes: Vec<u8>,
    /// What version it is of.
    pub fingerprint: Hash,
    /// Pieces that were written and acknowledged, and their hashes: the journal.
    pub journal: BTreeMap<u64, Hash>,
    /// What is complete and in its place. Another version that begins does not touch it.
    pub placed: Option<Vec<u8>>,
}

/// Files and folders by name.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// Files.
    pub files: BTreeMap<String, Partial>,
    /// Folders.
    pub folders: Vec<String>,
}

impl Disk {
    /// Prepares to write a file, and forgets another version of it.
    pub fn open(&mut self, entry: &Entry, trusting: bool) {
        let partial = self.files.entry(entry.name.clone()).or_default();
        if partial.fingerprint != entry.fingerprint() && !trusting {
            *partial = Partial { placed: partial.placed.take(), ..Partial::default() };
        }
        partial.fingerprint = entry.fingerprint();
    }

    /// Whether what is there of a file is of this version.
    #[must_use]
    pub fn is_of(&self, entry: &Entry) -> bool {
        let file = self.files.get(&entry.name);
        file.is_some_and(|file| file.fingerprint == entry.fingerprint())
    }

    /// What is there of a file.
    #[must_use]
    pub fn haves(&self, entry: &Entry, trusting: bool) -> Vec<Have> {
        let Some(partial) = self.files.get(&entry.name) else { return Vec::new() };
        if partial.fingerprint != entry.fingerprint() && !trusting || entry.size.is_none() {
            return Vec::new();
        }
        let mut haves: Vec<Have> = Vec::new();
        for (piece, hash) in &partial.journal {
            match haves.last_mut() {
                Some(have) if have.range().end == *piece => have.hashes.push(*hash),
                Some(_) | None => haves.push(Have { first: *piece, hashes: vec![*hash] }),
            }
        }
        haves.truncate(anabranch_core::limits::MAX_HAVES);
        haves
    }

    /// Writes bytes.
    ///
    /// # Panics
    /// If the file was not opened.
    pub fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) {
        let file = self.files.get_mut(name).expect("an open file");
        let offset = usize::try_from(offset).expect("a small file");
        let end = offset + bytes.len();
        if file.bytes.len() < end {
            file.bytes.resize(end, 0);
        }
        file.bytes[offset..end].copy_from_slice(bytes);
    }

    /// The bytes of a piece.
    #[must_use]
    pub fn read(&self, name: &str, span: Range<u64>) -> &[u8] {
        let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        &self.files[name].bytes[at(span.start)..at(span.end)]
    }

    /// Puts a complete file in its place.
    ///
    /// # Panics
    /// If it is not what its sender says it is.
    pub fn commit(&mut self, entry: &Entry, size: u64, root: Hash) {
        let file = self.files.get_mut(&entry.name).expect("an open file");
        file.bytes.truncate(usize::try_from(size).expect("a small file"));
        assert_eq!(
            file.bytes.len() as u64,
            size,
            "{}: Complete, and bytes are missing",
            entry.name
        );
        assert_eq!(root_of(&file.bytes, entry.piece), root, "{}: another root", entry.name);
        file.placed = Some(file.bytes.clone());
    }
}
