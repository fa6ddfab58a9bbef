//! The sending half of the application.

use anabranch_core::Instant;
use anabranch_core::files::{self, Command, Entry, Modified};
use bytes::Bytes;

use super::{Due, FilesApp};
use crate::content::Clip;
use crate::oracle::Key;

/// Something that can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As it is announced.
    pub entry: Entry,
    /// Its bytes, which may be more or fewer than announced.
    pub clip: Clip,
    /// From this piece on, the bytes are those of another seed.
    pub rewritten_from: Option<u64>,
}

impl Source {
    /// A file of this size, in pieces of 64 KiB.
    #[must_use]
    pub fn file(name: &str, seed: u64, size: u64) -> Self {
        let entry = Entry { piece: 64 << 10, ..Entry::file(name, Some(size)) };
        Self { entry, clip: Clip::new(name, seed, size), rewritten_from: None }
    }

    /// A file whose size shows only at its end.
    #[must_use]
    pub fn open_ended(name: &str, seed: u64, size: u64) -> Self {
        let mut source = Self::file(name, seed, size);
        source.entry.size = None;
        source
    }

    /// A folder.
    #[must_use]
    pub fn folder(name: &str) -> Self {
        let clip = Clip::new(name, 0, 0);
        Self { entry: Entry::folder(name), clip, rewritten_from: None }
    }

    /// Another version of it, with other bytes.
    pub fn change(&mut self, seed: u64) {
        self.clip.seed = seed;
        let seconds = self.entry.modified.map_or(0, |modified| modified.seconds + 1);
        self.entry.modified = Some(Modified { seconds, nanos: 0 });
    }

    /// It is this folder, or below it.
    #[must_use]
    pub fn is_below(&self, folder: &str) -> bool {
        let rest = self.entry.name.strip_prefix(folder);
        folder.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn read(&self, piece: u64, offset: u64, len: u32) -> Vec<u8> {
        let mut clip = self.clip.clone();
        if self.rewritten_from.is_some_and(|from| piece >= from) {
            clip.seed ^= 0xffff;
        }
        clip.read(offset, len as usize)
    }

    /// All its bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.clip.read(0, usize::try_from(self.clip.len).expect("a small file"))
    }
}

impl FilesApp {
    pub(super) fn more_entries(&mut self, key: Key, most: usize) -> Vec<Command> {
        let session = self.session(key);
        let end = session.outgoing.len().min(session.next + most);
        let entries = session.outgoing[session.next..end].to_vec();
        session.next = end;
        vec![Command::SupplyEntries { entries, last: end == session.outgoing.len() }]
    }

    fn source(&mut self, key: Key, file: u32) -> Option<Source> {
        let entry = self.session(key).outgoing.get(file as usize)?.name.clone();
        self.sources.get(&entry).cloned()
    }

    pub(super) fn read(
        &mut self,
        now: Instant,
        key: Key,
        (file, piece): (u32, u64),
        offset: u64,
        len: u32,
    ) {
        self.wanted += 1;
        let Some(source) = self.source(key, file) else { return };
        let bytes = source.read(piece, offset, len);
        let hash = files::hash::piece(&bytes);
        let command = Command::Supply { file, piece, bytes: Bytes::from(bytes), hash };
        self.due.push_back(Due { at: now + self.habits.read_delay, key, command });
    }

    pub(super) fn check(&mut self, key: Key, file: u32, first: u64, count: u64) -> Vec<Command> {
        let Some(source) = self.source(key, file) else { return Vec::new() };
        let hash = |piece| {
            let (offset, len) = source.entry.span(piece).expect("a piece of the file");
            files::hash::piece(&source.read(piece, offset, len))
        };
        let hashes: Vec<_> = (first..first + count).map(hash).collect();
        // In two parts, where there are two.
        let (a, b) = hashes.split_at(hashes.len().div_ceil(2));
        let mut commands = vec![Command::Checked { file, first, hashes: a.to_vec() }];
        if !b.is_empty() {
            let first = first + a.len() as u64;
            commands.push(Command::Checked { file, first, hashes: b.to_vec() });
        }
        commands
    }
}
